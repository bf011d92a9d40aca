"""Two networks in one machine: a small one for every image, a large one where the small one is unsure.

The commands generate and simulate with --then; `fivebyfive.model.cascade` has the arithmetic, docs/cascade.md the rest.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np

from fivebyfive.api import Network, load
from fivebyfive.commands.options.then import Then
from fivebyfive.hw.generate import Generated, generate_cascade
from fivebyfive.model.cascade import Choice, check_pair, choices
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.data.datasets import Dataset, load_dataset
from fivebyfive.model.data.images import load_images
from fivebyfive.model.machine.sizing import Size
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.training.hold_out import recorded_hold_out
from fivebyfive.output.paths import check_folder
from fivebyfive.output.report import console, images_text, table
from fivebyfive.output.terminal import Stage, say
from fivebyfive.sim.cascade import CascadeRun, simulate_cascade
from fivebyfive.sim.simulator.simulators import find
from fivebyfive.support.errors import UserError, shown, user_values

__all__ = ["choose_margin", "generate_both", "held_out_of", "simulate_both"]

DATA = "mnist"
FEWEST = 1000  # held-out images that a margin is chosen on


def generate_both(checkpoint: Path, then: Then, out: Path, force: bool, size: Size, as_json: bool) -> None:
    """Write the Verilog of both networks and a manifest into a folder. Raises UserError."""
    networks, choice = read(checkpoint, then)
    check_folder(out, force)
    generated = made(networks, choice.margin, size)
    paths = generated.write(out, force)
    if as_json:
        report = {"out": str(out), "files": [path.name for path in paths], "choice": asdict(choice)}
        click.echo(json.dumps(report | {"manifest": generated.manifest}))
        return
    rows = table("<file", "bytes")
    for path in paths:
        rows.add_row(shown(path), f"{path.stat().st_size:,}")
    console().print(rows)
    show_choice(networks, choice)


def simulate_both(checkpoint: Path, then: Then, images: str | None, simulator: str, size: Size, as_json: bool) -> int:
    """Run images through the RTL of both networks, and compare every answer; the exit code. Raises UserError and
    SimulationFailed."""
    networks, choice = read(checkpoint, then)
    given = load_images(images or "10", networks[0].checkpoint.network.input)
    for remark in given.remarks:
        say(remark)
    find(simulator)
    generated = made(networks, choice.margin, size)
    first, second = (network.checkpoint for network in networks)
    with Stage("simulating") as stage:
        run = simulate_cascade(first, second, generated, given.pixels, simulator=simulator, progress=stage)
    errors = None if given.labels is None else int((run.answers.logits.argmax(1) != given.labels).sum())
    report = facts(networks, choice, generated, run) | {"errors": errors, "simulator": simulator}
    if as_json:
        click.echo(json.dumps(report))
    else:
        show_choice(networks, choice)
        show_run(report)
    return 1 if run.difference else 0


def read(checkpoint: Path, then: Then) -> tuple[tuple[Network, Network], Choice]:
    """Both networks and the margin, chosen if need be. Raises UserError."""
    networks = load(checkpoint), load(then.second)
    with user_values():
        check_pair(networks[0].checkpoint, networks[1].checkpoint, then.margin or 0)
    if then.margin is not None:
        return networks, Choice(then.margin, 0, 0, 0)
    with Stage("choosing the margin on held-out images") as stage:
        return networks, choose_margin(*networks, held_out_of((checkpoint, then.second), stage))


def held_out_of(checkpoints: Iterable[Path], stage: Stage) -> Dataset:
    """The images of MNIST's training set that none of the checkpoints has learned from, by the report or card beside
    each. Raises UserError where they are too few, or the set cannot be had."""
    training = load_dataset(DATA, "train", stage, say)
    kinds = {path: recorded_hold_out(path) for path in checkpoints}
    chosen = np.all([kind.chosen(training, path.parent) for path, kind in kinds.items()], axis=0)
    if np.count_nonzero(chosen) < FEWEST:
        each = ", ".join(f"{shown(path.name)} {kind}" for path, kind in kinds.items())
        raise UserError(
            f"only {np.count_nonzero(chosen)} images are held out of both networks ({each}); train both with the same "
            "--hold-out, or give --margin N"
        )
    return training.divided(chosen)[1]


def choose_margin(first: Network, second: Network, held_out: Dataset) -> Choice:
    """The least margin at which held-out images have no more errors than with the second network alone."""
    found = choices(first.checkpoint, second.checkpoint, held_out.images, held_out.labels)
    return next(one for one in found if one.errors <= found[-1].errors)


def made(networks: tuple[Network, Network], margin: int, size: Size) -> Generated:
    """The Verilog. Raises UserError where the networks do not go together."""
    first, second = (network.checkpoint for network in networks)
    configs = fitting(size, first).config(first), fitting(size, second).config(second)
    with Stage("generating Verilog"), user_values():
        return generate_cascade((first, second), margin, configs, (networks[0].name, networks[1].name))


def fitting(size: Size, checkpoint: Checkpoint) -> Size:
    """The part of a size, asked for both networks, that this one has work for."""
    parts = stages(checkpoint.network)
    fitted = replace(
        size,
        conv_pes=size.conv_pes if parts.convs else Size.conv_pes,
        fc_rows=size.fc_rows if parts.fc else Size.fc_rows,
        early_fc=bool(size.early_fc and parts.convs and parts.fc),
        winograd=bool(size.winograd and parts.convs),
        skip_zeros=False,
    )
    if not size.skip_zeros:
        return fitted
    machine = replace(fitted.config(checkpoint), skip_zeros=True)
    return replace(fitted, skip_zeros=machine.has_zeros_to_skip(checkpoint.network))


def facts(networks: tuple[Network, Network], choice: Choice, generated: Generated, run: CascadeRun) -> dict:
    """What a run showed, as plain values."""
    of = {name: generated.manifest[name] for name in ("first", "second")}
    return {
        "first": networks[0].name,
        "second": networks[1].name,
        "margin": choice.margin,
        "held_out": asdict(choice) if choice.images else None,
        "images": len(run.cycles),
        "asked": int(run.answers.second.sum()),
        "equal": run.difference is None,
        "difference": str(run.difference) if run.difference else None,
        "interval_cycles": run.interval,
        "longest_cycles": run.longest,
        "multipliers": {name: one["multipliers"] for name, one in of.items()},
    }


def show_choice(networks: tuple[Network, Network], choice: Choice) -> None:
    """Which network is asked when."""
    first, second = (shown(network.name) for network in networks)
    text = f"{second} is asked where the two best logits of {first} are less than {choice.margin} codes apart"
    if choice.images:
        share = 100 * choice.asked / choice.images
        text += f": {share:.2f} % of {choice.images:,} held-out images; {choice.errors} of all are wrong, no more than "
        text += f"with {second} alone"
    console().print(text + ".")


def show_run(report: dict) -> None:
    """Cycles, and whether all was equal."""
    out = console()
    if report["interval_cycles"] is not None:
        out.print(
            f"{report['interval_cycles']:,.0f} cycles between two answers in the mean, {report['longest_cycles']:,} at "
            f"most; {report['asked']} of {images_text(report['images'])} by {shown(report['second'])}"
        )
    if report["errors"] is not None:
        out.print(f"{report['errors']} of {images_text(report['images'])} in another class than the label")
    verdict = "equal" if report["equal"] else f"differ: {report['difference']}"
    out.print(f"{images_text(report['images'])}, every logit, class and choice of the network: {verdict}")
