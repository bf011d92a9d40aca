"""Long checks whose logs lie in docs (python -m fivebyfive.verify.NAME)."""
