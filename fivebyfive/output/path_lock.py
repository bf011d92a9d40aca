"""One command at a time writes a place: a second one says so and waits.

A claim is a lock (flock) on a file: ``.NAME.lock`` beside what is claimed, ``.lock`` in a folder that is written
into. It vanishes with the process that has it, however that ends; the file goes with the claim, or with the next one.
"""

import errno
import os
import re
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path

import click

from fivebyfive.support.errors import shown
from fivebyfive.support.temporary import is_still, lock

from .terminal import say

__all__ = ["lock_path"]

HELD = "fivebyfive.output.path_lock"  # in the context of a command


def lock_path(path: Path, inside: bool = False) -> None:
    """Have ``path`` for oneself until the command ends, and wait for that; a command may claim it again.

    ``inside``: it is a folder, and what is in it is claimed. Outside a command, as for those that use Python, nothing
    is claimed. Raises OSError where no file can be made there.
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return
    path = Path(os.path.abspath(path))
    file = path / ".lock" if inside else path.with_name(f".{path.name}.lock")
    held = context.meta.setdefault(HELD, set())
    if file not in held:
        handle = take(path, file)
        held.add(file)
        context.find_root().call_on_close(partial(give_back, file, handle))


def take(path: Path, file: Path) -> int:
    """The handle of the locked file that stands for ``path``."""
    while True:
        if file.is_symlink():
            raise FileExistsError(errno.EEXIST, f"{file.name} is in the way")
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            if not ours(handle):
                raise FileExistsError(errno.EEXIST, f"{file.name} is in the way")
            with suppress(OSError):  # of a file system that knows no locks
                lock(handle, partial(tell, path, handle))
            if is_still(handle, file):
                sign(handle)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def ours(handle: int) -> bool:
    """Whether an open file is a claim's: it has the number of a process in it, or nothing yet."""
    return stat.S_ISREG(os.fstat(handle).st_mode) and re.fullmatch(rb"(\d+\n)?", os.pread(handle, 20, 0)) is not None


def give_back(file: Path, handle: int) -> None:
    with suppress(OSError):
        os.unlink(file)  # while it is locked: a process that waits for it sees that it has gone
    os.close(handle)


def tell(path: Path, handle: int) -> None:
    owner = os.pread(handle, 20, 0).decode(errors="replace").strip()
    say(f"{shown(path)} is being written by another process{f' ({owner})' if owner else ''}; waiting for its end")


def sign(handle: int) -> None:
    with suppress(OSError):  # a full disk
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
