"""The independent pieces of work of `measure` and `explore`: one synthesis, or one place and route.

A unit is a frozen record; `run_unit` does it and keeps its result in the content cache, `known_unit` looks there. A
process or a machine that dies has cost the unit it was at, nothing else.

The results are kept twice: under the hash of the Verilog and the tools that made them, and under the hash of this
project's sources, the network and the size, so that a second call need not even generate the Verilog. Contents of the
weight memories are no part of either: block RAM is block RAM whatever is in it (`tests/sim/test_units.py`).

In a process of its own: ``python -P -m fivebyfive.sim.units UNIT.json``; exit code 3 and a message on standard output
where a tool fails.
"""

import gzip
import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

import fivebyfive.hw
import fivebyfive.model
from fivebyfive.hw.yosys import YosysError
from fivebyfive.model.config import Config
from fivebyfive.model.errors import UserError
from fivebyfive.model.files import replacing
from fivebyfive.model.measurement import size_text
from fivebyfive.model.parts import PARTS
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.temporary import working_folder

from .cache import cache_folder, content_key, keep, known
from .nextpnr import ToolFailed, nextpnr_version, options, route

if TYPE_CHECKING:
    from fivebyfive.hw.verilog import Design

__all__ = ["FAILED", "Routing", "Synthesis", "Unit", "from_json", "known_unit", "run_unit", "to_json"]

KIND = "measurements"  # folder of the cache
FAILED = 3  # exit code of a unit's process whose tool failed: doing it again would not help


@dataclass(frozen=True)
class Synthesis:
    """A network on a machine, for a device family."""

    network: str
    config: Config
    family: str

    @property
    def tools(self) -> tuple[str, ...]:
        return (f"pyosys {version('pyosys')}",)

    def __str__(self) -> str:
        return f"synthesis for {self.family} of {self.network}, {size_text(self.config, separator='')}"


@dataclass(frozen=True)
class Routing:
    """A network on a machine, placed and routed on a part with a seed."""

    network: str
    config: Config
    part: str
    seed: int

    @property
    def family(self) -> str:
        return PARTS[self.part].family

    @property
    def tools(self) -> tuple[str, ...]:
        return f"pyosys {version('pyosys')}", nextpnr_version()

    def __str__(self) -> str:
        return f"routing on {self.part} of {self.network}, {size_text(self.config, separator='')}, seed {self.seed}"


Unit = Synthesis | Routing


def known_unit(unit: Unit) -> dict | None:
    """The result of a unit that was done before, with the same sources and tools."""
    return known(source_path(unit))


def keep_unit(unit: Unit, result: dict) -> None:
    """Keep a result that another machine has found."""
    keep(source_path(unit), result)


def run_unit(unit: Unit) -> dict:
    """Do a unit, or find it done; its result as it is kept.

    A synthesis has lut, lutram, ff, dsp, bram and cells; a routing seed, fmax_mhz, path, path_ns and logic_ns; both
    tools. Two processes never do the same at once. Raises ToolFailed where a tool fails, UserError where it is missing.
    """
    path = source_path(unit)
    with FileLock(f"{path}.lock"):
        result = known(path)
        if result is None:
            result = synthesis_result(unit) if isinstance(unit, Synthesis) else routing_result(unit)
            keep(path, result)
    return result


def synthesis_result(unit: Synthesis) -> dict:
    return synthesized(generate_design(unit), unit)[0]


def synthesized(design: "Design", unit: Unit) -> tuple[dict, Path]:
    """Result of the synthesis of a design for the family of ``unit``; and its netlist in the harness, gzipped."""
    from .harness import core_verilog, harness_verilog
    from .synthesis import FAMILIES

    script = "\n".join(FAMILIES[unit.family].commands)
    texts = core_verilog(design), harness_verilog(design), script, unit.tools[0]
    root = cache_folder(KIND)
    path = root / f"synthesis-{unit.family}-{content_key((design.verilog, *texts))}.json"
    netlist = path.with_suffix(".netlist.gz")
    wanted = unit.family == "ecp5"  # what can be routed
    with FileLock(f"{path}.lock"):
        result = known(path)
        if result is None or (wanted and not netlist.is_file()):
            result = synthesize_into(design, unit, netlist if wanted else None)
            keep(path, result)
    return result, netlist


def synthesize_into(design: "Design", unit: Unit, kept: Path | None) -> dict:
    from .synthesis import synthesize_core

    with working_folder() as folder:
        netlist = folder / "netlist.json"
        try:
            area = synthesize_core(design, unit.family, netlist=netlist if kept else None)
        except YosysError as error:
            raise ToolFailed(f"{unit}: {error}") from error
        if kept:
            with replacing(kept) as file:
                file.write(gzip.compress(netlist.read_bytes(), 3))
    return asdict(area) | {"tools": list(unit.tools[:1])}


def routing_result(unit: Routing) -> dict:
    part = PARTS[unit.part]
    design = generate_design(unit)
    netlist = synthesized(design, unit)[1]
    texts = netlist.name, *unit.tools, *options(part, unit.seed)
    path = cache_folder(KIND) / f"routing-{unit.part}-{content_key(texts)}.json"
    result = known(path)
    if result is None:
        with working_folder() as folder:
            plain = folder / "netlist.json"
            plain.write_bytes(gzip.decompress(netlist.read_bytes()))
            result = asdict(route(plain, part, unit.seed)) | {"seed": unit.seed, "tools": list(unit.tools)}
        keep(path, result)
    return result


def generate_design(unit: Unit) -> "Design":
    """Verilog of the whole accelerator; its weights are zero, which changes the contents of block RAM alone."""
    from fivebyfive.hw.accelerator import Accelerator  # here: what is known is found without Amaranth
    from fivebyfive.hw.generate import TOP
    from fivebyfive.hw.verilog import to_verilog

    try:
        return to_verilog(Accelerator(LeNetShape.parse(unit.network), unit.config), TOP)
    except YosysError as error:
        raise ToolFailed(f"Verilog of {unit.network}: {error}") from error


def source_path(unit: Unit) -> Path:
    """Where the result of a unit is kept, by all that it depends on."""
    texts = type(unit).__name__, json.dumps(asdict(unit), sort_keys=True), sources_digest(), *unit.tools
    return cache_folder(KIND) / f"unit-{content_key(texts)}.json"


@cache
def sources_digest() -> str:
    """SHA-256 of the sources that the Verilog and its way through the tools depend on."""
    files = [path for room in (fivebyfive.hw, fivebyfive.model) for path in sorted(Path(room.__path__[0]).glob("*.py"))]
    files += [Path(__file__).with_name(name) for name in ("harness.py", "nextpnr.py", "synthesis.py")]
    digest = hashlib.sha256(version("amaranth").encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def to_json(unit: Unit) -> str:
    return json.dumps({"kind": type(unit).__name__, "sources": sources_digest()} | asdict(unit))


def from_json(text: str) -> Unit:
    """The unit that `to_json` wrote. Raises UserError where another version of this project wrote it."""
    about = json.loads(text)
    kind, sources = about.pop("kind"), about.pop("sources")
    if sources != sources_digest():
        raise UserError("this worker runs another version of fivebyfive or Amaranth: install the same on all machines")
    return {"Synthesis": Synthesis, "Routing": Routing}[kind](**about | {"config": Config(**about["config"])})


def main() -> int:
    try:
        run_unit(from_json(Path(sys.argv[1]).read_text()))
    except (ToolFailed, UserError) as error:
        print(error)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
