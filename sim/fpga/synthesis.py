"""Synthesis with Yosys: what generated Verilog becomes on a device family."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fivebyfive.hw.codegen.verilog import Design
from fivebyfive.hw.codegen.yosys import run_yosys
from fivebyfive.support.temporary import working_folder

from .harness import CORE, HARNESS, core_verilog, harness_verilog

__all__ = ["COUNT", "FAMILIES", "Area", "area_of", "run_synthesis", "synthesize", "synthesize_core"]

TIMEOUT_S = 3600
# What ABC takes a wire for, in ps. On a chip as full as this one they take about a nanosecond; at Yosys's own 300 ABC
# spares LUTs where that costs levels of logic, since a block RAM seems to be slower than six of them.
WIRE_PS = 1200
# A memory that nothing writes is a ROM by now, as those of biases are where weights are never loaded. No LUT RAM holds
# a ROM, and Yosys ends at a style that it cannot give.
FREE_ROMS = "setattr -unset ram_style t:$mem_v2 r:WR_PORTS=0 %i a:ram_style=distributed %i"
# Commands that count the cells of the netlist, into cells.json.
COUNT = "check -assert", "tee -o cells.json stat -json"


@dataclass(frozen=True)
class Family:
    """How Yosys synthesizes for a device family, and what its cells are called (regular expressions, with weights).

    ``commands``: from Verilog to cells, with {top} for the top module, {pads} for the option that says without I/O,
    which is ``no_pads``.

    ``lut``: logic; a carry cell of ECP5 takes two LUTs, one of the 7 series none. ``lutram``: LUTs used as RAM, counted
    as nextpnr does on ECP5 (two of six hold the write port). ``bram``: in units of ``bram_name``.
    """

    commands: tuple[str, ...]
    lut: dict[str, float]
    ff: str
    lutram: dict[str, float]
    dsp: dict[str, float]
    bram: dict[str, float]
    bram_name: str
    no_pads: str = "-noiopad "

    def script(self, top: str, pads: bool = False) -> list[str]:
        """Yosys commands that synthesize module ``top``; ``pads``: with the part's I/O cells at its ports."""
        return [command.format(top=top, pads="" if pads else self.no_pads) for command in self.commands]

    @property
    def listing(self) -> list[str]:
        """Yosys commands that write the names of all block RAMs, a file for each kind of them."""
        return [f"tee -o {kind}.txt select -list t:{kind}" for kind in self.bram]


FAMILIES = {
    # With I/O pads abc9 of pyosys 0.70 stops with an assertion; a core inside a design has none anyway.
    "xc7": Family(
        commands=(
            "synth_xilinx -family xc7 -noiopad -flatten -top {top} -run begin:map_memory",
            FREE_ROMS,
            "synth_xilinx -family xc7 -noiopad -flatten -top {top} -run map_memory:",
        ),
        lut={r"LUT[1-6]": 1, r"INV": 1, r"SRL\w+": 1},
        ff=r"FD[RCSP]E(_1)?",
        lutram={
            r"RAM32X1D": 2,
            r"RAM64X1D": 2,
            r"RAM128X1D": 4,
            r"RAM32M": 4,
            r"RAM64M": 4,
            r"RAM256X1D": 8,
            r"RAM16X1D": 2,
        },
        dsp={r"DSP48E1": 1},
        bram={r"RAMB36E1": 1, r"RAMB18E1": 0.5},
        bram_name="RAMB36E1",
    ),
    "ecp5": Family(
        # Each multiplier keeps its own operand registers: flattened before them, equal ones of several PEs would become
        # one, far from most of its multipliers.
        commands=(
            "setattr -mod -set keep_hierarchy 1 *_dot",
            "synth_ecp5 {pads}-top {top} -run begin:map_ram",
            FREE_ROMS,
            "synth_ecp5 {pads}-top {top} -run map_ram:map_luts",
            f"abc9 -W {WIRE_PS}",
            "clean",
            "synth_ecp5 {pads}-top {top} -run map_cells:",
            "setattr -mod -unset keep_hierarchy *",
            "flatten -noscopeinfo",
            "clean",
        ),
        lut={r"LUT4": 1, r"CCU2C": 2},
        ff=r"TRELLIS_FF",
        lutram={r"TRELLIS_DPR16X4": 6},
        dsp={r"MULT18X18D": 1},
        bram={r"DP16KD": 1, r"PDPW16KD": 1},
        bram_name="DP16KD",
    ),
    # A multiplier is counted as the two of 9 bits that lie in its place, wider ones twice.
    "gowin": Family(
        commands=(
            "synth_gowin -family gw2a {pads}-top {top} -run begin:map_ram",
            FREE_ROMS,
            "synth_gowin -family gw2a {pads}-top {top} -run map_ram:",
        ),
        lut={r"LUT[1-4]": 1, r"ALU": 1},
        ff=r"DFF\w*",
        lutram={r"RAM16SDP[124]": 8},
        dsp={r"MULT9X9": 1, r"MULT18X18": 2},
        bram={r"SPX?9?": 1, r"SDPX?9?B": 1, r"DPX?9?B": 1, r"pROMX?9?": 1},
        bram_name="BSRAM",
        no_pads="-noiopads ",
    ),
}


