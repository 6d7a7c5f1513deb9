"""Candidates within constraints, their ranking, the Pareto front and the pick."""
