"""The multi-fidelity predictor: accuracies from whatever proxies have been paid for."""
