"""Cached, restartable jobs on cores or Dask; measure, explore, compare are made of them."""
