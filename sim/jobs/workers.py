"""Doing jobs (`job`) side by side: on the cores of this machine, or on a Dask cluster.

A pool yields each job with its outcome as it comes. On this machine each job has a process of its own, as both
`concurrent.futures` and loky give up all that is running when one of their processes dies.
"""

import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from fivebyfive.model.data.datasets import DATA_VARIABLE
from fivebyfive.sim.fpga.nextpnr import ToolFailed
from fivebyfive.sim.simulator.cache import CACHE_VARIABLE
from fivebyfive.sim.simulator.process import RtlDiffers, call
from fivebyfive.support.errors import DIFFERS, Defect, Failure, UserError
from fivebyfive.support.log import LOG_VARIABLE
from fivebyfive.support.optional import require
from fivebyfive.support.progress import Progress, silent
from fivebyfive.support.temporary import remove_working_folders, working_folder

from .job import DIFFERENT, FAILED, Job, Refused, from_json, keep_job, known_job, run_job, to_json

if TYPE_CHECKING:
    import distributed

__all__ = ["ClusterPool", "LocalPool", "Outcome", "Pool", "run_jobs"]

TRIES = 3  # of a job whose process dies
JOB_TIMEOUT_S = 6 * 3600
CONNECT_S = 5.0  # of each of the steps of a connection
LONGEST = 4  # steps
TICK_S = 1.0  # between two remarks about progress
TRACEBACK = 1  # exit code of Python where nothing caught an exception
ANSWER_S = 10.0  # of a scheduler that is busy
FETCH_S = 600.0  # of a result from a worker; Dask does it again where that has just died
PATIENCE_S = 30.0  # without a worker, or without an answer
NOISY = ("distributed", "tornado", "asyncio")  # loggers
FOLDERS = (CACHE_VARIABLE, DATA_VARIABLE, LOG_VARIABLE)  # or files
COMMAND = (sys.executable, "-P", "-m", Job.__module__)
SAME = "install the same on all machines and start the workers again"
KEPT = "what was finished is kept, and the same command goes on from there"


@dataclass(frozen=True)
class Outcome:
    """Of a job: its ``result``, or why there is none in ``failure``. ``tries``: how often it was begun. ``kind``: the
    exception that tells a command of the failure."""

    result: dict | None = None
    failure: str | None = None
    tries: int = 0
    kind: type[Failure] = ToolFailed

    @property
    def value(self) -> dict:
        """The result. Raises `error` where there is none."""
        if self.result is None:
            raise self.error or self.kind("no result")
        return self.result

    @property
    def error(self) -> Failure | None:
        """The exception to raise, None where there is a result."""
        return self.kind(self.failure) if self.failure else None


class Pool(Protocol):
    """Where jobs are done."""

    def run(self, jobs: Sequence[Job]) -> Generator[tuple[Job, Outcome] | None, None, None]:
        """Each job with its outcome as it comes; None once a second in between. Closed, it ends what is running."""


class Stopped(Exception):  # noqa: N818 (what happened)
    """The work was interrupted."""


class LocalPool:
    """``workers`` processes at once on this machine, as many as there are cores by default."""

    def __init__(self, workers: int | None = None):
        self.workers = workers or len(os.sched_getaffinity(0))

    def run(self, jobs: Sequence[Job]) -> Generator[tuple[Job, Outcome] | None, None, None]:
        """Each job with its outcome as it comes; None once a second in between.

        All processes end when the caller stops asking, by an exception as well.
        """
        remove_working_folders()
        stop = threading.Event()
        executor = ThreadPoolExecutor(self.workers)
        pending = {executor.submit(self.one, job, stop): job for job in jobs}
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

    def one(self, job: Job, stop: threading.Event) -> Outcome:
        """A job in a process of its own, again if that dies."""

        def watch() -> None:
            if stop.is_set():
                raise Stopped

        for tries in range(1, TRIES + 1):
            with working_folder() as folder:
                (folder / "job.json").write_text(to_json(job))
                log = folder / "log"
                with log.open("w") as file:
                    command = [*COMMAND, "job.json"]
                    environment = (
                        os.environ | absolute_folders() | {"TMPDIR": str(folder)}
                    )  # a killed job's go with the folder
                    code = call(command, folder, environment, file, JOB_TIMEOUT_S, watch)
                said = log.read_text(errors="replace").strip()
            if code == 0 and (result := known_job(job)) is not None:
                return Outcome(result, tries=tries)
            if code in (FAILED, DIFFERENT, None):
                kind = RtlDiffers if code == DIFFERENT else ToolFailed
                return Outcome(failure=said or f"{job}: took too long", tries=tries, kind=kind)
        how = f"by signal {-code}" if code and code < 0 else f"with exit code {code}"
        last = "\n".join(said.splitlines()[-3:])
        failure = f"{job}: its process ended {TRIES} times, the last {how}\n{last}".strip()
        return Outcome(failure=failure, tries=TRIES, kind=Defect if code == TRACEBACK else ToolFailed)


