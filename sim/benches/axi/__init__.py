"""Benches of the AXI core."""
