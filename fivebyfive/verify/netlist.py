"""MNIST test images through the netlists that Yosys makes for each device family, all layers compared; a log of it.

`make verify-netlist` runs this as ``python -m fivebyfive.verify.netlist --log docs/verify-netlist.log``.
"""

import time
from pathlib import Path

import click

from fivebyfive.api import load
from fivebyfive.model.checkpoint import SHIPPED
from fivebyfive.output.provenance import checkpoint_input, lenet_name, lines, verilog_input
from fivebyfive.output.terminal import Commands
from fivebyfive.sim.fpga.netlist import LIBRARIES

from .images import result, simulation
from .log import about_tools, checkpoint_text, interval_text, log_of, log_option, write_log

__all__ = ["main", "verify"]


@click.group(name="verify-netlist", cls=Commands, invoke_without_command=True)
@log_option("build/verify-netlist.log")
@click.option("--images", type=click.IntRange(1, 10_000), default=20, show_default=True)
def main(log: Path, images: int) -> None:
    """Compare netlists of the shipped LeNet with the golden model on MNIST test images; write a log."""
    text = "\n".join(verify(family, images) for family in sorted(LIBRARIES))
    accelerator = load().accelerator()
    measured = verilog_input(lenet_name(accelerator.config), accelerator.generated.design)
    text += "\n" + lines(measured | checkpoint_input(SHIPPED.stem, accelerator.network.checkpoint))
    write_log(log, text)


def verify(family: str, images: int) -> str:
    """The log of a family's netlist in which everything was equal. Raises RtlDiffers with the first difference."""
    started = time.monotonic()
    options = ["--netlist", family, "--images", str(images)]
    report = result(simulation(*options))
    return log_text(report, " ".join(["fivebyfive", "simulate", *options]), time.monotonic() - started)


def log_text(report: dict, command: str, seconds: float) -> str:
    """A family's lines of the log: what ran, on what, and what came out. No date, no path."""
    lines = {
        "command": command,
        "checkpoint": checkpoint_text(report),
        "cells": ", ".join(f"{count:,} {kind}" for kind, count in report["cells"].items() if kind[0] != "$"),
        **about_tools(report),
        "images": f"{report['images']}, the first of the MNIST test set",
        "compared": ", ".join(report["layers_compared"]),
        "equal": "all",
        "interval cycles": interval_text(report),
        "cycles a second": f"{report['cycles_per_second']:,}",
        "simulated in": f"{report['seconds']:.0f} s",
        "seconds": f"{seconds:.0f}, with synthesis and compilation",
    }
    return log_of(lines)


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify.netlist")
