"""Errors, atomic files, temporary files, progress, optional imports. Imports nothing of ours."""
