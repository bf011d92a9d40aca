"""MNIST test images through the AXI core between independent bus models, stalls on every channel; a log of it.

`make verify-axi` runs this as ``python -m fivebyfive.verify.axi --log docs/verify-axi.log``. Icarus simulates some
hundred cycles a second of this: there a small network of random weights takes the place of the shipped one.
"""

import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np

from fivebyfive.hw.axi.axi_core import AxiCore
from fivebyfive.hw.axi.vivado import TOP
from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.description import written
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.shape import LeNetShape
from fivebyfive.output.provenance import checkpoint_input, lines, verilog_input
from fivebyfive.output.terminal import Commands, say
from fivebyfive.sim.simulator.process import kept_if_failed
from fivebyfive.sim.simulator.runner import Run, build, run
from fivebyfive.sim.simulator.simulators import find

from .log import log_of, log_option, tools, write_log

__all__ = ["CASES", "Case", "case_checkpoint", "main", "verify"]

STALLS = 0.3  # probability of a stall, of each channel in each cycle
SEED = 1
TIMEOUT_S = 6 * 3600
SMALL = LeNetShape(2, 1, (10,))


@dataclass(frozen=True)
class Case:
    """What to simulate: the shipped network, or a small one, of a size, on a simulator."""

    simulator: str
    shipped: bool
    pixel_bytes: int
    conv_pes: int = 1
    fc_rows: int = 1

    @property
    def name(self) -> str:
        """What pages call the core."""
        network = "lenet" if self.shipped else str(SMALL)
        return f"axi core of {network}, {self.conv_pes} PEs, {self.fc_rows} rows, {8 * self.pixel_bytes} bits"


CASES = (
    Case("verilator", True, 4, 50, 13),
    Case("verilator", True, 1, 50, 13),
    Case("icarus", False, 4),
)


@click.group(name="verify-axi", cls=Commands, invoke_without_command=True)
@log_option("build/verify-axi.log")
@click.option("--images", type=click.IntRange(1, 10_000), default=200, show_default=True)
@click.option("--simulator", type=click.Choice(["verilator", "icarus"]), help="Only this one.")
def main(log: Path, images: int, simulator: str | None) -> None:
    """Compare the AXI core's results with the golden model on MNIST test images; write a log."""
    texts = []
    for case in CASES:
        if simulator in (None, case.simulator):
            texts.append(verify(case, images))
            say(texts[-1])
    write_log(log, "\n".join(texts), echo=False)


def case_checkpoint(case: Case) -> Checkpoint:
    """The network of a case."""
    return load_checkpoint() if case.shipped else Checkpoint.random(SMALL, SEED)


def verify(case: Case, images: int) -> str:
    """The log of a case in which everything was equal and every rule held. Raises SimulationFailed otherwise."""
    started = time.monotonic()
    checkpoint = case_checkpoint(case)
    config = sized(checkpoint.network, conv_pes=case.conv_pes, fc_rows=case.fc_rows)
    core = AxiCore(checkpoint.network, config, pack(checkpoint, config), case.pixel_bytes, checkpoint.tables)
    built = build(to_verilog(core, TOP), case.simulator)
    with kept_if_failed() as folder:
        built.design.write(folder)
        np.save(folder / "pixels.npy", load_dataset().images[:images])
        given = parameters(checkpoint, config, case) | {"pixels": str(folder / "pixels.npy")}
        done = run(
            built, "fivebyfive.sim.benches.axi.axi_core", folder, parameters=given, tests=["images"], seed=SEED,
            timeout_s=TIMEOUT_S,
        )  # fmt: skip
    measured = verilog_input(case.name, built.design)
    measured |= checkpoint_input(SHIPPED.stem, checkpoint) if case.shipped else {}
    return log_text(case, checkpoint, done, images, time.monotonic() - started) + lines(measured)


def parameters(checkpoint: Checkpoint, config: Config, case: Case) -> dict:
    """What `fivebyfive.sim.benches.axi.axi_core` is to know."""
    network = checkpoint.network
    cycles = plan(network, config)
    return {
        "network": written(network), "seed": SEED, "config": asdict(config),
        "checkpoint": str(SHIPPED) if case.shipped else None, "pixel_bytes": case.pixel_bytes, "stalls": STALLS,
        "image_cycles": max(network.pixels, cycles.conv, cycles.fc),
    }  # fmt: skip


def log_text(case: Case, checkpoint: Checkpoint, done: Run, images: int, total_s: float) -> str:
    """A case's lines of the log: what ran, on what, and what came out. No date, no path."""
    about = {
        "network": f"{checkpoint.summary}, {'shipped' if case.shipped else 'random codes'}, sha256 {checkpoint.digest}",
        "size": f"--conv-pes {case.conv_pes} --fc-rows {case.fc_rows}, {8 * case.pixel_bytes} bits of pixels",
    }
    run = {
        "bus models": f"cocotbext-axi {version('cocotbext-axi')}, cocotb {version('cocotb')}",
        "images": f"{images}, the first of the MNIST test set",
        "stalls": f"{STALLS:.0%} of the cycles of each of seven channels, seed {SEED}",
        "compared": "logits, class and frame number of each image; counters; the rules of AXI at every edge",
        "equal": "all",
        "simulated in": f"{done.seconds:.0f} s",
        "seconds": f"{total_s:.0f}, with compilation",
    }
    return log_of(about | tools(find(case.simulator).version) | run)


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify.axi")
