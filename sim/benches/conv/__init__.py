"""Benches of the convolution engine's components."""
