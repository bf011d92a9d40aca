"""Where the path of an output leads: links are followed, and what is no file or folder is refused."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from .errors import UserError

__all__ = ["file_place", "folder_place", "in_use", "refuse_inputs"]

LINKS = 40  # that lead from one to the next, as Linux has it


def file_place(path: Path) -> Path:
    """The file that ``path`` leads to, which need not exist yet. Raises OSError for a folder, a device, a pipe, a
    socket and everything in /proc, which has the files that are open."""
    place = followed(path)
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if place.exists() and not place.is_file():
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a file")
    return place


def folder_place(path: Path) -> Path:
    """The folder that ``path`` leads to, which need not exist yet. Raises OSError for a file and for the root."""
    place = followed(path)
    if place == place.parent:
        raise OSError(errno.EINVAL, "it is the root of the file system")
    if place.exists() and not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is a file")
    return place


def followed(path: Path) -> Path:
    """Where a path leads, however many links are in it, the last one included. Raises OSError."""
    place = Path(path)
    for _ in range(LINKS):
        if place.name in ("", ".."):
            place = Path(os.path.realpath(place))
        else:
            place = Path(os.path.realpath(place.parent)) / place.name
        if place.is_relative_to("/proc"):
            raise OSError(errno.EINVAL, "it leads into /proc, where no files are kept")
        if not place.is_symlink():
            return place
        place = place.parent / os.readlink(place)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def in_use(folder: Path) -> bool:
    """Whether another folder cannot take the place of this one: it is a mount point, or the working directory lies in
    it, or is it."""
    try:
        return os.path.ismount(folder) or Path(os.path.realpath(os.getcwd())).is_relative_to(folder)
    except FileNotFoundError:  # the working directory was removed
        return False


def refuse_inputs(out: Path, inputs: Iterable[Path | str | None], option: str = "--out") -> None:
    """Raise UserError where ``out`` exists and is one of the ``inputs``, or a file in a folder that is one, by any
    name: links and hard links are the same file. ``option`` names ``out``."""
    for given in inputs:
        if given is None:
            continue
        folder = os.listdir(given) if os.path.isdir(given) else ()
        files = [given, *(path for name in folder if os.path.isfile(path := os.path.join(given, name)))]
        if any(same(out, file) for file in files):
            raise UserError(f"{out} is what the work starts from ({given}); name another place with {option}")


def same(one: Path | str, other: Path | str) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):  # one of them does not exist
        return False
