"""Folders, zips and tars of unknown origin, read safely and in one way."""
