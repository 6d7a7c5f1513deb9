"""The ladder: a predictor over whatever evidence has been paid for."""