def absolute_folders() -> dict[str, str]:
    """The variables that name folders, as they have to be for a process that works elsewhere."""
    return {name: os.path.abspath(os.environ[name]) for name in FOLDERS if os.environ.get(name)}


class ClusterPool:
    """A running Dask cluster; its workers need fivebyfive with the extras ``cluster`` and ``fpga``, the same versions
    of all as here: a worker that has others refuses (`job.Refused`).

    Raises UserError, here where ``address`` cannot be reached within some seconds, in `run` where the cluster has gone,
    has no worker for half a minute, or refuses. What was finished is kept then.
    """

    def __init__(self, address: str):
        self.address = address
        self.distributed = require("distributed", "a cluster needs", "dask.distributed", "cluster")
        with self.connected():
            pass

    @contextmanager
    def connected(self) -> "Iterator[distributed.Client]":
        """A connection to the scheduler. Raises UserError where there is none."""

        with silent_dask():
            try:
                client = self.client()
            except Exception as error:  # an address may be any text, for which Dask raises almost anything
                reason = first_line(error) or "no answer"
                raise UserError(f"the Dask cluster at {self.address} cannot be reached: {reason}") from error
            try:
                yield client
            finally:
                with suppress(OSError):  # it may have gone
                    client.close()

    def client(self) -> "distributed.Client":
        """A client that is connected. Raises what Dask raises, TimeoutError where nobody answers."""

        base: Any = self.distributed.Client

        class Client(base):
            def start(self, **kwargs: Any) -> None:
                try:
                    super().start(**kwargs)
                except BaseException:
                    self.close()  # or it does so when Python ends, ten seconds later, with a traceback
                    raise

        found: Future = Future()

        def connect() -> None:
            try:
                found.set_result(Client(self.address, timeout=CONNECT_S, set_as_default=False))
            except Exception as error:
                found.set_exception(error)

        # In a thread of its own: Dask waits for ever for a server that takes the connection and says nothing.
        threading.Thread(target=connect, daemon=True).start()
        return found.result(LONGEST * CONNECT_S)

    def run(self, jobs: Sequence[Job]) -> Generator[tuple[Job, Outcome] | None, None, None]:
        """As `LocalPool.run`. Dask itself does a job again whose worker died."""
        if not jobs:
            return
        with self.connected() as client:
            pending = {client.submit(remote_job, to_json(job), pure=False): job for job in jobs}
            presence = ClusterWatch(self, client)
            while pending:
                done = [future for future in pending if future.done()]
                for future in done:
                    outcome = self.outcome(pending[future], future)
                    yield pending.pop(future), outcome
                if not done:
                    presence.look()
                    time.sleep(TICK_S / 5)
                    yield None

    def outcome(self, job: Job, future: "distributed.Future") -> Outcome:
        """Of a job that is done. Raises UserError where the cluster has gone or its worker refuses."""
        try:
            if future.status == "finished":
                return self.checked_outcome(job, future.result(FETCH_S))
            error = future.exception(FETCH_S) if future.status == "error" else None
        except (OSError, CancelledError) as lost:
            raise self.cluster_gone() from lost
        if error is None:  # it was cancelled, or its result is lost: so it is when the scheduler ends
            raise self.cluster_gone()
        if isinstance(error, ImportError):
            raise UserError(f"a worker of the Dask cluster at {self.address} cannot run this fivebyfive "
                            f"({first_line(error)}); {SAME}") from error  # fmt: skip
        if isinstance(error, self.distributed.scheduler.KilledWorker):
            return Outcome(failure=f"{job}: the worker that did it died, {error.allowed_failures + 1} times")
        return Outcome(failure=f"{job}: {first_line(error) or type(error).__name__}")

    def checked_outcome(self, job: Job, answer: object) -> Outcome:
        """What a worker's answer (`remote_job`) comes to, which may be of another version of this project. A result
        is kept as that of its maker."""
        if not isinstance(answer, dict) or not isinstance(worker := answer.get("worker"), str):
            raise UserError(f"a worker of the Dask cluster at {self.address} has another version of fivebyfive; {SAME}")
        if answer.get("differing"):
            what = "; ".join(f"{name} ({there} there, {here} here)" for name, there, here in answer["differing"])
            raise UserError(f"the worker {worker} of the Dask cluster at {self.address} has other versions: {what}; "
                            f"{SAME}")  # fmt: skip
        if answer.get("failure"):
            kind = RtlDiffers if answer.get("differs") else ToolFailed
            return Outcome(failure=str(answer["failure"]), tries=1, kind=kind)
        try:
            result = keep_job(job, answer["result"], answer["maker"])
        except (LookupError, TypeError, ValueError) as error:
            raise UserError(f"the worker {worker} of the Dask cluster at {self.address} gave no result of {job}: "
                            f"{first_line(error)}; {SAME}") from error  # fmt: skip
        if answer["maker"] != job.identity:
            raise UserError(f"the worker {worker} of the Dask cluster at {self.address} is another one than it was "
                            f"asked to be; {SAME}")  # fmt: skip
        return Outcome(result, tries=1)

    def cluster_gone(self) -> UserError:
        return UserError(f"the Dask cluster at {self.address} has gone; {KEPT}")


