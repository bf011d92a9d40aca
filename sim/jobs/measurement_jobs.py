"""The jobs (`job`) of `measure` and `explore`: one synthesis, or one place and route.

The results are kept twice: as those of jobs, so that a second call need not even generate the Verilog; and under the
hash of the Verilog, the tools and the modules that run them, so that a changed source that gives the same Verilog costs
nothing. Contents of the weight memories are no part of either: block RAM is block RAM whatever is in it
(`tests/sim/jobs/test_measurement_jobs.py`). A table is logic, which depends on its codes: jobs have them.
"""

import gzip
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from filelock import FileLock

from fivebyfive.hw.codegen.yosys import YosysError
from fivebyfive.model.description import read_network
from fivebyfive.model.estimates.measurement import size_text
from fivebyfive.model.estimates.parts import PARTS
from fivebyfive.model.machine.config import Config
from fivebyfive.model.shape import summary
from fivebyfive.sim.fpga import nextpnr
from fivebyfive.sim.fpga.nextpnr import ToolFailed, nextpnr_version, options, route
from fivebyfive.sim.simulator.cache import cache_folder, content_key, keep, known
from fivebyfive.support.files import replacing
from fivebyfive.support.temporary import working_folder

from . import sources
from .job import KIND, Job, conform, installed
from .tables import tables_of

if TYPE_CHECKING:
    from fivebyfive.hw.codegen.verilog import Design

__all__ = ["Routing", "Synthesis"]

AREA = {
    "family": str, "lut": int, "lutram": int, "ff": int, "dsp": int, "bram": float, "cells": dict[str, int],
    "memories": dict[str, float], "tools": list[str],
}  # fmt: skip
ROUTED = {
    "fmax_mhz": float, "path": list[str], "path_ns": float, "logic_ns": float, "seed": int, "tools": list[str],
}  # fmt: skip


@dataclass(frozen=True)
class Synthesis(Job):
    """A network on a machine, for a device family. ``tables``: of its layers (`tables.tables_text`)."""

    RESULT: ClassVar = AREA

    network: str
    config: Config
    family: str
    tables: str = ""

    @property
    def tools(self) -> dict[str, str]:
        return {"amaranth": installed("amaranth"), "pyosys": installed("pyosys")}

    def work(self) -> dict:
        """lut, lutram, ff, dsp, bram, cells, memories and tools."""
        return synthesis_result(self)

    def __str__(self) -> str:
        return f"synthesis for {self.family} of {in_words(self.network)}, {size_text(self.config, separator='')}"


@dataclass(frozen=True)
class Routing(Job):
    """A network on a machine, placed and routed on a part with a seed. ``tables``: as of `Synthesis`."""

    RESULT: ClassVar = ROUTED

    network: str
    config: Config
    part: str
    seed: int
    tables: str = ""

    @property
    def family(self) -> str:
        return PARTS[self.part].family

    @property
    def tools(self) -> dict[str, str]:
        return {"amaranth": installed("amaranth"), "pyosys": installed("pyosys"), "nextpnr": nextpnr_version()}

    def work(self) -> dict:
        """seed, fmax_mhz, path, path_ns, logic_ns and tools."""
        return routing_result(self)

    def __str__(self) -> str:
        size = size_text(self.config, separator="")
        return f"routing on {self.part} of {in_words(self.network)}, {size}, seed {self.seed}"


@dataclass(frozen=True)
class Netlist:
    """What Yosys made of a design: ``area``, as a result has it; ``name``, which stands for all that went into it; and
    ``packed``, the netlist in the harness, gzipped, for families that can be routed."""

    area: dict
    name: str
    packed: bytes | None


def synthesis_result(job: Synthesis) -> dict:
    return synthesized(generate_design(job), job).area


def synthesized(design: "Design", job: Synthesis | Routing) -> Netlist:
    """The synthesis of a design for the family of ``job``, from the cache where it is there."""
    from fivebyfive.sim.fpga import synthesis
    from fivebyfive.sim.fpga.harness import core_verilog, harness_verilog

    family = synthesis.FAMILIES[job.family]
    script = "\n".join([*family.commands, *family.listing])
    texts = core_verilog(design), harness_verilog(design), script, yosys(), sources.digest(synthesis.__name__)
    path = cache_folder(KIND) / f"synthesis-{job.family}-{content_key((design.verilog, job.tables, *texts))}.json"
    netlist = path.with_suffix(".netlist.gz")
    routable = job.family == "ecp5"
    with FileLock(f"{path}.lock"):
        found = known(path, lambda kept: check_netlist(kept, netlist if routable else None))
        if found is None:
            found = synthesize_into(design, job, netlist if routable else None)
            keep(path, found)
        return Netlist(found["area"], path.stem, netlist.read_bytes() if routable else None)


def check_netlist(kept: dict, netlist: Path | None) -> None:
    """Raise ValueError where that is no result of `synthesize_into`, or its netlist is not the one it has left."""
    conform(kept, {"area": dict, "netlist": str | None})
    conform(kept["area"], AREA)
    if netlist and (not netlist.is_file() or sha256(netlist.read_bytes()) != kept["netlist"]):
        raise ValueError("its netlist is missing or another one")


def synthesize_into(design: "Design", job: Synthesis | Routing, kept: Path | None) -> dict:
    """``area``, and the SHA-256 of what is left in ``kept``, as ``netlist``."""
    from fivebyfive.sim.fpga.synthesis import synthesize_core

    packed = None
    with working_folder() as folder:
        netlist = folder / "netlist.json"
        try:
            area = synthesize_core(design, job.family, netlist=netlist if kept else None)
        except YosysError as error:
            raise ToolFailed(f"{job}: {error}") from error
        if kept:
            packed = gzip.compress(netlist.read_bytes(), 3)
            with replacing(kept) as file:
                file.write(packed)
    return {"area": asdict(area) | {"tools": [yosys()]}, "netlist": packed and sha256(packed)}


def routing_result(job: Routing) -> dict:
    part = PARTS[job.part]
    netlist = synthesized(generate_design(job), job)
    assert netlist.packed
    texts = netlist.name, nextpnr_version(), *options(part, job.seed), sources.digest(nextpnr.__name__)
    path = cache_folder(KIND) / f"routing-{job.part}-{content_key(texts)}.json"
    result = known(path, job.check)
    if result is None:
        with working_folder() as folder:
            plain = folder / "netlist.json"
            plain.write_bytes(gzip.decompress(netlist.packed))
            tools = [yosys(), nextpnr_version()]
            result = asdict(route(plain, part, job.seed)) | {"seed": job.seed, "tools": tools}
        keep(path, result)
    return result


def generate_design(job: Synthesis | Routing) -> "Design":
    """Verilog of the whole accelerator; its weights are zero, which changes the contents of block RAM alone."""
    from fivebyfive.hw.accelerator import Accelerator  # here: what is known is found without Amaranth
    from fivebyfive.hw.codegen.verilog import to_verilog
    from fivebyfive.hw.generate import TOP

    try:
        return to_verilog(Accelerator(read_network(job.network), job.config, tables=tables_of(job.tables)), TOP)
    except YosysError as error:
        raise ToolFailed(f"Verilog of {in_words(job.network)}: {error}") from error


def in_words(network: str) -> str:
    """A network of a job as people read it."""
    return summary(read_network(network))


def yosys() -> str:
    """Yosys and its version, as results tell it."""
    return f"pyosys {installed('pyosys')}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
