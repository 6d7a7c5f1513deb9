"""The pipeline as Prefect flows: one module per DVC stage."""
