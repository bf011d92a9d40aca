"""Copies of registers that address many block RAMs: each copy is for those that lie together.

A word of a large weight memory is spread over columns of block RAM, and one register addresses all of a group of banks.
nextpnr copies no register: a wire from there to blocks all over the chip takes most of a cycle, while what is read goes
to a multiplier near its own column. So a copy of the register serves neighbouring columns. Registers in front of copies
are copied likewise. The netlist is Yosys's JSON, flattened.
"""

from collections import defaultdict
from copy import deepcopy

from .cells_of_netlist import BLOCK_RAM, FF, Bit, nets_read

__all__ = ["MOST", "copy_registers"]

MOST = 16  # block RAMs at a copy


def copy_registers(netlist: dict, most: int = MOST) -> int:
    """Copy registers in place so that each drives at most so many block RAMs, or a column of them; how many are added.

    A netlist of another family stays as it is.
    """
    return sum(_Module(module).copy(most) for module in netlist["modules"].values())


class _Module:
    """A module of a netlist and who reads each net: cell, port and index in the port."""

    def __init__(self, module: dict):
        self.module, self.cells = module, module["cells"]
        self.readers: dict[Bit, list[tuple[str, str, int]]] = defaultdict(list)
        for name in self.cells:
            self.note(name)
        pins = (bits for cell in self.cells.values() for bits in cell["connections"].values())
        ports = (port["bits"] for port in module["ports"].values())
        nets = (bit for bits in (*pins, *ports) for bit in bits if isinstance(bit, int))
        self.following = 1 + max(nets, default=0)  # number of the next net

    def note(self, name: str) -> None:
        """Note what a cell reads."""
        for bit, port, index in nets_read(self.cells[name]):
            self.readers[bit].append((name, port, index))

    def copy(self, most: int) -> int:
        """Copy what drives more than ``most`` block RAMs; how many registers are added."""
        before = len(self.cells)
        registers = {cell["connections"]["Q"][0]: name for name, cell in self.cells.items() if cell["type"] == FF}
        wide = {net for net in registers if sum(self.is_block(reader) for reader in self.readers[net]) > most}
        columns: dict[str, int] = {}  # of registers that are divided, and of their copies
        while wide:
            # What another one of them reads waits until that one is divided.
            ready = [
                net for net in sorted(wide) if not any(self.output(reader) in wide for reader in self.readers[net])
            ]
            for net in ready or sorted(wide):
                self.divide(net, registers[net], most, columns)
            wide -= set(ready or wide)
        return len(self.cells) - before

    def is_block(self, reader: tuple[str, str, int]) -> bool:
        return self.cells[reader[0]]["type"] == BLOCK_RAM

    def output(self, reader: tuple[str, str, int]) -> Bit:
        """The net that a register with this data input drives."""
        name, port, _ = reader
        return self.cells[name]["connections"]["Q"][0] if self.cells[name]["type"] == FF and port == "DI" else ""

    def divide(self, net: Bit, name: str, most: int, columns: dict[str, int]) -> None:
        """The register stays with the first columns and whatever has none; copies take the others."""
        by_column = defaultdict(list)
        for reader in self.readers[net]:
            if self.is_block(reader):
                by_column[column_of(reader[0])].append(reader)
            elif self.output(reader) and reader[0] in columns:
                by_column[columns[reader[0]]].append(reader)
        first, *others = self.parts(by_column, most)
        columns[name] = first[0]
        for number, part in enumerate(others):
            readers = [reader for column in part for reader in by_column[column]]
            columns[self.add_copy(name, number, readers)] = part[0]

    def parts(self, by_column: dict[int, list[tuple[str, str, int]]], most: int) -> list[list[int]]:
        """Neighbouring columns in parts of at most so many block RAMs, or of one column."""
        result: list[list[int]] = []
        count = most
        for column, readers in sorted(by_column.items()):
            blocks = sum(map(self.is_block, readers))
            if count + blocks > most:
                result.append([])
                count = 0
            result[-1].append(column)
            count += blocks
        return result

    def add_copy(self, name: str, number: int, readers: list[tuple[str, str, int]]) -> str:
        """A copy of a register that drives these readers; its name."""
        cell, copy = self.cells[name], f"{name}_copy_{number}"
        net, self.following = self.following, self.following + 1
        self.cells[copy] = deepcopy(cell)
        self.cells[copy]["connections"]["Q"] = [net]
        self.module["netnames"][f"{copy}_Q"] = {"hide_name": 0, "bits": [net], "attributes": {}}
        left = self.readers[cell["connections"]["Q"][0]]
        for one in readers:
            reader, port, index = one
            left.remove(one)
            self.cells[reader]["connections"][port][index] = net
        self.readers[net] = readers
        self.note(copy)
        return copy


def column_of(name: str) -> int:
    """Of a block RAM as Yosys names it: memory.row.column."""
    last = name.rpartition(".")[2]
    return int(last) if last.isdigit() else 0
