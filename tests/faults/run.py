"""Long jobs killed at random moments: ``python tests/faults/run.py [KILLS] [SEED] [LOG]``.

Each job is begun again and again over the result of an earlier, different run, and killed after a random time (SIGTERM
or SIGKILL, its children as well). After every kill each file that the job writes must be the old one, byte for byte, or
whole and new; after every tenth the job is let through, and must give what it gives when nobody disturbs it. Some of
the kills come when the job has just ended: those are harmless and not counted.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.idx import idx_bytes
from fivebyfive.model.shape import LeNetShape

LIMIT_S = 600  # of a job that nobody kills
LET_THROUGH = 10  # kills between two runs that are not killed


def whole_checkpoint(path: Path) -> None:
    load_checkpoint(path)


def whole_json(path: Path) -> None:
    json.loads(path.read_text())


def whole_npy(path: Path) -> None:
    np.load(path, allow_pickle=False)


@dataclass(frozen=True)
class Job:
    """``words``: the command, ``before``: what makes the old result (another seed or size). ``results``: files it
    writes, with what reads each and raises where it is not whole. ``same``: those that are the same in every run."""

    words: Sequence[str]
    before: Sequence[str]
    results: dict[str, Callable[[Path], None]]
    same: Sequence[str] = field(default=())


JOBS = {
    "train": Job(
        ("train", "--shape", "2-3-10", "--epochs", "4", "--data", "tiny", "--out", "net.npz"),
        ("train", "--shape", "2-4-10", "--epochs", "1", "--data", "tiny", "--out", "net.npz"),
        {"net.npz": whole_checkpoint, "net.json": whole_json}, ("net.npz",),
    ),
    "simulate": Job(
        ("simulate", "small.npz", "--images", "60", "--seed", "1", "--out", "logits.npy"),
        ("simulate", "small.npz", "--images", "2", "--seed", "1", "--out", "logits.npy"),
        {"logits.npy": whole_npy}, ("logits.npy",),
    ),
    "measure": Job(
        ("measure", "tiny.npz", "--part", "xc7z020", "--out", "measure"),
        ("measure", "tiny.npz", "--part", "xc7z020", "--out", "measure", "--estimate"),
        {"measure/measure.json": whole_json, "measure/measure.md": Path.read_text}, ("measure/measure.json",),
    ),
    "explore": Job(
        ("explore", "tiny.npz", "--part", "xc7z020", "--top", "2", "--out", "explore"),
        ("explore", "tiny.npz", "--part", "xc7z020", "--top", "1", "--out", "explore", "--estimate"),
        {"explore/explore.json": whole_json}, ("explore/explore.json",),
    ),
}  # fmt: skip


class Campaign:
    """A job's folder, its cache, and what its results must be."""

    def __init__(self, job: Job, place: Path, rng: random.Random):
        self.job, self.place, self.rng = job, place, rng
        self.cache = place / "cache"
        self.environment = os.environ | {"FIVEBYFIVE_CACHE": str(self.cache), "PYTHONUNBUFFERED": "1"}

    def prepare(self) -> None:
        """What the jobs read: networks, a data set of noise."""
        save_checkpoint(self.place / "small.npz", Checkpoint.random(LeNetShape(2, 3, (7, 10)), seed=5))
        save_checkpoint(self.place / "tiny.npz", Checkpoint.random(LeNetShape(1, 1, (2,)), seed=5))
        data, rng = self.place / "tiny", np.random.default_rng(2)
        data.mkdir()
        for prefix, count in (("train", 200), ("t10k", 20)):
            images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            (data / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
            (data / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes((np.arange(count) % 10).astype(np.uint8)))

    def start(self, words: Sequence[str]) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "fivebyfive", *words], cwd=self.place, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, words: Sequence[str]) -> float:
        """Let a command through; its seconds. Raises AssertionError where it fails."""
        began = time.monotonic()
        child = self.start(words)
        _, said = child.communicate(timeout=LIMIT_S)
        assert child.returncode == 0, said.decode(errors="replace")[-2000:]
        return time.monotonic() - began

    def kill(self, longest: float) -> bool:
        """Begin the job and kill it within ``longest`` seconds; whether it was still at work."""
        child = self.start(self.job.words)
        time.sleep(self.rng.uniform(0, longest))
        working = child.poll() is None
        os.killpg(child.pid, self.rng.choice((signal.SIGTERM, signal.SIGKILL)))
        child.communicate(timeout=60)
        return working

    def results(self) -> dict[str, bytes | None]:
        paths = {name: self.place / name for name in self.job.results}
        return {name: path.read_bytes() if path.is_file() else None for name, path in paths.items()}

    def judge(self, old: dict[str, bytes | None]) -> None:
        """Raise AssertionError unless every result is the old one or whole."""
        for name, content in self.results().items():
            if content != old[name]:
                self.job.results[name](self.place / name)

    def forget(self) -> None:
        """Drop what is cached, so that there is work to do again."""
        shutil.rmtree(self.cache / "measurements", ignore_errors=True)


def campaign(name: str, kills: int, seed: int) -> str:
    """Kill a job so many times; a line for the log. Raises AssertionError where anything is not as it should be."""
    job, rng = JOBS[name], random.Random(f"{name}{seed}")
    with tempfile.TemporaryDirectory(prefix="fivebyfive-faults-") as place:
        one = Campaign(job, Path(place), rng)
        one.prepare()
        one.run(job.before)
        one.forget()
        longest = one.run(job.words)
        golden = {what: one.results()[what] for what in job.same}
        done = early = through = 0
        while done < kills:
            if done % LET_THROUGH == 0:
                one.forget()
                one.run(job.before)
                one.forget()
            old = one.results()
            if one.kill(longest):
                done += 1
            else:
                early += 1
            one.judge(old)
            if done % LET_THROUGH == 0:
                one.run(job.words)
                through += 1
                assert {what: one.results()[what] for what in job.same} == golden, "another result than undisturbed"
    return f"{name:<10} {done:>6} {through:>12} {early:>10} {longest:>10.1f}"


def main() -> int:
    kills, seed, log = (*sys.argv[1:], *("100", "1", "")[len(sys.argv) - 1 :])
    lines = [
        f"Jobs killed at random moments, by SIGTERM or SIGKILL; seed {seed}",
        f"{'job':<10} {'killed':>6} {'let through':>12} {'had ended':>10} {'seconds':>10}",
    ]
    print(*lines, sep="\n", flush=True)
    for name in JOBS:
        lines.append(campaign(name, int(kills), int(seed)))
        print(lines[-1], flush=True)
    lines.append("After every kill each result was the old one or whole; every run let through gave the same result.")
    print(lines[-1])
    if log:
        Path(log).write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
