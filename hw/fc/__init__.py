"""Fully-connected layers and argmax: dense, and bank-balanced (bank_*)."""
