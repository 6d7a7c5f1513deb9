"""Side-by-side timings of the naive way, ours, and what the device could do at best."""
