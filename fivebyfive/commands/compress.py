"""The command compress: a method with its options, or a plan of several."""

import json
import os
from dataclasses import MISSING, Field, dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint, save_checkpoint
from fivebyfive.model.compress.operations.options import ByLayer
from fivebyfive.model.compress.plan import Plan, Step, plan_text, write_plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.sizing import sized
from fivebyfive.output.page.page import Page, checkpoints, diagram, write_page
from fivebyfive.output.paths import check_beside, check_file
from fivebyfive.output.report import Rows, console, show_training, training_rows
from fivebyfive.output.result_files import resume_hint
from fivebyfive.output.terminal import Stage, say
from fivebyfive.support.errors import UserError, shown, user_values
from fivebyfive.support.sidecars import replacing_sidecars

from .options.hold_out import chosen_hold_out
from .options.report import check_report

__all__ = ["Seeds", "median_seed", "method_command", "run_compress"]

TYPES: dict[object, click.ParamType] = {int: click.INT, float: click.FLOAT, str: click.STRING, ByLayer: click.STRING}
SIZES = ("contents", "bytes", "huffman_bytes")
RESULT_KEYS = ("start", "digest", "shape", *SIZES, "hold_out", "held_out", "seconds", "versions")


def method_command(name: str, module: ModuleType, common: list) -> click.Command:
    """The command of a method: its options are the fields of its ``Options``, then the ``common`` ones."""

    def call(
        checkpoint: Path, out: Path, seed: int, threads: int, data: str, as_json: bool, seeds: int | None,
        scheduler: str | None, workers: int | None, force: bool, hold_out: str | None, writers: str | None, fold: int,
        report: Path | None, **values: Any,
    ) -> None:  # fmt: skip
        with user_values():
            step = Step(name, module.Options(**values))
            start = "" if checkpoint == SHIPPED else str(checkpoint)
            plan = Plan((step,), start, seed, threads, data, hold_out=chosen_hold_out(hold_out, writers, fold))
        run_compress(plan, out, as_json, Seeds(seeds, scheduler, workers), force, report=report)

    own = [method_option(one) for one in fields(module.Options)]
    return click.Command(name, callback=call, params=[*common[:1], *own, *common[1:]], help=module.__doc__)


def method_option(one: Field) -> click.Option:
    """The option of a hyper-parameter."""
    assert one.default is not MISSING
    name = "--" + one.name.replace("_", "-")
    text = one.metadata["help"]
    if one.type is bool:
        return click.Option([name], is_flag=True, default=one.default, help=text)
    kind = click.Choice(one.metadata["choices"]) if one.metadata["choices"] else TYPES[one.type]
    default = one.default.plain if one.type is ByLayer else one.default
    return click.Option([name], type=kind, default=str(default) if kind is click.STRING else default, help=text,
                        show_default=default != "")  # fmt: skip


@dataclass(frozen=True)
class Seeds:
    """``count``: how many seeds to do a plan with, None for its own alone. They are done on a Dask cluster whose
    ``scheduler`` has this address or, without one, by ``workers`` processes here. Raises UserError where they are given
    for nothing."""

    count: int | None = None
    scheduler: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.count is None and (self.scheduler or self.workers):
            raise UserError("--scheduler and --workers are for several --seeds")


def run_compress(
    plan: Plan, out: Path, as_json: bool, seeds: Seeds, force: bool = False, read: Path | None = None,
    report: Path | None = None,
) -> None:  # fmt: skip
    """Run a plan, write the checkpoint and the plan with its results beside it, and tell of it. ``force``: over a plan
    that was edited. ``read``: the file that the plan comes from. ``report``: where a page goes."""
    from fivebyfive.support.optional import require, require_torch

    require_torch()
    for package in ("constriction", "bitarray", "tomli_w"):
        require(package, "compressing needs", package, "compress")
    check_report(report, [read, *plan.inputs], [out])
    if seeds.count is None:
        found = run_plan(plan, out, force, read)
    else:
        found = run_seeds(plan, out, seeds, force, read)
    if report:
        write_page(report, compressed_page(found))
    if as_json:
        click.echo(json.dumps(found))
    elif seeds.count is None:
        show_compressed(found, plan.data)
    else:
        show_seeds(found)


def run_plan(plan: Plan, out: Path, force: bool, read: Path | None) -> dict:
    """Run a plan with its own seed; the report."""
    from fivebyfive.model.compress.run import compress
    from fivebyfive.model.data.datasets import load_dataset
    from fivebyfive.model.training.resume import States, state_folder

    card = reserve_card(plan, out, force, read)
    states = States(state_folder(out), say)
    with Stage("reading the data") as stage:
        result = compress(plan, load_dataset(plan.data, "train", stage), None, states, stage)
    save_checkpoint(out, result.checkpoint)
    write_card(card, plan, summary(result.report), force)
    states.forget()
    return result.report | {"out": str(out)}


