"""Pooling and ReLU on the codes of all output channels."""

from collections.abc import Iterable
from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import Choice, delay
from fivebyfive.hw.common.types import CODE, codes, memory_kind
from fivebyfive.model.description import POOLS
from fivebyfive.model.machine.latency import DIVISION, pooling_latency
from fivebyfive.model.network import Pool
from fivebyfive.model.shape import ceil_div

__all__ = ["PooledMap", "Pooling"]

CELL = Pool("max", 2, 2)


@dataclass(frozen=True)
class PooledMap:
    """A map of ``rows`` x ``columns`` codes, all of which its pool uses, and what becomes of them: ``pool`` (None: each
    code remains), then zero where the result is negative, with ``relu``."""

    rows: int
    columns: int
    pool: Pool | None = CELL
    relu: bool = True

    def __post_init__(self):
        pool = self.reduction
        if pool.kind not in POOLS or not 1 <= pool.stride <= pool.size:
            raise ValueError(f"a pool is {' or '.join(POOLS)}, with a stride of 1 to its size; not {pool}")
        if any(length < pool.size or (length - pool.size) % pool.stride for length in (self.rows, self.columns)):
            size = f"{pool.size}x{pool.size}"
            raise ValueError(f"{size} windows, {pool.stride} apart, do not cover a map of {self.rows}x{self.columns}")

    @property
    def reduction(self) -> Pool:
        """The pool; without one, windows of a single code."""
        return self.pool or Pool("max", 1, 1)

    @property
    def divisor(self) -> int:
        """What the joined codes of a window are divided by: an average by their number, a maximum by 1."""
        return self.reduction.size**2 if self.reduction.kind == "average" else 1


@dataclass(frozen=True)
class Steps:
    """Windows along a row or a column: ``count`` windows of ``size`` codes, ``stride`` apart."""

    count: int
    size: int
    stride: int

    @classmethod
    def of(cls, length: int, pool: Pool) -> "Steps":
        count = (length - pool.size) // pool.stride + 1
        return cls(count, pool.size, pool.stride if count > 1 else pool.size)

    @property
    def open(self) -> int:
        """Most windows that are open between two codes: they have begun and not ended. The oldest of them is the one
        that ends next."""
        return ceil_div(self.size - 1, self.stride)


@dataclass(frozen=True)
class Spot:
    """A code in its row or column: a window begins with it; one ends with it; how many have ended before it."""

    begins: Value
    ends: Value
    window: Value


