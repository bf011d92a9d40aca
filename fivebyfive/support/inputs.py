"""Opens the files that a user names, and reads standard input: the only place of the package that does.

A file is opened without waiting for anybody, and it must be a regular one: a pipe may never have a writer, a device
such as /dev/zero may have no end. What kind of file it is, and its size, are checked before a byte of it is read, and
the size again while it is read, as the files of /proc report none.
"""

import os
import select
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from .errors import UserError

__all__ = ["STANDARD_INPUT", "as_path", "open_limited", "read_limited", "read_standard_input", "same_file"]

FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
INSIDE = FLAGS | os.O_NOFOLLOW  # where no link is left to follow
STANDARD_INPUT = "-"  # as a user names it
SILENCE_S = 60.0  # without a byte on standard input
PIECE = 1 << 20  # bytes that are read at once of a file longer than it says
KINDS = {
    stat.S_IFDIR: "it is a folder; name a file",
    stat.S_IFIFO: "it is a pipe; save what comes from it into a file, and name that",
    stat.S_IFSOCK: "it is a socket; name a file",
    stat.S_IFCHR: "it is a device; name a file",
    stat.S_IFBLK: "it is a device; name a file",
}


def read_limited(path: Path | str, limit: int, what: str, within: Path | None = None) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes that must be ``what`` (a noun for messages).

    ``within``: a folder that the file must not lead out of, whatever links there are. Raises UserError, one line, where
    the file cannot be read, is not a regular file, or is larger; a large one is not read.
    """
    with open_limited(path, limit, what, within) as file:
        data = file.read(os.fstat(file.fileno()).st_size) or b""
        while len(data) <= limit and (more := file.read(min(PIECE, limit + 1 - len(data)))):
            data += more
    if len(data) > limit:
        raise too_large(path, f"more than {limit}", limit, what)
    return data


def read_standard_input(limit: int, what: str) -> bytes:
    """What is on standard input, up to its end, at most ``limit`` bytes; it must be ``what`` (a noun for messages).

    Raises UserError, one line, where nothing comes, where it is a terminal, silent for a minute, or larger: what is too
    much is not read.
    """
    wanted = f"give a {what} there, such as: < file"
    try:
        if sys.stdin is None or sys.stdin.isatty():
            raise UserError(f"there is no {what} on standard input; {wanted}")
        data = b""
        while len(data) <= limit and (more := next_piece(limit + 1 - len(data))):
            data += more
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read standard input: {error}; {wanted}") from error
    if not data:
        raise UserError(f"nothing came on standard input; {wanted}")
    if len(data) > limit:
        raise too_large("standard input", f"more than {limit}", limit, what)
    return data


def next_piece(limit: int) -> bytes:
    """Some bytes of standard input, none at its end. Raises OSError where none come."""
    stream = sys.stdin.buffer
    try:
        handle = stream.fileno()
    except OSError:  # one that a caller of this process put there
        return stream.read(min(PIECE, limit))
    if not select.select([handle], [], [], SILENCE_S)[0]:
        raise OSError(f"nothing came for {SILENCE_S:g} seconds")
    return os.read(handle, min(PIECE, limit))


@contextmanager
def open_limited(path: Path | str, limit: int, what: str, within: Path | None = None) -> Iterator[BufferedReader]:
    """The same file, open for reading; an OSError of reading it is a UserError too."""
    path = as_path(path, what)
    try:
        handle = open_regular(path, FLAGS) if within is None else open_regular(contained(path, within), INSIDE)
        with os.fdopen(handle, "rb") as file:
            if (size := os.fstat(handle).st_size) > limit:
                raise too_large(path, str(size), limit, what)
            yield file
    except OSError as error:
        raise UserError(f"cannot read {what} {path}: {error.strerror or error}") from error


def as_path(path: object, what: str) -> Path:
    """A path that a caller gives. Raises UserError for what is none: another type, or a name that no file can have."""
    if not isinstance(path, str | os.PathLike) or isinstance(text := os.fspath(path), bytes):
        raise UserError(f"the {what} must be given by its path, not as {type(path).__name__}")
    if "\0" in text or not encodable(text):
        raise UserError(f"no file can be called {text!r}; give the path of the {what}")
    return Path(path)


def encodable(text: str) -> bool:
    """Whether a name can be given to the operating system: all but one with half of a surrogate pair."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same place, links followed, be there a file or not."""
    return os.path.realpath(one) == os.path.realpath(other)  # Path.resolve raises RuntimeError for a link to itself


def open_regular(path: Path, flags: int) -> int:
    """The handle of a regular file. Raises OSError for anything else, which is not opened: to open a device may have
    effects, such as a reset of the board behind a serial port."""
    require_regular(os.stat(path).st_mode)
    handle = os.open(path, flags)
    try:
        require_regular(os.fstat(handle).st_mode)  # what was looked at may not be what was opened
    except OSError:
        os.close(handle)
        raise
    return handle


def require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(None, KINDS.get(stat.S_IFMT(mode), "it is not a regular file"))


def contained(path: Path, folder: Path) -> Path:
    """Where ``path`` leads, links followed. Raises OSError where that is outside ``folder``."""
    real = os.path.realpath(path, strict=True)
    if not Path(real).is_relative_to(os.path.realpath(folder, strict=True)):
        raise OSError(None, f"it is a link that leads out of {folder}; put the file itself there")
    return Path(real)


def too_large(path: Path | str, size: str, limit: int, what: str) -> UserError:
    return UserError(f"{path} has {size} bytes; a {what} has at most {limit}")
