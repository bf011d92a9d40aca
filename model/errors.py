"""The one exception a user's mistake becomes."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["EXHAUSTED", "UserError", "limit_reached", "shown", "user_values"]

TOO_MANY_FILES = errno.EMFILE, errno.ENFILE
EXHAUSTED = (*TOO_MANY_FILES, errno.ENOMEM, errno.EAGAIN)  # of the process or the machine: no fault of what was tried


class UserError(Exception):
    """Something the user gave cannot be used.

    The message is one line: what is wrong, then what to do. The command line prints it without a traceback
    and exits with code 2.
    """


@contextmanager
def user_values() -> Iterator[None]:
    """What a value of the user's is refused with (ValueError), as the user's mistake that it is."""
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from error


def shown(text: str) -> str:
    """Text out of a file, such as a name, fit for a message of one line: what cannot be printed is escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def limit_reached(error: OSError) -> str | None:
    """The line for a process that has too many files open, None for another error."""
    if error.errno not in TOO_MANY_FILES:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"too many open files: this process may have {limit}; raise the limit with ulimit -n"
