"""How many threads NumPy's matrix products take: of networks as small as these, several wait for each other longer than
they compute, above all where other programs run."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

__all__ = ["blas_threads", "one_blas_thread"]

FOLDERS = "../numpy.libs", ".dylibs"  # of NumPy's wheels: where they have their OpenBLAS
PREFIXES, SUFFIXES = ("scipy_", ""), ("64_", "")  # of its symbols


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Matrix products in one thread. Without effect where NumPy has another BLAS than the OpenBLAS of its wheels."""
    functions = openblas()
    if functions is None:
        yield
        return
    count, set_count = functions
    before = count()
    set_count(1)
    try:
        yield
    finally:
        set_count(before)


def blas_threads() -> int | None:
    """Threads that matrix products take, None where it is not known."""
    functions = openblas()
    return functions[0]() if functions else None


@cache
def openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """The functions of NumPy's own OpenBLAS that return and set its number of threads."""
    for folder in FOLDERS:
        for path in sorted((Path(np.__file__).parent / folder).glob("*openblas*")):
            try:
                library = ctypes.CDLL(str(path.resolve()))
            except OSError:
                continue
            for prefix in PREFIXES:
                for suffix in SUFFIXES:
                    names = [f"{prefix}openblas_{word}_num_threads{suffix}" for word in ("get", "set")]
                    if all(hasattr(library, name) for name in names):
                        count, set_count = (getattr(library, name) for name in names)
                        set_count.restype = None
                        return count, set_count
    return None
