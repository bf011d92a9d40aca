"""Cutting the memories out of a circuit in RTLIL: what they read comes from outside, what goes to them goes outside.

Two circuits with the same memories are equal if they are without them, whatever is read, and always tell the memories
the same: as long as they have written the same, the same is read. Address and data that are not written tell nothing.
Nor does it tell anything whether bits are written that are only ever zero.

Multipliers can be cut out in the same way: what they are given is an output, their products are inputs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from fivebyfive.hw.codegen.verilog import Port

__all__ = ["Circuit", "read_circuit"]

WIRE = re.compile(r"^  wire (?:width (\d+) )?(?:signed )?(input|output) \d+ (?:signed )?\\(\S+)$", re.M)
MEMORY = re.compile(r"(?:^  attribute .*\n)*^  cell \$mem_v2 \S+\n((?:    .*\n)*)  end\n", re.M)
PRODUCT = re.compile(r"(?:^  attribute .*\n)*^  cell \$mul \S+\n((?:    .*\n)*)  end\n", re.M)
FIELD = re.compile(r"    (?:parameter|connect) (?:signed )?\\(\S+) (.*)")
FIRST_PORT = 10_000  # beyond those that a module has
FIRST_PRODUCT = 1_000_000


@dataclass(frozen=True)
class Circuit:
    """The RTLIL of one module, in which memories are `$mem_v2` cells."""

    text: str

    @cached_property
    def ports(self) -> list[Port]:
        return [Port(name, way, int(width or 1), False) for width, way, name in WIRE.findall(self.text)]

    @cached_property
    def memories(self) -> list[dict[str, str]]:
        """Parameters and connections of each memory."""
        return [dict(FIELD.findall(body)) for body in self.bodies]

    @cached_property
    def bodies(self) -> list[str]:
        return [found[1] for found in MEMORY.finditer(self.text)]

    @property
    def bits(self) -> int:
        """Of all memories."""
        return sum(int(memory["SIZE"]) * int(memory["WIDTH"]) for memory in self.memories)

    def without_memories(self, zeros: Mapping[int, str] = {}) -> "Circuit":
        """The circuit with the memories' ports as its own. ``zeros``: by a memory's number, a mask of the bits of a
        word that are only ever zero, in binary."""
        parts = iter([lines_of(number, memory, zeros.get(number, "")) for number, memory in enumerate(self.memories)])
        return Circuit(MEMORY.sub(lambda _: next(parts), self.text))

    def without_products(self) -> "Circuit":
        """The circuit with factors and products as its ports."""
        numbers = count()
        return Circuit(PRODUCT.sub(lambda found: product(next(numbers), dict(FIELD.findall(found[1]))), self.text))


def read_circuit(text: str) -> Circuit:
    """The only module of an RTLIL file."""
    if text.count("\nmodule ") != 1:
        raise ValueError("one module is wanted, and nothing in it")
    return Circuit(text)


def product(number: int, cell: dict[str, str]) -> str:
    """RTLIL in the place of a multiplier."""
    name, lines = f"cut_product_{number}", Lines(FIRST_PRODUCT + 3 * number)
    for factor in "AB":
        lines.port(f"{name}_{factor}", "output", int(cell[f"{factor}_WIDTH"]))
        lines.connect(f"\\{name}_{factor}", cell[factor])
    lines.port(name, "input", int(cell["Y_WIDTH"]))
    lines.connect(cell["Y"], f"\\{name}")
    return "".join(lines.texts)


def lines_of(number: int, memory: dict[str, str], zeros: str) -> str:
    """RTLIL in the place of a memory. ``zeros``: which bits of a word are only ever zero, in binary; may be empty."""
    name, width, address = f"cut_{number}", int(memory["WIDTH"]), int(memory["ABITS"])
    reads, writes = int(memory["RD_PORTS"]), int(memory["WR_PORTS"])
    if "1" in memory["RD_CLK_ENABLE"].partition("'")[2]:
        raise ValueError("a register is inside the memory")
    lines = Lines(FIRST_PORT + 10 * number)
    if reads:
        lines.port(f"{name}_read", "input", reads * width)
        lines.port(f"{name}_read_address", "output", reads * address)
        lines.connect(memory["RD_DATA"], f"\\{name}_read")
        lines.connect(f"\\{name}_read_address", memory["RD_ADDR"])
    if writes:
        lines.port(f"{name}_enable", "output", writes * width)
        lines.port(f"{name}_data", "output", writes * width)
        lines.port(f"{name}_address", "output", writes * address)
        others = "".join("10"[int(bit)] for bit in zeros or width * "0") * writes
        enables = writes * width, memory["WR_EN"], f"{writes * width}'{others}", f"\\{name}_enable"
        lines.cell("$and", f"{name}_others", *enables)
        data = writes * width, memory["WR_EN"], memory["WR_DATA"], f"\\{name}_data"
        lines.cell("$and", f"{name}_masked", *data)
        lines.wire(f"{name}_all", writes * address)
        lines.connect(f"\\{name}_all", memory["WR_ADDR"])
        for port in range(writes):
            enable = f"\\{name}_enable [{port * width + width - 1}:{port * width}]"
            place = f"[{port * address + address - 1}:{port * address}]"
            lines.wire(f"{name}_any_{port}", 1)
            lines.any(f"{name}_or_{port}", width, enable, f"\\{name}_any_{port}")
            every = "{ " + " ".join([f"\\{name}_any_{port}"] * address) + " }"
            whole = f"\\{name}_all {place}", every, f"\\{name}_address {place}"
            lines.cell("$and", f"{name}_where_{port}", address, *whole)
    return "".join(lines.texts)


class Lines:
    """RTLIL statements, in order."""

    def __init__(self, port: int):
        self.next_port = port
        self.texts: list[str] = []

    def wire(self, name: str, width: int, kind: str = "") -> None:
        self.texts.append(f"  wire width {width} {kind}\\{name}\n")

    def port(self, name: str, way: str, width: int) -> None:
        self.wire(name, width, f"{way} {self.next_port} ")
        self.next_port += 1

    def connect(self, left: str, right: str) -> None:
        self.texts.append(f"  connect {left} {right}\n")

    def any(self, name: str, width: int, a: str, y: str) -> None:
        """Whether a bit is high."""
        self.texts.append(
            f"  cell $reduce_or \\{name}\n    parameter \\A_SIGNED 0\n    parameter \\A_WIDTH {width}\n"
            f"    parameter \\Y_WIDTH 1\n    connect \\A {a}\n    connect \\Y {y}\n  end\n"
        )

    def cell(self, kind: str, name: str, width: int, a: str, b: str, y: str) -> None:
        """A cell of two operands of that width."""
        parameters = "".join(f"    parameter \\{of}_SIGNED 0\n    parameter \\{of}_WIDTH {width}\n" for of in "AB")
        self.texts.append(
            f"  cell {kind} \\{name}\n{parameters}    parameter \\Y_WIDTH {width}\n"
            f"    connect \\A {a}\n    connect \\B {b}\n    connect \\Y {y}\n  end\n"
        )
