"""Benches of sums of products."""
