"""The commands measure and explore: what they are asked, what they write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.estimates.measurement import Measurement, estimate
from fivebyfive.model.estimates.parts import Part
from fivebyfive.model.machine.config import Config
from fivebyfive.model.network import Network
from fivebyfive.model.shape import summary as in_words
from fivebyfive.output.measurement_tables import (
    EXPLORED,
    explored_rows,
    markdown_table,
    rows_of,
    show_explored,
    show_measurements,
)
from fivebyfive.output.result_files import draw, print_report, replacing_results, result_paths, resume_hint
from fivebyfive.output.terminal import Stage
from fivebyfive.support.errors import UserError

if TYPE_CHECKING:
    from fivebyfive.sim.jobs.explore import Exploration

__all__ = ["ExploreRequest", "run_explore", "run_measure"]

PLACES = ("json", "md", "png")


def run_measure(
    checkpoint: Checkpoint, config: Config, parts: Sequence[Part], seeds: int, out: Path, force: bool,
    workers: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure a machine on parts; writes measure.json, measure.md and measure.png into ``out``."""
    from fivebyfive.sim.jobs.measure import measure
    from fivebyfive.sim.jobs.workers import LocalPool

    network = checkpoint.network
    files = result_paths(out, "measure", PLACES, force)
    with resume_hint(), Stage("measuring") as stage:
        results = measure(network, config, parts, seeds, LocalPool(workers), stage, checkpoint.tables)
    text = markdown_table(("", *(one.part for one in results)), rows_of(results))
    tables = {"md": f"# {in_words(network)}, {config.multipliers} multipliers\n\n{text}"}
    with replacing_results(files, summary(results), tables, force) as pictures:
        draw("plot_parts", pictures, results)
    print_report(summary(results), as_json, lambda: show_measurements(results), files)


def run_estimate(network: Network, config: Config, parts: Sequence[Part], as_json: bool) -> None:
    """The same table from the models alone; nothing is written."""
    results = [estimate(network, config, part) for part in parts]
    print_report(summary(results), as_json, lambda: show_measurements(results))


def summary(results: Sequence[Measurement]) -> dict:
    """One object: the measurement, or a list of them."""
    if len(results) == 1:
        return results[0].as_dict()
    return {"network": results[0].network, "results": [one.as_dict() for one in results]}


@dataclass(frozen=True)
class ExploreRequest:
    """What explore is asked; ``scheduler``: address of a Dask cluster, None for ``workers`` processes here."""

    checkpoint: Checkpoint
    part: Part
    top: int
    seeds: int
    scheduler: str | None
    workers: int | None
    out: Path
    force: bool = False
    estimated: bool = False


def run_explore(request: ExploreRequest, as_json: bool) -> None:
    """Explore a part; writes explore.json, explore.md and explore.png."""
    from fivebyfive.sim.jobs.explore import explore
    from fivebyfive.sim.jobs.workers import ClusterPool, LocalPool

    network = request.checkpoint.network
    files = result_paths(request.out, "explore", PLACES, request.force)
    scheduler = None if request.estimated else request.scheduler
    pool = ClusterPool(scheduler) if scheduler else LocalPool(request.workers)
    with resume_hint(), Stage("exploring") as stage:
        found = explore(
            network, request.part, top=request.top, seeds=request.seeds, pool=pool, progress=stage,
            estimated=request.estimated, tables=request.checkpoint.tables,
        )  # fmt: skip
    if not found.results:
        raise UserError(f"no machine for {in_words(network)} could be built on {request.part.name}: {why_none(found)}")
    report = {
        "part": found.part, "network": found.network, "swept": found.swept,
        "results": [one.as_dict() for one in found.results], "front": [found.results.index(one) for one in found.front],
        "failures": found.failures,
    }  # fmt: skip
    text = markdown_table([name.lstrip("<") for name in EXPLORED], explored_rows(found.results, found.front))
    tables = {"md": f"# {found.network} on {found.part}\n\n{text}"}
    with replacing_results(files, report, tables, request.force) as pictures:
        draw("plot_front", pictures, found.results, found.front)
    print_report(report, as_json, lambda: show_explored(found), files)


def why_none(found: "Exploration") -> str:
    if found.failures:
        return found.failures[0]
    return "by the area model even the smallest is too large; see the other parts with measure --part"
