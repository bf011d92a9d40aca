"""Killing a job again and again, and judging what it left: see `run.py`."""

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobs import Job, prepare

LIMIT_S = 600  # of a job that nobody kills
GONE_S = 30  # until all children of a killed job must be gone
MEASURED = 25  # kills after which it is measured again how long a job takes: other work changes that
COMMAND = [sys.executable, "-P", str(Path(__file__).with_name("command.py"))]
MARK = "FAULTS_MARK"
RECORD = ".sha256"  # ends the name of the record of what was written, a result too
NUMBERS = {"TERM": signal.SIGTERM, "KILL": signal.SIGKILL}


@dataclass
class Figures:
    """What was found. ``killed``: signals; ``ended``: kills that came too late, not counted. ``found``: whose result
    lay there after a kill. ``left``: how often there were temporary files after a kill, which the restart took away.
    ``went_on``: from where restarts went on. ``moments``: of the kills, parts of the whole. ``last_child``: seconds."""

    killed: Counter = field(default_factory=Counter)
    ended: int = 0
    found: Counter = field(default_factory=Counter)
    left: int = 0
    went_on: Counter = field(default_factory=Counter)
    restarts: int = 0
    moments: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    last_child: float = 0.0


class Campaign:
    """A job in a folder of its own, with its cache and its temporary files."""

    def __init__(self, job: Job, place: Path, seed: str, images: int = 600) -> None:
        self.job, self.place, self.rng = job, place, random.Random(seed)
        self.figures = Figures()
        self.out, self.cache, self.temporary = (place / name for name in ("out", "cache", "tmp"))
        self.mark = f"{place.name}-{os.getpid()}"
        own = {"FIVEBYFIVE_CACHE": str(self.cache), "TMPDIR": str(self.temporary), MARK: self.mark}
        own["TORCHINDUCTOR_CACHE_DIR"] = str(place / "torch")  # or PyTorch makes a folder among the temporary ones
        self.environment = os.environ | job.environment | own
        prepare(place, images)
        self.temporary.mkdir()
        self.old = self.undisturbed(job.before)
        kept = place / "old"
        shutil.copytree(self.out, kept)
        self.new = self.undisturbed(job.words)
        assert all(self.old[name] != self.new[name] for name in job.results), "old and new results are the same"

    def undisturbed(self, words: str) -> dict:
        """The results of a run from nothing, that nobody disturbs."""
        self.clear()
        self.run(words)
        return {name: read(self.out / name) for name, read in self.job.results.items()}

    def clear(self) -> None:
        for folder in (self.out, self.cache):
            shutil.rmtree(folder, ignore_errors=True)
        assert not list(self.temporary.iterdir()), list(self.temporary.iterdir())

    def start(self, words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*COMMAND, *words.split()], cwd=self.place, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, words: str) -> None:
        """Let a job through. Raises AssertionError where it fails."""
        began = time.monotonic()
        child = self.start(words)
        _, said = child.communicate(timeout=LIMIT_S)
        assert child.returncode == 0, said[-2000:]
        if words == self.job.words:
            self.figures.seconds.append(time.monotonic() - began)

    def kills(self, count: int) -> Figures:
        """Kill the job that many times, each followed by a restart. Raises AssertionError for anything half-written."""
        names = ["TERM", "KILL"] * (count // 2) + ["KILL"] * (count % 2)
        self.rng.shuffle(names)
        longest = statistics.median(self.figures.seconds)
        for number, name in enumerate(names):
            if number % MEASURED == MEASURED - 1:
                self.undisturbed(self.job.words)
                longest = self.figures.seconds[-1]
            while not self.kill(name, longest, over_old=bool(self.rng.randrange(2))):
                self.figures.ended += 1
            self.restart()
        return self.figures

    def kill(self, name: str, longest: float, over_old: bool) -> bool:
        """Begin the job, over the old result or over nothing, and kill it; whether it was still at work."""
        self.clear()
        if over_old:
            shutil.copytree(self.place / "old", self.out)
        moment = self.rng.uniform(0, longest)
        child = self.start(self.job.words)
        time.sleep(moment)
        working = child.poll() is None
        child.send_signal(NUMBERS[name])
        _, said = child.communicate(timeout=60)
        self.wait_for_children()
        assert "Traceback" not in said, said
        if not working:
            assert child.returncode == 0, said
            return False
        self.figures.killed[name] += 1
        self.figures.moments.append(moment / longest)
        self.figures.found[self.whose(over_old)] += 1
        self.figures.left += bool(self.strays())
        self.figures.went_on[self.job.went_on(self.place)] += 1
        return True

    def whose(self, over_old: bool) -> str:
        """Whose results lie there; an AssertionError or what reads them says if one is nobody's."""
        found = {name: self.whose_file(name, over_old) for name in self.job.results}
        return found.popitem()[1] if len(set(found.values())) == 1 else "some old, some new"

    def whose_file(self, name: str, over_old: bool) -> str:
        path = self.out / name
        if not path.exists():
            assert not over_old, f"{name} has vanished"
            return "none"
        seen = self.job.results[name](path)
        assert seen in (self.new[name], self.old[name] if over_old else None), f"{name} is neither old nor new"
        return "new" if seen == self.new[name] else "old"

    def restart(self) -> None:
        """The same command must give what it gives when nobody disturbs it, and leave nothing else behind."""
        child = self.start(self.job.words)
        _, said = child.communicate(timeout=LIMIT_S)
        assert child.returncode == 0, said[-2000:]
        assert self.whose(False) == "new"
        assert not self.strays(), self.strays()
        self.figures.restarts += 1

    def strays(self) -> list[str]:
        """Everything that is neither a result nor in the cache for good."""
        found = [path for path in self.out.glob("*") if path.name not in self.job.results and path.suffix != RECORD]
        found += [path for path in self.temporary.iterdir() if not is_trial(path)]
        found += [path for path in self.cache.glob("*/*") if path.name.startswith(".") or path.suffix == ".part"]
        return [str(path.relative_to(self.place)) for path in found]

    def wait_for_children(self) -> None:
        """Until nothing runs that the job has started. Raises AssertionError where something outlives it."""
        began = time.monotonic()
        while children := processes(f"{MARK}={self.mark}"):
            waited = time.monotonic() - began
            assert waited < GONE_S, f"still running: {children}"
            time.sleep(0.02)
        self.figures.last_child = max(self.figures.last_child, time.monotonic() - began)


def is_trial(path: Path) -> bool:
    """Whether it is the file by which Python's `tempfile` tries, at its first use, if it can write there: nobody can
    remove it when a kill comes in between."""
    return path.is_file() and b"blat".startswith(path.read_bytes()[:5])


def processes(mark: str) -> list[str]:
    """Processes with such a word in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            pass  # it has just gone, or is somebody else's
    return found


@contextmanager
def campaign(job: Job, seed: str, images: int = 600) -> Iterator[Campaign]:
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        yield Campaign(job, Path(place), seed, images)