class ClusterWatch:
    """Whether a cluster is still there, and has workers."""

    def __init__(self, pool: ClusterPool, client: "distributed.Client"):
        self.pool, self.client = pool, client
        self.looked = self.answered = self.had_workers = time.monotonic()

    def look(self) -> None:
        """Ask the scheduler once a second. Raises UserError where nobody has been there for some time."""
        now = time.monotonic()
        if now - self.looked < TICK_S:
            return
        self.looked = now
        if self.client.status == "closed":
            raise self.pool.cluster_gone()
        try:
            workers = self.client.sync(self.client.scheduler.ncores, callback_timeout=ANSWER_S)
        except (OSError, AttributeError, self.pool.distributed.TimeoutError) as error:
            if time.monotonic() - self.answered > PATIENCE_S:
                raise self.pool.cluster_gone() from error
            return
        self.answered = time.monotonic()
        if workers:
            self.had_workers = self.answered
        elif self.answered - self.had_workers > PATIENCE_S:
            raise UserError(f"no worker is at {self.pool.address}; start one with: dask worker {self.pool.address}. "
                            f"{KEPT[0].upper()}{KEPT[1:]}")  # fmt: skip


@contextmanager
def silent_dask() -> Iterator[None]:
    """Dask and what it is built on say nothing on their own: what is to be known is said in a line of ours."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in NOISY]
    before = {name: logging.getLogger(name).level for name in {*names, *NOISY}}
    for name in before:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="distributed")  # of versions that differ in ways that matter not
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "").strip()


def remote_job(text: str) -> dict:
    """On a worker of the cluster: its address as ``worker``; and of a job the ``result`` with its ``maker``, or why
    there is none in ``failure``, and whether that is as the RTL ``differs``; or what is ``differing``: names, what is
    here, and what was asked for."""
    answer: dict = {"worker": worker_address()}
    try:
        job = from_json(text)
        return answer | {"result": run_job(job), "maker": job.identity}
    except Refused as refused:
        return answer | {"differing": [(name, *versions) for name, versions in refused.differing.items()]}
    except UserError as error:
        return answer | {"failure": f"{error} (on the worker {answer['worker']})"}
    except Failure as error:
        return answer | {"failure": str(error), "differs": error.exit_code == DIFFERS}


def worker_address() -> str:
    """Of the worker that this is."""
    from distributed import get_worker

    return get_worker().address


def run_jobs(
    jobs: Sequence[Job], pool: Pool, progress: Progress = silent, text: str = "working",
    arrived: Callable[[Job, Outcome], None] = lambda job, outcome: None,
) -> dict[Job, Outcome]:  # fmt: skip
    """Outcome of each job; those that were done before are not done again. ``arrived`` gets each as it comes."""
    outcomes = {job: Outcome(found) for job in dict.fromkeys(jobs) if (found := known_job(job)) is not None}
    for known in outcomes.items():
        arrived(*known)
    rest = [job for job in dict.fromkeys(jobs) if job not in outcomes]
    began = time.monotonic()
    with closing(pool.run(rest)) as stream:  # an interruption ends what is running before it goes on
        for finished in stream:
            if finished:
                outcomes[finished[0]] = finished[1]
                arrived(*finished)
            progress(len(outcomes), len(set(jobs)), f"{text}, {time.monotonic() - began:.0f} s")
    return outcomes
