"""MNIST test images through machines of the five sizes of `bench`, logits compared, counters shown; a log of it.

`make verify-sizes` runs this as ``python -m fivebyfive.verify.sizes --log docs/verify-sizes.log``.
"""

import time
from pathlib import Path

import click

from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint
from fivebyfive.output.provenance import checkpoint_input, lines
from fivebyfive.output.terminal import Commands, say

from .bench import SIZES
from .images import result, simulation
from .log import about_tools, checkpoint_text, log_of, log_option, write_log
from .machines import SIZED, SIZED_EARLY, verilog_inputs

__all__ = ["main", "verify"]

COLUMNS = "{:>12}  {:>8}  {:>6}  {:>8}  {:>7}  {:>7}  {:>8}  {:>6}\n"
HEADER = ("multipliers", "early fc", "images", "conv", "fc", "latency", "interval", "logits")


@click.group(name="verify-sizes", cls=Commands, invoke_without_command=True)
@log_option("build/verify-sizes.log")
@click.option("--images", type=click.IntRange(12, 10_000), default=100, show_default=True)
def main(log: Path, images: int) -> None:
    """Compare machines of five sizes with the golden model on MNIST test images; write a log."""
    text = verify(images)
    write_log(log, text)


def verify(images: int) -> str:
    """The log of simulations in which all logits were equal. Raises RtlDiffers with the first difference."""
    started = time.monotonic()
    rows, report = [], {}
    for pes, fc_rows in SIZES:
        for early in (False, True):
            sizes = ["--conv-pes", str(pes), "--fc-rows", str(fc_rows), *(["--early-fc"] if early else [])]
            report = result(simulation("--logits-only", "--images", str(images), *sizes))
            rows.append(row(report, early, f"{25 * pes} + {20 * fc_rows}"))
            say(rows[-1].rstrip())
    about = {
        "checkpoint": checkpoint_text(report),
        **about_tools(report),
        "seconds": f"{time.monotonic() - started:.0f}",
    }
    measured = lines(verilog_inputs([*SIZED, *SIZED_EARLY]) | checkpoint_input(SHIPPED.stem, load_checkpoint()))
    return (
        log_of(about)
        + "\nCycles, by the hardware's counters; latency is that of the first image.\n\n"
        + "".join([COLUMNS.format(*HEADER), *rows, "\n", measured])
    )


def row(report: dict, early: bool, multipliers: str) -> str:
    """A machine's line: what its counters said."""
    cycles = (f"{report[name]:,.0f}" for name in ("conv_cycles", "fc_cycles", "latency_cycles", "interval_cycles"))
    return COLUMNS.format(multipliers, "yes" if early else "no", report["images"], *cycles, "equal")


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify.sizes")
