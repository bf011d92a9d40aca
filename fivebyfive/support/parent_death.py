"""Commands that end when their parent process ends, by SIGKILL as well: ``python parent_death.py PID COMMAND...``.

A process that is killed cannot end its children. Here the kernel is asked to (prctl, Linux only), and then the command
takes the place of this script: it keeps its process number, standard streams and environment.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["bound_to_parent"]

PR_SET_PDEATHSIG = 1
RESET = signal.SIGPIPE, signal.SIGXFSZ  # Python ignores them, and what it starts would inherit that
CANNOT_START = 127  # as a shell has it


def bound_to_parent(command: Sequence[str]) -> list[str]:
    """The command line of a command that must not outlive this process; it is started by a thread that waits for it."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *map(str, command)]


def main() -> int:
    starter, *command = sys.argv[1:]
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(starter):
        return CANNOT_START  # it died before the kernel was asked
    for number in RESET:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return CANNOT_START


if __name__ == "__main__":
    sys.exit(main())
