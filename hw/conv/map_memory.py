"""Feature maps, one row per word: written code by code, read row by row, as often as the next layer needs them."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import counter
from fivebyfive.hw.common.types import NO_COLLISIONS, codes
from fivebyfive.model.machine.latency import MAP_MEMORY
from fivebyfive.model.shape import ceil_div

from .sweep_list import SweepList

__all__ = ["MapMemory"]

FEW_WORDS = 64  # deeper memories are block RAM


class MapMemory(wiring.Component):
    """``channels`` square maps of ``size`` rows.

    Codes are written in the order in which the array finishes them: ``parallel`` channels at once, row-major, group
    after group. Each of these channels has its own bank, so a write never waits. After ``start`` all maps are streamed
    row by row, channel after channel, ``repeats`` times.

    Latency: `latency` cycles from ``start`` to the first transfer. Throughput: a write and a transfer per cycle. A set
    must not be written while it is read.

    Parameters
    ----------
    channels : int, at least 1
        Number of maps.
    size : int, even
        Rows and columns of a map.
    parallel : int, at least 1
        Channels written at once.
    rows_out : int, 1 or 2
        Rows of a map in a transfer; two are in separate memories, so that both are read at once.
    sets : int, 1 or 2
        With 2, one set of maps is written while the other is read.
    repeats : int, at least 1
        Number of times that ``start`` streams all maps.
    order : sequence of int
        If not empty: the channels whose maps ``start`` streams, one after the other; ``repeats`` is ignored.

    Ports
    -----
    i : stream of ``parallel`` codes, in, always ready
        The next code of each channel of a group. Codes of channels beyond the last are ignored.
    rewind : 1 bit, in
        Asserted for one cycle to write the next code at the start of its set; a code in the same cycle is written
        before that.
    w_set : 1 bit, in
        Set to write. Ignored with one set.
    r_set : 1 bit, in
        Set to read. Ignored with one set.
    start : 1 bit, in
        Asserted for one cycle to stream the maps; only while ``busy`` is not asserted.
    busy : 1 bit, out
        Asserted from the cycle after ``start`` until the last row is requested from the memories; up to three transfers
        may follow.
    o : stream of ``rows_out`` rows of ``size`` codes, out
        Rows of a map from top to bottom.
    """

    latency = MAP_MEMORY

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        parallel: int = 1,
        rows_out: int = 1,
        sets: int = 1,
        repeats: int = 1,
        order: Sequence[int] = (),
    ):
        self.channels = channels
        self.size = size
        self.parallel = parallel
        self.rows_out = rows_out
        self.sets = sets
        self.repeats = repeats
        self.order = tuple(order)
        self.banks = min(parallel, channels)
        self.groups = ceil_div(channels, parallel)
        self.words = self.groups * size // rows_out  # of one set and bank
        super().__init__(
            {
                "i": In(stream.Signature(codes(parallel), always_ready=True)),
                "rewind": In(1),
                "w_set": In(1),
                "r_set": In(1),
                "start": In(1),
                "busy": Out(1),
                "o": Out(stream.Signature(data.ArrayLayout(codes(size), rows_out))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        banks = [[self.add_memory(m, bank, half) for half in range(self.rows_out)] for bank in range(self.banks)]
        self.write(m, banks)
        self.read(m, banks)
        return m

    def add_memory(self, m: Module, bank: int, half: int) -> tuple:
        """Write and read port of the rows of a bank (every second row where there are two halves)."""
        depth = self.words if self.sets == 1 else 2 << (self.words - 1).bit_length()
        few = {"ram_style": "distributed"} if depth <= FEW_WORDS else {}
        rows = memory.Memory(shape=codes(self.size), depth=depth, init=[], attrs=NO_COLLISIONS | few)
        m.submodules[f"bank_{bank}_{half}"] = rows
        return rows.write_port(granularity=1), rows.read_port()

    def word(self, address: Signal, which_set: Signal):
        """Address of a word in one of the sets."""
        return address if self.sets == 1 else Cat(address, which_set)

    def write(self, m: Module, banks: list):
        column = Signal(self.size, init=1)  # one-hot: no decoder in front of the memories
        row_end = (self.i.valid & column[-1]) | self.rewind
        half, lower = counter(m, self.rows_out, row_end, name="half", restart=self.rewind)
        address, _ = counter(m, self.words, (row_end & lower) | self.rewind, name="w_address", restart=self.rewind)
        with m.If(self.rewind):
            m.d.sync += column.eq(1)
        with m.Elif(self.i.valid):
            m.d.sync += column.eq(column.rotate_left(1))
        for bank, halves in enumerate(banks):
            for index, (port, _) in enumerate(halves):
                enable = self.i.valid & (half == index)
                m.d.comb += [port.addr.eq(self.word(address, self.w_set)), port.en.eq(Mux(enable, column, 0))]
                m.d.comb += [port.data[c].eq(self.i.payload[bank]) for c in range(self.size)]

    def read(self, m: Module, banks: list):
        """Address the rows in order; each stage of the pipeline advances when the one after it can."""
        read, held, advance = Signal(), Signal(), Signal()  # a word is on the read ports, in the registers behind them
        bank, address = self.count(m, self.busy & advance)
        move = ~self.o.valid | self.o.ready
        step = ~held | move
        ports = [port for halves in banks for _, port in halves]
        m.d.comb += advance.eq(~read | step)
        m.d.comb += [port.addr.eq(self.word(address, self.r_set)) for port in ports]
        m.d.comb += [port.en.eq(advance) for port in ports]
        bank_read, bank_held = Signal.like(bank), Signal.like(bank)
        words = [Signal.like(port.data.as_value(), name=f"word_{n}", reset_less=True) for n, port in enumerate(ports)]
        with m.If(advance):
            m.d.sync += [read.eq(self.busy), bank_read.eq(bank)]
        with m.If(step):
            m.d.sync += [held.eq(read), bank_held.eq(bank_read)]
            m.d.sync += [word.eq(port.data) for word, port in zip(words, ports, strict=True)]
        with m.If(move):
            m.d.sync += self.o.valid.eq(held)
            for half in range(self.rows_out):
                rows = Array(words[half :: self.rows_out])
                m.d.sync += self.o.payload[half].as_value().eq(rows[bank_held])

    def count(self, m: Module, step) -> tuple[Signal, Signal]:
        """Bank and address of the next word; deasserts ``busy`` after the last."""
        rows = self.size // self.rows_out
        base, address = Signal(range(self.words)), Signal(range(self.words))
        row, last_row = counter(m, rows, step, name="row")
        map_end = step & last_row
        m.d.comb += address.eq(base + row)
        with m.If(self.start):
            m.d.sync += self.busy.eq(1)
        if self.order:
            return self.follow(m, map_end, rows, base), address
        _, last_channel = counter(m, self.channels, map_end, name="channel")
        bank, last_bank = counter(m, self.banks, map_end, name="bank", restart=last_channel)
        _, last_turn = counter(m, self.repeats, map_end & last_channel, name="turn")
        with m.If(map_end & last_channel & last_turn):
            m.d.sync += self.busy.eq(0)
        with m.If(map_end & (last_bank | last_channel)):
            m.d.sync += base.eq(Mux(last_channel, 0, base + rows))
        return bank, address

    def follow(self, m: Module, map_end, rows: int, base: Signal) -> Signal:
        """The bank of the current map of ``order``, whose first row is at ``base``."""
        bank = Signal(range(self.banks))
        entries = [channel // self.parallel * rows << len(bank) | channel % self.parallel for channel in self.order]
        m.submodules.order = order = SweepList(entries, len(bank) + len(base))
        m.d.comb += [order.step.eq(map_end), Cat(bank, base).eq(order.entry)]
        with m.If(map_end & order.at_end):
            m.d.sync += self.busy.eq(0)
        return bank
