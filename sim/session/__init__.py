"""A simulation that stays running: an image in, every layer and signal out, then the next image."""
