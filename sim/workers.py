"""Doing units of work (`units`) side by side: on the cores of this machine, or on a Dask cluster.

A pool yields each unit with its outcome as it comes. On this machine each unit has a process of its own, as both
`concurrent.futures` and loky give up all that is running when one of their processes dies.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass

from fivebyfive.model.datasets import DATA_VARIABLE
from fivebyfive.model.errors import DIFFERS, Defect, Failure, UserError
from fivebyfive.model.extras import require
from fivebyfive.model.progress import Progress, silent
from fivebyfive.model.temporary import remove_working_folders, working_folder

from .cache import CACHE_VARIABLE
from .nextpnr import ToolFailed
from .process import RtlDiffers, call
from .units import DIFFERENT, FAILED, Unit, from_json, keep_unit, known_unit, run_unit, to_json

__all__ = ["ClusterPool", "LocalPool", "Outcome", "run_units"]

TRIES = 3  # of a unit whose process dies
UNIT_TIMEOUT_S = 6 * 3600
CONNECT_S = 5.0
TICK_S = 1.0  # between two remarks about progress
TRACEBACK = 1  # exit code of Python where nothing caught an exception
FOLDERS = (CACHE_VARIABLE, DATA_VARIABLE)
COMMAND = (sys.executable, "-P", "-m", "fivebyfive.sim.units")


@dataclass(frozen=True)
class Outcome:
    """Of a unit: its ``result``, or why there is none in ``failure``. ``tries``: how often it was begun. ``kind``: the
    exception that tells a command of the failure."""

    result: dict | None = None
    failure: str | None = None
    tries: int = 0
    kind: type[Failure] = ToolFailed

    @property
    def error(self) -> Failure | None:
        """The exception to raise, None where there is a result."""
        return self.kind(self.failure) if self.failure else None


class Stopped(Exception):  # noqa: N818 (what happened)
    """The work was interrupted."""


class LocalPool:
    """``workers`` processes at once on this machine, as many as there are cores by default."""

    def __init__(self, workers: int | None = None):
        self.workers = workers or len(os.sched_getaffinity(0))

    def run(self, units: Sequence[Unit]) -> Iterator[tuple[Unit, Outcome] | None]:
        """Each unit with its outcome as it comes; None once a second in between.

        All processes end when the caller stops asking, by an exception as well.
        """
        remove_working_folders()
        stop = threading.Event()
        executor = ThreadPoolExecutor(self.workers)
        pending = {executor.submit(self.one, unit, stop): unit for unit in units}
        try:
            while pending:
                done, _ = wait(pending, TICK_S, FIRST_COMPLETED)
                for future in done:
                    yield pending.pop(future), future.result()
                if not done:
                    yield None
        finally:
            stop.set()
            executor.shutdown(cancel_futures=True)

    def one(self, unit: Unit, stop: threading.Event) -> Outcome:
        """A unit in a process of its own, again if that dies."""

        def watch() -> None:
            if stop.is_set():
                raise Stopped

        for tries in range(1, TRIES + 1):
            with working_folder() as folder:
                (folder / "unit.json").write_text(to_json(unit))
                log = folder / "log"
                with log.open("w") as file:
                    command = [*COMMAND, "unit.json"]
                    environment = os.environ | places() | {"TMPDIR": str(folder)}  # a killed unit's go with the folder
                    code = call(command, folder, environment, file, UNIT_TIMEOUT_S, watch)
                said = log.read_text(errors="replace").strip()
            if code == 0 and (result := known_unit(unit)):
                return Outcome(result, tries=tries)
            if code in (FAILED, DIFFERENT, None):
                kind = RtlDiffers if code == DIFFERENT else ToolFailed
                return Outcome(failure=said or f"{unit}: took too long", tries=tries, kind=kind)
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        last = "\n".join(said.splitlines()[-3:])
        failure = f"{unit}: its process ended {TRIES} times, the last {how}\n{last}".strip()
        return Outcome(failure=failure, tries=TRIES, kind=Defect if code == TRACEBACK else ToolFailed)


def places() -> dict[str, str]:
    """The variables that name folders, as they have to be for a process that works elsewhere."""
    return {name: os.path.abspath(os.environ[name]) for name in FOLDERS if os.environ.get(name)}


class ClusterPool:
    """A running Dask cluster; its workers need fivebyfive with the extras ``cluster`` and ``fpga``.

    Raises UserError where ``address`` cannot be reached within some seconds.
    """

    def __init__(self, address: str):
        distributed = require("distributed", "a cluster needs", "dask.distributed", "cluster")
        try:
            self.client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError, ImportError) as error:
            reason = str(error) or "no answer"
            raise UserError(f"the Dask cluster at {address} cannot be reached: {reason}") from error

    def run(self, units: Sequence[Unit]) -> Iterator[tuple[Unit, Outcome] | None]:
        """As `LocalPool.run`. Dask itself does a unit again whose worker died."""
        pending = {self.client.submit(remote_unit, to_json(unit), pure=False): unit for unit in units}
        try:
            while pending:
                done = [future for future in pending if future.done()]
                for future in done:
                    unit = pending.pop(future)
                    yield unit, self.outcome(unit, future)
                if not done:
                    if self.client.status == "closed":
                        raise UserError("the Dask cluster has gone; what was finished is kept, call again to go on")
                    time.sleep(TICK_S / 5)
                    yield None
        finally:
            self.client.cancel(list(pending))
            self.client.close()

    def outcome(self, unit: Unit, future) -> Outcome:
        if future.status != "finished":
            return Outcome(failure=f"{unit}: {future.exception()}")
        result, failure, differs = future.result()
        if result:
            keep_unit(unit, result)
        return Outcome(result, failure, 1, RtlDiffers if differs else ToolFailed)


def remote_unit(text: str) -> tuple[dict | None, str | None, bool]:
    """On a worker of the cluster: a unit's result, or why there is none, and whether that is as the RTL differs."""
    try:
        return run_unit(from_json(text)), None, False
    except Failure as error:
        return None, str(error), error.exit_code == DIFFERS


def run_units(
    units: Sequence[Unit], pool: LocalPool | ClusterPool, progress: Progress = silent, text: str = "working",
    arrived: Callable[[Unit, Outcome], None] = lambda unit, outcome: None,
) -> dict[Unit, Outcome]:  # fmt: skip
    """Outcome of each unit; those that were done before are not done again. ``arrived`` gets each as it comes."""
    outcomes = {unit: Outcome(found) for unit in dict.fromkeys(units) if (found := known_unit(unit))}
    for known in outcomes.items():
        arrived(*known)
    rest = [unit for unit in dict.fromkeys(units) if unit not in outcomes]
    began = time.monotonic()
    with closing(pool.run(rest)) as stream:  # an interruption ends what is running before it goes on
        for finished in stream:
            if finished:
                outcomes[finished[0]] = finished[1]
                arrived(*finished)
            progress(len(outcomes), len(set(units)), f"{text}, {time.monotonic() - began:.0f} s")
    return outcomes
