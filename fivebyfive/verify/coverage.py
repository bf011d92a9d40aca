"""What the benches exercise of the Verilog: blocks that ran and bits that toggled, of each component and of the shipped
LeNet's machine; a log of it.

`make coverage` runs this as ``python -m fivebyfive.verify.coverage --log docs/coverage.log``.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click

from fivebyfive.api import load
from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.model.checkpoint import SHIPPED
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.output.provenance import checkpoint_input, lines
from fivebyfive.output.terminal import Commands, say
from fivebyfive.sim.quality.coverage import FILE, Coverage, ranges, read_coverage
from fivebyfive.sim.quality.coverage_exclusions import of_another_bench, reason
from fivebyfive.sim.quality.small_machines import SMALL_MACHINES, bench_of
from fivebyfive.sim.simulator.process import kept_if_failed
from fivebyfive.sim.simulator.runner import build, run
from fivebyfive.sim.simulator.simulators import find

from . import machines
from .log import log_of, log_option, tools, write_log
from .machines import verilog_inputs

__all__ = ["bench_coverage", "main"]

SEED = 1
TIMEOUT_S = 3600
LENET = "the shipped LeNet"
ROW = "{:<22} {:>7} {:>7} {:>8} {:>8} {:>12}\n"
HEADER = ("component", "blocks", "ran", "toggles", "seen", "unexplained")


@click.group(name="verify-coverage", cls=Commands, invoke_without_command=True)
@log_option("build/coverage.log")
@click.option("--images", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Of the shipped LeNet.")
@click.option("--only", multiple=True, metavar="COMPONENT", help="Again for several; all by default, and the LeNet.")
def main(log: Path, images: int, only: Sequence[str]) -> None:
    """Measure what the benches exercise of each component's Verilog; write a log."""
    started = time.monotonic()
    measured = {}
    for make in SMALL_MACHINES:
        if not only or make.__name__ in only:
            measured[make.__name__] = bench_coverage(make)
            say(row(make.__name__, measured[make.__name__]).rstrip())
    if not only:
        measured[LENET] = lenet_coverage(images)
    text = log_text(measured, images, time.monotonic() - started) + "\n" + lines(measured_inputs(measured))
    write_log(log, text)


def measured_inputs(measured: Iterable[str]) -> dict[str, str]:
    """What the log records: the Verilog of each component, and the LeNet's."""
    shipped = checkpoint_input(SHIPPED.stem, load().checkpoint) if LENET in measured else {}
    return verilog_inputs(machines.LENET if name == LENET else name for name in measured) | shipped


def bench_coverage(make: Callable) -> Coverage:
    """Coverage of a small machine by its bench. Raises SimulationFailed where the bench fails."""
    component, given = make()
    built = build(to_verilog(component, make.__name__), "verilator", coverage=True)
    with kept_if_failed() as folder:
        built.design.write(folder)
        run(built, bench_of(make), folder, parameters=given, seed=SEED, timeout_s=TIMEOUT_S)
        return read_coverage(folder / FILE, built.design.verilog)


def lenet_coverage(images: int) -> Coverage:
    """Coverage of the shipped LeNet's machine by MNIST test images, with pauses on both sides."""
    pixels = load_dataset().images[:images]
    done = load().accelerator().simulate(pixels, pause=0.1, seed=SEED, coverage=True)
    assert done.coverage, done.difference
    return done.coverage


def row(name: str, coverage: Coverage) -> str:
    (ran, blocks), (seen, toggles) = coverage.blocks, coverage.toggles
    return ROW.format(name, f"{blocks:,}", f"{ran:,}", f"{toggles:,}", f"{seen:,}", len(unexplained(coverage)))


def unexplained(coverage: Coverage) -> list[str]:
    """What was never seen, and why nobody knows."""
    return [what for what in never(coverage) if not reason(what)]


def never(coverage: Coverage) -> list[str]:
    """What was never seen: blocks, and bits of signals; parts that have benches of their own are left out."""
    blocks = {f"{point.module}:{point.line} {point.what}: {point.text}": point.module for point in coverage.never_run}
    bits = {f"{name}.{signal}[{ranges(of)}]": name for (name, signal), of in coverage.never_toggled.items()}
    return [what for what, module in (blocks | bits).items() if not of_another_bench(module)]


def log_text(measured: dict[str, Coverage], images: int, seconds: float) -> str:
    """The log: a table, then what was never seen, by its reason."""
    about = {**tools(find("verilator").version), "seed": str(SEED), LENET: f"{images} MNIST test images, pauses",
             "seconds": f"{seconds:.0f}"}  # fmt: skip
    parts = [log_of(about), "\n", ROW.format(*HEADER), *(row(*one) for one in measured.items())]
    for name, coverage in measured.items():
        by_reason: dict[str, list[str]] = {}
        for what in never(coverage):
            by_reason.setdefault(reason(what) or "NOT EXPLAINED", []).append(what)
        for why, found in sorted(by_reason.items()):
            parts.append(f"\n{name}, never seen: {why}\n")
            parts += [f"  {what}\n" for what in found]
    return "".join(parts)


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify.coverage")
