"""Child processes that never outlive us and never print to our standard output, and what their logs say."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fivebyfive.support.errors import DIFFERS, UNUSABLE, Failure
from fivebyfive.support.parent_death import bound_to_parent
from fivebyfive.support.temporary import MOST_KEPT, working_folder

__all__ = [
    "RtlDiffers", "SimulationFailed", "SimulatorFailed", "call", "errors_in", "kept_if_failed", "last_lines",
]  # fmt: skip

WATCH_S = 0.1  # between two looks at a running process
LAST_LINES = 12  # of a log, in the message of a failure


class RtlDiffers(Failure):
    """The RTL did not do what the golden model says; the text says where."""

    exit_code = DIFFERS


class SimulationFailed(Failure):
    """A simulation failed its bench or took too long: the RTL hangs, or does not do what it should.

    The text says which, with the lines of the log that matter (``message``); ``log`` is the path of the whole log.
    """

    exit_code = DIFFERS

    def __init__(self, message: str, log: Path):
        self.message = message
        super().__init__(message, log)
        self.log = log
        self.kept = False  # whether the run's folder is a temporary one

    def __str__(self) -> str:
        remark = f" (the folders of the last {MOST_KEPT} failed runs are kept)" if self.kept else ""
        return f"{self.message}\nThe whole log: {self.log}{remark}"


@contextmanager
def kept_if_failed() -> Iterator[Path]:
    """A temporary folder for a run, which stays where that fails: the message of the failure names the log in there."""
    with working_folder(kept_by=SimulationFailed) as folder:
        try:
            yield folder
        except SimulationFailed as failure:
            failure.kept = True
            raise


class SimulatorFailed(SimulationFailed):
    """A simulation could not be built or started, or its process was killed: that says nothing about the RTL."""

    exit_code = UNUSABLE


def call(
    command: list[str],
    folder: Path,
    environment: dict[str, str],
    output: IO[str],
    timeout_s: float,
    watch: Callable[[], None] | None = None,
) -> int | None:
    """Run a command in a process group of its own; its exit code, None after a timeout.

    ``watch`` is called ten times a second meanwhile. The whole group is killed when it takes too long and when
    anything interrupts the wait, an exception of ``watch`` included; the command also when we are killed ourselves.
    """
    with subprocess.Popen(
        bound_to_parent(command),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            return wait(process, timeout_s, watch)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait(process: subprocess.Popen, timeout_s: float, watch: Callable[[], None] | None) -> int | None:
    """Exit code of a process, None if it does not end in time."""
    end = time.monotonic() + timeout_s
    while (left := end - time.monotonic()) > 0:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(min(left, WATCH_S) if watch else left)
        if watch:
            watch()
    return None


def errors_in(log: Path) -> list[str]:
    """Lines of a compiler's log that name an error."""
    lines = log.read_text(errors="replace").splitlines()
    found = [line for line in lines if "error" in line.lower() and not line.startswith("fivebyfive:")]
    return found[:LAST_LINES]


def last_lines(log: Path) -> list[str]:
    return [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-LAST_LINES:]
