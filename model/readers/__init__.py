"""Readers of networks as other tools store them: each gives the steps that a float network takes."""
