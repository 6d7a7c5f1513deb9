"""The pipeline as Prefect flows, a module for each stage of dvc.yaml; beside them deployments, servers and studies."""
