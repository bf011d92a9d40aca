"""Benches of what both engines are made of."""
