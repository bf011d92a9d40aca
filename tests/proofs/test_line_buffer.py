"""The line buffer: at every position of every map the patch has the right pixels, and the positions are all there.

A symbolic witness: one pixel (``row``, ``column``), any, the same in all maps. The harness notes what is given for it
in a map, counts the positions that are taken, and looks at the patch wherever the witness lies under it. As row and
column are any and data are any, this holds for all pixels of all windows. Maps follow each other without end, rows
and positions pause at will, and the size changes where no map is in flight. By induction over cycles, from reset.

The invariant says which row is in each register: the stage has the last rows that were given, the lines have those of
the output row, shifted by the positions taken, once what is pending in this cycle has been done.
"""

import pytest
from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import codes
from fivebyfive.hw.conv import line_buffer

from .lib.bits import Bits, choose, mux
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken


class Watched(wiring.Component):
    """A line buffer and the bookkeeping of its maps.

    Members
    -------
    row, column : the witness; never change.
    fair : the size changes only where no map is in flight (to be assumed).
    in_row, in_map : rows of the present map that have been given; its number modulo 4.
    out_row, out_column, out_map : the position that comes next, in steps of positions; of which map.
    was_taken : a position was taken in the cycle before, the one at (``top``, ``left``) of map ``of``.
    seen : the witness in the last map of even, of odd number.
    right : the patch has the witness where it should be. marked : the mark is on a map's last position and no other.
    """

    def __init__(self, lines):
        self.lines = lines
        rows = data.ArrayLayout(codes(lines.width), lines.rows_in)
        size, place = range(len(lines.sizes)), range(lines.width)
        members = {name: Out(range(lines.width + 1)) for name in ("in_row", "out_row", "out_column", "top", "left")}
        members |= {name: Out(1) for name in ("was_taken", "of", "fair", "right", "marked")}
        members |= {name: Out(2) for name in ("in_map", "out_map")}
        super().__init__(members | {
            "i": In(stream.Signature(rows)), "o": Out(stream.Signature(data.StructLayout({"last": 1}))),
            "size": In(size), "row": In(place), "column": In(place), "seen": Out(data.ArrayLayout(8, 2)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = lines = self.lines
        wiring.connect(m, wiring.flipped(self.i), lines.i)
        wiring.connect(m, lines.o, wiring.flipped(self.o))
        m.d.comb += lines.size.eq(self.size)
        size = Signal(range(lines.width + 1))
        m.d.comb += size.eq(Array(lines.sizes)[self.size])
        self.watch_rows(m, size)
        self.watch_positions(m, size)
        self.watch_patch(m)
        before, flying = Signal.like(self.size), Signal()
        m.d.comb += [
            flying.eq(self.in_row.any() | self.out_row.any() | self.out_column.any() | (self.in_map != self.out_map)),
            self.fair.eq(~flying | (self.size == before)),
        ]
        m.d.sync += before.eq(self.size)
        return m

    def watch_rows(self, m: Module, size: Signal):
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += self.in_row.eq(self.in_row + self.lines.rows_in)
            with m.If(self.in_row + self.lines.rows_in == size):
                m.d.sync += [self.in_row.eq(0), self.in_map.eq(self.in_map + 1)]
            for number in range(self.lines.rows_in):
                with m.If(self.row == self.in_row + number):
                    value = self.i.payload[number].as_value().word_select(self.column, 8)
                    m.d.sync += self.seen.as_value().word_select(self.in_map[0], 8).eq(value)

    def watch_positions(self, m: Module, size: Signal):
        lines, span = self.lines, Signal(range(self.lines.width))
        last_row, last_column = Signal(), Signal()
        m.d.comb += [
            span.eq(size - 4),
            last_row.eq((self.out_row + 1) * lines.row_step == span),
            last_column.eq((self.out_column + 1) * lines.column_step == span),
            self.marked.eq(~self.o.valid | (self.o.payload.last == (last_row & last_column))),
        ]
        m.d.sync += self.was_taken.eq(self.o.valid & self.o.ready)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [
                self.top.eq(self.out_row * lines.row_step),
                self.left.eq(self.out_column * lines.column_step),
                self.of.eq(self.out_map[0]),
                self.out_column.eq(Mux(last_column, 0, self.out_column + 1)),
            ]
            with m.If(last_column):
                m.d.sync += [
                    self.out_row.eq(Mux(last_row, 0, self.out_row + 1)),
                    self.out_map.eq(self.out_map + last_row),
                ]

    def watch_patch(self, m: Module):
        lines = self.lines
        down, across = Signal(range(lines.width)), Signal(range(lines.width))
        m.d.comb += [down.eq(self.row - self.top), across.eq(self.column - self.left)]
        under = (self.row >= self.top) & (self.row < self.top + lines.rows)
        under &= (self.column >= self.left) & (self.column < self.left + lines.columns)
        values = Array([Array(lines.patch[r][c] for c in range(lines.columns))[across] for r in range(lines.rows)])
        found = Signal(8)
        m.d.comb += found.eq(Cat(values[down], Const(0, 0))[:8])
        m.d.comb += self.right.eq(~(self.was_taken & under) | (found == self.seen[self.of]))


class Proof:
    """What is known of a line buffer's reachable states."""

    def __init__(self, lines):
        self.lines = lines
        self.netlist = netlist(Watched(lines))

    def pixel(self, f: Frame, registers: list[Bits], index: Bits, column: Bits) -> Bits:
        """The code in a column of register number ``index``."""
        return choose(index, [register.word(column, 8) for register in registers])

    def registers(self, f: Frame, name: str) -> list[Bits]:
        return [f[f"dut.{name}_{r}"] for r in range(self.lines.rows)]

    def seen(self, f: Frame, which: Bits) -> Bits:
        return mux(which, f["seen"][8:], f["seen"][:8])

    def staged(self, f: Frame) -> tuple[Bits, Bits]:
        """Rows given of the map in the stage, and that map."""
        whole = (f["in_row"] == 0) & (f["dut.missing"] == 0)
        return mux(whole, choose(f["size"], self.lines.sizes), f["in_row"]), (f["in_map"] - whole)[:2]

    def counting(self, f: Frame) -> dict[str, Bits]:
        """How the component's counters and the harness's belong together."""
        lines, missing, row, valid = self.lines, f["dut.missing"], f["dut.row"], f["o__valid"]
        given, staged_map = self.staged(f)
        size = choose(f["size"], lines.sizes)
        rows, columns = (choose(f["size"], [(s - 4) // step for s in lines.sizes])
                         for step in (lines.row_step, lines.column_step))  # fmt: skip
        more = mux(row == 0, lines.rows // lines.rows_in, lines.row_step // lines.rows_in)
        next_row = mux(f["out_row"] + 1 == rows, 0, f["out_row"] + 1)
        return {
            "in range": (f["in_row"] < size) & (f["out_row"] < rows) & (f["out_column"] < columns) & (row < rows),
            "missing": (missing <= more) & (f["dut.wanted"] == (missing != 0)),
            "rows in the stage": given + missing * lines.rows_in == row * lines.row_step + lines.rows,
            "row in the stage": row == mux(valid, next_row, f["out_row"]),
            "map in the stage": staged_map == (f["out_map"] + (valid & (row == 0)))[:2],
            "column": (f["dut.column"] == f["out_column"]) & (valid | (f["out_column"] == 0)),
            "row end": valid.implies(f["dut.row_end"] == (f["out_column"] + 1 == columns)),
            "last row": valid.implies(f["dut.last_row"] == (f["out_row"] + 1 == rows)),
            "pending": f["dut.moves"].implies(valid & (f["out_column"] == 0)) & (f["dut.shifts"] == f["was_taken"]),
            "pending shift": (f["dut.shifts"] & ~f["dut.moves"]).implies(~valid | (f["out_column"] != 0)),
        }

    def contents(self, f: Frame) -> dict[str, Bits]:
        """Which pixels the registers hold."""
        lines, row, column = self.lines, f["row"], f["column"]
        given, staged_map = self.staged(f)
        in_stage = (row < given) & (row + lines.rows >= given)
        place = (row + lines.rows - given)[:5]
        stage, line = self.registers(f, "stage"), self.registers(f, "line")
        top, left = (f["out_row"] * lines.row_step)[:5], (f["out_column"] * lines.column_step)[:5]
        under = (row >= top) & (row < top + lines.rows) & (column >= left)
        down, across = (row - top)[:5], (column - left)[:5]
        moved = self.pixel(f, stage, down, across)
        shifted = self.pixel(f, line, down, (across + lines.column_step)[:5])
        kept = self.pixel(f, line, down, across)
        pending = mux(f["dut.moves"], moved, mux(f["dut.shifts"], shifted, kept))
        width = column < lines.width
        return {
            "stage": (in_stage & width).implies(self.pixel(f, stage, place, column) == self.seen(f, staged_map[0])),
            "lines": (f["o__valid"] & under & width).implies(pending == self.seen(f, f["out_map"][0])),
        }

    def invariants(self, f: Frame) -> dict[str, Bits]:
        claims = {"the right pixel": f["right"], "the right mark": f["marked"]}
        return claims | self.counting(f) | self.contents(f)

    def steps(self, now: Frame, then: Frame) -> dict[str, Bits]:
        waiting = now["o__valid"] & ~now["o__ready"]
        return {
            "valid stays": waiting.implies(then["o__valid"]),
            "payload stays": waiting.implies(then["o__payload"] == now["o__payload"]),
            "a position follows": (~now["o__valid"] & ~now["i__ready"]).implies(then["o__valid"]),
        }

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants, assume=lambda f: {"size": f["fair"]}, rigid=("row", "column"),
                      step=self.steps)  # fmt: skip


@pytest.mark.parametrize("sizes", [(8, 6), (28, 12)], ids=str)
@pytest.mark.parametrize("windows", [1, 2, 4])
def test_every_window_is_right(windows: int, sizes: tuple[int, ...]) -> None:
    Proof(line_buffer.LineBuffer(windows, sizes)).prove()


BUGS = {
    "shifts by two": ("*list(line)[self.column_step :]", "*list(line)[self.column_step + 1 :], line[0]"),
    "a row too early": ("wanted.eq(missing != 1)", "wanted.eq(missing > 2)"),
    "last row forgotten": ("Mux(last_row_staged, whole, step)", "step"),
    "shift before move": ("m.d.sync += [shifts.eq(taken), moves", "m.d.comb += [shifts.eq(taken), moves"),
    "row end too late": ("row_end.eq(column + 1 == last)", "row_end.eq(column == last)"),
    "takes rows at any time": ("self.i.ready.eq(wanted)", "self.i.ready.eq(wanted | ~self.o.valid)"),
    "position lost": ("(~self.o.valid | (taken & row_end))", "(~self.o.valid | row_end)"),
    "mark in every row": ("self.o.payload.last.eq(row_end & last_row)", "self.o.payload.last.eq(row_end)"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    lines = broken("line_buffer", "LineBuffer", *BUGS[bug])(1, (8, 6))
    with pytest.raises(AssertionError, match="not always so"):
        Proof(lines).prove()
