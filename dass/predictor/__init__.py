"""The meta-learned accuracy predictor: embeddings, model, the guide, meta-training, checkpoints, scoring."""
