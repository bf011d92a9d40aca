"""Cells of Yosys's JSON netlists, ECP5's, as `inner_registers` and `fan_out` take them."""

from collections.abc import Iterator

__all__ = ["BLOCK_RAM", "FF", "MULTIPLIER", "Bit", "nets_read"]

FF = "TRELLIS_FF"
MULTIPLIER = "MULT18X18D"
BLOCK_RAM = "DP16KD"
Bit = int | str  # number of a net, or a constant: "0", "1", "x"


def nets_read(cell: dict) -> Iterator[tuple[Bit, str, int]]:
    """Of each input bit of a cell: its net, the port, and the index in the port."""
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == "input":
            for index, bit in enumerate(bits):
                yield bit, port, index
