"""Block RAM for weights: initial contents, one read port, and a port to load others."""

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from operator import or_

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.shape import ceil_div

from .pipeline import delay
from .types import CODE, NO_COLLISIONS, codes

__all__ = ["GROUP", "WeightMemory", "WriteSignature", "bank_latency"]

GROUP = 5  # banks joined at once; with what comes from the group before, the six inputs of a LUT of the 7 series


def bank_latency(banks: int) -> int:
    """Cycles from an address to its word in a memory of that many banks."""
    return 3 if banks == 1 else 5 + ceil_div(banks, GROUP)


class WriteSignature(wiring.Signature):
    """A write of one word of ``width`` codes to one of ``depth`` addresses, in each cycle in which ``en`` is high; or
    of a word of ``bits`` where it has no codes."""

    def __init__(self, depth: int, width: int, bits: int | None = None):
        self.depth = depth
        self.width = width
        self.bits = bits
        word = codes(width) if bits is None else unsigned(bits)
        super().__init__({"en": Out(1), "address": Out(range(depth)), "data": Out(word)})


class WeightMemory(wiring.Component):
    """Words of ``width`` codes in block RAM.

    The word at ``address`` is on ``data`` `latency` cycles later. A memory of one bank takes three cycles: a
    register in front of the block RAM, the RAM's own, and one behind it. More banks are spread over the whole
    chip, and nothing may cross that in a cycle. They stand in groups of five. The address goes through a register in
    front of each group; behind each bank are three registers, of which the last stays zero unless the word is the
    bank's own; and what the groups have is joined by ORs, a register behind each group: cheaper than a multiplexer, and
    no logic is behind a block RAM.
    A write goes through a register too, or two where there are banks: an address that is read in the cycle after its
    write, or in as many cycles before that as there are groups and one more, gives an undefined word.

    Parameters
    ----------
    init : the words, each an integer with code 0 in its lowest bits; their number is the depth.
    width : codes of a word: 25 for conv, 20 R for FC.
    bits : of a word that is not of 8-bit codes; then ``width`` is ignored.
    banks : words of each bank (`fivebyfive.model.machine.weights.bank_sizes`); one bank if None.

    Members
    -------
    address : word to read.
    data : the word, `latency` cycles later.
    load : replaces words (`WriteSignature`).
    """

    def __init__(self, init: Sequence[int], width: int, banks: Sequence[int] | None = None, bits: int | None = None):
        if not init:
            raise ValueError("a weight memory needs at least one word")
        self.init = list(init)
        self.width = width
        self.bits = CODE.width * width if bits is None else bits
        self.depth = len(self.init)
        self.banks = list(banks or [self.depth])
        if sum(self.banks) != self.depth:
            raise ValueError(f"banks of {self.banks} words do not hold {self.depth}")
        super().__init__(
            {
                "address": In(range(self.depth)),
                "data": Out(codes(width) if bits is None else unsigned(bits)),
                "load": In(WriteSignature(self.depth, width, bits)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from an address to its word."""
        return bank_latency(len(self.banks))

    def elaborate(self, platform):
        m = Module()
        if len(self.banks) == 1:
            load = self.hold(m, "load", en=self.load.en, address=self.load.address, data=self.load.data)
            address = delay(m, self.address, 1, name="address")
            word = self.add_bank(m, "words", self.init, address, load.en, load)
            m.d.comb += self.data.eq(delay(m, word, 1, name="word"))
            return m
        address = self.address
        load = self.hold(m, "load", en=self.load.en, address=self.load.address, data=self.load.data)
        ends = list(accumulate(self.banks))
        joined = None
        for group in range(0, len(self.banks), GROUP):
            words = []
            address = delay(m, address, 1, name=f"address_{group // GROUP}")
            bits = (max(self.banks[group : group + GROUP]) - 1).bit_length()
            near = self.hold(m, f"load_{group // GROUP}", address=load.address[:bits], data=load.data)
            for number in range(group, min(group + GROUP, len(self.banks))):
                start, end = ends[number] - self.banks[number], ends[number]
                mine = delay(m, self.within(address, start, end), 3, name=f"reads_{number}")
                written = load.en & self.within(load.address, start, end)
                written = delay(m, written, 1, name=f"writes_{number}", reset_less=True)
                word = self.add_bank(m, f"bank_{number}", self.init[start:end], address, written, near)
                words.append(self.gate(m, word, mine, number))
            joined = self.join(m, words if joined is None else [joined, *words], group // GROUP)
        m.d.comb += self.data.eq(joined)
        return m

    def gate(self, m: Module, word, mine, number: int) -> Signal:
        """A bank's word, three cycles later; zero where it is another bank's turn."""
        own = Signal.like(word, name=f"own_{number}", reset_less=True)
        m.d.sync += own.eq(Mux(mine, delay(m, word, 2, name=f"word_{number}", reset_less=True), 0))
        return own

    def hold(self, m: Module, name: str, **write) -> data.View:
        """What there is of a write, a cycle later: it comes from far, or goes to many block RAMs."""
        layout = data.StructLayout({field: Value.cast(value).shape() for field, value in write.items()})
        held = Signal(layout, name=name, reset_less=True)
        m.d.sync += [held[field].eq(value) for field, value in write.items()]
        return held

    def within(self, address, start: int, end: int):
        """Whether an address is one of a bank's: only the bits that all banks begin with zeros below are looked at."""
        bits = min((first & -first).bit_length() - 1 for first in accumulate(self.banks[:-1]))
        return address[bits:].matches(*range(start >> bits, -(-end >> bits)))

    def add_bank(self, m: Module, name: str, init: list[int], address, written, load):
        """One memory; returns its read data, a cycle after ``address``, of which it takes the low bits."""
        bits = (len(init) - 1).bit_length()
        m.submodules[name] = words = memory.Memory(
            shape=self.bits,
            depth=len(init),
            init=init,
            # A file however few they are: other weights never change the Verilog.
            attrs={"ram_style": "block", "init_file": 1} | NO_COLLISIONS,
        )
        write, read = words.write_port(), words.read_port()
        m.d.comb += [
            write.en.eq(written),
            write.addr.eq(load.address[:bits]),
            write.data.eq(load.data),
            read.addr.eq(address[:bits]),
        ]
        return read.data

    def join(self, m: Module, words: list, group: int) -> Signal:
        """OR of words, a cycle later."""
        result = Signal.like(words[0], name=f"joined_{group}", reset_less=True)
        m.d.sync += result.eq(reduce(or_, words))
        return result
