"""Feature maps, several channels of a position per word: what a 1x1 convolution reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import counter
from fivebyfive.hw.common.types import NO_COLLISIONS, codes, memory_kind, narrowed, stored_shape, widened
from fivebyfive.model.machine.stored_codes import WHOLE, StoredCodes
from fivebyfive.model.shape import ceil_div

from .sweep_list import SweepList

__all__ = ["ChannelMaps", "ChannelMemory"]


@dataclass(frozen=True)
class ChannelMaps:
    """A set of maps of one size, and how it is streamed, position by position.

    Attributes
    ----------
    channels, rows, columns : int, at least 1
        Number and size of the maps.
    positions : tuple of two int, at least 1
        Rows and columns of the positions that are read; what lies between and beyond them is not stored.
    stride : int, 1 or 2
        Rows and columns of the map from position to position.
    repeats : int, at least 1
        Number of times that all words are streamed.
    order : sequence of int
        If not empty: the sets of channels (0: those of the first words) that are streamed, one after the other;
        ``repeats`` is ignored.

    Raises
    ------
    ValueError
        A position lies beyond the map.
    """

    channels: int
    rows: int
    columns: int
    positions: tuple[int, int]
    stride: int = 1
    repeats: int = 1
    order: Sequence[int] = ()

    def __post_init__(self):
        if any(
            (n - 1) * self.stride >= size for n, size in zip(self.positions, (self.rows, self.columns), strict=True)
        ):
            raise ValueError(f"{self.positions} positions, {self.stride} apart, do not fit {self.rows}x{self.columns}")


class ChannelMemory(wiring.Component):
    """Sets of feature maps, one at a time, with ``channels`` channels of a position in a word.

    Codes are written in the order in which the array finishes them: ``parallel`` channels at once, row-major, group
    after group. After ``start`` the positions of the first ``channels`` channels are streamed, row-major, then those of
    the next ones, as their `ChannelMaps` says.

    Latency: a cycle from ``start`` to the first position. Throughput: a write and a position per cycle. A set must not
    be written while it is read.

    Parameters
    ----------
    maps : sequence of ChannelMaps, at least one
        Sets of maps that ``which`` selects; the layers that share the memory have one each.
    parallel : int, at least 1
        Channels written at once.
    channels : int
        Channels in a word, a multiple of ``parallel``.
    stored : StoredCodes
        What the memory holds of a code; codes in it are those for which that is enough.

    Ports
    -----
    which : range(maps), in
        Index into ``maps``. May change only while no set is partly written and nothing is read, at least one cycle
        before the first code and at the latest with ``start``. Only with more than one.
    i : stream of ``parallel`` codes, in, always ready
        The next code of each channel of a group. Codes of channels beyond the last are stored, too.
    start : 1 bit, in
        Asserted for one cycle to stream the positions; only while ``o`` is not valid.
    o : stream of {last}, out
        A position; ``last`` is set on the last position of a set of channels.
    word : ``channels`` codes, out
        Codes of a position, the first channel lowest; valid in the cycle after its transfer. Those of channels that the
        maps do not have are don't-care.

    Raises
    ------
    ValueError
        ``channels`` is no multiple of ``parallel``.
    """

    def __init__(self, maps: Sequence[ChannelMaps], parallel: int, channels: int, stored: StoredCodes = WHOLE):
        if channels % parallel:
            raise ValueError(f"a word must have a multiple of {parallel} channels, which are written at once")
        self.maps = tuple(maps)
        self.parallel = parallel
        self.channels = channels
        self.stored = stored
        self.sizes = [prod(one.positions) for one in self.maps]  # positions
        self.sets = [ceil_div(one.channels, channels) for one in self.maps]  # of channels
        self.depth = max(size * count for size, count in zip(self.sizes, self.sets, strict=True))
        self.bases = range(1 + max(size * (count - 1) for size, count in zip(self.sizes, self.sets, strict=True)))
        super().__init__(
            {
                **({"which": In(range(len(self.maps)))} if len(self.maps) > 1 else {}),
                "i": In(stream.Signature(codes(parallel), always_ready=True)),
                "start": In(1),
                "o": Out(stream.Signature(data.StructLayout({"last": 1}))),
                "word": Out(codes(channels)),
            }
        )

    def each(self, values: Sequence) -> Value:
        """The value of the maps in use, of one a set of maps."""
        return Value.cast(values[0]) if len(set(values)) == 1 else Array(values)[self.which]

    def count_to(self, m: Module, limits: Sequence[int], step, **named) -> tuple[Signal, Signal]:
        """A `counter` to the limit of the maps in use."""
        return counter(m, limits, step, which=self.which if len(self.maps) > 1 else 0, **named)

    def elaborate(self, platform):
        m = Module()
        attrs = NO_COLLISIONS | memory_kind(self.depth)
        shape = data.ArrayLayout(stored_shape(self.stored), self.channels)
        m.submodules.words = words = memory.Memory(shape=shape, depth=self.depth, init=[], attrs=attrs)
        self.write(m, words.write_port(granularity=1))
        self.read(m, words.read_port())
        return m

    def write(self, m: Module, port):
        """Each group of channels into its slot of the words, of which the next set follows when all slots are full."""
        slots = self.channels // self.parallel
        groups = [ceil_div(one.channels, self.parallel) for one in self.maps]
        column, last_column = self.count_to(m, [one.columns for one in self.maps], self.i.valid, name="w_column")
        row_end = self.i.valid & last_column
        row, last_row = self.count_to(m, [one.rows for one in self.maps], row_end, name="w_row")
        map_end = row_end & last_row
        _, last_group = self.count_to(m, groups, map_end, name="w_group")
        slot, last_slot = counter(m, slots, map_end, name="w_slot", restart=last_group)
        place, base = Signal(range(max(self.sizes)), name="w_place"), Signal(self.bases, name="w_base")
        kept = Signal()
        m.d.comb += kept.eq(self.i.valid & self.is_read(row, 0) & self.is_read(column, 1))
        with m.If(map_end):
            m.d.sync += [place.eq(0), base.eq(Mux(last_group, 0, base + Mux(last_slot, self.each(self.sizes), 0)))]
        with m.Elif(kept):
            m.d.sync += place.eq(place + 1)
        enables = [(kept & (slot == number)).replicate(self.parallel) for number in range(slots)]
        m.d.comb += [
            port.addr.eq(base + place),
            port.en.eq(Cat(enables)),
            port.data.as_value().eq(self.held().replicate(slots)),
        ]

    def held(self) -> Value:
        """What is stored of the codes on ``i``."""
        if self.stored == WHOLE:
            return self.i.payload.as_value()
        return Cat(narrowed(code, self.stored) for code in self.i.payload)

    def word_of(self, stored: data.View) -> Value:
        """The codes of which that is stored."""
        if self.stored == WHOLE:
            return stored.as_value()
        return Cat(widened(code, self.stored) for code in stored)

    def is_read(self, place: Signal, axis: int) -> Value:
        """Whether positions are in this row (``axis`` 0) or column (1) of the map."""
        sizes = [(one.rows, one.columns)[axis] for one in self.maps]
        if all(one.positions[axis] == size for one, size in zip(self.maps, sizes, strict=True)):
            return Const(1)
        between = self.each([one.stride == 1 for one in self.maps]) | ~place[0]
        return between & (place <= self.each([(one.positions[axis] - 1) * one.stride for one in self.maps]))

    def read(self, m: Module, port):
        """Address the word of each position; ``busy`` is deasserted after the last."""
        busy, taken = Signal(), Signal()
        place, last = self.count_to(m, self.sizes, taken, name="place")
        base, at_end = self.next_set(m, taken & last)
        m.d.comb += [
            taken.eq(self.o.valid & self.o.ready),
            port.addr.eq(base + place),
            self.word.eq(self.word_of(port.data)),
            self.o.valid.eq(busy),
            self.o.payload.last.eq(last),
        ]
        with m.If(self.start):
            m.d.sync += busy.eq(1)
        with m.Elif(taken & last & at_end):
            m.d.sync += busy.eq(0)

    def next_set(self, m: Module, set_end) -> tuple[Value, Value]:
        """First word of the current set of channels; whether it is the last set that is streamed."""
        in_turn = [not one.order for one in self.maps]
        turns = self.repeat(m, set_end & self.each(in_turn)) if any(in_turn) else None
        ways = [
            turns if in_turn[number] else self.follow(m, set_end & self.is_used(number), number)
            for number in range(len(self.maps))
        ]
        return ways[0] if len(ways) == 1 else tuple(Array(one)[self.which] for one in zip(*ways, strict=True))

    def is_used(self, number: int) -> Value:
        """Whether these are the maps in use."""
        return self.which == number if len(self.maps) > 1 else Const(1)

    def repeat(self, m: Module, set_end) -> tuple[Value, Value]:
        """All sets of channels, ``repeats`` times."""
        base = Signal(self.bases, name="r_base")
        _, last_set = self.count_to(m, self.sets, set_end, name="set")
        _, last_turn = self.count_to(m, [one.repeats for one in self.maps], set_end & last_set, name="turn")
        with m.If(set_end):
            m.d.sync += base.eq(Mux(last_set, 0, base + self.each(self.sizes)))
        return base, last_set & last_turn

    def follow(self, m: Module, set_end, number: int) -> tuple[Value, Value]:
        """The sets of channels of an ``order``."""
        entries = [channels * self.sizes[number] for channels in self.maps[number].order]
        m.submodules[f"order_{number}"] = order = SweepList(entries, Shape.cast(self.bases).width)
        m.d.comb += order.step.eq(set_end)
        return order.entry, order.at_end
