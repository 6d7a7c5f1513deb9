"""Learned predictors that come with the software, one folder each under `data/`, and how one is made and checked."""
