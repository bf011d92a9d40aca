"""Many runs of one bench on one simulation, without starting Python and loading the bench again for each.

A "bench" that is named before the real one. It loads that one, and the process forks for each folder before the
simulation has begun: a child goes on as if it had been started in its folder alone, and reads the .mem files there.
Most components are simulated in a tenth of the time that the start takes.
"""

import atexit
import ctypes
import importlib
import os
import signal
import sys
import time
from pathlib import Path

from .benches import parameters, ports

__all__ = ["CODE", "FOLDERS_VARIABLE", "LOG", "RESULTS"]

FOLDERS_VARIABLE = "FIVEBYFIVE_FOLDERS"  # seconds that a run may take, and the folders, one a line
RESULTS = "results.xml"
LOG = "simulation.log"
CODE = "code"  # the file that a run leaves last: its exit code, or nothing if it took too long
LOOK_S = 0.01


def main() -> None:
    """Returns in each child; ends the process they come from when all have ended."""
    limit_s, *folders = os.environ[FOLDERS_VARIABLE].splitlines()
    importlib.import_module(os.environ["COCOTB_TEST_MODULES"].split(",")[1])
    parameters(), ports()  # read once for all
    sys.stdout.flush()
    for folder in map(Path, folders):
        child = os.fork()
        if not child:
            return become(folder)
        code = wait(child, float(limit_s))
        (folder / f".{CODE}").write_text("" if code is None else str(code))
        os.replace(folder / f".{CODE}", folder / CODE)
    os._exit(0)  # without a simulation


def become(folder: Path) -> None:
    """Be the simulation in a folder."""
    os.chdir(folder)
    os.environ["COCOTB_RESULTS_FILE"] = str(folder / RESULTS)
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    atexit.register(end)


def end() -> None:
    """End a child at once: Verilator would wait for threads that no fork takes along. A bad end is in the results."""
    ctypes.CDLL(None).fflush(None)  # what $display has said
    os._exit(0)


def wait(child: int, limit_s: float) -> int | None:
    """Exit code of a child, None if it had to be killed."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(LOOK_S)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


if FOLDERS_VARIABLE in os.environ:  # not where somebody only looks
    main()
