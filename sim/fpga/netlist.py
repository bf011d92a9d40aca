"""After synthesis: a design as the cells of a device family, to be simulated in its place.

The netlist is what Yosys makes with the command of `fivebyfive.sim.fpga.synthesis`, as it is placed and routed
(`fivebyfive.sim.fpga.physical_synthesis`), and its cells are the simulation models that come with Yosys. Yosys only
declares block RAM and the multiplier of ECP5; what they do is in ``cells/`` and ours.
"""

import importlib.util
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

from fivebyfive.hw.codegen.verilog import Design
from fivebyfive.hw.codegen.yosys import run_yosys
from fivebyfive.support.errors import UserError
from fivebyfive.support.temporary import working_folder

from .physical_synthesis import physical_synthesis
from .synthesis import COUNT, count_cells, run_synthesis

__all__ = ["LIBRARIES", "OURS", "find_family", "synthesized"]

CELLS = Path(__file__).with_name("cells")
LIBRARIES = {"xc7": "xilinx/cells_sim.v", "ecp5": "lattice/cells_sim_ecp5.v lattice/cells_bb_ecp5.v"}
OURS = tuple(sorted(path.stem for path in CELLS.glob("*.vh")))  # cells that do what our file says
MODULE = re.compile(r"^module\s+\\?(\S+?)\s*[#(].*?\bendmodule\b", re.M | re.S)


def find_family(name: str) -> str:
    """``name``, if it is a device family. Raises UserError."""
    if name not in LIBRARIES:
        families = " and ".join(sorted(LIBRARIES))
        raise UserError(f"there is no device family {name!r} whose cells can be simulated; there is {families}")
    return name


def synthesized(design: Design, family: str) -> tuple[Design, dict[str, int]]:
    """``design`` with the Verilog of its netlist, models of the cells included, and how many cells of each type it has.

    Ports and name are the same. Two minutes for the shipped network. The contents of its memories are in the netlist:
    the .mem files stay in the design, and nothing reads them. Raises UserError for an unknown family, YosysError where
    Yosys fails.
    """
    find_family(family)
    with working_folder() as place:
        design.write(place)
        run_synthesis(place, f"{design.name}.v", design.name, family, ["write_json mapped.json"])
        physical_synthesis(place / "mapped.json", place / "placed.json")
        # A net for each bit, or the bits of a carry chain look like a loop. No cell changes.
        run_yosys(["read_json placed.json", *COUNT, "splitnets", "write_verilog -noattr netlist.v"], place)
        cells = count_cells((place / "cells.json").read_text(), design.name)
        netlist = (place / "netlist.v").read_text()
    return replace(design, verilog=netlist + cells_of(netlist, family)), dict(sorted(cells.items()))


def cells_of(netlist: str, family: str) -> str:
    """The modules that a netlist needs, and those that they need."""
    library = modules(family)
    found: dict[str, str] = {}
    texts = [netlist]
    while texts:
        words = set(re.findall(r"\w+", texts.pop()))
        new = sorted(name for name in words & library.keys() - found.keys())
        found |= {name: library[name] for name in new}
        texts += [library[name] for name in new]
    return "\n".join(["", *found.values(), ""])


@cache
def modules(family: str) -> dict[str, str]:
    """Every module of a family: Yosys's, with our inside where we have one."""
    spec = importlib.util.find_spec("pyosys")
    assert spec is not None
    assert spec.origin is not None
    share = Path(spec.origin).parent / "share"
    files = [share / name for name in LIBRARIES[family].split()]
    text = "".join(include(path) for path in files) + (CELLS / "block_ram.v").read_text()
    found: dict[str, str] = {}
    for match in MODULE.finditer(text):
        found.setdefault(match[1], match[0])
    for name in set(OURS) & found.keys():
        inside = (CELLS / f"{name}.vh").read_text()
        found[name] = found[name].removesuffix("endmodule") + inside + "endmodule"
    return found


def include(path: Path) -> str:
    """A Verilog file with what it includes in its place."""
    return re.sub(r'^`include "(.*)"$', lambda match: include(path.with_name(match[1])), path.read_text(), flags=re.M)
