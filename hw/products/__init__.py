"""Sums of products, of each kind that weights and activations allow, and products with small matrices."""
