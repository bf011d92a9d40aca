"""A plan: methods one after the other, as TOML. Nothing here needs PyTorch.

    seed = 1
    start = "lenet.npz"          # beside the plan; without it, the LeNet that ships
    [[step]]
    method = "magnitude"         # and its hyper-parameters
    keep = { conv2 = 0.1, fc1 = 0.02 }
    [[step]]
    method = "kmeans"

Beside a result lies its plan with every hyper-parameter, and what came of it in the table ``result``: it can be run
again as it is.
"""

import json
import os
import tomllib
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from fivebyfive.model.compress.operations.options import Tuning
from fivebyfive.model.training.hold_out import QMNIST, HoldOut, recorded_hold_out
from fivebyfive.model.training.stage import check_run
from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing
from fivebyfive.support.inputs import read_limited
from fivebyfive.support.optional import require

from ..checkpoint import SHIPPED
from .methods import METHODS

__all__ = ["Plan", "Step", "plan_text", "read_plan", "write_plan"]

MAX_BYTES = 1 << 20
HELD_OUT_BY = {"hold_out": "kind", "writers": "writers", "fold": "fold"}  # keys, and fields of `HoldOut`
KEYS = ("start", "seed", "threads", "data", "hold_out", "writers", "fold", "step", "result")


@dataclass(frozen=True)
class Step:
    """A method's name and its hyper-parameters."""

    method: str
    config: Tuning


@dataclass(frozen=True)
class Plan:
    """What is done to the checkpoint ``start``; ``folder``: where paths in it begin; ``hold_out``: which images choose
    what is kept, None for those that the report of ``start`` names. As for `TrainConfig`, the same
    seed, threads, data, processor and PyTorch give the same checkpoint. Raises ValueError where a number is out of
    range."""

    steps: tuple[Step, ...]
    start: str = ""  # the one that ships
    seed: int = 1
    threads: int | None = 1
    data: str = "mnist"
    folder: Path = Path()
    hold_out: HoldOut | None = None

    def __post_init__(self) -> None:
        check_run(self.seed, self.threads)
        for text in (self.start, self.data, self.writers, *(step.config.teacher for step in self.steps)):
            if "\0" in text:
                raise ValueError(f"no file can be called {text!r}; take the zero byte out")
        if not self.steps:
            raise ValueError("a plan needs at least one [[step]]")

    @property
    def start_path(self) -> Path:
        return self.folder / self.start if self.start else SHIPPED

    @property
    def inputs(self) -> list[Path]:
        """Files and folders that it reads, if there are such: the data may have a name instead."""
        teachers = {step.config.teacher for step in self.steps} - {"", "start"}
        writers = {self.writers} - {"", QMNIST}
        return [self.start_path, *(self.folder / one for one in (*sorted(teachers), *writers)), Path(self.data)]

    @property
    def writers(self) -> str:
        """The file of writer numbers, if there is one."""
        return self.hold_out.writers if self.hold_out else ""

    @property
    def held_out(self) -> HoldOut:
        """Which images are held out. Raises UserError as `recorded_hold_out`."""
        return self.hold_out or recorded_hold_out(self.start_path)

    @property
    def plain(self) -> dict[str, Any]:
        """Plain values, as `read_plan` takes them."""
        values: dict[str, Any] = {"seed": self.seed, "threads": self.threads or 0, "data": self.data}
        values |= self.hold_out.plain if self.hold_out else {}
        if self.start:
            values["start"] = self.start
        return values | {"step": [{"method": step.method} | step.config.plain for step in self.steps]}

    def digest(self, start: str) -> str:
        """SHA-256 of everything that decides the result; ``start`` is the digest of the first checkpoint."""
        return sha256(json.dumps([self.plain, start], sort_keys=True).encode()).hexdigest()

    def moved(self, folder: Path) -> "Plan":
        """The same plan with paths that begin in another folder."""

        def move(text: str) -> str:
            return os.path.relpath(self.folder / text, folder) if text and text != "start" else text

        steps = []
        for step in self.steps:
            values = step.config.plain | {"teacher": move(step.config.teacher)}
            steps.append(Step(step.method, type(step.config)(**values)))
        writers = self.writers if self.writers == QMNIST else move(self.writers)
        hold_out = self.hold_out and replace(self.hold_out, writers=writers)
        return replace(self, steps=tuple(steps), start=move(self.start), folder=folder, hold_out=hold_out)


def read_plan(path: Path) -> Plan:
    """The plan in a TOML file. Raises UserError, one line, for anything that is not one."""
    text = read_limited(path, MAX_BYTES, "plan")
    try:
        content = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not TOML: {error}") from error
    try:
        return parse_plan(content, path.parent)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def parse_plan(content: dict[str, Any], folder: Path) -> Plan:
    """The plan in the values of a TOML file. Raises ValueError."""
    refuse_unknown(content, KEYS, "a plan")
    kinds = {"start": str, "data": str, "seed": int, "threads": int, "hold_out": str, "writers": str, "fold": int}
    given = {name: content[name] for name in kinds if name in content}
    for name, value in given.items():
        if type(value) is not kinds[name]:
            raise ValueError(f"{name} must be a {'text' if kinds[name] is str else 'whole number'}, not {value}")
    steps = content.get("step", [])
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ValueError("steps are written as [[step]]")
    if given.get("threads") == 0:
        given["threads"] = None
    chosen = {own: given.pop(name) for name, own in HELD_OUT_BY.items() if name in given}
    parsed = tuple(map(parse_step, steps, range(1, len(steps) + 1)))
    return Plan(parsed, folder=folder, hold_out=HoldOut(**chosen) if chosen else None, **given)


def parse_step(values: dict[str, Any], number: int) -> Step:
    """One step. Raises ValueError that says which."""
    name = values.get("method")
    if not isinstance(name, str) or name not in METHODS:
        raise ValueError(f"step {number}: method must be one of {', '.join(METHODS)}, not {name}")
    config = METHODS[name].Options
    own = {key: value for key, value in values.items() if key != "method"}
    refuse_unknown(own, tuple(one.name for one in fields(config)), f"step {number}, {name}")
    try:
        return Step(name, config(**own))
    except ValueError as error:
        raise ValueError(f"step {number}, {name}: {error}") from error


def refuse_unknown(given: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    """Raise ValueError for a key there is not."""
    for key in given:
        if key not in known:
            raise ValueError(f"{what} has no {key}; it has {', '.join(known)}")


def write_plan(path: Path, plan: Plan, result: dict[str, Any], folder: Path | None = None) -> None:
    """Write a plan with what came of it; its paths begin in ``folder``, that of ``path`` without one. Raises UserError
    as `plan_text`."""
    text = plan_text(folder or path.parent, plan, result)
    with replacing(path) as file:
        file.write(text)


def plan_text(folder: Path, plan: Plan, result: dict[str, Any]) -> bytes:
    """What `write_plan` writes. Raises UserError where a path in it is not UTF-8, as TOML must be."""
    toml = require("tomli_w", "plans need", "tomli-w", "compress")
    try:
        return toml.dumps(plan.moved(folder).plain | {"result": result}).encode()
    except UnicodeEncodeError as error:
        name = error.object[max(0, error.start - 20) : error.end + 20]
        raise UserError(f"a plan is UTF-8, but a path in it is not ({name!r}); rename that file or folder") from error
