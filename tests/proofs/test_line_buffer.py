"""The line buffer: at every position of every map the patch has the right codes, and the positions are all there.

A symbolic witness: one place (``row``, ``column``) of the padded map, any, the same in all maps. The harness notes what
is given for it in a map, or as the map's padding, counts the positions that are taken, and looks at the patch wherever
the witness lies under it. As row and column are any and data are any, this holds for all codes of all windows. Maps
follow each other without end, rows and positions pause at will, and the size changes where no map is in flight. By
induction over cycles, from reset.

The invariant says which row is in each register: the stage has the last rows that were given or made, the lines have
those of the output row, shifted by the positions taken, once what is pending in this cycle has been done.
"""

import pytest
from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import codes
from fivebyfive.hw.conv import line_buffer
from fivebyfive.hw.conv.line_buffer import LineMap

from .lib.bits import Bits, choose, mux
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken


class Watched(wiring.Component):
    """A line buffer and the bookkeeping of its maps.

    Members
    -------
    row, column : the witness; never change.
    fair : ``size`` is one of the maps and changes only where none is in flight, rows are offered until they are taken
        (to be assumed).
    taken, in_map : transfers of the present map that have been taken; its number modulo 4.
    waiting : a transfer was offered and not taken.
    next_code, any_code : padding of the next map; what is on ``fill`` where no rows are.
    code : padding of the map whose rows are offered.
    out_row, out_column, out_map : the position that comes next, in steps of positions; of which map.
    was_taken : a position was taken in the cycle before, the one at (``top``, ``left``) of map ``of``.
    was_inside : the witness was no padding there.
    seen, codes : the witness, and padding, in the last map of even, of odd number.
    right : the patch has the witness where it should be. marked : the mark is on a map's last position and no other.
    """

    def __init__(self, lines):
        self.lines = lines
        rows = data.ArrayLayout(codes(lines.width), lines.rows_in)
        place, code = range(max(lines.height, lines.line_width) + 1), data.ArrayLayout(8, 2)
        members = {name: Out(place) for name in ("taken", "out_row", "out_column", "top", "left")}
        members |= {name: Out(1) for name in ("waiting", "was_taken", "was_inside", "of", "fair", "right", "marked")}
        members |= {name: Out(2) for name in ("in_map", "out_map")}
        super().__init__(members | {
            "i": In(stream.Signature(rows)), "o": Out(stream.Signature(data.StructLayout({"last": 1}))),
            "size": In(range(len(lines.maps))), "row": In(place), "column": In(place), "next_code": In(8),
            "any_code": In(8), "code": Out(8), "seen": Out(code), "codes": Out(code),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = lines = self.lines
        wiring.connect(m, wiring.flipped(self.i), lines.i)
        wiring.connect(m, lines.o, wiring.flipped(self.o))
        m.d.comb += lines.size.eq(self.size)
        inside = Signal()
        rows, columns = (self.of_map(name, len(self.row) + 1) for name in ("rows", "columns"))
        top, left = (self.of_map(name, 3) for name in ("top", "left"))
        m.d.comb += inside.eq((self.row >= top) & (self.row < top + rows))
        with m.If((self.column < left) | (self.column >= left + columns)):
            m.d.comb += inside.eq(0)
        self.watch_rows(m, (self.column - left)[: len(self.column)])
        if lines.fills:
            self.watch_padding(m)
        self.watch_positions(m)
        self.watch_patch(m, inside)
        before, flying = Signal.like(self.size), Signal()
        m.d.comb += [
            flying.eq(self.taken.any() | self.out_row.any() | self.out_column.any() | (self.in_map != self.out_map)),
            self.fair.eq((~(flying | self.waiting) | (self.size == before)) & (~self.waiting | self.i.valid)),
        ]
        with m.If(self.size >= len(lines.maps)):
            m.d.comb += self.fair.eq(0)
        m.d.sync += before.eq(self.size)
        return m

    def of_map(self, name: str, width: int):
        """A number of the map that is selected."""
        return Array(Const(getattr(one, name), width) for one in self.lines.maps)[self.size]

    def real(self) -> list[range]:
        return [one.real_transfers(self.lines.windows, self.lines.kernel) for one in self.lines.maps]

    def watch_rows(self, m: Module, column):
        first, count = (
            Array(numbers)[self.size] for numbers in zip(*((r.start, len(r)) for r in self.real()), strict=True)
        )
        if self.lines.fills:
            m.d.sync += self.waiting.eq(self.i.valid & ~self.i.ready)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += self.taken.eq(self.taken + 1)
            with m.If(self.taken + 1 == count):
                m.d.sync += [self.taken.eq(0), self.in_map.eq(self.in_map + 1)]
            for number in range(self.lines.rows_in):
                with m.If(self.row == (self.taken + first) * self.lines.rows_in + number):
                    value = self.i.payload[number].as_value().word_select(column, 8)
                    m.d.sync += self.seen.as_value().word_select(self.in_map[0], 8).eq(value)

    def watch_padding(self, m: Module):
        last = Array(len(real) for real in self.real())[self.size]
        m.d.comb += self.lines.fill.eq(Mux(self.i.valid, self.code, self.any_code))
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += self.codes.as_value().word_select(self.in_map[0], 8).eq(self.code)
            with m.If(self.taken + 1 == last):
                m.d.sync += self.code.eq(self.next_code)
        with m.If(~self.i.valid & ~self.taken.any()):
            m.d.sync += self.code.eq(self.next_code)

    def watch_positions(self, m: Module):
        lines, stride = self.lines, self.of_map("stride", 2)
        last_row, last_column = Signal(), Signal()
        m.d.comb += [
            last_row.eq(self.out_row + 1 == self.of_map("out_rows", len(self.row))),
            last_column.eq(self.out_column + 1 == self.of_map("out_columns", len(self.row))),
            self.marked.eq(~self.o.valid | (self.o.payload.last == (last_row & last_column))),
        ]
        m.d.sync += self.was_taken.eq(self.o.valid & self.o.ready)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [
                self.top.eq(self.out_row * lines.row_step * stride),
                self.left.eq(self.out_column * lines.column_step * stride),
                self.of.eq(self.out_map[0]),
                self.out_column.eq(Mux(last_column, 0, self.out_column + 1)),
            ]
            with m.If(last_column):
                m.d.sync += [
                    self.out_row.eq(Mux(last_row, 0, self.out_row + 1)),
                    self.out_map.eq(self.out_map + last_row),
                ]

    def watch_patch(self, m: Module, inside: Signal):
        lines = self.lines
        down, across = Signal.like(self.row), Signal.like(self.row)
        m.d.comb += [down.eq(self.row - self.top), across.eq(self.column - self.left)]
        under = (self.row >= self.top) & (self.row < self.top + lines.rows)
        under &= (self.column >= self.left) & (self.column < self.left + lines.columns)
        values = Array([Array(lines.patch[r][c] for c in range(lines.columns))[across] for r in range(lines.rows)])
        found, expected = Signal(8), Signal(8)
        m.d.comb += found.eq(Cat(values[down], Const(0, 0))[:8])
        m.d.comb += expected.eq(Mux(self.was_inside, self.seen[self.of], self.codes[self.of]))
        m.d.comb += self.right.eq(~(self.was_taken & under) | (found == expected))
        m.d.sync += self.was_inside.eq(inside)


class Proof:
    """What is known of a line buffer's reachable states."""

    def __init__(self, lines):
        self.lines = lines
        self.netlist = netlist(Watched(lines))
        self.whole = -(-lines.rows // lines.rows_in)  # transfers of a first output row
        self.real = [one.real_transfers(lines.windows, lines.kernel) for one in lines.maps]

    def of_map(self, f: Frame, name: str) -> Bits:
        return choose(f["size"], [getattr(one, name) for one in self.lines.maps])

    def pixel(self, registers: list[Bits], index: Bits, column: Bits) -> Bits:
        """The code in a column of register number ``index``."""
        return choose(index, [register.word(column, 8) for register in registers])

    def registers(self, f: Frame, name: str, count: int) -> list[Bits]:
        return [f[f"dut.{name}_{r}"] for r in range(count)]

    def inside(self, f: Frame) -> Bits:
        """The witness is no padding."""
        top, left = self.of_map(f, "top"), self.of_map(f, "left")
        inside = (f["row"] >= top) & (f["row"] < top + self.of_map(f, "rows"))
        return inside & (f["column"] >= left) & (f["column"] < left + self.of_map(f, "columns"))

    def under(self, f: Frame) -> Bits:
        """The witness is under a window."""
        rows, columns = (choose(f["size"], sizes) for sizes in zip(*self.lines.extents, strict=True))
        return (f["row"] < rows) & (f["column"] < columns)

    def noted(self, f: Frame, which: Bits) -> Bits:
        """What is to be where the witness is, in the last map of even or odd number."""
        seen, codes = (mux(which, f[name][8:], f[name][:8]) for name in ("seen", "codes"))
        return mux(self.inside(f), seen, codes)

    def staged(self, f: Frame) -> Bits:
        """Transfers, taken or made, of the map in the stage."""
        return f["dut.row"] * self.step(f) + self.whole - f["dut.missing"]

    def step(self, f: Frame) -> Bits:
        return choose(f["size"], [one.stride * self.lines.row_step // self.lines.rows_in for one in self.lines.maps])

    def complete(self, f: Frame) -> Bits:
        """The map in the stage has been taken."""
        return self.staged(f) >= choose(f["size"], [real.stop for real in self.real])

    def staged_map(self, f: Frame) -> Bits:
        return (f["in_map"] - self.complete(f))[:2]

    def counting(self, f: Frame) -> dict[str, Bits]:
        """How the component's counters and the harness's belong together."""
        missing, row, valid = f["dut.missing"], f["dut.row"], f["o__valid"]
        rows, columns = self.of_map(f, "out_rows"), self.of_map(f, "out_columns")
        first, count = (
            choose(f["size"], numbers) for numbers in zip(*((r.start, len(r)) for r in self.real), strict=True)
        )
        staged, complete = self.staged(f), self.complete(f)
        next_row = mux(f["out_row"] + 1 == rows, 0, f["out_row"] + 1)
        claims = {
            "in range": (f["taken"] < count) & (f["out_row"] < rows) & (f["out_column"] < columns) & (row < rows),
            "missing": (missing <= mux(row == 0, self.whole, self.step(f))) & (f["dut.wanted"] == (missing != 0)),
            "taken": mux(complete | (staged < first), f["taken"] == 0, f["taken"] + first == staged),
            "row in the stage": row == mux(valid, next_row, f["out_row"]),
            "map in the stage": self.staged_map(f) == (f["out_map"] + (valid & (row == 0)))[:2],
            "column": (f["dut.column"] == f["out_column"]) & (valid | (f["out_column"] == 0)),
            "row end": valid.implies(f["dut.row_end"] == (f["out_column"] + 1 == columns)),
            "last row": valid.implies(f["dut.last_row"] == (f["out_row"] + 1 == rows)),
            "pending": f["dut.moves"].implies(valid & (f["out_column"] == 0)) & (f["dut.shifts"] == f["was_taken"]),
            "pending shift": (f["dut.shifts"] & ~f["dut.moves"]).implies(~valid | (f["out_column"] != 0)),
        }
        if self.lines.fills:
            code = mux(f["in_map"][0], f["codes"][8:], f["codes"][:8])
            claims["one padding a map"] = f["taken"].any().implies(f["code"] == code)
        if self.lines.fills_rows:
            kept = f["dut.kept"] == mux(self.staged_map(f)[0], f["codes"][8:], f["codes"][:8])
            transfer = f["dut.transfer"]
            claims |= {
                "transfer": missing.any().implies(transfer == staged) & (staged[: transfer.width] == transfer),
                "offered": (staged.any() & (staged <= first)).implies(f["waiting"] | (f["taken"] != 0) | complete),
                "kept": (staged > first).implies(kept),
            }
        return claims

    def contents(self, f: Frame) -> dict[str, Bits]:
        """Which codes the registers hold."""
        lines, row, column = self.lines, f["row"], f["column"]
        depth, given = self.whole * lines.rows_in, self.staged(f) * lines.rows_in
        first = choose(f["size"], [real.start for real in self.real])
        in_stage = (row < given) & (row + depth >= given)
        place = (row + depth - given)[: row.width]
        stage, line = self.registers(f, "stage", depth), self.registers(f, "line", lines.rows)
        noted = mux(self.staged(f) <= first, f["code"], self.noted(f, self.staged_map(f)[0]))
        stride = self.of_map(f, "stride")
        top, left = (f["out_row"] * stride * lines.row_step), (f["out_column"] * stride * lines.column_step)
        under = (row >= top) & (row < top + lines.rows) & (column >= left)
        down, across = (row - top)[: row.width], (column - left)[: row.width]
        moved = self.pixel(stage, down, across)
        shifted = self.pixel(line, down, (across + stride * lines.column_step)[: row.width])
        kept = self.pixel(line, down, across)
        pending = mux(f["dut.moves"], moved, mux(f["dut.shifts"], shifted, kept))
        return {
            "stage": (in_stage & self.under(f)).implies(self.pixel(stage, place, column) == noted),
            "lines": (f["o__valid"] & under & self.under(f)).implies(pending == self.noted(f, f["out_map"][0])),
        }

    def invariants(self, f: Frame) -> dict[str, Bits]:
        claims = {"the right code": f["right"], "the right mark": f["marked"]}
        return claims | self.counting(f) | self.contents(f)

    def steps(self, now: Frame, then: Frame) -> dict[str, Bits]:
        waiting = now["o__valid"] & ~now["o__ready"]
        moving = now["dut.wanted"] & (now["i__valid"] | self.complete(now))
        return {
            "valid stays": waiting.implies(then["o__valid"]),
            "payload stays": waiting.implies(then["o__payload"] == now["o__payload"]),
            "a position follows": (~now["o__valid"] & ~now["dut.wanted"]).implies(then["o__valid"]),
            "a transfer a cycle": moving.implies(then["dut.missing"] + 1 == now["dut.missing"]),
        }

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants, assume=lambda f: {"size": f["fair"]}, rigid=("row", "column"),
                      step=self.steps)  # fmt: skip


def square(windows: int, *sizes: int) -> tuple:
    """A kernel of 5 over square maps without padding."""
    maps = [
        LineMap(size, size, (size - 4) // (1 + (windows > 1)), (size - 4) // (1 + (windows == 4))) for size in sizes
    ]
    return windows, 5, maps


FORMS = {
    **{f"{w}, {sizes}": square(w, *sizes) for w in (1, 2, 4) for sizes in ((8, 6), (28, 12))},
    "padded": (1, 3, [LineMap(6, 5, 6, 5, top=1, left=1), LineMap(4, 7, 5, 6, left=2)]),
    "stride 2": (1, 5, [LineMap(7, 9, 4, 5, stride=2, top=2, left=2), LineMap(6, 8, 5, 6, stride=1, top=3)]),
    "two windows": (2, 4, [LineMap(5, 6, 3, 6, top=1, left=2), LineMap(3, 3, 1, 1)]),
    "two rows": (4, 4, [LineMap(5, 6, 3, 4, top=1, left=1), LineMap(4, 5, 3, 2, top=2), LineMap(4, 4, 1, 1)]),
}  # fmt: skip


# Of the larger maps, one window in every test run; of the smaller ones the most.
REPEATED = ("1, (8, 6)", "2, (8, 6)", "2, (28, 12)", "4, (28, 12)", "two windows")


@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=pytest.mark.full if form in REPEATED else []) for form in FORMS]
)
def test_every_window_is_right(form: str) -> None:
    Proof(line_buffer.LineBuffer(*FORMS[form])).prove()


BUGS = {
    "shifts by two": ("*list(line)[step:]", "*list(line)[step + 1 :], line[0]"),
    "a row too early": ("wanted.eq(missing != 1)", "wanted.eq(missing > 2)"),
    "last row forgotten": ("Mux(last_row_staged, whole, step)", "step"),
    "shift before move": ("m.d.sync += [shifts.eq(taken), moves", "m.d.comb += [shifts.eq(taken), moves"),
    "row end too late": ("row_end.eq(column + 1 == last)", "row_end.eq(column == last)"),
    "takes rows at any time": ("self.i.ready.eq(wanted)", "self.i.ready.eq(wanted | ~self.o.valid)"),
    "position lost": ("(~self.o.valid | (taken & row_end))", "(~self.o.valid | row_end)"),
    "mark in every row": ("self.o.payload.last.eq(row_end & last_row)", "self.o.payload.last.eq(row_end)"),
}  # fmt: skip


BUGS_OF_PADDING = {
    "padding of the next map": ("Mux(below.all(), kept, self.fill)", "self.fill"),
    "made before there is padding": (
        "wanted & (self.i.valid | below.all())", "wanted & (self.i.valid | above.all() | below.all())"
    ),
    "takes a row too many": ("wanted & ~above.all() & ~below.all()", "wanted & ~above.all()"),
    "half a transfer": ("Mux(outside, fill, code)", "Mux(outside & (above | below).all(), fill, code)"),
    "a column too far": ("column - map_.left if", "max(column - map_.left - 1, 0) if"),
    "one stride for all": ("self.column_step * map_.stride for", "self.column_step * self.maps[0].stride for"),
}  # fmt: skip


@pytest.mark.parametrize("bug", [*BUGS, *BUGS_OF_PADDING])
def test_bugs_are_refuted(bug: str) -> None:
    form = square(1, 8, 6) if bug in BUGS else FORMS["stride 2" if "stride" in bug else "two rows"]
    lines = broken("line_buffer", "LineBuffer", *(BUGS | BUGS_OF_PADDING)[bug])(*form)
    with pytest.raises(AssertionError, match="not always so"):
        Proof(lines).prove()
