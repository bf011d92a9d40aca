"""Other names for paths whose characters some tools take for their own.

A makefile splits a path at spaces and expands ``$`` in it, a shell runs what is in backticks, a list of folders
(PYTHONPATH, LD_LIBRARY_PATH) splits at colons, cocotb's list of libraries at commas and semicolons. Such a path is
reached through a link with a plain name, in a temporary folder that lasts as long as this process.
"""

import atexit
import os
import re
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from .errors import UserError, shown
from .temporary import RUN, WORKING, locked_folder, remove_left, system_folder

__all__ = ["is_safe", "safe_path"]

UNSAFE = re.compile(r"[^\w./-]")
PLACES = ("/tmp", "/var/tmp")  # for the links, where the system's own temporary folder is no safe path

_lock = threading.Lock()
_links: dict[tuple[int, Path], Path] = {}  # by process: a forked one must not rely on links that its parent removes


def is_safe(path: Path | str) -> bool:
    """Whether every tool takes a path as it is: letters, digits and ``_./-`` only."""
    return not UNSAFE.search(str(path))


def safe_path(path: Path | str) -> Path:
    """An absolute path of the same file or folder that `is_safe`, which need not exist yet: ``path`` itself, or one
    through a link that lasts as long as this process.

    Raises UserError where no folder for the link can be written.
    """
    path = Path(path).absolute()
    unsafe = [number for number, part in enumerate(path.parts, 1) if not is_safe(part)]
    if not unsafe:
        return path
    head, rest = path.parts[: unsafe[-1]], path.parts[unsafe[-1] :]
    return link_to(Path(*head)).joinpath(*rest)


def link_to(path: Path) -> Path:
    """The link to an unsafe path, made if missing."""
    with _lock:
        key = os.getpid(), path
        if key not in _links or not _links[key].is_symlink():
            folder = links_folder(path)
            link = folder / "to"
            link.symlink_to(path)
            _links[key] = link
        return _links[key]


def links_folder(path: Path) -> Path:
    """A new temporary folder with a safe path, which goes with this process. ``path``: what it is for."""
    for place in dict.fromkeys([str(system_folder()), *PLACES]):
        with suppress(OSError):
            if is_safe(place):
                remove_left(Path(place), WORKING, RUN)
                _, folder = locked_folder(Path(place), WORKING, RUN)  # which the end of this process unlocks
                atexit.register(remove, folder, os.getpid())
                return folder
    raise UserError(
        f"make and shells cannot use the path {shown(str(path))}, and there is no temporary folder for a link to it; "
        "set TMPDIR to a folder whose path has only letters, digits and _./-"
    )


def remove(folder: Path, maker: int) -> None:
    """Remove a folder of links, in the process that made it and not in those that it forked."""
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)
