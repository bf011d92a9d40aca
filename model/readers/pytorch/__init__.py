"""Networks of PyTorch: modules and .pt2 files."""
