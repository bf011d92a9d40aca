"""The job of ``compress --seeds``: a plan with one of the seeds."""

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint
from fivebyfive.model.compress.plan import Plan, parse_plan
from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.training.hold_out import QMNIST, read_writers
from fivebyfive.model.training.report import versions
from fivebyfive.model.training.train import Result
from fivebyfive.support.errors import UserError

from .job import Job, conform, installed
from .transport import checkpoint_of, checkpoint_texts, data_digest, load_same, place_of

__all__ = ["Training", "result_of", "trainings"]

REPORTED = {
    "start": str, "digest": str, "shape": str, "contents": dict, "bytes": int, "huffman_bytes": int, "held_out": dict,
    "test": dict | None, "seconds": float, "versions": dict[str, str], "seed": int,
}  # fmt: skip


@dataclass(frozen=True)
class Training(Job):
    """A plan, as JSON, whose paths begin in ``folder``. ``given``: digests of the checkpoints that it reads.
    ``training``: digest of that set of ``data``. ``writers``: digest of the file of writers. ``states``: folder for how
    far it is."""

    RESULT: ClassVar = {"network": str, "codes": str, "report": dict}

    plan: str
    folder: str
    given: str
    data: str
    training: str
    writers: str
    states: str

    @property
    def tools(self) -> dict[str, str]:
        return versions() | {name: installed(name) for name in ("constriction", "bitarray")}

    @classmethod
    def check(cls, result: dict) -> None:
        super().check(result)
        report = result["report"]
        conform({name: report.get(name) for name in REPORTED}, REPORTED)
        if checkpoint_of(result["network"], result["codes"]).digest != report["digest"]:
            raise ValueError("its codes are not those of its report")

    @property
    def seed(self) -> int:
        return json.loads(self.plan)["seed"]

    def work(self) -> dict:
        """network and codes (`transport`), and report."""
        return training_result(self)

    def __str__(self) -> str:
        return f"training with seed {self.seed}"


def training_result(job: Training) -> dict:
    from fivebyfive.model.compress.run import compress
    from fivebyfive.model.training.resume import States

    plan = parse_plan(json.loads(job.plan), Path(job.folder))
    if read_digests(plan) != job.given:
        raise UserError(f"{plan.start_path} or a teacher is another file here, or has changed")
    if writers_digest(plan) != job.writers:
        raise UserError(f"{plan.writers} is another file here, or has changed")
    result = compress(plan, load_same(job.data, "train", job.training), None, States(Path(job.states)))
    return checkpoint_texts(result.checkpoint) | {"report": result.report}


def trainings(plan: Plan, places: list[Path], training: Dataset) -> list[Training]:
    """A plan with its seed and those after it, for each folder of states in ``places``."""
    first = Training(
        plan=json.dumps(plan.plain), folder=str(plan.folder.absolute()), given=read_digests(plan),
        data=place_of(plan.data), training=data_digest(training), writers=writers_digest(plan), states="",
    )  # fmt: skip
    plans = [json.dumps(replace(plan, seed=plan.seed + number).plain) for number in range(len(places))]
    return [replace(first, plan=each, states=str(place.absolute())) for each, place in zip(plans, places, strict=True)]


def read_digests(plan: Plan) -> str:
    """Digests of the checkpoints that a plan reads. Raises UserError where one cannot be read."""
    teachers = (step.config.teacher for step in plan.steps)
    paths = [plan.start_path, *(plan.folder / teacher for teacher in teachers if teacher not in ("", "start"))]
    return " ".join(load_checkpoint(path).digest for path in paths)


def writers_digest(plan: Plan) -> str:
    """SHA-256 of the writer numbers of a plan; empty without a file of them. Raises UserError."""
    if not (name := plan.writers):
        return ""
    numbers = read_writers(name if name == QMNIST else plan.folder / name)
    return sha256(np.ascontiguousarray(numbers, np.int64).tobytes()).hexdigest()


def result_of(found: dict) -> Result:
    """What a job's result tells, as `fivebyfive.model.compress.run.compress` does."""
    checkpoint: Checkpoint = checkpoint_of(found["network"], found["codes"])
    return Result(checkpoint, found["report"])
