"""A table of learning curves: students distilled in full, each read on held-out images along the way.

A search method that trains students can be replayed on such a table at no cost, any number of times and with other
draws, and pays what its steps would have cost (the idea of tabular benchmarks: Ying et al. 2019, NAS-Bench-101).
"""
