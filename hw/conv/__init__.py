"""conv1 and conv2: from pixels to pooled codes."""
