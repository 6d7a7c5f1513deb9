"""One Prefect flow for each stage of dvc.yaml, and what stages share."""
