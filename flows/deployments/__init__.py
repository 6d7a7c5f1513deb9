"""What a person starts from Prefect's page: the flows of prefect.yaml, and what they share."""
