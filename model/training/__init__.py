"""PyTorch: from nothing, or from a float model, to an int8 checkpoint."""
