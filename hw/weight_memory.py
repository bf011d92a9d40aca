"""Block RAM for weights: initial contents, one read port, and a port to load others."""

from collections.abc import Sequence

from amaranth.hdl import Module
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from .pipeline import delay
from .types import codes

__all__ = ["WeightMemory", "WriteSignature"]


class WriteSignature(wiring.Signature):
    """A write of one word of ``width`` codes to one of ``depth`` addresses, in each cycle in which ``en`` is high."""

    def __init__(self, depth: int, width: int):
        self.depth = depth
        self.width = width
        super().__init__({"en": Out(1), "address": Out(range(depth)), "data": Out(codes(width))})


class WeightMemory(wiring.Component):
    """Words of ``width`` codes in block RAM.

    The word at ``address`` is on ``data`` `latency` cycles later: the block RAM's own register and an output register.
    Reading an address in the cycle of its write gives the old word.

    Parameters
    ----------
    init : the words, each an integer with code 0 in its lowest bits; their number is the depth.
    width : codes of a word: 25 for conv, 20 R for FC.

    Members
    -------
    address : word to read.
    data : the word, `latency` cycles later.
    load : replaces words (`WriteSignature`).
    """

    latency = 2

    def __init__(self, init: Sequence[int], width: int):
        if not init:
            raise ValueError("a weight memory needs at least one word")
        self.init = list(init)
        self.width = width
        self.depth = len(self.init)
        super().__init__(
            {
                "address": In(range(self.depth)),
                "data": Out(codes(width)),
                "load": In(WriteSignature(self.depth, width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        shape = data.Layout.cast(codes(self.width)).size
        m.submodules.words = words = memory.Memory(
            shape=shape,
            depth=self.depth,
            init=self.init,
            attrs={"ram_style": "block", "init_file": 1},  # however few: other weights never change the Verilog
        )
        write, read = words.write_port(), words.read_port()
        m.d.comb += [
            write.en.eq(self.load.en),
            write.addr.eq(self.load.address),
            write.data.eq(self.load.data),
            read.addr.eq(self.address),
            self.data.eq(delay(m, read.data, self.latency - 1, name="word")),
        ]
        return m
