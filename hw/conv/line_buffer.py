"""Line buffer: rows of a feature map in, 5x5 windows out, a position per cycle without gaps."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import codes
from fivebyfive.model.shape import KERNEL

__all__ = ["LineBuffer"]


class LineBuffer(wiring.Component):
    """Windows of successive square maps, row-major, from their rows.

    There are two sets of rows: the windows slide over ``lines``, a shift register per row, while ``stage`` receives the
    rows of the next output row. Within a map that is one new row (two for W > 1). At the start of a map all rows are
    new; they still arrive within the time of the last output row, so a source with a transfer per cycle never stalls
    the windows.

    With W = 1 a position is a 5x5 window. With W = 2 it is the 6x5 patch of two windows, one above the other, and
    output rows advance by two. With W = 4 it is the 6x6 patch of a pool cell; columns advance by two as well, and a
    transfer has two rows.

    Latency: 2 cycles from the transfer that completes an output row to its first position, when idle. Throughput: a
    position per cycle.

    Parameters
    ----------
    windows : int, 1, 2 or 4
        Windows of a pool cell computed at once, W.
    sizes : tuple of int, even, at least 6
        Rows (= columns) of the maps that ``size`` selects.

    Ports
    -----
    size : range(sizes), in
        Index into ``sizes``; may change only while no map is in flight.
    i : stream of `rows_in` rows of ``max(sizes)`` codes, in
        Rows of a map from top to bottom, map after map. A narrower map is in the low columns; the others are
        don't-care.
    o : stream of {last}, out
        A position; ``last`` is set on the last position of a map.
    patch : `rows` x `columns` codes, out
        Codes of a position; valid in the cycle after its transfer. (Whether the windows move is decided a cycle ahead:
        it reaches every bit of every line.)

    Raises
    ------
    ValueError
        ``windows`` is not 1, 2 or 4, or a size is odd or less than 6.
    """

    latency = 2  # cycles from the transfer that completes an output row to its first position, when idle

    def __init__(self, windows: int, sizes: tuple[int, ...]):
        if windows not in (1, 2, 4):
            raise ValueError(f"windows must be 1, 2 or 4, not {windows}")
        if any(size % 2 or size < KERNEL + 1 for size in sizes):
            raise ValueError(f"sizes of maps must be even and at least {KERNEL + 1}, not {sizes}")
        self.windows = windows
        self.sizes = tuple(sizes)
        self.width = max(sizes)
        self.row_step = 1 if windows == 1 else 2
        self.column_step = 2 if windows == 4 else 1
        self.rows = KERNEL + self.row_step - 1
        self.columns = KERNEL + self.column_step - 1
        self.rows_in = 2 if windows == 4 else 1
        super().__init__(
            {
                "size": In(range(len(self.sizes))),
                "i": In(stream.Signature(data.ArrayLayout(codes(self.width), self.rows_in))),
                "o": Out(stream.Signature(data.StructLayout({"last": 1}))),
                "patch": Out(data.ArrayLayout(codes(self.columns), self.rows)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        stage = [Signal(codes(self.width), name=f"stage_{r}", reset_less=True) for r in range(self.rows)]
        lines = [Signal(codes(self.width), name=f"line_{r}", reset_less=True) for r in range(self.rows)]
        move = Signal()  # stage becomes lines
        last_row_staged = self.fill_stage(m, stage, move)
        self.slide(m, stage, lines, move, last_row_staged)
        return m

    def fill_stage(self, m: Module, stage: list, move: Signal) -> Signal:
        """Receive rows until the stage holds an output row's; returns whether that is the map's last output row."""
        whole, step = self.rows // self.rows_in, self.row_step // self.rows_in  # transfers
        missing = Signal(range(whole + 1), init=whole)
        wanted = Signal(init=1)  # some are missing
        last = Array((size - KERNEL + 1) // self.row_step - 1 for size in self.sizes)[self.size]
        row = Signal(range(max(self.sizes)))
        last_row_staged = Signal()
        m.d.comb += [self.i.ready.eq(wanted), last_row_staged.eq(row == last)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [missing.eq(missing - 1), wanted.eq(missing != 1)]
            rows = [*stage, *self.i.payload][self.rows_in :]
            m.d.sync += [register.eq(above) for register, above in zip(stage, rows, strict=False)]
        with m.If(move):
            m.d.sync += [
                missing.eq(Mux(last_row_staged, whole, step)),
                wanted.eq(1),
                row.eq(Mux(last_row_staged, 0, row + 1)),
            ]
        return last_row_staged

    def slide(self, m: Module, stage: list, lines: list, move: Signal, last_row_staged: Signal):
        """Shift the lines past the window; at the end of an output row load the stage, if it is full."""
        last = Array((size - KERNEL + 1) // self.column_step - 1 for size in self.sizes)[self.size]
        column, row_end, last_row = Signal(range(self.width)), Signal(), Signal()
        taken, shifts, moves = Signal(), Signal(), Signal()
        m.d.comb += [
            taken.eq(self.o.valid & self.o.ready),
            move.eq(~self.i.ready & (~self.o.valid | (taken & row_end))),
            self.o.payload.last.eq(row_end & last_row),
        ]
        with m.If(taken):
            m.d.sync += [
                column.eq(Mux(row_end, 0, column + 1)),
                row_end.eq(column + 1 == last),
                self.o.valid.eq(~row_end),
            ]
        with m.If(move):
            m.d.sync += [self.o.valid.eq(1), row_end.eq(last == 0), last_row.eq(last_row_staged)]
        m.d.sync += [shifts.eq(taken), moves.eq(move)]
        for line, row in zip(lines, stage, strict=True):
            with m.If(moves):
                m.d.sync += line.eq(row)
            with m.Elif(shifts):  # what follows a row never reaches a window: a don't-care
                m.d.sync += line.eq(Cat(*list(line)[self.column_step :], *list(row)[-self.column_step :]))
        m.d.comb += [self.patch[r][c].eq(lines[r][c]) for r in range(self.rows) for c in range(self.columns)]