@dataclass(frozen=True)
class Area:
    """What a design takes on a device family. ``cells``: every cell type and how many there are. ``memories``: block
    RAM of each memory, by the path of its component, such as conv.weights."""

    family: str
    lut: int
    ff: int
    lutram: int
    dsp: int
    bram: float
    cells: dict[str, int]
    memories: dict[str, float] = field(default_factory=dict)


def synthesize(design: Design, family: str) -> Area:
    """Synthesize for ``family``, a key of `FAMILIES`; about two CPU minutes for the shipped network.

    Raises YosysError where Yosys fails.
    """
    with working_folder() as place:
        design.write(place)
        cells = run_synthesis(place, f"{design.name}.v", design.name, family)
        return area_of(cells, family, read_memories(place, family))


def synthesize_core(design: Design, family: str, *, netlist: Path | None = None) -> Area:
    """Synthesize a design with its simulation taps open, as it is used; ``netlist``: the same cells inside the harness.

    What is counted is what is routed: the harness of `fivebyfive.sim.fpga.harness` is synthesized by itself and put
    around the finished core. Raises YosysError where Yosys fails.
    """
    with working_folder() as place:
        design.write(place)
        (place / "core.v").write_text(core_verilog(design))
        (place / "harness.v").write_text(harness_verilog(design))
        around = [
            "design -stash core",
            "read_verilog harness.v",
            *FAMILIES[family].script(HARNESS),
            f"delete ={CORE}",
            f"design -copy-from core {CORE}",
            f"hierarchy -top {HARNESS}",
            "flatten -noscopeinfo",
            "clean",
            "write_json netlist.json",
        ]
        cells = run_synthesis(place, f"{design.name}.v core.v", CORE, family, around if netlist else ())
        if netlist:
            netlist.write_bytes((place / "netlist.json").read_bytes())
        return area_of(cells, family, read_memories(place, family))


def run_synthesis(folder: Path, files: str, top: str, family: str, after: Sequence[str] = ()) -> Counter:
    """Synthesize Verilog ``files`` of a folder, then run the commands ``after``; the cells of module ``top``."""
    # A memory whose write port nobody uses has a constant address there, and would become registers.
    about = FAMILIES[family]
    script = [f"read_verilog -nomem2reg {files}", *about.script(top), *COUNT]
    script += about.listing
    run_yosys([*script, *after], folder, TIMEOUT_S)
    return count_cells((folder / "cells.json").read_text(), top)


def read_memories(folder: Path, family: str) -> dict[str, float]:
    """Block RAM of each memory, from the files of `Family.listing`: lines such as core/conv.weights.words.0.3."""
    found: dict[str, float] = {}
    for kind, weight in FAMILIES[family].bram.items():
        for line in (folder / f"{kind}.txt").read_text().split():
            module, _, path = line.partition("/")
            names = path.split(".")[1 if module == CORE else 0 :]  # in there the design is an instance
            name = ".".join(names[:2])
            found[name] = found.get(name, 0) + weight
    return dict(sorted(found.items()))


def area_of(cells: Counter, family: str, memories: dict[str, float] | None = None) -> Area:
    """What cells take on a device family."""
    about = FAMILIES[family]
    return Area(
        family,
        round(weigh(cells, about.lut)),
        round(weigh(cells, {about.ff: 1})),
        round(weigh(cells, about.lutram)),
        round(weigh(cells, about.dsp)),
        weigh(cells, about.bram),
        dict(sorted(cells.items())),
        memories or {},
    )


def count_cells(text: str, top: str) -> Counter:
    """Cells of the flattened top module."""
    return Counter(json.loads(text)["modules"][f"\\{top}"]["num_cells_by_type"])


def weigh(cells: Counter, weights: dict[str, float]) -> float:
    """Sum of the cells whose type matches, each with its weight."""
    return sum(
        count * weight
        for kind, count in cells.items()
        for pattern, weight in weights.items()
        if re.fullmatch(pattern, kind)
    )
