"""Line buffer: rows of a feature map in, windows out, a position per cycle without gaps; padding is made here."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import CODE, codes
from fivebyfive.model.machine.stages import COLUMN_STEPS, ROW_STEPS, ROWS_IN
from fivebyfive.model.shape import ceil_div

__all__ = ["LineBuffer", "LineMap", "Staged"]

FILL = -1  # in place of a column of the map


@dataclass(frozen=True)
class LineMap:
    """A map, its padding, and the positions of its windows.

    Padding at the bottom and on the right is as wide as the positions need it. Padded row 0 is the first row of
    padding. Transfer t of a map has padded rows t * rows_in to t * rows_in + rows_in - 1: with two rows in a transfer,
    row r of the map is in half (r + top) % 2.

    Parameters
    ----------
    rows, columns : int, at least 1
        Of the map without padding.
    out_rows, out_columns : int, at least 1
        Positions.
    stride : int, 1 or 2
        Rows and columns from window to window.
    top, left : int, at least 0, less than the kernel
        Rows above and columns in front of the map.
    """

    rows: int
    columns: int
    out_rows: int
    out_columns: int
    stride: int = 1
    top: int = 0
    left: int = 0

    def extent(self, windows: int, kernel: int) -> tuple[int, int]:
        """Rows and columns of the padded map that lie under a window."""
        steps = (self.out_rows - 1, ROW_STEPS[windows]), (self.out_columns - 1, COLUMN_STEPS[windows])
        rows, columns = (kernel - 1 + step + count * step * self.stride for count, step in steps)
        return rows, columns

    def transfers(self, windows: int, kernel: int) -> int:
        """Transfers of the padded map."""
        return ceil_div(self.extent(windows, kernel)[0], ROWS_IN[windows])

    def real_transfers(self, windows: int, kernel: int) -> range:
        """Those with a row of the map, which the source streams; the line buffer makes the others."""
        first, end = self.top // ROWS_IN[windows], ceil_div(self.top + self.rows, ROWS_IN[windows])
        return range(first, min(end, self.transfers(windows, kernel)))


@dataclass(frozen=True)
class Staged:
    """What the windows have to know of the stage.

    Attributes
    ----------
    rows : list of `line_width` codes
        The stage.
    wanted : 1 bit
        Rows of the next output row are missing.
    row : range(height)
        Number of that output row.
    last_row : 1 bit
        It is the map's last one.
    following : list of `line_width` codes
        Rows of the transfer that the stage takes next.
    follows : 1 bit
        That transfer is there.
    """

    rows: list
    wanted: Signal
    row: Signal
    last_row: Signal
    following: list
    follows: Value


class LineBuffer(wiring.Component):
    """Windows of successive maps, row-major, from their rows.

    There are two sets of rows: the windows slide over ``lines``, a shift register per row, while ``stage`` receives the
    rows of the next output row. Within a map of stride 1 that is one new row (two for W > 1). At the start of a map all
    rows are new; they still arrive within the time of the last output row if it has more positions than they have
    transfers, so that a source with a transfer per cycle never stalls the windows. Where n transfers meet n positions
    or fewer, an output row takes n + 1 cycles.

    With W = 1 a position is a window of K x K codes. With W = 2 it is the patch of two windows, one above the other,
    and output rows advance by two. With W = 4 it is the patch of a pool cell; columns advance by two as well, and a
    transfer has two rows.

    Padding, of the code ``fill``, is made here: columns beside the map as its rows arrive, transfers above and below it
    in a cycle each. Those above it are made while ``i`` is valid; those below it wait for nothing.

    Latency: 2 cycles from the transfer that completes an output row to its first position, when idle. Throughput: a
    position per cycle.

    Parameters
    ----------
    windows : int, 1, 2 or 4
        Windows of a pool cell computed at once, W.
    kernel : int, 3 to 7
        Rows (= columns) of a window, K. Smaller kernels lie at its top left.
    maps : sequence of `LineMap`
        Maps that ``size`` selects. W > 1 needs a stride of 1.

    Ports
    -----
    size : range(maps), in
        Index into ``maps``; may change only while no map is in flight.
    i : stream of `rows_in` rows of `width` codes, in
        Rows of a map from top to bottom, map after map: the transfers of `LineMap.real_transfers`. A narrower map is in
        the low columns; the others, and rows outside the map, are don't-care.
    fill : code, in
        Padding of the map whose rows are on ``i``; valid while ``i`` is. Only with a map whose windows reach beyond it.
    o : stream of {last}, out
        A position; ``last`` is set on the last position of a map.
    patch : `rows` x `columns` codes, out
        Codes of a position; valid in the cycle after its transfer. (Whether the windows move is decided a cycle ahead:
        it reaches every bit of every line.)

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    latency = 2  # cycles from the transfer that completes an output row to its first position, when idle

    def __init__(self, windows: int, kernel: int, maps: Sequence[LineMap]):
        if windows not in ROWS_IN:
            raise ValueError(f"windows must be 1, 2 or 4, not {windows}")
        if not 3 <= kernel <= 7:
            raise ValueError(f"a kernel must have 3 to 7 rows, not {kernel}")
        for map_ in maps:
            if map_.stride not in ((1, 2) if windows == 1 else (1,)):
                raise ValueError(f"a stride must be 1, or 2 with one window, not {map_.stride}")
            if not 0 <= min(map_.top, map_.left) <= max(map_.top, map_.left) < kernel:
                raise ValueError(f"padding must be less than the kernel, {kernel}, not {map_.top} and {map_.left}")
            if min(map_.rows, map_.columns, map_.out_rows, map_.out_columns) < 1:
                raise ValueError(f"a map must have a row, a column and a position: {map_}")
        self.windows = windows
        self.kernel = kernel
        self.maps = tuple(maps)
        self.width = max(map_.columns for map_ in maps)  # of a row on ``i``
        self.row_step, self.column_step, self.rows_in = ROW_STEPS[windows], COLUMN_STEPS[windows], ROWS_IN[windows]
        self.rows = kernel + self.row_step - 1
        self.columns = kernel + self.column_step - 1
        self.extents = tuple(map_.extent(windows, kernel) for map_ in maps)
        self.height, self.line_width = (max(sizes) for sizes in zip(*self.extents, strict=True))
        pairs = list(zip(self.maps, self.extents, strict=True))
        self.fills_rows = any(one.top or one.rows < rows for one, (rows, _) in pairs)  # makes rows above or below
        self.fills = self.fills_rows or any(one.left or one.columns < columns for one, (_, columns) in pairs)
        super().__init__(self.members())

    def members(self) -> dict:
        """The ports."""
        return {
            "size": In(range(len(self.maps))),
            "i": In(stream.Signature(data.ArrayLayout(codes(self.width), self.rows_in))),
            **({"fill": In(CODE)} if self.fills else {}),
            "o": Out(stream.Signature(data.StructLayout({"last": 1}))),
            "patch": Out(data.ArrayLayout(codes(self.columns), self.rows)),
        }

    def elaborate(self, platform):
        m = Module()
        whole = ceil_div(self.rows, self.rows_in)  # transfers of a map's first output row
        stage = [
            Signal(codes(self.line_width), name=f"stage_{r}", reset_less=True) for r in range(whole * self.rows_in)
        ]
        lines = [Signal(codes(self.line_width), name=f"line_{r}", reset_less=True) for r in range(self.rows)]
        move = Signal()  # stage becomes lines
        self.slide(m, self.fill_stage(m, stage, whole, move), lines, move)
        return m

    def choose(self, keys: Iterable, make: Callable = lambda key: key):
        """What ``make`` returns for the key of the map that ``size`` selects."""
        keys = list(keys)
        return make(keys[0]) if len(set(keys)) == 1 else Array(map(make, keys))[self.size]

    def fill_stage(self, m: Module, stage: list, whole: int, move: Signal) -> Staged:
        """Receive rows until the stage holds an output row's."""
        step = self.choose(self.row_step * map_.stride // self.rows_in for map_ in self.maps)  # transfers
        missing = Signal(range(whole + 1), init=whole)
        wanted = Signal(init=1)  # some are missing
        last = self.choose(map_.out_rows - 1 for map_ in self.maps)
        row = Signal(range(self.height))
        last_row_staged = Signal()
        following, follows, given = self.receive(m, wanted, move & last_row_staged)
        m.d.comb += last_row_staged.eq(row == last)
        with m.If(given):
            m.d.sync += [missing.eq(missing - 1), wanted.eq(missing != 1)]
            rows = [*stage, *following][self.rows_in :]
            m.d.sync += [register.as_value().eq(above) for register, above in zip(stage, rows, strict=True)]
        with m.If(move):
            m.d.sync += [
                missing.eq(Mux(last_row_staged, whole, step)),
                wanted.eq(1),
                row.eq(Mux(last_row_staged, 0, row + 1)),
            ]
        return Staged(stage, wanted, row, last_row_staged, following, follows)

    def receive(self, m: Module, wanted: Signal, map_end) -> tuple[list, Value, Value]:
        """The rows of the next transfer, whether they are there, and whether they are given to the stage."""
        if not self.fills_rows:
            m.d.comb += self.i.ready.eq(wanted)
            fill = self.fill if self.fills else Const(0)
            return [Cat(self.place(row, fill)) for row in self.i.payload], self.i.valid, self.i.valid & self.i.ready
        given, kept, fill = Signal(), Signal(CODE, reset_less=True), Signal(CODE)
        above, below = self.outside(m, given, map_end)
        m.d.comb += [
            self.i.ready.eq(wanted & ~above.all() & ~below.all()),
            given.eq(wanted & (self.i.valid | below.all())),
            fill.eq(Mux(below.all(), kept, self.fill)),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += kept.eq(self.fill)
        rows = []
        for row, outside in zip(self.i.payload, above | below, strict=True):
            rows.append(Cat(Mux(outside, fill, code) for code in self.place(row, fill)))
        return rows, self.i.valid | below.all(), given

    def outside(self, m: Module, given: Signal, map_end) -> tuple[Signal, Signal]:
        """Which rows of the next transfer are above, and below, the map."""
        transfer = Signal(range(ceil_div(self.height, self.rows_in)))
        above, below = Signal(self.rows_in), Signal(self.rows_in)
        with m.If(given):
            m.d.sync += transfer.eq(transfer + 1)
        with m.If(map_end):
            m.d.sync += transfer.eq(0)
        for number in range(self.rows_in):
            first, end = [], []
            for map_, (rows, _) in zip(self.maps, self.extents, strict=True):
                first.append(ceil_div(map_.top - number, self.rows_in))
                bottom = map_.top + map_.rows if map_.top + map_.rows < rows else self.rows_in << len(transfer)  # never
                end.append(ceil_div(bottom - number, self.rows_in))
            m.d.comb += above[number].eq(transfer < self.choose(first))
            m.d.comb += below[number].eq(transfer >= self.choose(end))
        return above, below

    def place(self, row: data.View, fill) -> list:
        """The codes of a padded row, from the one of the map."""
        placed = []
        for column in range(self.line_width):
            sources = [
                column - map_.left if map_.left <= column < map_.left + map_.columns else FILL
                for map_, (_, columns) in zip(self.maps, self.extents, strict=True)
            ]
            under = [column < columns for _, columns in self.extents]  # beyond it is a don't-care: as in another map
            sources = [
                source if cared else sources[under.index(True)] for source, cared in zip(sources, under, strict=True)
            ]
            placed.append(self.choose(sources, lambda source: fill if source == FILL else row[source]))
        return placed

    def slide(self, m: Module, staged: Staged, lines: list, move: Signal):
        """Shift the lines past the window; at the end of an output row load the stage, if it is full."""
        last = self.choose(map_.out_columns - 1 for map_ in self.maps)
        column, row_end, last_row = Signal(range(self.line_width)), Signal(), Signal()
        taken, shifts, moves = Signal(), Signal(), Signal()
        m.d.comb += [
            taken.eq(self.o.valid & self.o.ready),
            move.eq(~staged.wanted & (~self.o.valid | (taken & row_end))),
            self.o.payload.last.eq(row_end & last_row),
        ]
        with m.If(taken):
            m.d.sync += [
                column.eq(Mux(row_end, 0, column + 1)),
                row_end.eq(column + 1 == last),
                self.o.valid.eq(~row_end),
            ]
        with m.If(move):
            m.d.sync += [self.o.valid.eq(1), row_end.eq(last == 0), last_row.eq(staged.last_row)]
        m.d.sync += [shifts.eq(taken), moves.eq(move)]
        steps = [self.column_step * map_.stride for map_ in self.maps]
        for line, row in zip(lines, staged.rows, strict=False):
            with m.If(moves):
                m.d.sync += line.eq(row)
            with m.Elif(shifts):  # what follows a row never reaches a window: a don't-care
                shifted = self.choose(
                    steps, lambda step, line=line, row=row: Cat(*list(line)[step:], *list(row)[-step:])
                )
                m.d.sync += line.eq(shifted)
        m.d.comb += [self.patch[r][c].eq(lines[r][c]) for r in range(self.rows) for c in range(self.columns)]
