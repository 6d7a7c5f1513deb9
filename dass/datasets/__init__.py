"""Every dataset becomes the same uint8 image tensors and labels; splits; augmentation."""
