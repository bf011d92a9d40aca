"""2x2 max pooling and ReLU on the codes of all output channels."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.types import CODE, codes
from fivebyfive.model.machine.latency import POOLING

__all__ = ["Pooling"]


class Pooling(wiring.Component):
    """Maximum of each 2x2 cell, or zero where that is negative, for ``outputs`` channels.

    Codes come in the order in which the array computes them. W = 1: the rows of a map one after the other; the maximum
    of each upper pair waits in a row memory. W = 2: the upper and the lower code of a column at once. W = 4: a whole
    cell at once (upper left, upper right, lower left, lower right).

    Latency: 2 cycles from the last code of a cell to its result, with one comparison per cycle. Throughput: a transfer
    per cycle in.

    Parameters
    ----------
    outputs : int, at least 1
        Channels, O.
    windows : int, 1, 2 or 4
        Codes of a cell that come at once, W.
    sizes : tuple of int, even
        Rows (= columns) of the maps before pooling that ``size`` selects.

    Ports
    -----
    size : range(sizes), in
        Index into ``sizes``; may change only between maps.
    i : stream of O x W codes, in, always ready
        Codes of a map, channel-major.
    o : stream of O codes, out, always ready
        Results, 0 to 127, row-major.

    Raises
    ------
    ValueError
        ``windows`` is not 1, 2 or 4, or a size is odd.
    """

    latency = POOLING

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
        column, odd_row = self.count(m)
        values = [[self.i.payload[o][w] for w in range(self.windows)] for o in range(self.outputs)]
        valid = self.i.valid
        if self.windows == 1:
            halves, valid = self.join_columns(m, values, valid, column[0])
            cells, valid = self.join_rows(m, halves, valid, column[1:], odd_row)
        elif self.windows == 2:
            halves, valid = self.join_pairs(m, values, valid, "half")
            cells, valid = self.join_columns(m, halves, valid, delay(m, column[0], 1, name="odd_column"))
        else:
            halves, valid = self.join_pairs(m, values, valid, "half")
            cells, valid = self.join_pairs(m, halves, valid, "cell")
        m.d.comb += self.o.valid.eq(valid)
        m.d.comb += [self.o.payload[o].eq(cell) for o, (cell,) in enumerate(cells)]
        return m

    def count(self, m: Module) -> tuple[Signal, Signal]:
        """Column of the next code, and whether its row is the lower one of a cell (for W < 4)."""
        last_column = Array(size - 1 for size in self.sizes)[self.size]
        column, odd_row = Signal(range(max(self.sizes))), Signal()
        with m.If(self.i.valid & (self.windows < 4)):
            m.d.sync += column.eq(column + 1)
            with m.If(column == last_column):
                m.d.sync += [column.eq(0), odd_row.eq(~odd_row)]
        return column, odd_row

    def join_pairs(self, m: Module, values: list, valid, name: str) -> tuple[list, Signal]:
        """Codes of one transfer joined two by two, one cycle later."""
        joined = [
            [self.hold(m, valid, *pair[n : n + 2], f"{name}_{o}_{n // 2}") for n in range(0, len(pair), 2)]
            for o, pair in enumerate(values)
        ]
        return joined, delay(m, valid, 1, name=f"{name}_valid")

    def join_columns(self, m: Module, values: list, valid, odd) -> tuple[list, Signal]:
        """Each column's code joined with that of the column before it, one cycle after the second."""
        joined = []
        for o, (value,) in enumerate(values):
            left = Signal(CODE, name=f"left_{o}", reset_less=True)
            with m.If(valid):
                m.d.sync += left.eq(value)
            joined.append([self.hold(m, valid & odd, left, value, f"pair_{o}")])
        return joined, delay(m, valid & odd, 1, name="pair_valid")

    def join_rows(self, m: Module, values: list, valid, address, odd) -> tuple[list, Signal]:
        """Each lower pair joined with the one above it, which the row memory holds; one cycle later.

        ``address`` and ``odd`` (the row is the lower one) are those of the cycle before ``values``.
        """
        m.submodules.upper = upper = memory.Memory(
            shape=codes(self.outputs), depth=max(self.sizes) // 2, init=[], attrs={"ram_style": "distributed"}
        )
        write, read = upper.write_port(), upper.read_port()
        lower = delay(m, odd, 1, name="lower")
        m.d.comb += [
            read.addr.eq(address),
            write.addr.eq(delay(m, address, 1, name="pair_address")),
            write.en.eq(valid & ~lower),
        ]
        m.d.comb += [write.data[o].eq(value) for o, (value,) in enumerate(values)]
        joined = [[self.hold(m, valid & lower, read.data[o], value, f"cell_{o}")] for o, (value,) in enumerate(values)]
        return joined, delay(m, valid & lower, 1, name="cell_valid")

    def hold(self, m: Module, enable, a, b, name: str) -> Signal:
        """A register that loads the larger of two codes, or zero where both are negative."""
        result, larger = Signal(CODE, name=name, reset_less=True), Signal(CODE, name=f"larger_{name}")
        m.d.comb += larger.eq(Mux(a > b, a, b))
        with m.If(enable):
            m.d.sync += result.eq(Mux(larger[-1], 0, larger))
        return result
