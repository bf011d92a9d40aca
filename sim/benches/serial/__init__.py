"""Benches of the serial link."""
