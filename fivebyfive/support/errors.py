"""What ends a command with a message instead of a traceback, and the exit code of each kind."""

import errno
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "DEFECT", "DIFFERS", "EXHAUSTED", "UNUSABLE", "Defect", "Failure", "UserError", "how_it_ended", "limit_reached",
    "shown", "user_values",
]  # fmt: skip

DIFFERS = 1  # values differ, the RTL hangs, or a board does not answer
UNUSABLE = 2  # an input, a tool, a disk, the memory or standard output cannot be used
DEFECT = 70  # of fivebyfive itself; EX_SOFTWARE of sysexits.h
OUT_OF_MEMORY = signal.SIGKILL, signal.SIGABRT  # the kernel's way to end a process, and that of C++'s bad_alloc
TOO_MANY_FILES = errno.EMFILE, errno.ENFILE
EXHAUSTED = (*TOO_MANY_FILES, errno.ENOMEM, errno.EAGAIN)  # of the process or the machine: no fault of what was tried


class Failure(Exception):  # noqa: N818 (base of what happened and of errors)
    """Something that is no defect of this project went wrong.

    The message is a line that says what is wrong and what to do; lines that a tool wrote may follow it. The command
    line prints it without a traceback and exits with ``exit_code``.
    """

    exit_code = UNUSABLE


class UserError(Failure):
    """Something the user gave cannot be used.

    The message is one line: what is wrong, then what to do. The command line prints it without a traceback
    and exits with code 2.
    """


class Defect(Failure):
    """A process of this project ended by a defect; the message ends with the last lines of its traceback."""

    exit_code = DEFECT


@contextmanager
def user_values() -> Iterator[None]:
    """What a value of the user's is refused with (ValueError), as the user's mistake that it is."""
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from error


def shown(text: object) -> str:
    """Text from outside, such as a name or a path, fit for one line: what cannot be printed is escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in str(text))


def how_it_ended(code: int) -> str:
    """What became of a process that ended with ``code``, not 0; below 0: by that signal, as `subprocess` has it."""
    if code >= 0:
        return "failed"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}{', perhaps as memory ran out,' if -code in OUT_OF_MEMORY else ''}"


def limit_reached(error: OSError) -> str | None:
    """The line for a process that has too many files open, None for another error."""
    if error.errno not in TOO_MANY_FILES:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"too many open files: this process may have {limit}; raise the limit with ulimit -n"
