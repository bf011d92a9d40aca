"""Writing files so that nobody ever sees half of one."""

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import UserError, limit_reached
from .temporary import temporary_file, temporary_folder

__all__ = ["check_replaceable", "read_limited", "replacing", "replacing_folder"]


@contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO]:
    """A file to write that becomes ``path`` when the block ends well, and vanishes when it does not.

    Raises UserError where the folder cannot be written, the disk is full, or a device or pipe is there, which nothing
    may take the place of.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_replaceable(path)
        handle, temporary = temporary_file(path.parent, f".{path.name}.")
        with os.fdopen(handle, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)  # while it is locked: it must not look left over before it has its name
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def check_replaceable(path: Path) -> None:
    """Raise OSError where a file of ``path`` could not be made or replaced: what is there is a folder, a device, ..."""
    if path.is_dir():
        raise IsADirectoryError(21, "it is a folder")
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a file")


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill that takes the place of ``path`` when the block ends well, and vanishes when it
    does not.

    Raises UserError where it cannot be written or the disk is full.
    """
    path = Path(path).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(20, "it is a file")
        bring_back(path)
        with temporary_folder(path.parent, f".{path.name}.") as temporary:
            temporary.chmod(0o777 & ~_umask())
            yield temporary
            _swap(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error


def read_limited(path: Path, limit: int, what: str) -> bytes:
    """The bytes of a file that must be ``what``. Raises UserError where it cannot be read or is larger, before anything
    is read."""
    try:
        with path.open("rb") as file:
            if (size := os.fstat(file.fileno()).st_size) <= limit:
                return file.read(size)
    except OSError as error:
        raise UserError(f"cannot read {what} {path}: {error.strerror}") from error
    raise UserError(f"{path} has {size} bytes; a {what} has at most {limit}")


def cannot_write(path: Path, error: OSError) -> UserError:
    """The line that a user reads where ``path`` cannot be written."""
    if line := limit_reached(error):
        return UserError(line)
    reason = error.strerror or str(error)
    return UserError(
        f"cannot write {path}: {reason}; nothing was left behind. Name another place with --out."
    )


def bring_back(path: Path) -> None:
    """Undo half of a `_swap` in two steps that was killed in between."""
    old = _old(path)
    if old.is_dir():
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, path)


def _swap(new: Path, path: Path) -> None:
    """Put the folder ``new`` where ``path`` is, and what was there where ``new`` was, if that can be: at once."""
    if not path.exists():
        os.rename(new, path)
    elif not _exchange(new, path):
        old = _old(path)
        os.rename(path, old)
        try:
            os.rename(new, path)
        except OSError:
            os.rename(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.fivebyfive-old")


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders at once; False where the system or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except AttributeError:
        return False
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE
    return renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