class Pooling(wiring.Component):
    """Maximum or average of each window of a map, or zero where that is negative, for ``outputs`` channels.

    An average is floor(sum / number of codes). Codes come in the order in which the array computes them. W = 1: the
    rows of a map one after the other; what is known of windows that have begun waits in a row memory. W = 2: the upper
    and the lower code of a column at once. W = 4: a whole cell at once (upper left, upper right, lower left, lower
    right).

    Latency: `latency` cycles from the last code of a window to its result, the same for all maps: 2, and 8 for the
    division where a map has averages of other than a power of two. Throughput: a transfer per cycle in.

    Parameters
    ----------
    outputs : int, at least 1
        Channels, O.
    windows : int, 1, 2 or 4
        Codes of a cell that come at once, W. If 2 or 4, each pool is 2x2 with stride 2.
    maps : sequence of `PooledMap`
        Maps that ``size`` selects.
    sparse : bool
        Windows may be left out, in all of their rows; but for maps of 2x2 windows or single codes none are.

    Ports
    -----
    size : range(maps), in
        Index into ``maps``; may change only between maps.
    i : stream of O x W codes, in, always ready
        Codes of a map, row-major.
    row_end : 1 bit, in
        The codes on ``i`` are the last ones of a row; each row has some. Only with ``sparse``.
    o : stream of O codes, out, always ready
        Results, row-major; 0 to 127 with ReLU.

    Raises
    ------
    ValueError
        ``windows`` is not 1, 2 or 4, or does not fit a pool.
    """

    def __init__(self, outputs: int, windows: int, maps: Iterable[PooledMap], sparse: bool = False):
        self.sparse = sparse
        self.outputs = outputs
        self.windows = windows
        self.maps = tuple(maps)
        self.pools = [one.reduction for one in self.maps]
        self.cells = all((pool.size, pool.stride) == (CELL.size, CELL.stride) for pool in self.pools)
        if windows not in (1, 2, 4):
            raise ValueError(f"windows must be 1, 2 or 4, not {windows}")
        if windows > 1 and not self.cells:
            raise ValueError(f"{windows} windows at once need pools of 2x2 with stride 2")
        self.averages = any(pool.kind == "average" for pool in self.pools)
        self.across = [Steps.of(one.columns, one.reduction) for one in self.maps]
        self.down = [Steps.of(one.rows, one.reduction) for one in self.maps]
        super().__init__(
            {
                "size": In(range(len(self.maps))),
                "i": In(stream.Signature(data.ArrayLayout(codes(windows), outputs), always_ready=True)),
                **({"row_end": In(1)} if sparse else {}),
                "o": Out(stream.Signature(codes(outputs), always_ready=True)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the last code of a window to its result."""
        return pooling_latency(self.pools)

    @property
    def divides(self) -> bool:
        return self.latency > pooling_latency([])

    def elaborate(self, platform):
        m = Module()
        choose = Choice(m, lambda: self.size)
        later = choose.later
        column, row = self.count_cells(m) if self.cells else self.count(m, choose)
        values = [[self.i.payload[o][w] for w in range(self.windows)] for o in range(self.outputs)]
        valid = self.i.valid
        if self.windows == 1:
            halves, valid = self.join_columns(m, values, valid, column, choose, 1)
            cells, valid = self.join_rows(m, halves, valid, column.window, row, later)
        elif self.windows == 2:
            halves, valid = self.join_pairs(m, values, valid, "half", choose, 1)
            odd = delay(m, column.ends, 1, name="odd_column")
            cells, valid = self.join_columns(m, halves, valid, Spot(~odd, odd, column.window), later, 2)
        else:
            halves, valid = self.join_pairs(m, values, valid, "half", choose, 1)
            cells, valid = self.join_pairs(m, halves, valid, "cell", later, 2)
        if self.divides:
            cells, valid = self.divide(m, cells, valid, later.later)
        m.d.comb += self.o.valid.eq(valid)
        m.d.comb += [self.o.payload[o].eq(cell) for o, (cell,) in enumerate(cells)]
        return m

    def count_cells(self, m: Module) -> tuple[Spot, Spot]:
        """Column and row of the next code (for W < 4) where all windows are cells: a counter and a bit."""
        last_column = Array(one.columns - 1 for one in self.maps)[self.size]
        column, odd_row = Signal(range(max(one.columns for one in self.maps))), Signal()
        with m.If(self.i.valid & (self.windows < 4)):
            m.d.sync += column.eq(column + 1)
            with m.If(self.row_end if self.sparse else column == last_column):
                m.d.sync += [column.eq(0), odd_row.eq(~odd_row)]
        return Spot(~column[0], column[0], column[1:]), Spot(~odd_row, odd_row, column[:0])

    def count(self, m: Module, choose: Choice) -> tuple[Spot, Spot]:
        """Column and row of the next code."""
        column, last = self.follow(
            m, choose, self.i.valid, self.across, "column", self.row_end if self.sparse else None
        )
        row, _ = self.follow(m, choose, self.i.valid & last, self.down, "row")
        return column, row

    def follow(
        self, m: Module, choose: Choice, step: Value, steps: list[Steps], name: str, last: Value | None = None
    ) -> tuple[Spot, Value]:
        """The place in a row or column, which advances with ``step``, and whether it is the ``last`` one: that of the
        map, if it is not given."""
        phase = Signal(range(max(one.size for one in steps)), name=f"{name}_phase")  # in the window that ends next
        window = Signal(range(max(one.count for one in steps)), name=f"{name}_window")
        ends = phase == choose(one.size - 1 for one in steps)
        if last is None:
            last = ends & (window == choose(one.count - 1 for one in steps))
        with m.If(step):
            m.d.sync += phase.eq(phase + 1)
            with m.If(ends):
                again = choose(one.size - one.stride for one in steps)
                m.d.sync += [phase.eq(again), window.eq(window + 1)]
            with m.If(last):
                m.d.sync += [phase.eq(0), window.eq(0)]
        firsts = [tuple(range(0, one.size, one.stride)) for one in steps]
        begins = choose(firsts, lambda places: Cat(phase == place for place in places).any())
        return Spot(begins, ends, window), last

    def join(self, a: Value, b: Value, choose: Choice) -> Value:
        """The larger one, or the sum for an average."""
        kinds = [pool.kind for pool in self.pools]
        return choose(kinds, lambda kind: a + b if kind == "average" else Mux(a > b, a, b))

    def pass_by(
        self, value: Value, slots: list, begins: Value, steps: list[Steps], choose: Choice
    ) -> tuple[Value, list]:
        """The window that ends with ``value``, and what is then in ``slots``: open windows, the latest one first."""
        joined = [self.join(slot, value, choose) for slot in slots]
        oldest = [one.open for one in steps]
        ended = choose(oldest, lambda number: [value, *joined][number])
        if max(one.size for one in steps) == 2:  # a window that does not begin ends
            return ended, [value]
        return ended, [Mux(begins, new, old) for new, old in zip([value, *joined], joined, strict=False)]

    def join_pairs(self, m: Module, values: list, valid, name: str, choose: Choice, power: int) -> tuple[list, Signal]:
        """Codes of one transfer joined two by two, one cycle later."""
        joined = [
            [
                self.hold(m, valid, self.join(*pair[n : n + 2], choose), f"{name}_{o}_{n // 2}", choose, power)
                for n in range(0, len(pair), 2)
            ]
            for o, pair in enumerate(values)
        ]
        return joined, delay(m, valid, 1, name=f"{name}_valid")

    def join_columns(
        self, m: Module, values: list, valid, column: Spot, choose: Choice, power: int
    ) -> tuple[list, Signal]:
        """The codes of each window of a row joined, one cycle after the last one."""
        joined = []
        for o, (value,) in enumerate(values):
            slots = [
                Signal(self.partial(power), name=f"left_{o}" + f"_{n}" * (n > 0), reset_less=True)
                for n in range(max(one.open for one in self.across))
            ]
            ended, after = self.pass_by(value, slots, column.begins, self.across, choose)
            with m.If(valid):
                m.d.sync += [slot.eq(new) for slot, new in zip(slots, after, strict=False)]
            joined.append([self.hold(m, valid & column.ends, ended, f"pair_{o}", choose, power)])
        return joined, delay(m, valid & column.ends, 1, name="pair_valid")

    def join_rows(self, m: Module, values: list, valid, window, row: Spot, choose: Choice) -> tuple[list, Signal]:
        """The rows of each window joined, one cycle after the last one; the row memory holds the open ones.

        ``window`` and ``row`` are those of the cycle before ``values``.
        """
        lower = delay(m, row.ends, 1, name="lower")
        slots = [[] for _ in values]
        if count := max(one.open for one in self.down):
            m.submodules.upper = upper = self.row_memory(count)
            write, read = upper.write_port(), upper.read_port()
            slots = [list(read.data[o]) for o in range(self.outputs)]
            ends_all = all(one.stride == one.size for one in self.down)
            m.d.comb += [
                read.addr.eq(window),
                write.addr.eq(delay(m, window, 1, name="pair_address")),
                write.en.eq(valid & ~lower if ends_all else valid),
            ]
        joins = max(one.size for one in self.down) > 2
        begins = delay(m, row.begins, 1, name="begins") if joins else row.begins
        passed = [self.pass_by(value, slots[o], begins, self.down, choose) for o, (value,) in enumerate(values)]
        for o, (_, after) in enumerate(passed):
            m.d.comb += [write.data[o][n].eq(new) for n, new in enumerate(after)]
        joined = [[self.hold(m, valid & lower, ended, f"cell_{o}", choose, 2)] for o, (ended, _) in enumerate(passed)]
        return joined, delay(m, valid & lower, 1, name="cell_valid")

    def row_memory(self, count: int) -> memory.Memory:
        """Memory of ``count`` open windows in each place of a row."""
        depth = max(one.count for one in self.across if one.size > 1)
        return memory.Memory(
            shape=data.ArrayLayout(data.ArrayLayout(self.partial(2), count), self.outputs),
            depth=depth,
            init=[],
            attrs=memory_kind(depth),
        )

    def partial(self, power: int) -> Shape:
        """The shape of joined codes: of some of a row of a window, or, with ``power`` 2, of some of all."""
        most = max((pool.size for pool in self.pools if pool.kind == "average"), default=1) ** power
        return signed(CODE.width + (most - 1).bit_length())

    def hold(self, m: Module, enable, value, name: str, choose: Choice, power: int) -> Signal:
        """A register that loads joined codes, the result of a window with ``power`` 2, unless it is to be divided."""
        shape, result = self.partial(power), power == 2 and not self.divides
        register = Signal(CODE if result else shape, name=name, reset_less=True)
        joined = Signal(shape, name=f"{'joined' if self.averages else 'larger'}_{name}")
        m.d.comb += joined.eq(value)
        code = joined
        if result and self.averages:
            shifts = [one.divisor.bit_length() - 1 for one in self.maps]
            code = choose(shifts, lambda shift: joined[shift:].as_signed())
        if result or not self.averages:  # of maxima, each step may clear a negative one
            relus = [one.relu for one in self.maps]
            code = choose(relus, lambda relu: Mux(code[-1], 0, code) if relu else code)
        with m.If(enable):
            m.d.sync += register.eq(code)
        return register

    def divide(self, m: Module, cells: list, valid, choose: Choice) -> tuple[list, Signal]:
        """Each cell divided by its map's divisor, rounded down: a bit of the quotient a cycle, the sign first.

        A negative cell has 128 times the divisor added, which leaves the lower bits as they are in two's complement.
        """
        most = max(one.divisor for one in self.maps)
        bits = CODE.width - 1  # of the quotient without its sign
        added = choose(one.divisor << bits for one in self.maps)
        relu = choose(one.relu for one in self.maps)
        rests = [
            Signal(((most << bits) - 1).bit_length(), name=f"rest_{o}", reset_less=True) for o in range(len(cells))
        ]
        quotients = [Signal(name=f"negative_{o}", reset_less=True) for o in range(len(cells))]
        for (cell,), rest, negative in zip(cells, rests, quotients, strict=True):
            m.d.sync += [
                rest.eq(Mux(cell[-1], Mux(relu, 0, cell + added), cell)),
                negative.eq(cell[-1] & ~relu),
            ]
        for place in reversed(range(bits)):
            choose = choose.later
            divisor = choose(one.divisor << place for one in self.maps)
            for o, (rest, quotient) in enumerate(zip(rests, quotients, strict=True)):
                less = Signal(signed(len(rest) + 1), name=f"less_{o}_{place}")
                rests[o] = Signal(((most << place) - 1).bit_length(), name=f"rest_{o}_{place}", reset_less=True)
                quotients[o] = Signal(len(quotient) + 1, name=f"quotient_{o}_{place}", reset_less=True)
                m.d.comb += less.eq(rest - divisor)
                m.d.sync += [
                    rests[o].eq(Mux(less[-1], rest, less)),
                    quotients[o].eq(Cat(~less[-1], quotient)),
                ]
        return [[quotient] for quotient in quotients], delay(m, valid, DIVISION, name="quotient_valid")
