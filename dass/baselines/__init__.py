"""Everything that ranks students of a task, behind one estimator interface."""
