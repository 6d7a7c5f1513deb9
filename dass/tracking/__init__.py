"""Runs, models and their history in MLflow: the only package that imports mlflow, and only when called."""
