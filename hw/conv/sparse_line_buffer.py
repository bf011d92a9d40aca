"""Line buffer that leaves out windows of zeros: as `LineBuffer`, but only positions that have to be computed."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import lowest
from fivebyfive.hw.common.types import CODE
from fivebyfive.model.machine.zero_windows import Skip

from .line_buffer import LineBuffer, LineMap, Staged

__all__ = ["Position", "SparseLineBuffer"]

WHOLE = Skip()  # of a map of which nothing is left out, as ``every`` is asserted


class Position(data.StructLayout):
    """A position that is computed.

    Parameters
    ----------
    positions : int
        Positions of a map, at most.
    columns : int
        Positions of a row, at most.

    Fields
    ------
    last : 1 bit
        The last computed position of its map.
    row_end : 1 bit
        The last computed position of its row.
    index : range(positions)
        Its number in the map, row-major.
    column : range(columns)
        Its number in its row.
    zero : 1 bit
        All windows of its cell are zeros, and the map leaves such cells out: the cells of zeros that follow in this map
        have the same codes. Not set with ``every``.
    """

    def __init__(self, positions: int, columns: int):
        super().__init__({"last": 1, "row_end": 1, "index": range(positions), "column": range(columns), "zero": 1})


class SparseLineBuffer(LineBuffer):
    """Those windows of successive maps that are computed, row-major, from their rows.

    Rows come, are staged and move on as in `LineBuffer`. The windows do not slide: with a row come the positions that
    have codes other than zero under their windows, and those are selected one after the other. Which others are left
    out is the `Skip` of the map: positions or, if codes come of a sweep, cells of its pool. Of these the first one is
    computed, for all of them. A row has one computed position, or cell, at least, its last one if there is no other.

    For cells of two rows the upper row waits until the row is on ``i`` that the lower one has in addition.

    Latency: 2 cycles from the transfer that completes an output row to its first position, when idle. Throughput: a
    position per cycle, and an output row in at least one cycle more than it has transfers.

    Parameters
    ----------
    windows : int, 1, 2 or 4
        Windows of a pool cell computed at once, W.
    kernel : int, 3 to 7
        Rows (= columns) of a window, K. Smaller kernels lie at its top left.
    maps : sequence of `LineMap`
        Maps that ``size`` selects. W > 1 needs a stride of 1.
    skips : sequence of `Skip` or None
        What is left out of each of them; None: nothing.

    Ports
    -----
    size : range(maps), in
        Index into ``maps``; may change only while no map is in flight.
    i : stream of `rows_in` rows of `width` codes, in
        As of `LineBuffer`.
    fill : code, in
        As of `LineBuffer`. Only with a map whose windows reach beyond it.
    every : 1 bit, in
        All positions of the map are computed. Must not change within a map; asserted with a map of which nothing is
        left out.
    o : stream of `Position`, out
        A position.
    patch : `rows` x `columns` codes, out
        Codes of a position; valid in the cycle after its transfer.

    Raises
    ------
    ValueError
        A parameter is out of its range, cells do not fit a map, or have two rows with several windows or a stride of 2.
    """

    def __init__(self, windows: int, kernel: int, maps: Sequence[LineMap], skips: Sequence[Skip | None]):
        self.skips = tuple(skips)
        self.cells = [skip or WHOLE for skip in self.skips]
        for map_, cell in zip(maps, self.cells, strict=True):
            if map_.out_rows % cell.rows or map_.out_columns % cell.columns:
                raise ValueError(f"cells of {cell.rows}x{cell.columns} positions do not fit {map_}")
            if cell.rows > 1 and (cell.rows, map_.stride, windows) != (2, 1, 1):
                raise ValueError(f"cells have one row, or two with one window and a stride of 1, not {cell.rows}")
        self.row_positions = max(map_.out_columns for map_ in maps)
        self.layout = Position(max(map_.out_rows * map_.out_columns for map_ in maps), self.row_positions)
        super().__init__(windows, kernel, maps)

    def members(self) -> dict:
        return super().members() | {"every": In(1), "o": Out(stream.Signature(self.layout))}

    def slide(self, m: Module, staged: Staged, lines: list, move: Signal):
        """Select the positions that are computed, one after the other; behind the last one load the stage, if it is
        full."""
        width, index = self.row_positions, self.layout["index"].shape
        visits, kept, found = (Signal(width, name=name) for name in ("visits", "kept", "found"))
        fresh, last_row, shown, row_index = Signal(), Signal(), Signal(range(self.line_width)), Signal(index)
        taken, moves = Signal(), Signal()
        here, chosen, rest, row_end = Signal(width), Signal(width), Signal(width), Signal()
        all_of_row = self.choose((1 << map_.out_columns) - 1 for map_ in self.maps)
        lower = self.lower(staged)
        m.d.comb += [
            here.eq(visits | Mux(fresh & self.every, all_of_row, 0)),
            chosen.eq(lowest(here)),
            rest.eq(here & ~chosen),
            row_end.eq(~rest.any()),
            taken.eq(self.o.valid & self.o.ready),
            move.eq(~staged.wanted & (staged.follows | ~self.upper(staged)) & (~self.o.valid | (taken & row_end))),
            self.o.payload.last.eq(row_end & last_row),
            self.o.payload.row_end.eq(row_end),
            self.o.payload.column.eq(encoded(chosen)),
            self.o.payload.index.eq(row_index + self.o.payload.column),
            self.o.payload.zero.eq(
                self.choose(cell.codes for cell in self.cells) & ~self.every & ~(chosen & found).any()
            ),
        ]
        with m.If(taken):
            steps = [self.column_step * map_.stride for map_ in self.maps]
            starts = self.choose(steps, lambda step: self.o.payload.column * step)
            m.d.sync += [visits.eq(rest), fresh.eq(0), self.o.valid.eq(~row_end), shown.eq(starts)]
            with m.If(row_end):
                following = row_index + self.choose(map_.out_columns for map_ in self.maps)
                m.d.sync += row_index.eq(Mux(last_row, 0, following))
        not_zero, needed = self.needed(m, staged, move)
        with m.If(move):
            m.d.sync += [visits.eq(Mux(lower, kept, needed)), fresh.eq(1), self.o.valid.eq(1)]
            m.d.sync += last_row.eq(staged.last_row)
            with m.If(~lower):
                m.d.sync += [kept.eq(needed), found.eq(not_zero)]
        m.d.sync += moves.eq(move)
        for r, (line, row) in enumerate(zip(lines, staged.rows, strict=False)):
            with m.If(moves):
                m.d.sync += line.eq(row)
            codes = line.as_value().bit_select(
                Cat(Const(0, (CODE.width - 1).bit_length()), shown), CODE.width * self.columns
            )
            m.d.comb += self.patch[r].as_value().eq(codes)

    def upper(self, staged: Staged) -> Value:
        """The output row that is staged is the upper one of its cells."""
        return self.choose(cell.rows == 2 for cell in self.cells) & ~staged.row[0]

    def lower(self, staged: Staged) -> Value:
        """It is the lower one."""
        return self.choose(cell.rows == 2 for cell in self.cells) & staged.row[0]

    def needed(self, m: Module, staged: Staged, move: Signal) -> tuple[Value, Value]:
        """Of the output row that is staged, the positions of cells that are not all zeros, and those that are computed:
        they, the first cell of zeros of a sweep, and the last cell where there is no other."""
        seen = Signal()  # a cell of zeros of this sweep is computed
        rows = [row.as_value() for row in staged.rows[: self.rows]]
        codes = [Cat(row.word_select(c, CODE.width).any() for row in rows) for c in range(self.line_width)]
        columns = [column.any() for column in codes]
        (below, *_) = staged.following
        taller = (
            [column | Value.cast(below).word_select(c, CODE.width).any() for c, column in enumerate(columns)]
            if any(cell.rows == 2 for cell in self.cells)
            else columns
        )
        keys = list(zip(self.maps, self.cells, strict=True))
        cells = Signal(self.row_positions)
        m.d.comb += cells.eq(
            self.choose(keys, lambda key: self.cells_with(taller if key[1].rows == 2 else columns, *key))
        )
        there = self.choose((1 << map_.out_columns // cell.columns) - 1 for map_, cell in keys)
        last = self.choose(1 << map_.out_columns // cell.columns - 1 for map_, cell in keys)
        zeros, computed = Signal(self.row_positions), Signal(self.row_positions)
        once = self.choose(cell.codes for cell in self.cells) & ~seen
        m.d.comb += [
            zeros.eq(there & ~cells),
            computed.eq(cells | Mux(once, lowest(zeros), 0)),
        ]
        with m.If(move):
            m.d.sync += seen.eq(~staged.last_row & (seen | (zeros.any() & ~self.lower(staged))))
        return self.positions(cells), self.positions(Mux(computed.any(), computed, last))

    def cells_with(self, columns: list, map_: LineMap, cell: Skip) -> Value:
        """Which cells of a row have a code other than zero, of the columns that have one."""
        step, wide = self.column_step * map_.stride, self.columns
        windows = [Cat(columns[p * step : p * step + wide]).any() for p in range(map_.out_columns)]
        return Cat(Cat(windows[p : p + cell.columns]).any() for p in range(0, map_.out_columns, cell.columns))

    def positions(self, cells: Value) -> Value:
        """The positions of cells."""
        return self.choose(
            (cell.columns for cell in self.cells), lambda columns: Cat(bit.replicate(columns) for bit in cells)
        )


def encoded(one_hot: Signal) -> Value:
    """The number of the bit that is set."""
    places = range((len(one_hot) - 1).bit_length())
    return Cat(reduce(or_, [one_hot[n] for n in range(len(one_hot)) if n >> place & 1]) for place in places)
