"""The commands measure and explore: what they are asked, what they write."""

import json
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fivebyfive.model.config import Config
from fivebyfive.model.errors import UserError
from fivebyfive.model.files import replacing
from fivebyfive.model.measurement import Measurement, estimate
from fivebyfive.model.parts import Part
from fivebyfive.model.shape import LeNetShape

from .measured import EXPLORED, explored_rows, markdown_table, rows_of, show_explored, show_measured
from .places import check_file
from .terminal import Stage, say

__all__ = ["ExploreRequest", "run_explore", "run_measure"]


def run_measure(
    shape: LeNetShape, config: Config, parts: Sequence[Part], seeds: int, out: Path, workers: int | None, as_json: bool
) -> None:
    """Measure a machine on parts; writes measure.json, measure.md and measure.png into ``out``."""
    from fivebyfive.sim.measure import measure
    from fivebyfive.sim.workers import LocalPool

    files = places(out, "measure")
    with going_on(), Stage("measuring") as stage:
        results = measure(shape, config, parts, seeds, LocalPool(workers), stage)
    text = markdown_table(("", *(one.part for one in results)), rows_of(results))
    with delivered(files, told(results), f"# {shape}, {config.multipliers} multipliers\n\n{text}") as changed:
        if changed:
            draw(files["png"], "plot_parts", results)
    answer(told(results), as_json, lambda: show_measured(results), files)


def run_estimate(shape: LeNetShape, config: Config, parts: Sequence[Part], as_json: bool) -> None:
    """The same table from the models alone; nothing is written."""
    results = [estimate(shape, config, part) for part in parts]
    answer(told(results), as_json, lambda: show_measured(results))


def told(results: Sequence[Measurement]) -> dict:
    """One object: the measurement, or a list of them."""
    if len(results) == 1:
        return results[0].as_dict()
    return {"network": results[0].network, "results": [one.as_dict() for one in results]}


@dataclass(frozen=True)
class ExploreRequest:
    """What explore is asked; ``scheduler``: address of a Dask cluster, None for ``workers`` processes here."""

    shape: LeNetShape
    part: Part
    top: int
    seeds: int
    scheduler: str | None
    workers: int | None
    out: Path
    estimated: bool = False


def run_explore(request: ExploreRequest, as_json: bool) -> None:
    """Explore a part; writes explore.json, explore.md and explore.png."""
    from fivebyfive.sim.explore import explore
    from fivebyfive.sim.workers import ClusterPool, LocalPool

    files = places(request.out, "explore")
    remote = request.scheduler and not request.estimated
    pool = ClusterPool(request.scheduler) if remote else LocalPool(request.workers)
    with going_on(), Stage("exploring") as stage:
        about = request.shape, request.part, request.top, request.seeds
        found = explore(*about, pool, stage, request.estimated)
    if not found.results:
        raise UserError(f"no machine for {request.shape} could be built on {request.part.name}: {why_none(found)}")
    told = {
        "part": found.part, "network": found.network, "swept": found.swept,
        "results": [one.as_dict() for one in found.results], "front": [found.results.index(one) for one in found.front],
        "failures": found.failures,
    }  # fmt: skip
    text = markdown_table([name.lstrip("<") for name in EXPLORED], explored_rows(found.results, found.front))
    with delivered(files, told, f"# {found.network} on {found.part}\n\n{text}") as changed:
        if changed:
            draw(files["png"], "plot_front", found.results, found.front)
    answer(told, as_json, lambda: show_explored(found), files)


def why_none(found) -> str:
    if found.failures:
        return found.failures[0]
    return "by the area model even the smallest is too large; see the other parts with measure --part"


@contextmanager
def going_on():
    """Tells who interrupts the work how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        say("What is finished is kept; the same command goes on from there.")
        raise


def places(out: Path, name: str) -> dict[str, Path]:
    """Where results go, asked before the work."""
    files = {suffix: out / f"{name}.{suffix}" for suffix in ("json", "md", "png")}
    for path in files.values():
        check_file(path)
    return files


@contextmanager
def delivered(files: dict[str, Path], told: dict, text: str):
    """Write the tables when the block ends, in which the picture is drawn; whether that would change anything, or the
    picture is missing.

    The JSON comes last: as long as it is not there, the same command draws and writes everything again.
    """
    tables = {files["md"]: text, files["json"]: json.dumps(told, indent=2) + "\n"}
    before = [path.read_text() if path.is_file() else "" for path in tables]
    yield before != list(tables.values()) or not files["png"].is_file()
    for path, content in tables.items():
        with replacing(path, "w") as file:
            file.write(content)


def draw(path: Path, plot: str, *results) -> None:
    """The picture, or a remark where matplotlib is missing: what was measured counts."""
    from . import plots

    try:
        plots.require_matplotlib()
    except UserError as error:
        say(f"No picture: {error}.")
        return
    getattr(plots, plot)(path, *results)


def answer(told: dict, as_json: bool, show, files: dict[str, Path] | None = None) -> None:
    """What goes to standard output."""
    if as_json:
        print(json.dumps(told))
        return
    show()
    if files:
        print(f"\nin {', '.join(str(path) for path in files.values() if path.exists())}")
