"""The command line, as the script `fivebyfive` and as `python -m fivebyfive`.

It is imported as the rest of the work is done: what ends that is reported in a line, too.
"""

import resource
import signal

from fivebyfive.output.terminal import run_and_exit
from fivebyfive.support.errors import UserError

__all__ = ["main"]

LEAST_MB = 256  # of address space: with less, OpenBLAS ends the process in its own way as NumPy is imported


def main() -> None:
    """Run the command line, and end with its exit code."""
    try:
        run_and_exit(run)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done and said: an interrupt that comes now is too late


def run() -> None:
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        allowed, _ = resource.getrlimit(limit)
        if allowed != resource.RLIM_INFINITY and allowed < LEAST_MB << 20:
            raise UserError(f"memory is limited to {allowed >> 20} MB (ulimit), and at least {LEAST_MB} are needed")
    from .cli import main as commands

    commands(prog_name="fivebyfive")


if __name__ == "__main__":
    main()
