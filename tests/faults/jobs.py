"""The long jobs, small: what is run, what it writes, and how one knows whose result a file is."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.data.idx import idx_bytes
from fivebyfive.model.shape import LeNetShape

__all__ = ["JOBS", "Job", "prepare"]

HERE = Path(__file__).parent
SHORT = {"FAULTS_JOB": str(HERE / "quick_job.py")}


@dataclass(frozen=True)
class Job:
    """``words``: the command. ``before``: what makes the old result. ``results``: the files that it writes, all in the
    folder ``out``, each with what reads it whole, or raises. ``environment``: beside the usual one. ``went_on``: what
    the restart will go on from, as found after a kill in the folder that the job was run in."""

    words: str
    before: str
    results: dict[str, Callable[[Path], object]]
    environment: dict[str, str]
    went_on: Callable[[Path], str]


def checkpoint(path: Path) -> str:
    return load_checkpoint(path).digest


def report(path: Path) -> dict:
    """Less what is another at each run."""
    return {key: value for key, value in json.loads(path.read_text()).items() if key not in ("seconds", "resumed")}


def plain(path: Path) -> bytes:
    return path.read_bytes()


def epochs_done(place: Path) -> str:
    import torch

    found = [torch.load(path, weights_only=True)["epoch"] for path in (place / "out/.net.state").glob("*.pt")]
    return f"epoch {sum(found)}"


def units_done(place: Path) -> str:
    return f"{len(list((place / 'cache').glob('measurements/job-*.json')))} syntheses"


def compiled(place: Path) -> str:
    found = [path for path in (place / "cache").glob("simulators/*-*") if path.is_dir() and "runtime" not in path.name]
    return "compiled" if found else "nothing"


def tables(name: str) -> dict[str, Callable[[Path], object]]:
    return {f"{name}.json": plain, f"{name}.md": plain, f"{name}.png": plain}


TRAIN = "train --data tiny --shape 2-3-10 --out out/net.npz --epochs"
SIMULATE = "simulate small.npz --seed 1 --out out/logits.npy"
MEASURE = "measure tiny.npz --workers 1 --out out --part"
EXPLORE = "--part xc7z020 --workers 1 --seeds 0 --out out --top"

JOBS = {
    "train": Job(f"{TRAIN} 12", f"{TRAIN} 2", {"net.npz": checkpoint, "net.json": report}, {}, epochs_done),
    "simulate": Job(f"{SIMULATE} --simulator icarus --images 3", f"{SIMULATE} --simulator icarus --images 1",
                    {"logits.npy": plain}, {}, compiled),
    "measure": Job(f"{MEASURE} xc7z020", f"{MEASURE} xc7a100t", tables("measure"), SHORT, units_done),
    "explore": Job(f"explore small.npz {EXPLORE} 2", f"explore tiny.npz {EXPLORE} 1",
                   tables("explore"), SHORT, units_done),
    "simulate, Verilator": Job(f"{SIMULATE} --images 20", f"{SIMULATE} --simulator icarus --images 1",
                               {"logits.npy": plain}, {}, compiled),
    "measure, whole synthesis": Job(f"{MEASURE} xc7z020", f"{MEASURE} xc7a100t", tables("measure"), {}, units_done),
}  # fmt: skip


def prepare(place: Path, images: int = 600) -> None:
    """What the jobs read: two networks, and a data set of noise."""
    save_checkpoint(place / "small.npz", Checkpoint.random(LeNetShape(2, 3, (7, 10)), seed=5))
    save_checkpoint(place / "tiny.npz", Checkpoint.random(LeNetShape(1, 1, (2,)), seed=5))
    data, rng = place / "tiny", np.random.default_rng(2)
    data.mkdir()
    for prefix, count in (("train", images), ("t10k", 20)):
        pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (data / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(pixels))
        (data / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes((np.arange(count) % 10).astype(np.uint8)))
