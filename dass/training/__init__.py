"""Losses, the one training loop, and the recipes of teachers and students."""
