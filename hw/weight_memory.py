"""Block RAM for weights: initial contents, one read port, and a port to load others."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from .pipeline import delay
from .types import CODE, codes

__all__ = ["WeightMemory", "WriteSignature", "bank_latency"]

FAN_IN = 16  # two LUTs one behind the other, of four inputs or more


def bank_latency(banks: int) -> int:
    """Cycles from an address to its word in a memory of so many banks."""
    levels = 0
    while banks > FAN_IN**levels:
        levels += 1
    return 3 + levels if levels else 2


class WriteSignature(wiring.Signature):
    """A write of one word of ``width`` codes to one of ``depth`` addresses, in each cycle in which ``en`` is high."""

    def __init__(self, depth: int, width: int):
        self.depth = depth
        self.width = width
        super().__init__({"en": Out(1), "address": Out(range(depth)), "data": Out(codes(width))})


class WeightMemory(wiring.Component):
    """Words of ``width`` codes in block RAM.

    The word at ``address`` is on ``data`` `latency` cycles later. A memory of one bank takes two cycles: the block
    RAM's own register and an output register. A larger one takes a cycle for the address; then each bank reads into
    a register that stays zero unless the word is its own, and the registers are joined by a pipelined tree of ORs,
    16 to one: cheaper than a multiplexer, and the path behind a block RAM, slow as that is, has no logic on it.
    Reading an address in the cycle of its write gives the old word.

    Parameters
    ----------
    init : the words, each an integer with code 0 in its lowest bits; their number is the depth.
    width : codes of a word: 25 for conv, 20 R for FC.
    banks : words of each bank (`fivebyfive.model.weights.bank_sizes`); one bank if None.

    Members
    -------
    address : word to read.
    data : the word, `latency` cycles later.
    load : replaces words (`WriteSignature`).
    """

    def __init__(self, init: Sequence[int], width: int, banks: Sequence[int] | None = None):
        if not init:
            raise ValueError("a weight memory needs at least one word")
        self.init = list(init)
        self.width = width
        self.depth = len(self.init)
        self.banks = list(banks or [self.depth])
        if sum(self.banks) != self.depth:
            raise ValueError(f"banks of {self.banks} words do not hold {self.depth}")
        super().__init__(
            {
                "address": In(range(self.depth)),
                "data": Out(codes(width)),
                "load": In(WriteSignature(self.depth, width)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from an address to its word."""
        return bank_latency(len(self.banks))

    def elaborate(self, platform):
        m = Module()
        if len(self.banks) == 1:
            word = self.add_bank(m, "words", self.init, self.address, self.load.en, self.load)
            m.d.comb += self.data.eq(delay(m, word, 1, name="word"))
            return m
        address = delay(m, self.address, 1, name="address")
        load = self.hold_load(m)
        words = []
        start = 0
        for number, size in enumerate(self.banks):
            end = start + size
            mine = delay(m, self.within(self.address, start, end), 2, name=f"reads_{number}")
            written = load.en & self.within(load.address, start, end)
            word = self.add_bank(m, f"bank_{number}", self.init[start:end], address, written, load)
            register = Signal.like(word, name=f"word_{number}", reset_less=True)
            m.d.sync += register.eq(Mux(mine, word, 0))
            words.append(register)
            start = end
        m.d.comb += self.data.eq(self.join(m, words))
        return m

    def hold_load(self, m: Module):
        """The load port a cycle later: it reaches every block RAM."""
        load = Signal(
            data.StructLayout({"en": 1, "address": range(self.depth), "data": codes(self.width)}), reset_less=True
        )
        m.d.sync += [load[name].eq(getattr(self.load, name)) for name in ("en", "address", "data")]
        return load

    def within(self, address, start: int, end: int):
        """Whether an address is one of a bank's: only the bits that all banks begin with zeros below are looked at."""
        starts = [sum(self.banks[:n]) for n in range(1, len(self.banks))]
        bits = min((first & -first).bit_length() - 1 for first in starts)
        return address[bits:].matches(*range(start >> bits, -(-end >> bits)))

    def add_bank(self, m: Module, name: str, init: list[int], address, written, load):
        """One memory; returns its read data, a cycle after ``address``, of which it takes the low bits."""
        bits = (len(init) - 1).bit_length()
        m.submodules[name] = words = memory.Memory(
            shape=CODE.width * self.width,
            depth=len(init),
            init=init,
            attrs={"ram_style": "block", "init_file": 1},  # however few: other weights never change the Verilog
        )
        write, read = words.write_port(), words.read_port()
        m.d.comb += [
            write.en.eq(written),
            write.addr.eq(load.address[:bits]),
            write.data.eq(load.data),
            read.addr.eq(address[:bits]),
        ]
        return read.data

    def join(self, m: Module, words: list):
        """OR of all, 16 at a time."""
        level = 0
        while len(words) > 1:
            level += 1
            groups = [words[n : n + FAN_IN] for n in range(0, len(words), FAN_IN)]
            words = [Signal.like(words[0], name=f"joined_{level}_{n}", reset_less=True) for n in range(len(groups))]
            m.d.sync += [word.eq(reduce(or_, group)) for word, group in zip(words, groups, strict=True)]
        return words[0]
