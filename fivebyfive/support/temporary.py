"""Temporary files and folders that are recognized as nobody's once their maker is dead, however it died.

Whoever makes one holds a lock on it (flock) for as long as it is needed, and the system takes the lock away with the
process. So a thing with the name of a temporary one that nobody has locked was left by a process that was killed, and
the next one that makes its like in the same place removes it.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from .errors import UserError

__all__ = ["remove_left", "remove_working_folders", "temporary_file", "temporary_folder", "working_folder"]

PART = ".part"  # ends the names of those that become a result
WORKING, RUN = "fivebyfive-", ".run"  # begins and ends the names of those that never do
KEPT = ".kept"  # a file in a folder that stays though nobody works in it
MOST_KEPT = 5  # of those: the newest
RANDOM = "[a-z0-9_]{8}"  # as tempfile has it
KeptBy = type[BaseException] | tuple[type[BaseException], ...]


def temporary_file(folder: Path, prefix: str) -> tuple[int, str]:
    """A new locked file: its handle and its path. The lock ends when the handle is closed."""
    remove_left(folder, prefix)
    while True:
        handle, path = tempfile.mkstemp(prefix=prefix, suffix=PART, dir=folder)
        if try_lock(handle) and is_still(handle, path):
            return handle, path
        os.close(handle)


@contextmanager
def temporary_folder(folder: Path, prefix: str, suffix: str = PART, kept_by: KeptBy = ()) -> Iterator[Path]:
    """A new locked folder, which goes with what is in it when the block ends; it stays after an exception that is one
    of ``kept_by``, until `MOST_KEPT` others have."""
    remove_left(folder, prefix, suffix)
    handle, path = locked_folder(folder, prefix, suffix)
    kept = False
    try:
        yield path
    except kept_by:
        kept = True
        with suppress(OSError):
            (path / KEPT).touch()
        raise
    finally:
        if not kept:
            shutil.rmtree(path, ignore_errors=True)
        os.close(handle)
        if kept:
            remove_kept(folder, prefix, suffix)


def working_folder(kept_by: KeptBy = ()) -> AbstractContextManager[Path]:
    """A temporary folder of this project's own among those of the system. Raises UserError where there is none."""
    return temporary_folder(system_folder(), WORKING, RUN, kept_by)


def system_folder() -> Path:
    """The system's folder for temporary files ($TMPDIR, or another one that can be written). Raises UserError."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise UserError("no folder for temporary files can be written; set TMPDIR to one with space in it") from error


def remove_working_folders() -> None:
    """Remove those that killed processes left, for work that may find all done and make none of its own."""
    remove_left(system_folder(), WORKING, RUN)


def remove_left(folder: Path, prefix: str, suffix: str = PART) -> None:
    """Remove what killed processes left of temporary files and folders with such names; what is in use stays."""
    for path in ours(folder, prefix, suffix):
        with suppress(OSError):  # somebody else may have removed it meanwhile
            remove_if_nobodys(path)


def remove_kept(folder: Path, prefix: str, suffix: str) -> None:
    """Remove those of the folders with such names that were kept, but for the newest."""
    kept: list[tuple[int, str]] = []
    for path in ours(folder, prefix, suffix):
        with suppress(OSError):
            kept.append((os.stat(os.path.join(path, KEPT)).st_mtime_ns, path))
    for _, path in sorted(kept, reverse=True)[MOST_KEPT:]:
        with suppress(OSError):
            remove_if_nobodys(path, even_kept=True)


def ours(folder: Path, prefix: str, suffix: str) -> list[str]:
    """Paths of this user's temporary files and folders with such names."""
    pattern = re.compile(re.escape(prefix) + RANDOM + re.escape(suffix))
    found: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if pattern.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_uid == os.getuid():
                    found.append(entry.path)
    return found


def remove_if_nobodys(path: str, even_kept: bool = False) -> None:
    """Remove a file or a folder unless somebody has locked it, or wants it kept. May raise OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if not lock(handle) or not is_still(handle, path):
            return
        if not os.path.isdir(path):
            os.unlink(path)
        elif even_kept or not os.path.exists(os.path.join(path, KEPT)):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(handle)


def locked_folder(folder: Path, prefix: str, suffix: str) -> tuple[int, Path]:
    while True:
        path = tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=folder)
        with suppress(FileNotFoundError):  # somebody took it for a left one before it was locked
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            if try_lock(handle) and is_still(handle, path):
                return handle, Path(path)
            os.close(handle)


def try_lock(handle: int) -> bool:
    """Lock a new file or folder, False where somebody else was quicker. On a file system that knows no locks it has
    none; nobody can take it for left over there."""
    try:
        return lock(handle)
    except OSError:
        return True


def lock(handle: int, waiting: Callable[[], None] | None = None) -> bool:
    """Lock an open file or folder, False where somebody else has; with ``waiting``, call that and wait. Raises OSError
    where the file system knows no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting is None:
            return False
        waiting()
        fcntl.flock(handle, fcntl.LOCK_EX)
    return True


def is_still(handle: int, path: Path | str) -> bool:
    """Whether that is the path of an open file or folder: another process may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
