"""Activations, 20 per word, written as they are computed and read one word at a time."""

from math import gcd

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import CODE, FC_LANES, codes, memory_kind, narrowed, stored_shape, widened
from fivebyfive.model.machine.latency import ACTIVATION_MEMORY
from fivebyfive.model.machine.stored_codes import WHOLE, StoredCodes
from fivebyfive.model.shape import ceil_div

__all__ = ["ActivationMemory"]


class ActivationMemory(wiring.Component):
    """One or two sets of up to ``inputs`` codes. Each of the 20 lanes of a word is a memory with its own write address.

    Codes are written densely, up to 20 per cycle, across the end of a word where necessary. A transfer of more than 20
    takes ceil(count / 20) cycles.

    Latency: 1 cycle from ``address`` to ``data``. A code can be read in the cycle after its write.

    Parameters
    ----------
    inputs : int, at least 1
        Codes in a set.
    writers : int, at least 1
        Most codes in a transfer.
    counts : tuple of int
        Numbers of codes that transfers have. (Only the lanes that these reach get a multiplexer.)
    sets : int, 1 or 2
        With 2, one set is written while the other is read.
    stored : StoredCodes
        What the memory holds of a code; codes in it are those for which that is enough.

    Ports
    -----
    i : stream of {values, count}, in
        The first ``count`` of the ``writers`` ``values`` are written. Always ready with up to 20 writers; else not
        ready while the rest of a transfer is written.
    rewind : 1 bit, in
        Asserted for one cycle to write the next transfer at the first word of a set. A transfer in the same cycle is
        written before that; with more than 20 writers there must be none.
    w_set : 1 bit, in
        Set to write. Ignored with one set.
    r_set : 1 bit, in
        Set to read. Ignored with one set.
    written : range(words + 1), out
        Complete words of the set that is written; their address may be presented in the same cycle.
    address : range(words), in
        Word to read.
    data : 20 codes, out
        The word; valid `latency` cycles after ``address``. Codes beyond ``inputs`` are undefined.
    """

    latency = ACTIVATION_MEMORY

    def __init__(self, inputs: int, writers: int, counts: tuple[int, ...], sets: int = 2, stored: StoredCodes = WHOLE):
        self.inputs = inputs
        self.writers = writers
        self.counts = tuple(counts)
        self.sets = sets
        self.stored = stored
        self.words = ceil_div(inputs, FC_LANES)
        payload = data.StructLayout({"values": codes(writers), "count": range(writers + 1)})
        super().__init__(
            {
                "i": In(stream.Signature(payload)),
                "rewind": In(1),
                "w_set": In(1),
                "r_set": In(1),
                "written": Out(range(self.words + 1)),
                **self.read_members(),
            }
        )

    def read_members(self) -> dict:
        return {"address": In(range(self.words)), "data": Out(codes(FC_LANES))}

    def elaborate(self, platform):
        m = Module()
        values, count, valid = self.take(m)
        # Place of the next code.
        word, lane = Signal(range(self.words + 1)), Signal(range(FC_LANES))
        end = Signal(range(2 * FC_LANES))
        m.d.comb += [end.eq(lane + count), self.written.eq(word)]
        with m.If(self.rewind):
            m.d.sync += [word.eq(0), lane.eq(0)]
        with m.Elif(valid):
            with m.If(end >= FC_LANES):
                m.d.sync += [word.eq(word + 1), lane.eq(end - FC_LANES)]
            with m.Else():
                m.d.sync += lane.eq(end)
        for index in range(FC_LANES):
            self.add_lane(m, index, values, count, valid, word, lane)
        return m

    def take(self, m: Module) -> tuple:
        """At most 20 codes per cycle: the rest of a transfer follows in the next cycles."""
        if self.writers <= FC_LANES:
            m.d.comb += self.i.ready.eq(1)
            return list(self.i.payload.values), self.i.payload.count, self.i.valid
        rest, left = Signal(codes(self.writers - FC_LANES), reset_less=True), Signal(range(self.writers + 1))
        busy = left != 0
        count = Mux(busy, left, self.i.payload.count)
        chunk = Mux(count > FC_LANES, FC_LANES, count)
        source = list(self.i.payload.values)
        values = [Mux(busy, rest[n], source[n]) if n < len(rest) else source[n] for n in range(FC_LANES)]
        m.d.comb += self.i.ready.eq(~busy)
        with m.If(busy):
            m.d.sync += [left.eq(left - chunk), rest.as_value().eq(rest.as_value() >> FC_LANES * CODE.width)]
        with m.Elif(self.i.valid):
            m.d.sync += [left.eq(count - chunk), rest.eq(Cat(*source[FC_LANES:]))]
        return values, chunk, busy | self.i.valid

    def starts(self) -> list[int]:
        """Lanes at which a transfer can begin."""
        step = gcd(FC_LANES, *self.counts)
        return list(range(0, FC_LANES, step))

    def place(self, word, which_set):
        """Address of a word in one of the sets, which are interleaved: no words are unused between them."""
        word = word[: (self.words - 1).bit_length()]
        return word if self.sets == 1 else Cat(which_set, word)

    def read_lane(self, m: Module, index: int, codes_of_lane: memory.Memory) -> None:
        """The lane's code of the word that is read."""
        read = codes_of_lane.read_port()
        m.d.comb += [
            read.addr.eq(self.place(self.address, self.r_set)),
            self.data[index].eq(widened(read.data, self.stored)),
        ]

    def add_lane(self, m: Module, index: int, values: list, count, valid, word: Signal, lane: Signal):
        """The memory of one lane: writes the value that falls on it, in this word or the next."""
        m.submodules[f"lane_{index}"] = codes_of_lane = memory.Memory(
            shape=stored_shape(self.stored), depth=self.sets * self.words, init=[], attrs=memory_kind(self.words)
        )
        write = codes_of_lane.write_port()
        self.read_lane(m, index, codes_of_lane)
        # A transfer that begins in a higher lane reaches this one in the next word, if it is long enough.
        straddles = any(start > index and index + FC_LANES - start < len(values) for start in self.starts())
        target = Mux(index < lane, word + 1, word) if straddles else word
        m.d.comb += write.addr.eq(self.place(target, self.w_set))
        # For each value, the lane at which a transfer begins when that value falls on this lane. Data is a don't-care
        # without enable.
        begins = {(index - value) % FC_LANES: value for value in range(len(values))}
        begins = {start: value for start, value in begins.items() if start in self.starts()}
        held = [narrowed(value, self.stored) for value in values]
        m.d.comb += write.data.eq(held[next(iter(begins.values()))])
        with m.Switch(lane):
            for start, value in begins.items():
                with m.Case(start):
                    m.d.comb += [write.data.eq(held[value]), write.en.eq(valid & (value < count))]
