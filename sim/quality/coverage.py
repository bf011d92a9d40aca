"""What of the Verilog a run exercised: Verilator counts how often each block ran and each bit rose and fell.

A simulation that was built for it (``build(..., coverage=True)``) leaves coverage.dat in its folder. A block is a
group of statements that run together, or one way of a branch. What says nothing of the bench is left out:

* the branch with which Yosys starts combinational processes at time zero (``if (at_start)``), and the one that ends a
  simulation without its .mem file (``if (NAME_file == 0)``): no hardware;
* bits inside memories: data, of which there is any amount;
* nets that Yosys named (``_12_``) and next values of registers (``count_next``): they follow what is counted.

Such a net has another name in the next version of a component. In the text of a point the expression that the Verilog
assigns to it stands in its place: ``if (! bias_index) begin`` instead of ``if (_34_) begin``.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FILE", "Coverage", "Point", "ranges", "read_coverage"]

FILE = "coverage.dat"
ENTRY = re.compile(r"C '(.*)' (\d+)")
LEFT_OUT_BLOCKS = re.compile(r"\bif \((?:at_start|\w+_file == 0)\)")
LEFT_OUT_BITS = re.compile(r"^(?:at_start|_\d+_|\w+_next|\w+\[\d+\](?=\[)|\w+_file)\b|\]\[")
NET = re.compile(r"\b_\d+_\b")
ASSIGNED = re.compile(r"^  assign (_\d+_) = (.*);$", re.M)
BIT = re.compile(r"(.*?)(?:\[(\d+)\])?:(0->1|1->0)")


@dataclass(frozen=True)
class Point:
    """A place in ``module`` and how often it was seen. ``line``: of the Verilog. ``what``: for a toggle the bit and its
    direction, such as ``data[3]:0->1``; else the kind of block: block, if, else, case, ... ``text``: that line."""

    module: str
    line: int
    what: str
    toggle: bool
    count: int
    text: str


@dataclass(frozen=True)
class Coverage:
    """All points of a design, in the order of the Verilog."""

    points: tuple[Point, ...]

    @property
    def blocks(self) -> tuple[int, int]:
        """How many blocks ran, and how many there are."""
        return self._hit(toggle=False)

    @property
    def toggles(self) -> tuple[int, int]:
        """How many risings and fallings of a bit were seen, and how many there are: two for each bit."""
        return self._hit(toggle=True)

    def _hit(self, toggle: bool) -> tuple[int, int]:
        counts = [point.count for point in self.points if point.toggle == toggle]
        return sum(count > 0 for count in counts), len(counts)

    @property
    def never_run(self) -> tuple[Point, ...]:
        """Blocks that did not run."""
        return tuple(point for point in self.points if not (point.toggle or point.count))

    @property
    def never_toggled(self) -> dict[tuple[str, str], list[int]]:
        """Bits of which a rising or a falling is missing, by module and signal; a signal of one bit has bit 0."""
        found: dict[tuple[str, str], set[int]] = defaultdict(set)
        for point in self.points:
            if point.toggle and not point.count:
                match = BIT.fullmatch(point.what)
                assert match, point.what
                found[point.module, match[1]].add(int(match[2] or 0))
        return {key: sorted(bits) for key, bits in found.items()}


def read_coverage(path: Path, verilog: str) -> Coverage:
    """The coverage of a design whose text is ``verilog``, from the file that its run left."""
    lines = ["", *readable_lines(verilog)]
    points = []
    for number, what, module, toggle, count in entries(path):
        if not (LEFT_OUT_BITS if toggle else LEFT_OUT_BLOCKS).search(what if toggle else lines[number]):
            points.append(Point(module, number, what, toggle, count, lines[number].strip()))
    return Coverage(tuple(sorted(points, key=lambda point: (point.module, point.line, point.what))))


def readable_lines(verilog: str) -> list[str]:
    """The lines of the Verilog; a net that Yosys named is replaced by what its module assigns to it."""
    found: list[str] = []
    for module in re.split(r"^(?=module )", verilog, flags=re.M):
        assigned: dict[str, str] = dict(ASSIGNED.findall(module))
        found += [replaced(line, assigned) for line in module.splitlines()]
    return found


def replaced(line: str, assigned: Mapping[str, str]) -> str:
    """A line with expressions for nets; an assignment stays as it is."""
    return line if "assign " in line else NET.sub(lambda net: assigned.get(net[0], net[0]), line)


def entries(path: Path) -> Iterable[tuple[int, str, str, bool, int]]:
    """Line, what, module, whether it is a toggle, and count of each point in coverage.dat."""
    for entry in ENTRY.finditer(path.read_text(encoding="latin-1")):
        about = dict(field.split("\2", 1) for field in entry[1].split("\1")[1:])
        kind, module = about["page"].split("/", 1)
        yield int(about["l"]), plain(about["o"]), plain(module), kind == "v_toggle", int(entry[2])


def plain(name: str) -> str:
    """A name as the Verilog has it: Verilator writes the second of two underscores as ``__05F``, likewise others."""
    return re.sub(r"__0([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), name)


def ranges(bits: Iterable[int]) -> str:
    """Bits as Verilog has them: 7:4, 2, 0."""
    runs: list[list[int]] = []
    for bit in sorted(bits, reverse=True):
        if runs and runs[-1][1] == bit + 1:
            runs[-1][1] = bit
        else:
            runs.append([bit, bit])
    return ", ".join(str(high) if high == low else f"{high}:{low}" for high, low in runs)
