"""Writing files so that nobody ever sees half of one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import UserError

__all__ = ["read_limited", "replacing", "replacing_folder"]


@contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO]:
    """A file to write that becomes ``path`` when the block ends well, and vanishes when it does not.

    Raises UserError where the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill that takes the place of ``path`` when the block ends well, and vanishes when it
    does not.

    Raises UserError where it cannot be written or the disk is full.
    """
    path = Path(path).absolute()
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(20, "it is a file")
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        _swap(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


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
    reason = error.strerror or str(error)
    return UserError(
        f"cannot write {path}: {reason}; nothing was left behind. Name another place with --out."
    )


def _swap(new: Path, path: Path) -> None:
    """Put the folder ``new`` where ``path`` is; what was there goes."""
    if path.exists():
        old = new.with_suffix(".old")
        os.rename(path, old)
        try:
            os.rename(new, path)
        except OSError:
            os.rename(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(new, path)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
