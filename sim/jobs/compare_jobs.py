"""The jobs of `compare`: what the golden model says of a checkpoint, and what its hardware does."""

from dataclasses import dataclass
from typing import ClassVar

from fivebyfive.hw.codegen.yosys import YosysError
from fivebyfive.model.data.datasets import fit_images
from fivebyfive.model.description import read_network
from fivebyfive.model.machine.config import Config
from fivebyfive.model.shape import summary
from fivebyfive.sim.fpga.nextpnr import ToolFailed
from fivebyfive.sim.simulator.process import RtlDiffers, SimulationFailed
from fivebyfive.sim.simulator.simulators import find
from fivebyfive.support.errors import DIFFERS

from .job import Job, installed
from .transport import checkpoint_of, load_same

__all__ = ["ErrorCount", "GoldenRun", "RtlRun"]

SIMULATOR = "verilator"
SEED = 1  # a run without pauses has nothing that is random


@dataclass(frozen=True)
class GoldenRun(Job):
    """A checkpoint (`transport`) on a test set, and how few bytes hold it."""

    RESULT: ClassVar = {
        "images": int, "errors": int, "wraps": int, "bytes": int, "huffman_bytes": int,
    }  # fmt: skip

    network: str
    codes: str
    data: str
    digest: str

    @property
    def tools(self) -> dict[str, str]:
        return {name: installed(name) for name in ("numpy", "constriction", "bitarray")}

    def work(self) -> dict:
        """images, errors, wraps, bytes and huffman_bytes."""
        return golden_run_result(self)

    def __str__(self) -> str:
        return f"errors and bytes of {summary(read_network(self.network))}"


@dataclass(frozen=True)
class ErrorCount(Job):
    """A checkpoint (`transport`) on a further test set."""

    RESULT: ClassVar = {"images": int, "errors": int}

    network: str
    codes: str
    data: str
    digest: str

    @property
    def tools(self) -> dict[str, str]:
        return {"numpy": installed("numpy")}

    def work(self) -> dict:
        """images and errors."""
        from fivebyfive.model.evaluate import evaluate

        seen = evaluate(checkpoint_of(self.network, self.codes), load_same(self.data, "test", self.digest))
        return {"images": seen.images, "errors": seen.errors}

    def __str__(self) -> str:
        return f"errors of {summary(read_network(self.network))} on {self.data}"


@dataclass(frozen=True)
class RtlRun(Job):
    """The hardware of a checkpoint, simulated on the first ``images`` of a test set."""

    RESULT: ClassVar = {
        "conv": int, "fc": int, "latency": int, "interval": float, "images": int, "tools": list[str],
    }  # fmt: skip

    network: str
    codes: str
    config: Config
    data: str
    digest: str
    images: int

    @property
    def tools(self) -> dict[str, str]:
        packages = {name: installed(name) for name in ("amaranth", "pyosys", "numpy", "cocotb")}
        return packages | {"the simulator": find(SIMULATOR).version}

    def work(self) -> dict:
        """conv, fc, latency, interval (cycles, hardware counters), images and tools."""
        return rtl_run_result(self)

    def __str__(self) -> str:
        return f"simulation of {summary(read_network(self.network))}"


def golden_run_result(job: GoldenRun) -> dict:
    from fivebyfive.model.compress.packing.packed import pack
    from fivebyfive.model.evaluate import evaluate

    checkpoint = checkpoint_of(job.network, job.codes)
    seen = evaluate(checkpoint, load_same(job.data, "test", job.digest))
    packed = pack(checkpoint)
    found = {"images": seen.images, "errors": seen.errors, "wraps": sum(seen.wraps.values())}
    return found | {"bytes": packed.bytes, "huffman_bytes": packed.huffman_bytes}


def rtl_run_result(job: RtlRun) -> dict:
    """Raises RtlDiffers where the RTL is not equal to the golden model, or hangs."""
    from fivebyfive.hw.generate import generate  # here: what is known is found without Amaranth
    from fivebyfive.sim.simulate import simulate

    checkpoint = checkpoint_of(job.network, job.codes)
    pixels = fit_images(load_same(job.data, "test", job.digest).images[: job.images], checkpoint.network.input)
    try:
        generated = generate(checkpoint, job.config)
        result = simulate(checkpoint, generated, pixels, simulator=SIMULATOR, layers=False, seed=SEED)
    except (SimulationFailed, YosysError) as error:
        kind = RtlDiffers if error.exit_code == DIFFERS else ToolFailed
        raise kind(f"{job}: {getattr(error, 'message', error)}") from error
    if result.difference:
        raise RtlDiffers(f"{job}: the RTL differs from the golden model: {result.difference}")
    seen = result.cycles
    found = {"conv": seen.conv, "fc": seen.fc, "latency": seen.latency, "interval": seen.interval}
    return found | {"images": result.images, "tools": [find(SIMULATOR).version]}
