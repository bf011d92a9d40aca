"""The commands measure and explore: what they are asked, what they write."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.estimates.measurement import Measurement, estimate
from fivebyfive.model.estimates.parts import Part
from fivebyfive.model.machine.config import Config
from fivebyfive.model.shape import summary as in_words
from fivebyfive.output.measurement_tables import (
    EXPLORED,
    exploration_rows,
    explored_rows,
    markdown_table,
    measured_rows,
    rows_of,
    show_explored,
    show_measurements,
    tools,
)
from fivebyfive.output.page.page import Page, checkpoints, diagram, plotted, write_page
from fivebyfive.output.result_files import draw, print_report, replacing_results, result_paths, resume_hint
from fivebyfive.output.terminal import Stage
from fivebyfive.support.errors import UserError

from .options.report import check_report

if TYPE_CHECKING:
    from fivebyfive.sim.jobs.explore import Exploration

__all__ = ["ExploreRequest", "run_explore", "run_measure"]

PLACES = ("json", "md", "png")
Machines = Sequence[tuple[Config, Part]]  # one a part; only how they pack products may differ


def run_measure(
    checkpoint: Checkpoint, machines: Machines, seeds: int, out: Path, force: bool, workers: int | None, as_json: bool,
    report: Path | None = None,
) -> None:  # fmt: skip
    """Measure a machine on parts; writes measure.json, measure.md and measure.png into ``out``, and a page to
    ``report``."""
    from fivebyfive.sim.jobs.measure import measure
    from fivebyfive.sim.jobs.workers import LocalPool

    network = checkpoint.network
    files = result_paths(out, "measure", PLACES, force)
    with resume_hint(), Stage("measuring") as stage:
        results = measure(network, machines, seeds, LocalPool(workers), stage, checkpoint.tables)
    text = markdown_table(("", *(one.part for one in results)), rows_of(results))
    tables = {"md": f"# {in_words(network)}, {results[0].multipliers} multipliers\n\n{text}"}
    with replacing_results(files, summary(results), tables, force) as pictures:
        draw("plot_parts", pictures, results)
    if report:
        write_page(report, measured_page(checkpoint, results))
    print_report(summary(results), as_json, lambda: show_measurements(results), files)


def run_estimate(checkpoint: Checkpoint, machines: Machines, as_json: bool, report: Path | None = None) -> None:
    """The same table from the models alone; nothing is written but the page."""
    results = [estimate(checkpoint.network, config, part) for config, part in machines]
    if report:
        write_page(report, measured_page(checkpoint, results))
    print_report(summary(results), as_json, lambda: show_measurements(results))


def measured_page(checkpoint: Checkpoint, results: Sequence[Measurement]) -> Page:
    """The page of --report."""
    config = Config(**results[0].config)
    how = "estimated by the models; no tool was run" if results[0].estimated else "synthesized, placed and routed"
    pictures = plotted(
        "How full each part is", "Bars: the share of each part's LUT, FF, DSP and block RAM", partial(plots, results)
    )
    return Page(
        f"{in_words(checkpoint.network)} with {config.multipliers:,} multipliers, measured",
        [f"On {', '.join(one.part for one in results)}, {how}."], [measured_rows(results)],
        [*pictures, *diagram(in_words(checkpoint.network), checkpoint, config)],
        checkpoints({in_words(checkpoint.network): checkpoint}), tools(results),
    )  # fmt: skip


def plots(results: Sequence[Measurement], path: Path) -> None:
    draw("plot_parts", [path], results)


def summary(results: Sequence[Measurement]) -> dict:
    """One object: the measurement, or a list of them."""
    if len(results) == 1:
        return results[0].as_dict()
    return {"network": results[0].network, "results": [one.as_dict() for one in results]}


@dataclass(frozen=True)
class ExploreRequest:
    """What explore is asked; ``source``: the file of the checkpoint; ``scheduler``: address of a Dask cluster, None for
    ``workers`` processes here."""

    checkpoint: Checkpoint
    part: Part
    top: int
    seeds: int
    scheduler: str | None
    workers: int | None
    out: Path
    force: bool = False
    estimated: bool = False
    source: Path | None = None
    report: Path | None = None
    goal: str = "front"


def run_explore(request: ExploreRequest, as_json: bool) -> None:
    """Explore a part; writes explore.json, explore.md and explore.png."""
    from fivebyfive.sim.jobs.explore import explore
    from fivebyfive.sim.jobs.workers import ClusterPool, LocalPool

    network = request.checkpoint.network
    check_report(request.report, [request.source])
    files = result_paths(request.out, "explore", PLACES, request.force)
    scheduler = None if request.estimated else request.scheduler
    pool = ClusterPool(scheduler) if scheduler else LocalPool(request.workers)
    with resume_hint(), Stage("exploring") as stage:
        found = explore(
            network, request.part, top=request.top, seeds=request.seeds, pool=pool, progress=stage,
            estimated=request.estimated, tables=request.checkpoint.tables, goal=request.goal,
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
    if request.report:
        write_page(request.report, explored_page(request, found))
    print_report(report, as_json, lambda: show_explored(found), files)


def explored_page(request: ExploreRequest, found: "Exploration") -> Page:
    """The page of --report, with the machine that is the fastest of the front."""
    pictures = plotted(
        "Throughput against area", "Machines as dots, those that no other beats in both joined by a line",
        lambda path: draw("plot_front", [path], found.results, found.front),
    )  # fmt: skip
    name = f"{found.network}, the fastest that fits"
    for best in found.front[:1]:
        pictures += diagram(name, request.checkpoint, Config(**best.config))
    return Page(
        f"{found.network} on {found.part}: machines worth building",
        [f"{len(found.results)} of {found.swept} machines that the models looked at, {len(found.front)} on the front."],
        [exploration_rows(found)], pictures, checkpoints({found.network: request.checkpoint}), tools(found.results),
        remarks=[f"failed: {failure}" for failure in found.failures],
    )  # fmt: skip


def why_none(found: "Exploration") -> str:
    if found.failures:
        return found.failures[0]
    return "by the area model even the smallest is too large; see the other parts with measure --part"
