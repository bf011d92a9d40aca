"""Independent pieces of work; here those of `measure` and `explore`: one synthesis, or one place and route. Those of
`compare` are in `trials`, that of ``compress --seeds`` in `training`.

A unit is a frozen record; `run_unit` does it and keeps its result in the content cache, `known_unit` looks there. A
process or a machine that dies has cost the unit it was at, nothing else.

The results are kept twice: under the hash of the Verilog and the tools that made them, and under the hash of this
project's sources, the network and the size, so that a second call need not even generate the Verilog. Contents of the
weight memories are no part of either: block RAM is block RAM whatever is in it (`tests/sim/test_units.py`).

In a process of its own: ``python -P -m fivebyfive.sim.units UNIT.json``; exit code 3 and a message on standard output
where a tool fails, 4 where the RTL differs.
"""

import gzip
import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from filelock import FileLock

import fivebyfive.hw
import fivebyfive.model
import fivebyfive.sim
from fivebyfive.hw.yosys import YosysError
from fivebyfive.model.config import Config
from fivebyfive.model.errors import DIFFERS, Failure, UserError
from fivebyfive.model.files import replacing
from fivebyfive.model.measurement import size_text
from fivebyfive.model.parts import PARTS
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.temporary import working_folder

from .cache import cache_folder, content_key, keep, known
from .nextpnr import ToolFailed, nextpnr_version, options, route

if TYPE_CHECKING:
    from fivebyfive.hw.verilog import Design

__all__ = [
    "DIFFERENT", "FAILED", "Routing", "Synthesis", "Unit", "digest_of", "from_json", "known_unit", "run_unit",
    "sources_digest", "to_json",
]  # fmt: skip

KIND = "measurements"  # folder of the cache
HOMES = {"Synthesis": "units", "Routing": "units", "Appraisal": "trials", "Trial": "trials", "Training": "training"}
# Exit codes of a unit's process, where doing it again would not help: its tool failed; the RTL is not right.
FAILED, DIFFERENT = 3, 4


@dataclass(frozen=True)
class Unit:
    """What its result depends on: the fields, which are plain values or a `Config`, the versions of its ``tools``, and
    the project's ``sources``, of which there is a digest. A kind has its module's name in `HOMES`."""

    @property
    def tools(self) -> tuple[str, ...]:
        return ()

    @classmethod
    def sources(cls) -> str:
        return sources_digest()

    def work(self) -> dict:
        """Do it; the result, which JSON can hold. Raises ToolFailed where a tool fails, UserError where it is missing
        or cannot be used, RtlDiffers."""
        raise NotImplementedError


@dataclass(frozen=True)
class Synthesis(Unit):
    """A network on a machine, for a device family."""

    network: str
    config: Config
    family: str

    @property
    def tools(self) -> tuple[str, ...]:
        return (f"pyosys {version('pyosys')}",)

    def work(self) -> dict:
        """lut, lutram, ff, dsp, bram, cells, memories and tools."""
        return synthesis_result(self)

    def __str__(self) -> str:
        return f"synthesis for {self.family} of {self.network}, {size_text(self.config, separator='')}"


@dataclass(frozen=True)
class Routing(Unit):
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

    def work(self) -> dict:
        """seed, fmax_mhz, path, path_ns, logic_ns and tools."""
        return routing_result(self)

    def __str__(self) -> str:
        return f"routing on {self.part} of {self.network}, {size_text(self.config, separator='')}, seed {self.seed}"


def known_unit(unit: Unit) -> dict | None:
    """The result of a unit that was done before, with the same sources and tools."""
    return known(source_path(unit))


def keep_unit(unit: Unit, result: dict) -> None:
    """Keep a result that another machine has found."""
    keep(source_path(unit), result)


def run_unit(unit: Unit) -> dict:
    """Do a unit, or find it done; its result as it is kept.

    Two processes never do the same at once. Raises what `Unit.work` raises.
    """
    path = source_path(unit)
    with FileLock(f"{path}.lock"):
        result = known(path)
        if result is None:
            result = unit.work()
            keep(path, result)
    return result


def synthesis_result(unit: Synthesis) -> dict:
    return synthesized(generate_design(unit), unit)[0]


def synthesized(design: "Design", unit: Synthesis | Routing) -> tuple[dict, Path]:
    """Result of the synthesis of a design for the family of ``unit``; and its netlist in the harness, gzipped."""
    from .harness import core_verilog, harness_verilog
    from .synthesis import FAMILIES

    family = FAMILIES[unit.family]
    script = "\n".join([*family.commands, *family.listing])
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


def synthesize_into(design: "Design", unit: Synthesis | Routing, kept: Path | None) -> dict:
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


def generate_design(unit: Synthesis | Routing) -> "Design":
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
    texts = type(unit).__name__, json.dumps(asdict(unit), sort_keys=True), unit.sources(), *unit.tools
    return cache_folder(KIND) / f"unit-{content_key(texts)}.json"


def sources_digest() -> str:
    """SHA-256 of the sources that the Verilog and its way through the tools depend on."""
    own = tuple((fivebyfive.sim, f"{name}.py") for name in ("harness", "nextpnr", "synthesis"))
    return digest_of((fivebyfive.hw, "*.py"), (fivebyfive.model, "*.py"), *own)


@cache
def digest_of(*sources: tuple[ModuleType, str]) -> str:
    """SHA-256 of the files of rooms whose names match patterns, and of Amaranth's version."""
    digest = hashlib.sha256(version("amaranth").encode())
    for room, pattern in sources:
        folder = Path(room.__path__[0])
        for path in sorted(folder.glob(pattern)):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def to_json(unit: Unit) -> str:
    return json.dumps({"kind": type(unit).__name__, "sources": unit.sources()} | asdict(unit))


def from_json(text: str) -> Unit:
    """The unit that `to_json` wrote. Raises UserError where another version of this project wrote it."""
    about = json.loads(text)
    kind, sources = about.pop("kind"), about.pop("sources")
    made = getattr(import_module(f"fivebyfive.sim.{HOMES[kind]}"), kind) if kind in HOMES else Unit
    if sources != made.sources():
        raise UserError("this worker runs another version of fivebyfive or Amaranth: install the same on all machines")
    return made(**about | ({"config": Config(**about["config"])} if "config" in about else {}))


def main() -> int:
    try:
        run_unit(from_json(Path(sys.argv[1]).read_text()))
    except (Failure, OSError, MemoryError) as error:
        print(str(error) or "the memory ran out")
        return DIFFERENT if getattr(error, "exit_code", None) == DIFFERS else FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
