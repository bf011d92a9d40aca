"""Every MNIST test image through the RTL, all layers compared, several simulations at once; a log of it.

`make verify-all` runs this as ``python -m fivebyfive.verify.images --log docs/verify-all.log``.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np

from fivebyfive.api import load
from fivebyfive.commands.options.size import size_options
from fivebyfive.model.checkpoint import SHIPPED
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import Size
from fivebyfive.output.provenance import checkpoint_input, lenet_name, lines, verilog_input
from fivebyfive.output.terminal import Commands, Stage
from fivebyfive.sim.simulator.process import RtlDiffers
from fivebyfive.support.errors import DEFECT, DIFFERS, Defect, UserError
from fivebyfive.support.temporary import working_folder

from .log import about_tools, checkpoint_text, interval_text, log_of, log_option, write_log

__all__ = ["main", "result", "simulation", "verify"]

LOOK_S = 1.0  # between two looks at how far the simulations are


@click.group(name="verify", cls=Commands, invoke_without_command=True)
@log_option("build/verify-all.log")
@click.option("--images", type=click.IntRange(1, 10_000), default=10_000, show_default=True)
@click.option("--processes", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--logits-only", is_flag=True, help="Compare logits and class, not the layers before.")
@size_options
def main(log: Path, images: int, processes: int, logits_only: bool, size: Size) -> None:
    """Compare the RTL of the shipped LeNet with the golden model on MNIST test images; write a log."""
    text = verify(images, processes, size.config(load().checkpoint), logits_only)
    write_log(log, text)


def verify(images: int, processes: int, config: Config, logits_only: bool = False) -> str:
    """The log of a comparison in which everything was equal. Raises RtlDiffers with the first difference."""
    started = time.monotonic()
    pixels = load_dataset("mnist", "test").images[:images]
    accelerator = load().accelerator(config)
    with working_folder() as folder, Stage("simulating") as stage:
        accelerator.write_verilog(folder / "verilog")
        parts = np.array_split(pixels, min(processes, images))
        # The first image alone: the others then find the simulation compiled.
        options = ["--logits-only"] if logits_only else []
        simulate_all(folder, [pixels[:1]], options, stage)
        reports = simulate_all(folder, parts, options, stage)
    measured = verilog_input(lenet_name(config), accelerator.generated.design)
    measured |= checkpoint_input(SHIPPED.stem, accelerator.network.checkpoint)
    return log_text(reports, parts, time.monotonic() - started) + lines(measured)


def simulate_all(folder: Path, parts: list[np.ndarray], options: list[str], stage: Stage) -> list[dict]:
    """What `fivebyfive simulate --json` says of each part, all at the same time."""
    children = [start(folder, number, part, options) for number, part in enumerate(parts)]
    try:
        while any(child.poll() is None for child in children):
            time.sleep(LOOK_S)
            stage(sum(done(folder, n) for n in range(len(parts))), sum(map(len, parts)), "simulating")
        return [result(child) for child in children]
    finally:
        for child in children:
            child.terminate()
            child.wait()


def start(folder: Path, number: int, part: np.ndarray, options: list[str]) -> subprocess.Popen:
    images = folder / f"{number}.npy"
    np.save(images, part)
    places = ["--verilog", folder / "verilog", "--images", images, "--folder", folder / f"run{number}"]
    return simulation(*options, *map(str, places))


def simulation(*options: str) -> subprocess.Popen:
    """`fivebyfive simulate --json`, begun in a process of its own; `result` waits for it."""
    command = [sys.executable, "-m", "fivebyfive", "simulate", "--json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(folder: Path, number: int) -> int:
    """Images that a simulation has finished."""
    try:
        return int(np.load(folder / f"run{number}" / "run-done.npy")[0])
    except (OSError, ValueError, EOFError):
        return 0


def result(child: subprocess.Popen) -> dict:
    """What a simulation said. Raises RtlDiffers where it found a difference or the RTL hangs; Defect or UserError where
    it failed otherwise."""
    out, err = child.communicate()
    if not out:
        kind = {DIFFERS: RtlDiffers, DEFECT: Defect}.get(child.returncode, UserError)
        raise kind(f"a simulation failed: {err.strip().splitlines()[-1] if err.strip() else 'no word'}")
    report = json.loads(out)
    if not report["equal"]:
        raise RtlDiffers(f"the RTL differs: {report['difference']}")
    return report


def log_text(reports: list[dict], parts: list[np.ndarray], seconds: float) -> str:
    """The log: what ran, on what, and what came out. No date, no path."""
    shape = load().shape
    values = sum(int(np.prod(shape.outputs[name])) for name in reports[0]["layers_compared"])
    images = sum(part["images"] for part in reports)
    first = reports[0]
    lines = {
        "machine's size": ", ".join(f"{name} {value}" for name, value in first["config"].items()),
        "checkpoint": checkpoint_text(first),
        **about_tools(first),
        "images": f"{images}, the first of the MNIST test set, in {len(parts)} simulations",
        "values compared": f"{images * values:,} ({', '.join(first['layers_compared'])})",
        "equal": "all",
        "conv cycles": f"{first['conv_cycles']:,} (limit {first['conv_limit_cycles']:,})",
        "fc cycles": f"{first['fc_cycles']:,} (limit {first['fc_limit_cycles']:,})",
        "latency cycles": f"{first['latency_cycles']:,}",
        "interval cycles": interval_text(first),
        "multipliers": str(first["multipliers"]),
        "images a second": f"{sum(part['images_per_second'] for part in reports):.1f}, start-up left out",
        "clock": f"{sum(part['cycles_per_second'] for part in reports):,} simulated cycles a second",
        "Python's part": f"{100 * first['python_share']:.0f} % of the time",
        "seconds": f"{seconds:.0f}",
    }
    return log_of(lines)


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify.images")
