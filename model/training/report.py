"""What training and quantizing tell about themselves, as plain values for JSON."""

import platform
import time
from importlib.metadata import PackageNotFoundError, version

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.evaluate import evaluate
from fivebyfive.support.progress import Progress

__all__ = ["figures", "finished", "versions"]


def figures(checkpoint: Checkpoint, dataset: Dataset | None, progress: Progress) -> dict | None:
    """{images, errors, wraps, peak} of the golden model on a data set; None without one."""
    if dataset is None:
        return None
    seen = evaluate(checkpoint, dataset, progress).as_dict()
    return {key: seen[key] for key in ("images", "errors", "wraps", "peak")}


def versions() -> dict[str, str]:
    """Of everything that can change a figure."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("fivebyfive", "torch", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def finished(
    checkpoint: Checkpoint, held_out: Dataset, test: Dataset | None, started: float, progress: Progress
) -> dict:
    """The end of every report: what the golden model says, and the time since ``started`` (monotonic)."""
    return {
        "shape": checkpoint.summary,
        "digest": checkpoint.digest,
        "held_out": figures(checkpoint, held_out, progress),
        "test": figures(checkpoint, test, progress),
        "seconds": round(time.monotonic() - started, 1),
        "versions": versions(),
    }
