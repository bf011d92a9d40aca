"""The command simulate: images through the RTL, compared; and what is left behind for a person to look at."""

import json
import random
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import click
import numpy as np

from fivebyfive.api import Accelerator, Network, load
from fivebyfive.hw.generate import Generated
from fivebyfive.model.data.images import Images, load_images
from fivebyfive.model.description import read_network, written
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import Size
from fivebyfive.model.shape import summary
from fivebyfive.output.page.page import Page, checkpoints, diagram, plotted, write_page
from fivebyfive.output.paths import check_file, make_folder
from fivebyfive.output.picture import draw_digits, simulated_digits
from fivebyfive.output.provenance import verilog_input
from fivebyfive.output.report import cycle_rows, image_rows, images_text
from fivebyfive.output.terminal import Stage, say
from fivebyfive.sim.fpga.netlist import find_family, synthesized
from fivebyfive.sim.quality.coverage import Coverage, ranges
from fivebyfive.sim.simulate import Difference, Simulation
from fivebyfive.sim.simulator.run_folder import RECORD
from fivebyfive.sim.simulator.simulators import find
from fivebyfive.sim.simulator.speed import Speed
from fivebyfive.support.destinations import file_place, folder_place
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.files import replacing

from .folders.read_folder import read_folder
from .folders.viewer import VIEW_FILES, save_view
from .options.report import check_report

__all__ = ["Request", "facts", "simulate_request"]

WAVES = Path("build") / "waves"
MANY_WAVES = 3  # images; each takes some 400 MB of a VCD file
PICTURED = 10  # images on a page
IMAGES, FEW_IMAGES = "10", "1"  # unless the user says how many; of waves and pictures in the terminal


@dataclass(frozen=True)
class Request:
    """What the user asks for; fields are the command's options."""

    checkpoint: Path
    images: str | None = None
    simulator: str = "verilator"
    verilog: Path | None = None
    out: Path | None = None
    waves: bool = False
    folder: Path | None = None
    pause: float = 0.0
    seed: int | None = None
    logits_only: bool = False
    size: Size = field(default_factory=Size)
    netlist: str | None = None
    coverage: bool = False
    force: bool = False
    show: bool = False
    report: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.pause < 1:
            raise UserError(f"--pause is a probability from 0 to below 1, not {self.pause:g}")
        if self.seed is not None and not 0 <= self.seed < 2**31:
            raise UserError(f"--seed is 0 to {2**31 - 1}, not {self.seed}")
        if self.netlist and (find_family(self.netlist), self.simulator) == ("xc7", "icarus"):
            raise UserError("a netlist for xc7 runs on verilator only (docs/simulation.md says why)")
        if self.coverage and self.netlist:
            raise UserError("--coverage is of the Verilog that generate writes, not of a --netlist")


def simulate_request(request: Request, as_json: bool) -> int:
    """Carry a request out and report on it; the exit code. Raises UserError and SimulationFailed."""
    from fivebyfive.output.report import show_simulation
    from fivebyfive.output.simulation.terminal_picture import draw_in_terminal

    if request.show and as_json:
        raise UserError("--show draws for people; leave --json out")
    network = load(request.checkpoint)
    wanted = request.images or (FEW_IMAGES if request.waves or request.show else IMAGES)
    images = load_images(wanted, network.checkpoint.network.input)
    for remark in images.remarks:
        say(remark)
    simulator = find(request.simulator)
    inputs = request.checkpoint, request.images, request.verilog
    if request.out:
        check_file(request.out, inputs)
    check_report(request.report, inputs, [request.out])
    if folder := kept_folder(request):
        make_folder(folder, request.force, RECORD, inputs)
    accelerator = make_accelerator(network, request)
    cells = synthesize(accelerator, request.netlist) if request.netlist else None
    if request.waves and len(images) > MANY_WAVES:
        say(f"warning: {len(images)} images make a large waveform, 0.4 GB each if a VCD; --images 1 may do")
    result = run(accelerator, images, request)
    report = facts(accelerator, images, result)
    report |= {"simulator": simulator.name, "simulator_version": simulator.version}
    report |= {"netlist": request.netlist, "cells": cells} if cells else {}
    report |= {"out": str(request.out) if request.out and not result.difference else None}
    report |= {"waves": str(result.waves) if result.waves else None}
    if request.report:
        write_page(request.report, page_of(report, accelerator, images, result))
    if as_json:
        click.echo(json.dumps(report))
    else:
        if request.show and result.images:
            draw_in_terminal(simulated_digits(images, result), report.get("labels"))
        show_simulation(report, images, result, request)
    return 1 if result.difference else 0


