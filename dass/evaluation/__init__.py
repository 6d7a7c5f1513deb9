"""How well scores rank students: correlations with intervals, choices under a budget, tables, pictures."""
