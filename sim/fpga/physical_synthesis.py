"""Between Yosys and nextpnr: what neither of them does to a netlist for the clock."""

import json
from pathlib import Path

from .fan_out import copy_registers
from .inner_registers import move_registers

__all__ = ["physical_synthesis"]


def physical_synthesis(source: Path, target: Path) -> None:
    """Write a netlist, a file of Yosys's JSON, as it is placed: with registers inside multipliers and block RAM
    (`inner_registers`), and copies of those that address many block RAMs (`fan_out`).

    It computes the same in every cycle. Only ECP5's cells are known; a netlist of another family stays as it is.
    """
    netlist = json.loads(source.read_text())
    move_registers(netlist)
    copy_registers(netlist)
    target.write_text(json.dumps(netlist))