def page_of(report: dict, accelerator: Accelerator, images: Images, result: Simulation) -> Page:
    """The page of --report: of many images the first ones."""
    network, config = accelerator.network, accelerator.config
    name = shown(network.name)
    equal = f"every value of {', '.join(report['layers_compared'])} equals the golden model's."
    lines = [f"{images.source}: {equal if report['equal'] else f'first difference: {result.difference}'}"]
    if report["errors"] is not None:
        lines.append(f"{report['errors']} of {images_text(report['images'])} in another class than the label.")
    pictures, tables = [], []
    if result.images:
        tables = [image_rows(images, result, report.get("labels")), cycle_rows(report)]
        pictures = plotted(
            f"Input, feature maps and logits of the first {images_text(min(result.images, PICTURED))}",
            "A row an image: its pixels, the maps of every layer, and the logits as bars",
            partial(draw_computed, report, images, result), ".png",
        )  # fmt: skip
    return Page(
        f"{network.checkpoint.summary} of {name}, simulated", lines, tables,
        [*pictures, *diagram(name, network.checkpoint, config)],
        checkpoints({name: network.checkpoint}) | verilog_input(name, accelerator.generated.design),
        [f"{report['simulator']}: {report['simulator_version']}, seed {report['seed']}"], report["equal"],
    )  # fmt: skip


def draw_computed(report: dict, images: Images, result: Simulation, path: Path) -> None:
    """The picture of the first images."""
    digits = simulated_digits(images, result)[:PICTURED]
    draw_digits(path, f"{report['network']}: what the Verilog computed", shown(images.source), digits)


def make_accelerator(network: Network, request: Request) -> Accelerator:
    """The accelerator that the user means: of the options, or what lies in a folder."""
    config = request.size.config(network.checkpoint, request.netlist)
    if request.verilog:
        accelerator = Accelerator(network, config)
        accelerator.generated = folder_of(request.verilog, network)
        accelerator.config = Config(**accelerator.generated.manifest["config"])
        return accelerator
    accelerator = network.accelerator(config)
    with Stage("generating Verilog"):
        accelerator.generated  # noqa: B018 (it takes seconds, under its own name)
    return accelerator


def synthesize(accelerator: Accelerator, family: str) -> dict[str, int]:
    """Put the netlist for a device family in the place of the Verilog; its cells. Raises YosysError."""
    with Stage(f"synthesizing for {family}"):
        design, cells = synthesized(accelerator.generated.design, family)
    accelerator.generated = replace(accelerator.generated, design=design)
    return cells


def folder_of(folder: Path, network: Network) -> Generated:
    """What lies in ``folder``, if it can be compared with the network at all."""
    generated = read_folder(folder)
    of = generated.manifest["checkpoint"]
    if of["network"] != written(network.checkpoint.network):
        other = summary(read_network(of["network"]))
        raise UserError(
            f"{folder} is a {other}, the checkpoint a {network.checkpoint.summary}; name the one it was made of"
        )
    if of["sha256"] != network.checkpoint.digest:
        say(f"warning: {shown(folder)} was generated from another checkpoint; differences are to be expected")
    return generated


def run(accelerator: Accelerator, images: Images, request: Request) -> Simulation:
    """The simulation, and a save file beside its waveform."""
    seed = random.SystemRandom().getrandbits(31) if request.seed is None else request.seed
    folder = kept_folder(request)

    def finish(result: Simulation, place: Path) -> None:
        """What lies beside the run's own files, or among them."""
        if result.waves:
            marker = result.difference.cycle if result.difference else None
            save_view(accelerator, request.simulator, place, marker)
        if request.out and not result.difference:
            with replacing(request.out) as file:
                np.save(file, result.logits)

    with Stage("simulating") as stage:
        result = accelerator.simulate(
            images.pixels, simulator=request.simulator, pause=request.pause, seed=seed, folder=folder,
            waves=request.waves, layers=not request.logits_only, coverage=request.coverage, progress=stage,
            force=request.force, finish=finish, beside=(*VIEW_FILES, *logits_in(folder, request.out)),
        )  # fmt: skip
    if result.waves and folder:
        result = replace(result, waves=folder / result.waves.name)  # as the user would write it
    return result


