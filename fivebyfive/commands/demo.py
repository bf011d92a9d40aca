"""The whole path at once: Verilog from the shipped LeNet, digits through it, a table and a picture."""

import json
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np
from rich.text import Text

from fivebyfive.api import Network, load
from fivebyfive.model.checkpoint import SHIPPED
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.data.images import Images
from fivebyfive.output.paths import check_beside, check_folder
from fivebyfive.output.picture import draw_digits, simulated_digits
from fivebyfive.output.provenance import checkpoint_input, lenet_name, verilog_input
from fivebyfive.output.report import console, cycle_table, image_table
from fivebyfive.output.terminal import Stage, command, quoted
from fivebyfive.sim.simulate import Simulation
from fivebyfive.sim.simulator.simulators import find
from fivebyfive.support.errors import shown
from fivebyfive.support.sidecars import replacing_sidecars

from .simulate import facts

__all__ = ["choose_digits", "run_demo"]

PICTURE = "demo.png"
VERILOG = "lenet"


def run_demo(out: Path, count: int, as_json: bool, force: bool = False) -> int:
    """Generate ``out``/lenet, simulate ``count`` digits, draw ``out``/demo.png, tell of it; the exit code. ``force``:
    over files that were edited."""
    simulator = find("verilator")
    network = load()
    accelerator = network.accelerator()
    images = choose_digits(count)
    check_folder(out / VERILOG, force)
    check_beside([out / PICTURE], force)
    with Stage("generating Verilog"):
        paths = accelerator.write_verilog(out / VERILOG, force)
    with Stage("simulating") as stage:
        result = accelerator.simulate(images.pixels, seed=1, progress=stage)
    report = facts(accelerator, images, result) | {"simulator": simulator.name}
    report |= {"simulator_version": simulator.version, "verilog": str(paths[0]), "picture": str(out / PICTURE)}
    measured = verilog_input(lenet_name(accelerator.config), accelerator.generated.design)
    measured |= checkpoint_input(SHIPPED.stem, network.checkpoint)
    with replacing_sidecars([out / PICTURE], force) as (picture,):
        draw(picture, report, images, result, measured)
    if as_json:
        click.echo(json.dumps(report))
    else:
        show(report, network, images, result, out)
    return 0 if report["equal"] else 1


def choose_digits(count: int) -> Images:
    """MNIST test images, each digit as often as the others: the first 0 to 9, the second 0 to 9, ..."""
    digits = load_dataset("mnist", "test")
    occurrence = np.zeros(len(digits), int)
    for label in range(digits.classes):
        mine = digits.labels == label
        occurrence[mine] = np.arange(mine.sum())
    chosen = np.lexsort((digits.labels, occurrence))[:count]
    names = tuple(f"#{index}" for index in chosen)
    return Images(digits.images[chosen], names, digits.labels[chosen], f"{count} MNIST test images")


def draw(path: Path, report: dict, images: Images, result: Simulation, measured: Mapping[str, str]) -> None:
    """The picture of all digits that were simulated; ``measured``: digests of what they were simulated on."""
    verdict = "every value equals the golden model's" if report["equal"] else "NOT equal to the golden model"
    title = f"LeNet {report['network']} on MNIST: what the Verilog computed"
    subtitle = f"{images.source} in {report['simulator_version']}; {verdict}; " + cycles_text(report)
    draw_digits(path, title, subtitle, simulated_digits(images, result, "test image"), measured)


def cycles_text(report: dict) -> str:
    return f"{report['conv_cycles']:,} conv and {report['fc_cycles']:,} fc cycles, {report['multipliers']} multipliers"


def show(report: dict, network: Network, images: Images, result: Simulation, out: Path) -> None:
    """The table, and what to do next."""
    print_ = console().print
    print_(f"{report['simulator_version']}: LeNet {network.checkpoint.summary}, {images.source}, all layers compared")
    print_(image_table(images, result, report.get("labels")))
    print_(cycle_table(report))
    if report["equal"]:
        values = sum(codes[0].size for codes in result.outputs.values()) * result.images
        print_(Text(f"\nRTL and golden model are equal in all {values:,} values.", "bold green"))
    else:
        print_(Text(f"\nRTL and golden model DIFFER: {result.difference}", "bold red"))
    for what, where in (("Verilog", out / VERILOG), ("picture", out / PICTURE)):
        print_(f"{what:8} {shown(where)}")
    print_("\nNext:")
    for line in next_steps(out):
        print_(f"  {line}")


def next_steps(out: Path) -> list[str]:
    """Commands, each with what it does as a shell's comment, so that a whole line may be pasted."""
    steps = [
        (command("simulate", "--images", 100), "more digits, all layers compared"),
        (command("simulate", "--images", 1, "--waves"), "a waveform, and a view of it for GTKWave"),
        (command("evaluate"), "the golden model on all 10,000 test images"),
        (command("quantize", "MODEL.pt", "--out", "F.npz"), "your own float LeNet"),
        (f"less {quoted(out / VERILOG / 'lenet.v')}", "docs/vivado.md says how to take it to Vivado"),
    ]
    longest = max(len(step) for step, _ in steps)
    return [f"{step:{longest}}  # {what}" for step, what in steps]
