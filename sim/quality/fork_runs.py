"""Many runs of one bench on one simulation, without starting Python and loading the bench again for each.

A "bench" that is named before the real one. It loads that one, and the process forks for each folder before the
simulation has begun: a child goes on as if it had been started in its folder alone, and reads the .mem files there.
Most components are simulated in a tenth of the time that the start takes.
"""

import atexit
import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from pathlib import Path

from fivebyfive.sim.benchlib.given import parameters, ports

__all__ = ["CODE", "FOLDERS_VARIABLE", "LOG", "RESULTS"]

FOLDERS_VARIABLE = "FIVEBYFIVE_FOLDERS"  # JSON: seconds of CPU that a run may take, and the folders
RESULTS = "results.xml"
LOG = "simulation.log"
CODE = "code"  # the file that a run leaves last: its exit code, or nothing if it took too long


def main() -> None:
    """Returns in each child; ends the process they come from when all have ended."""
    limit_s, *folders = json.loads(os.environ[FOLDERS_VARIABLE])
    importlib.import_module(os.environ["COCOTB_TEST_MODULES"].split(",")[1])
    parameters(), ports()  # read once for all
    sys.stdout.flush()
    for folder in map(Path, folders):
        child = os.fork()
        if not child:
            return become(folder, limit_s)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        (folder / f".{CODE}").write_text("" if code == -signal.SIGXCPU else str(code))
        os.replace(folder / f".{CODE}", folder / CODE)
    os._exit(0)  # without a simulation


def become(folder: Path, limit_s: int) -> None:
    """Be the simulation in a folder. What hangs there uses CPU; a wait tells nothing on a busy machine."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, resource.RLIM_INFINITY))
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


if FOLDERS_VARIABLE in os.environ:  # not where somebody only looks
    main()
