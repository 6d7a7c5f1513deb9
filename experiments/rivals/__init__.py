"""Two well-known pruning tools on a study's teachers, for the same distillation afterwards."""
