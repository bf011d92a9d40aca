"""Benches of the fully-connected engines' components."""
