"""Candidates within a budget, their ranking, the Pareto front and the pick."""
