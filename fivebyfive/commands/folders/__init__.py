"""Folders of simulate: the one that it reads, and what it leaves in one for a viewer of waveforms."""
