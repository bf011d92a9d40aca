"""Images through the generated RTL of a cascade, and each answer against the golden model's."""

from dataclasses import dataclass

import numpy as np

from fivebyfive.hw.generate import Generated
from fivebyfive.model.cascade import Answers, answer
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import classify
from fivebyfive.sim.simulate import (
    PIXELS,
    Difference,
    array_file,
    check_run,
    limit_cycles,
    limit_seconds,
    make_arrays,
    run_folder,
)
from fivebyfive.sim.simulator.builder import build
from fivebyfive.sim.simulator.run_folder import RUN_FILES
from fivebyfive.sim.simulator.runner import run
from fivebyfive.support.progress import Progress, silent

__all__ = ["CascadeRun", "simulate_cascade"]

BENCH = "fivebyfive.sim.benches.cascade_images"


@dataclass(frozen=True)
class CascadeRun:
    """``answers``: what the RTL gave. ``cycles``: of each answer since reset, int64 (N,). ``difference``: the first
    one, in layer "answer": the logits, then the class, then which network; None if all is equal."""

    answers: Answers
    cycles: np.ndarray
    difference: Difference | None

    @property
    def interval(self) -> float | None:
        """Mean distance between answers in cycles; None for a single image."""
        return float(np.diff(self.cycles).mean()) if len(self.cycles) > 1 else None

    @property
    def longest(self) -> int | None:
        """The longest distance between two answers in cycles."""
        return int(np.diff(self.cycles).max()) if len(self.cycles) > 1 else None


def simulate_cascade(
    first: Checkpoint,
    second: Checkpoint,
    generated: Generated,
    pixels: np.ndarray,
    *,
    simulator: str = "verilator",
    progress: Progress = silent,
) -> CascadeRun:
    """Run images, as `golden.predict` takes them, through the RTL that `generate_cascade` made of these checkpoints.

    Raises UserError where the simulator is missing, ValueError for images of the wrong shape, SimulationFailed where
    the RTL hangs or its run ends early.
    """
    check_run(pixels, simulator=simulator, network=first.network)
    progress(0, len(pixels), f"building with {simulator}")
    design, manifest = generated.design, generated.manifest
    built = build(design, simulator, progress=progress)
    count, classes = len(pixels), first.network.classes
    shapes = {
        "run-logits": ((count, classes), np.int8), "run-classes": ((count,), np.int64),
        "run-second": ((count,), np.bool_), "run-cycle": ((count,), np.int64), "run-done": ((1,), np.int64),
    }  # fmt: skip
    files = {f"{design.name}.v", *design.memories, PIXELS, *map(array_file, shapes), *RUN_FILES}
    with run_folder(None, files) as place:
        design.write(place)
        arrays = make_arrays(place, shapes, pixels)
        given = {
            "folder": ".", "pixels": manifest["first"]["config"]["pixels"],
            "limit_cycles": limit_cycles(first.network) + limit_cycles(second.network),
        }  # fmt: skip
        run(
            built, BENCH, place, parameters=given, timeout_s=2 * limit_seconds(count, simulator),
            watch=lambda: progress(int(arrays["run-done"][0]), count, "simulating"),
        )  # fmt: skip
        got = {name: np.array(array) for name, array in arrays.items()}
    answers = Answers(got["run-logits"], got["run-second"])
    wanted = answer(first, second, manifest["margin"], pixels)
    return CascadeRun(answers, got["run-cycle"], difference(answers, got["run-classes"], wanted))


def difference(got: Answers, classes: np.ndarray, wanted: Answers) -> Difference | None:
    """The first value that is not the golden model's: of logits, class and network, side by side."""
    one, other = (
        np.column_stack([answers.logits.astype(np.int64), index, answers.second])
        for answers, index in ((wanted, classify(wanted.logits)), (got, classes))
    )
    places = np.argwhere(one != other)
    if not len(places):
        return None
    image, place = map(int, places[0])
    return Difference(image, "answer", (place,), int(one[image, place]), int(other[image, place]))
