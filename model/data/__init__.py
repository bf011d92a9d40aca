"""Digits in: MNIST files, downloads, idx, pictures (code beside the shipped .gz)."""
