"""A checkpoint as few bytes as possible, losslessly."""
