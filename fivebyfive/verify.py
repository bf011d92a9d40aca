"""Every MNIST test image through the RTL, all layers compared, several simulations at once; a log of it.

`make verify-all` runs this as ``python -m fivebyfive.verify --log docs/verify-all.log``.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from fivebyfive.model.datasets import load_dataset
from fivebyfive.model.errors import UserError
from fivebyfive.model.files import replacing
from fivebyfive.model.report import versions

from .api import load
from .terminal import Commands, Stage

__all__ = ["main", "verify"]

LOOK_S = 1.0  # between two looks at how far the simulations are


@click.group(name="verify", cls=Commands, invoke_without_command=True)
@click.option(
    "--log", type=click.Path(path_type=Path), default=Path("build/verify-all.log"), show_default=True
)
@click.option("--images", type=click.IntRange(1, 10_000), default=10_000, show_default=True)
@click.option("--processes", type=click.IntRange(1, 64), default=2, show_default=True)
def main(log: Path, images: int, processes: int) -> None:
    """Compare the RTL of the shipped LeNet with the golden model on MNIST test images; write a log."""
    text = verify(images, processes)
    with replacing(log, "w") as file:
        file.write(text)
    click.echo(text, nl=False)


def verify(images: int, processes: int) -> str:
    """The log of a comparison in which everything was equal. Raises UserError with the first difference."""
    started = time.monotonic()
    pixels = load_dataset("mnist", "test").images[:images]
    with tempfile.TemporaryDirectory(prefix="fivebyfive-") as temporary, Stage("simulating") as stage:
        folder = Path(temporary)
        load().accelerator().write_verilog(folder / "verilog")
        parts = np.array_split(pixels, min(processes, images))
        # The first image alone: the others then find the simulation compiled.
        simulate_all(folder, [pixels[:1]], stage)
        told = simulate_all(folder, parts, stage)
    return log_text(told, parts, time.monotonic() - started)


def simulate_all(folder: Path, parts: list[np.ndarray], stage: Stage) -> list[dict]:
    """What `fivebyfive simulate --json` says of each part, all at the same time."""
    children = [start(folder, number, part) for number, part in enumerate(parts)]
    try:
        while any(child.poll() is None for child in children):
            time.sleep(LOOK_S)
            stage(sum(done(folder, n) for n in range(len(parts))), sum(map(len, parts)), "simulating")
        return [result(child) for child in children]
    finally:
        for child in children:
            child.terminate()
            child.wait()


def start(folder: Path, number: int, part: np.ndarray) -> subprocess.Popen:
    np.save(folder / f"{number}.npy", part)
    words = ["simulate", "--json", "--verilog", folder / "verilog", "--images", folder / f"{number}.npy"]
    command = [sys.executable, "-m", "fivebyfive", *map(str, words), "--folder", str(folder / f"run{number}")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(folder: Path, number: int) -> int:
    """Images that a simulation has finished."""
    try:
        return int(np.load(folder / f"run{number}" / "done.npy")[0])
    except (OSError, ValueError, EOFError):
        return 0


def result(child: subprocess.Popen) -> dict:
    """What a simulation said. Raises UserError where it found a difference or failed."""
    out, err = child.communicate()
    if not out:
        raise UserError(f"a simulation failed: {err.strip().splitlines()[-1] if err.strip() else 'no word'}")
    told = json.loads(out)
    if not told["equal"]:
        raise UserError(f"the RTL differs: {told['difference']}")
    return told


def log_text(told: list[dict], parts: list[np.ndarray], seconds: float) -> str:
    """The log: what ran, on what, and what came out. No date, no path."""
    shape = load().shape
    values = sum(int(np.prod(size)) for size in shape.outputs.values())
    images = sum(part["images"] for part in told)
    first, of = told[0], versions()
    lines = {
        "command": f"python -m fivebyfive.verify --images {images} --processes {len(parts)}",
        "checkpoint": f"{first['checkpoint']}, {first['network']}, sha256 {first['sha256']}",
        "simulator": first["simulator_version"],
        "fivebyfive": of["fivebyfive"],
        "python, numpy": f"{platform.python_version()}, {of['numpy']}",
        "machine": of["machine"],
        "images": f"{images}, the first of the MNIST test set, in {len(parts)} simulations",
        "values compared": f"{images * values:,} ({', '.join(first['layers_compared'])})",
        "equal": "all",
        "conv cycles": f"{first['conv_cycles']:,} (limit {first['conv_limit_cycles']:,})",
        "fc cycles": f"{first['fc_cycles']:,} (limit {first['fc_limit_cycles']:,})",
        "latency cycles": f"{first['latency_cycles']:,}",
        "interval cycles": "-" if first["interval_cycles"] is None else f"{first['interval_cycles']:,.2f}",
        "multipliers": str(first["multipliers"]),
        "seconds": f"{seconds:.0f}",
    }
    return "".join(f"{name + ':':17} {value}\n" for name, value in lines.items())


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify")
