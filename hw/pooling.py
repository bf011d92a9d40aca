"""2x2 max pooling and ReLU on codes, beside every PE."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .types import CODE, codes

__all__ = ["Pooling"]


def larger(a, b):
    return Mux(a > b, a, b)


class Pooling(wiring.Component):
    """Largest code of each 2x2 cell, and zero where that is negative, for ``outputs`` channels side by side.

    Codes come in the order in which the array computes them. W = 1: a map's rows one after the other; the larger of
    each upper pair waits in a row memory. W = 2: the upper and the lower code of a column at once. W = 4: a whole cell
    at once (upper left, upper right, lower left, lower right). A cell comes out one cycle after its last code went in.

    Parameters
    ----------
    outputs : channels side by side, O.
    windows : codes of a cell that come at once, W: 1, 2 or 4.
    sizes : rows (= columns) of the maps before pooling that ``size`` chooses from; even numbers.

    Members
    -------
    size : index into ``sizes``; may change between maps only.
    i : stream of O x W codes (channel-major); always ready.
    o : stream of O codes, 0 to 127; always ready.
    """

    latency = 1

    def __init__(self, outputs: int, windows: int, sizes: tuple[int, ...]):
        if windows not in (1, 2, 4):
            raise ValueError(f"windows must be 1, 2 or 4, not {windows}")
        if any(size % 2 for size in sizes):
            raise ValueError(f"sizes of maps to be pooled must be even, not {sizes}")
        self.outputs = outputs
        self.windows = windows
        self.sizes = tuple(sizes)
        super().__init__(
            {
                "size": In(range(len(self.sizes))),
                "i": In(stream.Signature(data.ArrayLayout(codes(windows), outputs), always_ready=True)),
                "o": Out(stream.Signature(codes(outputs), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        last_column = Array(size - 1 for size in self.sizes)[self.size]
        column = Signal(range(max(self.sizes)))
        odd_row = Signal()
        with m.If(self.i.valid & (self.windows < 4)):
            m.d.sync += column.eq(column + 1)
            with m.If(column == last_column):
                m.d.sync += [column.eq(0), odd_row.eq(~odd_row)]

        values = [self.reduce(self.i.payload[o]) for o in range(self.outputs)]
        if self.windows < 4:
            values = [self.join_columns(m, value, o) for o, value in enumerate(values)]
        complete = self.i.valid
        if self.windows < 4:
            complete &= column[0]
        if self.windows == 1:
            values = self.join_rows(m, values, column, complete & ~odd_row)
            complete &= odd_row

        m.d.sync += self.o.valid.eq(complete)
        with m.If(complete):
            for o, value in enumerate(values):
                m.d.sync += self.o.payload[o].eq(Mux(value > 0, value, 0))
        return m

    def reduce(self, window_codes):
        """Largest of the codes that came at once."""
        values = list(window_codes)
        while len(values) > 1:
            values = [larger(*values[n : n + 2]) for n in range(0, len(values), 2)]
        return values[0]

    def join_columns(self, m: Module, value, o: int):
        """Larger of this column's value and the one before it."""
        left = Signal(CODE, name=f"left_{o}", reset_less=True)
        with m.If(self.i.valid):
            m.d.sync += left.eq(value)
        return larger(left, value)

    def join_rows(self, m: Module, values: list, column: Signal, store) -> list:
        """Larger of each pair and the pair above it, which the row memory has kept."""
        m.submodules.upper = upper = memory.Memory(
            shape=codes(self.outputs), depth=max(self.sizes) // 2, init=[], attrs={"ram_style": "distributed"}
        )
        write, read = upper.write_port(), upper.read_port()
        # A column pair takes two codes, so the address is steady for a cycle before the pair is complete.
        m.d.comb += [write.addr.eq(column[1:]), write.en.eq(store), read.addr.eq(column[1:])]
        m.d.comb += [write.data[o].eq(value) for o, value in enumerate(values)]
        return [larger(read.data[o], value) for o, value in enumerate(values)]