def kept_folder(request: Request) -> Path | None:
    """Where the run's files stay; None where nobody wants them."""
    return request.folder or (WAVES if request.waves else None)


def logits_in(folder: Path | None, out: Path | None) -> list[str]:
    """The file of logits, if it goes into the run's folder, by its path there."""
    if folder is None or out is None or not file_place(out).is_relative_to(folder_place(folder)):
        return []
    return [file_place(out).relative_to(folder_place(folder)).as_posix()]


def facts(accelerator: Accelerator, images: Images, result: Simulation) -> dict:
    """What a run showed, as plain values; the four clocks are hardware counters (docs/architecture.md)."""
    network, config = accelerator.network, accelerator.config
    cycles = result.cycles if result.images else None
    macs, products = sum(network.checkpoint.network.macs.values()), config.products(network.checkpoint.network)
    planned = plan(network.checkpoint.network, config)
    interval = cycles.interval if cycles else None
    skips = config.engines.skip or config.skip_zeros
    return (
        {
            "checkpoint": network.name,
            "network": network.checkpoint.summary,
            "sha256": network.checkpoint.digest,
            "images": result.images,
            "equal": result.difference is None,
            "difference": difference_facts(result.difference) if result.difference else None,
            "errors": count_errors(images, result),
            "conv_cycles": cycles.conv if cycles else None,
            "conv_limit_cycles": planned.limit_conv,
            "fc_cycles": cycles.fc if cycles else None,
            "fc_limit_cycles": planned.limit_fc,
            "latency_cycles": cycles.latency if cycles else None,
            "interval_cycles": interval,
            "multipliers": config.multipliers,
            "dsps": config.dsps,
            "macs": macs,
            "engines": list(config.engines.names),
            "products_a_cycle": products / interval if interval else None,
            "utilization": products / (interval * config.multipliers) if interval and not skips else None,
            "config": asdict(config),
            "layers_compared": list(result.outputs),
            "seed": result.seed,
            "seconds": round(result.seconds, 2),
        }
        | network.checkpoint.network.labels_member
        | (speed_facts(result.images, result.speed) if result.speed else {})
        | (coverage_facts(result.coverage) if result.coverage else {})
    )


def speed_facts(images: int, speed: Speed) -> dict:
    """How fast the simulator was, start-up left out; Python's part is 0 to 1."""
    return {
        "images_per_second": round(images / speed.seconds, 2),
        "cycles_per_second": round(speed.cycles_per_second),
        "python_share": round(speed.python_share, 3),
    }


def coverage_facts(coverage: Coverage) -> dict:
    """What of the Verilog ran: {blocks, toggles: {seen, all}, never_toggled: {module: {signal: bits}}}."""
    never: dict[str, dict[str, str]] = {}
    for (module, signal), bits in coverage.never_toggled.items():
        never.setdefault(module, {})[signal] = ranges(bits)
    counts = {"blocks": coverage.blocks, "toggles": coverage.toggles}
    shares = {name: dict(zip(("seen", "all"), count, strict=True)) for name, count in counts.items()}
    return {"coverage": shares | {"never_toggled": never}}


def difference_facts(difference: Difference) -> dict:
    """Where it is: {image, layer, channel, row, column, expected, got, cycle}; output, not
    channel, row and column, behind the convolutions; cycle is known with waves."""
    names = ("channel", "row", "column") if len(difference.place) == 3 else ("output",)
    place = dict(zip(names, difference.place, strict=True))
    about = {"image": difference.image, "layer": difference.layer}
    return about | place | {"expected": difference.expected, "got": difference.got, "cycle": difference.cycle}


def count_errors(images: Images, result: Simulation) -> int | None:
    """Images that the RTL puts into another class than their label; None where there are no labels."""
    if images.labels is None:
        return None
    return int((result.classes[: result.images] != images.labels[: result.images]).sum())