def run_seeds(plan: Plan, out: Path, seeds: Seeds, force: bool, read: Path | None) -> dict:
    """Run a plan with several seeds, side by side, and keep the median besides: of those with as many held-out errors
    as the median has, the one with the fewest bytes. The report has the errors and bytes of all."""
    from fivebyfive.model.data.datasets import load_dataset
    from fivebyfive.model.training.resume import States, state_folder
    from fivebyfive.sim.jobs.training_job import result_of, trainings
    from fivebyfive.sim.jobs.workers import ClusterPool, LocalPool, Outcome, run_jobs

    assert seeds.count
    out = out if out.suffix == ".npz" else out.with_name(f"{out.name}.npz")
    with user_values():
        plans = {plan.seed + number: replace(plan, seed=plan.seed + number) for number in range(seeds.count)}
    places = {seed: out.with_name(f"{out.stem}-s{seed}.npz") for seed in plans}
    reserve_card(plan, out, force, read)
    for place in places.values():
        check_beside([place, reserve_card(plan, place, force, read)], force)
    with Stage("reading the data") as stage:
        training = load_dataset(plan.data, "train", stage)
        jobs = trainings(plan, [state_folder(place) for place in places.values()], training)
    found = {}

    def arrived(job: Any, outcome: Outcome) -> None:
        """Write what a seed came to."""
        if outcome.result:
            place, found[job.seed] = places[job.seed], result_of(outcome.result)
            with replacing_sidecars([place, place.with_suffix(".toml")], force) as (network, card):
                save_checkpoint(network, found[job.seed].checkpoint)
                write_plan(card, plans[job.seed], summary(found[job.seed].report), place.parent)
            States(state_folder(place)).forget()

    cores = len(os.sched_getaffinity(0))
    workers = seeds.workers or max(1, cores // (plan.threads or cores))
    pool = ClusterPool(seeds.scheduler) if seeds.scheduler else LocalPool(workers)
    with resume_hint(), Stage("training") as stage:
        outcomes = run_jobs(jobs, pool, stage, f"training with {seeds.count} seed{'s' * (seeds.count > 1)}", arrived)
    for outcome in outcomes.values():
        if outcome.error:
            raise outcome.error
    rows = [
        {"seed": seed, "held_out": one["held_out"]["errors"], "bytes": one["bytes"], "digest": one["digest"]}
        for seed, one in ((seed, found[seed].report) for seed in plans)
    ]  # fmt: skip
    middle = median_seed(rows)
    chosen = found[middle]
    save_checkpoint(out, chosen.checkpoint)
    write_card(out.with_suffix(".toml"), plans[middle], summary(chosen.report) | {"seeds": rows}, force)
    return chosen.report | {"seeds": rows, "out": str(out)}


def median_seed(rows: list[dict]) -> int:
    """Seed of the median by held-out errors, of two in the middle the one with more; of equals, that with the fewest
    bytes."""
    errors = sorted(one["held_out"] for one in rows)[len(rows) // 2]
    return min((one["bytes"], one["seed"]) for one in rows if one["held_out"] == errors)[1]


def reserve_card(plan: Plan, out: Path, force: bool, read: Path | None) -> Path:
    """Where the plan of a result goes, of which it is known now that both can be written. Raises UserError."""
    card = out.with_suffix(".toml")
    if out == card:
        raise UserError(f"{out} is what its plan is called; name the checkpoint otherwise, such as {out.stem}.npz")
    inputs = [read, *plan.inputs]
    check_file(out, inputs)
    check_beside([card], force, inputs)
    plan_text(card.parent, plan, {})  # it can be written, whatever its paths are
    return card


def write_card(card: Path, plan: Plan, result: dict, force: bool) -> None:
    """Write the plan with its results beside the checkpoint."""
    with replacing_sidecars([card], force) as (new,):
        write_plan(new, plan, result, card.parent)


def summary(report: dict) -> dict:
    """What a plan's file tells of its results; TOML has no null."""
    return {key: report[key] for key in RESULT_KEYS if report[key] is not None}


def step_rows(report: dict) -> Rows:
    """What is left of each layer after each step."""
    rows = []
    for step in report["steps"]:
        left = ", ".join(f"{layer} {one['nonzero']:,} ({one['values']})" for layer, one in step["contents"].items())
        rows.append((step["method"], step["shape"], str(step["held_out"]["errors"]), left))
    columns = ("<after", "<network", "held-out errors", "<weights that are not zero, and their values")
    return Rows("what is left of each layer", columns, rows)


def size_rows(report: dict) -> Rows:
    """The sizes of the checkpoint."""
    rows = [("bytes", f"{report['bytes']:,}"), ("Huffman", f"{report['huffman_bytes']:,}")]
    return Rows("size of the checkpoint", ("<size", "bytes"), rows, figures_in_rows=True)


def seed_rows(report: dict) -> Rows:
    """A row a seed; which one is the median."""
    rows = []
    for one in report["seeds"]:
        mark = "median" if one["seed"] == report["seed"] else ""
        rows.append((*(f"{one[key]:,}" for key in ("seed", "held_out", "bytes")), one["digest"][:12], mark))
    return Rows("seeds", ("seed", "held-out errors", "bytes", "<digest", "<"), rows)


def compressed_page(report: dict) -> Page:
    """The page of --report, with the machine that serves the compressed weights best."""
    path = Path(report["out"])
    checkpoint = load_checkpoint(path)
    name, seen = shown(path.name), report["held_out"]
    tables = [*([seed_rows(report)] if "seeds" in report else []), step_rows(report), training_rows(report)]
    return Page(
        f"{report['shape']}, compressed",
        [f"{name}: {report['bytes']:,} bytes, {seen['errors']} of {seen['images']:,} held-out images in another class "
         f"than their label. Held out: {report['hold_out']}."],
        [*tables, size_rows(report)],
        diagram(name, checkpoint, fitted(checkpoint, sized(checkpoint.network))),
        {**checkpoints({name: checkpoint}), "checkpoint at the start": report["start"]},
    )  # fmt: skip


def show_compressed(report: dict, data: str) -> None:
    """What is left of each layer after each step, and the sizes."""
    out = console()
    out.print(step_rows(report).printable())
    out.print()
    show_training(report, data)
    out.print(f"Packed: {report['bytes']:,} bytes; with Huffman codes alone {report['huffman_bytes']:,}.")


def show_seeds(report: dict) -> None:
    """A row a seed; which one is the median."""
    out = console()
    out.print(seed_rows(report).printable())
    out.print(f"\n{report['shape']} of seed {report['seed']} in {shown(report['out'])}; each seed's beside it.")
