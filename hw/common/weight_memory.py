"""Block RAM for weights: initial contents, one read port, and a port to load others."""

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from operator import or_

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.machine.latency import BANK_GROUP, bank_latency
from fivebyfive.model.shape import ceil_div

from .pipeline import delay
from .types import CODE, NO_COLLISIONS, codes

__all__ = ["WeightMemory", "WriteSignature"]


class WriteSignature(wiring.Signature):
    """Write port of a weight memory, seen from the component that writes.

    Parameters
    ----------
    depth : int
        Words of the memory.
    width : int
        Codes in a word.
    bits : int or None
        Bits in a word that is not made of codes; ``width`` is ignored then.

    Ports
    -----
    en : 1 bit, out
        Write ``data`` at ``address`` in this cycle.
    address : range(depth), out
        Word to write; valid with ``en``.
    data : ``width`` codes or ``bits`` bits, out
        The word; valid with ``en``.
    """

    def __init__(self, depth: int, width: int, bits: int | None = None):
        self.depth = depth
        self.width = width
        self.bits = bits
        word = codes(width) if bits is None else unsigned(bits)
        super().__init__({"en": Out(1), "address": Out(range(depth)), "data": Out(word)})


class WeightMemory(wiring.Component):
    """Words of ``width`` codes in block RAM, with a read port and a write port.

    A memory of one bank has three registers in its read path: one before the block RAM, the block RAM's own, and one
    behind it. More banks spread over the whole chip, which no signal may cross in one cycle. They form groups of five:
    the address passes a register before each group; behind each bank are three registers, of which the last stays zero
    unless the word is in this bank; the words are joined by ORs with a register behind each group. That is cheaper than
    a multiplexer, and no logic follows a block RAM.

    Latency: 3 cycles with one bank, 5 + ceil(banks / 5) with more. Throughput: a read and a write per cycle.

    A write passes one register, or two with more banks. A read of the same address is undefined from g cycles before to
    one cycle after the write, where g is the number of groups (1 for one bank).

    Parameters
    ----------
    init : sequence of int
        Initial words, code 0 in the lowest bits; at least one. Their number is the depth.
    width : int
        Codes in a word: 25 for conv, 20 R for FC.
    banks : sequence of int or None
        Words of each bank (`fivebyfive.model.machine.weights.bank_sizes`); None for one bank.
    bits : int or None
        Bits in a word that is not made of codes; ``width`` is ignored then.

    Ports
    -----
    address : range(depth), in
        Word to read.
    data : ``width`` codes or ``bits`` bits, out
        The word; valid `latency` cycles after ``address``.
    load : `WriteSignature`, in
        Replaces a word.

    Raises
    ------
    ValueError
        ``init`` is empty, or ``banks`` do not add up to the depth.
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
            m.d.comb += self.data.eq(delay(m, word, 1, name="word", reset_less=True))
            return m
        address = self.address
        load = self.hold(m, "load", en=self.load.en, address=self.load.address, data=self.load.data)
        ends = list(accumulate(self.banks))
        joined = None
        for group in range(0, len(self.banks), BANK_GROUP):
            words = []
            address = delay(m, address, 1, name=f"address_{group // BANK_GROUP}")
            bits = (max(self.banks[group : group + BANK_GROUP]) - 1).bit_length()
            near = self.hold(m, f"load_{group // BANK_GROUP}", address=load.address[:bits], data=load.data)
            for number in range(group, min(group + BANK_GROUP, len(self.banks))):
                start, end = ends[number] - self.banks[number], ends[number]
                mine = delay(m, self.within(address, start, end), 3, name=f"reads_{number}")
                written = load.en & self.within(load.address, start, end)
                written = delay(m, written, 1, name=f"writes_{number}", reset_less=True)
                word = self.add_bank(m, f"bank_{number}", self.init[start:end], address, written, near)
                words.append(self.gate(m, word, mine, number))
            joined = self.join(m, words if joined is None else [joined, *words], group // BANK_GROUP)
        m.d.comb += self.data.eq(joined)
        return m

    def gate(self, m: Module, word, mine, number: int) -> Signal:
        """A bank's word three cycles later; zero unless the word read is in this bank (``mine``)."""
        own = Signal.like(word, name=f"own_{number}", reset_less=True)
        m.d.sync += own.eq(Mux(mine, delay(m, word, 2, name=f"word_{number}", reset_less=True), 0))
        return own

    def hold(self, m: Module, name: str, **write) -> data.View:
        """The given fields of a write, one cycle later: they come from far away, or go to many block RAMs."""
        layout = data.StructLayout({field: Value.cast(value).shape() for field, value in write.items()})
        held = Signal(layout, name=name, reset_less=True)
        m.d.sync += [held[field].eq(value) for field, value in write.items()]
        return held

    def within(self, address, start: int, end: int):
        """Whether an address is in a bank. Compares only the bits above those that are zero in every bank's first
        address.
        """
        bits = min((first & -first).bit_length() - 1 for first in accumulate(self.banks[:-1]))
        return address[bits:].matches(*range(start >> bits, ceil_div(end, 1 << bits)))

    def add_bank(self, m: Module, name: str, init: list[int], address, written, load):
        """One memory; returns its read data, one cycle after ``address``, of which it decodes the low bits."""
        bits = (len(init) - 1).bit_length()
        m.submodules[name] = words = memory.Memory(
            shape=self.bits,
            depth=len(init),
            init=init,
            # Always a file, however few words there are: weights never change the Verilog.
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
