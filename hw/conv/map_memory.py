"""Feature maps, one row per word: written code by code, read row by row, as often as the next layer needs them."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import counter
from fivebyfive.hw.common.types import CODE, NO_COLLISIONS, codes, memory_kind, narrowed, stored_shape, widened
from fivebyfive.model.machine.latency import MAP_MEMORY
from fivebyfive.model.machine.stored_codes import WHOLE, StoredCodes
from fivebyfive.model.shape import ceil_div

from .sweep_list import SweepList

__all__ = ["MapMemory", "StoredMaps"]


@dataclass(frozen=True)
class StoredMaps:
    """A set of maps of one size, and how they are streamed.

    Attributes
    ----------
    channels, rows, columns : int, at least 1
        Number and size of the maps.
    top : int, rows
        Padding above a map, which is not stored: where a transfer has two rows, row r is in half (r + top) % 2.
    transfers : int or None
        Transfers of a map that are streamed, the first ones; None: all.
    repeats : int, at least 1
        Number of times that all maps are streamed.
    order : sequence of int
        If not empty: the channels whose maps are streamed, one after the other; ``repeats`` is ignored.
    fill : sequence of int, -128 to 127
        Code of the padding: none (it is 0), one, or one a channel.

    Raises
    ------
    ValueError
        ``fill`` has another number of codes.
    """

    channels: int
    rows: int
    columns: int
    top: int = 0
    transfers: int | None = None
    repeats: int = 1
    order: Sequence[int] = ()
    fill: Sequence[int] = ()

    def __post_init__(self):
        if len(self.fill) not in (0, 1, self.channels):
            raise ValueError(f"there must be 0, 1 or {self.channels} fill codes, not {len(self.fill)}")

    @property
    def fills(self) -> bool:
        """The padding is not always 0."""
        return any(self.fill)

    def words(self, rows_out: int) -> int:
        """Words of a map with ``rows_out`` rows in each."""
        return ceil_div(self.rows + self.top % rows_out, rows_out)

    def transfers_of(self, rows_out: int) -> int:
        """Transfers of a map with ``rows_out`` rows in each. Raises ValueError if the map has fewer."""
        words = self.words(rows_out)
        if self.transfers is not None and not 1 <= self.transfers <= words:
            raise ValueError(f"1 to {words} transfers of a map can be streamed, not {self.transfers}")
        return self.transfers or words

    def fill_of(self, channel: Value) -> Value | int:
        """Fill code of a channel."""
        return Array(self.fill)[channel] if len(set(self.fill)) > 1 else (*self.fill, 0)[0]


class MapMemory(wiring.Component):
    """Sets of feature maps, one at a time.

    Codes are written in the order in which the array finishes them: ``parallel`` channels at once, row-major, group
    after group. Each of these channels has its own bank, so a write never waits. After ``start`` the maps are streamed
    row by row, channel after channel, as their `StoredMaps` says.

    Latency: `latency` cycles from ``start`` to the first transfer. Throughput: a write and a transfer per cycle. A set
    must not be written while it is read.

    Parameters
    ----------
    maps : sequence of StoredMaps, at least one
        Sets of maps that ``which`` selects; the layers that share the memory have one each.
    parallel : int, at least 1
        Channels written at once.
    rows_out : int, 1 or 2
        Rows of a map in a transfer; two are in separate memories, so that both are read at once.
    sets : int, 1 or 2
        With 2, one set of maps is written while the other is read.
    across : int, at least 1
        Codes of a row that are written at once; ``columns`` of each set of maps are a multiple of it.
    sparse : bool
        Codes come with their column, and columns may be left out of a row. Only with an ``across`` of 1.
    stored : StoredCodes
        What the memory holds of a code; codes in it are those for which that is enough.

    Ports
    -----
    which : range(maps), in
        Index into ``maps``. May change only while no set is partly written and nothing is read, at least one cycle
        before the first code and at the latest with ``start``. Only with more than one.
    i : stream of ``parallel`` x ``across`` codes, in, always ready
        The next codes of each channel of a group, those of a channel side by side. Codes of channels beyond the last
        are ignored.
    rewind : 1 bit, in
        Asserted for one cycle to write the next code at the start of its set; a code in the same cycle is written
        before that.
    column : range(columns), in
        Column of the codes on ``i``, above that of the codes before in the same row. Only with ``sparse``.
    row_end : 1 bit, in
        The codes on ``i`` are the last ones of their row; each row has some. Only with ``sparse``.
    zero : 1 bit, in
        The codes on ``i`` are those of all columns that are left out behind them, of this group of channels; none is
        left out before the first such codes. Those of a group are all the same. Only with ``sparse``.
    w_set : 1 bit, in
        Set to write. Ignored with one set.
    r_set : 1 bit, in
        Set to read. Ignored with one set.
    start : 1 bit, in
        Asserted for one cycle to stream the maps; only while ``busy`` is not asserted.
    busy : 1 bit, out
        Asserted from the cycle after ``start`` until the last row is requested from the memories; up to three transfers
        may follow.
    o : stream of ``rows_out`` rows of codes, out
        Rows of a map from top to bottom, as wide as the widest map. A narrower one is in the low columns; the others,
        and halves that hold no row, are don't-care.
    fill : `CODE`, out
        Fill code of the channel whose rows are on ``o``; valid as ``o`` is. Only with a ``fill`` that is not 0.

    Raises
    ------
    ValueError
        A map has fewer transfers than are to be streamed, or ``across`` does not divide its columns.
    """

    latency = MAP_MEMORY

    def __init__(
        self,
        maps: Sequence[StoredMaps],
        *,
        parallel: int = 1,
        rows_out: int = 1,
        sets: int = 1,
        across: int = 1,
        sparse: bool = False,
        stored: StoredCodes = WHOLE,
    ):
        self.maps = tuple(maps)
        self.parallel = parallel
        self.rows_out = rows_out
        self.sets = sets
        self.across = across
        self.sparse = sparse
        self.stored = stored
        if any(stored.columns % across for stored in self.maps):
            raise ValueError(f"rows are written {across} codes at once, which are no part of each of them")
        self.columns = max(stored.columns for stored in self.maps)
        self.banks = min(parallel, max(stored.channels for stored in self.maps))
        self.transfers = [stored.transfers_of(rows_out) for stored in self.maps]
        self.lengths = [ceil_div(stored.channels, parallel) * stored.words(rows_out) for stored in self.maps]
        self.words = max(self.lengths)  # of one set and bank
        members = {
            "i": In(stream.Signature(codes(parallel * across), always_ready=True)),
            "rewind": In(1),
            "w_set": In(1),
            "r_set": In(1),
            "start": In(1),
            "busy": Out(1),
            "o": Out(stream.Signature(data.ArrayLayout(codes(self.columns), rows_out))),
        }
        if len(self.maps) > 1:
            members["which"] = In(range(len(self.maps)))
        if any(stored.fills for stored in self.maps):
            members["fill"] = Out(CODE)
        if sparse:
            members |= {"column": In(range(self.columns)), "row_end": In(1), "zero": In(1)}
        super().__init__(members)

    def each(self, values: Sequence):
        """The value of the maps in use, of one a set of maps."""
        return values[0] if len(self.maps) == 1 else Array(values)[self.which]

    def count_to(self, m: Module, limits: Sequence[int], step, **named) -> tuple[Signal, Signal]:
        """A `counter` to the limit of the maps in use."""
        return counter(m, limits, step, which=self.which if len(self.maps) > 1 else 0, **named)

    def elaborate(self, platform):
        m = Module()
        banks = [[self.add_memory(m, bank, half) for half in range(self.rows_out)] for bank in range(self.banks)]
        self.write(m, banks)
        self.read(m, banks)
        return m

    def add_memory(self, m: Module, bank: int, half: int) -> tuple:
        """Write and read port of the rows of a bank (every second row where there are two halves)."""
        depth = self.words if self.sets == 1 else 2 << (self.words - 1).bit_length()
        attrs = NO_COLLISIONS | memory_kind(depth)
        shape = data.ArrayLayout(stored_shape(self.stored), self.columns)
        rows = memory.Memory(shape=shape, depth=depth, init=[], attrs=attrs)
        m.submodules[f"bank_{bank}_{half}"] = rows
        return rows.write_port(granularity=1), rows.read_port()

    def word(self, address: Signal, which_set: Signal):
        """Address of a word in one of the sets."""
        return address if self.sets == 1 else Cat(address, which_set)

    def write(self, m: Module, banks: list):
        across = self.across
        column = Signal(self.columns // across, init=1)  # one-hot: no decoder in front of the memories
        ends = [stored.columns // across for stored in self.maps]
        end = self.row_end if self.sparse else self.each([column[count - 1] for count in ends])
        row_end = (self.i.valid & end) | self.rewind
        half, lower = self.next_row(m, row_end)
        next_word = (row_end & lower) | self.rewind
        address, _ = self.count_to(m, self.lengths, next_word, name="w_address", restart=self.rewind)
        if self.sparse:
            chosen, data = self.with_columns_left_out(m)
        else:
            moved = [bit & ~end if n in ends else bit for n, bit in enumerate(column[:-1], 1)]
            with m.If(self.rewind):
                m.d.sync += column.eq(1)
            with m.Elif(self.i.valid):
                m.d.sync += column.eq(Cat(end, *moved))
            chosen = Cat(bit.replicate(across) for bit in column)
            data = [
                [self.i.payload[bank * across + c % across] for c in range(self.columns)] for bank in range(self.banks)
            ]
        for halves, row in zip(banks, data, strict=True):
            for index, (port, _) in enumerate(halves):
                enable = self.i.valid & (half == index)
                m.d.comb += [port.addr.eq(self.word(address, self.w_set)), port.en.eq(Mux(enable, chosen, 0))]
                m.d.comb += [port.data[c].eq(narrowed(code, self.stored)) for c, code in enumerate(row)]

    def with_columns_left_out(self, m: Module) -> tuple[Value, list]:
        """Columns that are written with the codes of one: all that are not written yet; and the row of each bank. What
        is no column that is left out is written once more."""
        written, of_zeros = Signal(self.columns), Signal(codes(self.parallel), reset_less=True)
        here = Cat(self.column == c for c in range(self.columns))
        with m.If(self.rewind | (self.i.valid & self.row_end)):
            m.d.sync += written.eq(0)
        with m.Elif(self.i.valid):
            m.d.sync += written.eq(written | here)
        with m.If(self.i.valid & self.zero):
            m.d.sync += of_zeros.eq(self.i.payload)
        rows = []
        for bank in range(self.banks):
            code = self.i.payload[bank]
            rest = Mux(self.zero, code, of_zeros[bank])
            rows.append([Mux(here[c], code, rest) for c in range(self.columns)])
        return ~written, rows

    def next_row(self, m: Module, row_end) -> tuple:
        """Half of the row that is written; whether it is the last row in its word."""
        first = [stored.top % self.rows_out for stored in self.maps]
        if not any(first) and not any(stored.rows % self.rows_out for stored in self.maps):
            return counter(m, self.rows_out, row_end, name="half", restart=self.rewind)
        rows = [stored.rows for stored in self.maps]
        _, last_row = self.count_to(m, rows, row_end, name="w_row", restart=self.rewind)
        odd, _ = counter(m, self.rows_out, row_end, name="half", restart=self.rewind | last_row)
        half = odd ^ self.each(first)
        return half, half | last_row

    def read(self, m: Module, banks: list):
        """Address the rows in order; each stage of the pipeline advances when the one after it can."""
        read, held, advance = Signal(), Signal(), Signal()  # a word is on the read ports, in the registers behind them
        bank, address, fill = self.count(m, self.busy & advance)
        move = ~self.o.valid | self.o.ready
        step = ~held | move
        ports = [port for halves in banks for _, port in halves]
        m.d.comb += advance.eq(~read | step)
        m.d.comb += [port.addr.eq(self.word(address, self.r_set)) for port in ports]
        m.d.comb += [port.en.eq(advance) for port in ports]
        bank_read, bank_held = Signal.like(bank), Signal.like(bank)
        words = [Signal.like(port.data.as_value(), name=f"word_{n}", reset_less=True) for n, port in enumerate(ports)]
        held_rows = self.held_rows(m)
        with m.If(advance):
            m.d.sync += [read.eq(self.busy), bank_read.eq(bank)]
        with m.If(step):
            m.d.sync += [held.eq(read), bank_held.eq(bank_read)]
            m.d.sync += [word.eq(port.data) for word, port in zip(words, ports, strict=True)]
        with m.If(move):
            m.d.sync += self.o.valid.eq(held)
            for half, row in enumerate(held_rows):
                rows = Array(words[half :: self.rows_out])
                m.d.sync += row.eq(rows[bank_held])
        if "fill" in self.signature.members:
            self.delay_fill(m, fill, (advance, step, move))

    def held_rows(self, m: Module) -> list[Value]:
        """The registers of the rows on ``o``, as they are stored."""
        if self.stored == WHOLE:
            return [row.as_value() for row in self.o.payload]
        shape = data.ArrayLayout(stored_shape(self.stored), self.columns)
        rows = [Signal(shape, name=f"held_{half}") for half in range(self.rows_out)]
        m.d.comb += self.o.payload.as_value().eq(Cat(widened(code, self.stored) for row in rows for code in row))
        return [row.as_value() for row in rows]

    def delay_fill(self, m: Module, fill, moves: tuple):
        """The fill code goes through the pipeline beside its rows, unless all channels have the same."""
        if not any(len(set(stored.fill)) > 1 for stored in self.maps):
            m.d.comb += self.fill.eq(fill)
            return
        stages = Signal(CODE, name="fill_read"), Signal(CODE, name="fill_held"), self.fill
        for move, after in zip(moves, stages, strict=True):
            with m.If(move):
                m.d.sync += after.eq(fill)
            fill = after

    def count(self, m: Module, step) -> tuple:
        """Bank, address and fill code of the next word; deasserts ``busy`` after the last."""
        base, address = Signal(range(self.words)), Signal(range(self.words))
        row, last_row = self.count_to(m, self.transfers, step, name="row")
        map_end = step & last_row
        m.d.comb += address.eq(base + row)
        with m.If(self.start):
            m.d.sync += self.busy.eq(1)
        bank, _, fill = self.next_map(m, map_end, base)
        return bank, address, fill

    def next_map(self, m: Module, map_end, base: Signal) -> tuple:
        """Bank, first word (``base``) and fill code of the current map."""
        in_turn = [not stored.order for stored in self.maps]
        if all(in_turn):
            return self.repeat(m, map_end, base)
        if len(self.maps) == 1:
            return self.follow(m, map_end, base, 0)
        bases = [Signal.like(base, name=f"base_{n}") for n in range(len(self.maps))]
        turns = self.repeat(m, map_end & self.each(in_turn), bases[in_turn.index(True)]) if any(in_turn) else None
        ways = [
            turns if in_turn[n] else self.follow(m, map_end & (self.which == n), own, n) for n, own in enumerate(bases)
        ]
        bank, own, fill = (self.each(values) for values in zip(*ways, strict=True))
        m.d.comb += base.eq(own)
        return bank, base, fill

    def repeat(self, m: Module, map_end, base: Signal) -> tuple:
        """All maps, ``repeats`` times."""
        channels, turns = [stored.channels for stored in self.maps], [stored.repeats for stored in self.maps]
        channel, last_channel = self.count_to(m, channels, map_end, name="channel")
        bank, last_bank = counter(m, self.banks, map_end, name="bank", restart=last_channel)
        _, last_turn = self.count_to(m, turns, map_end & last_channel, name="turn")
        words = self.each([stored.words(self.rows_out) for stored in self.maps])
        with m.If(map_end & last_channel & last_turn):
            m.d.sync += self.busy.eq(0)
        with m.If(map_end & (last_bank | last_channel)):
            m.d.sync += base.eq(Mux(last_channel, 0, base + words))
        fill = self.each([stored.fill_of(channel) for stored in self.maps])
        return bank, base, fill

    def follow(self, m: Module, map_end, base: Signal, index: int) -> tuple:
        """The maps of an ``order``: its list has a map's place and, where they differ, the fill code."""
        bank, stored = Signal(range(self.banks)), self.maps[index]
        place, fill = Cat(bank, base), stored.fill_of(0)
        words = stored.words(self.rows_out)
        entries = [n // self.parallel * words << len(bank) | n % self.parallel for n in stored.order]
        if len(set(stored.fill)) > 1:
            fills = [stored.fill[n] % 256 << len(place) for n in stored.order]
            entries = list(map(int.__or__, entries, fills))
            fill = Signal(CODE, name=f"fill_{index}")
            place = Cat(place, fill)
        m.submodules[f"order_{index}" if index else "order"] = order = SweepList(entries, len(place))
        m.d.comb += [order.step.eq(map_end), place.eq(order.entry)]
        with m.If(map_end & order.at_end):
            m.d.sync += self.busy.eq(0)
        return bank, base, fill
