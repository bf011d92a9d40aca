"""Pixels of an AXI4-Stream, one or four in a transfer, as the accelerator takes them: one a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pixels import Pixel

__all__ = ["PixelUnpacker", "Transfer"]


class Transfer(data.StructLayout):
    """``width`` pixels, the first in the lowest bits; ``keep`` has a bit for each of them that is one; ``last`` marks
    the transfer that ends an image."""

    def __init__(self, width: int):
        super().__init__({"data": data.ArrayLayout(8, width), "keep": width, "last": 1})


class PixelUnpacker(wiring.Component):
    """Transfers of ``width`` pixels in, pixels out: one a cycle, and a cycle for each transfer of none.

    Bytes that are not kept are left out. The mark goes with the last pixel of its transfer; a marked transfer without
    a pixel counts as one of a black pixel, so that the frame ends (one pixel too long, if it was whole).

    Members
    -------
    i : stream of `Transfer`; a new one is taken while the last pixel of the one before goes out.
    o : stream of `Pixel`, a cycle later.
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__({"i": In(stream.Signature(Transfer(width))), "o": Out(stream.Signature(Pixel()))})

    def elaborate(self, platform):
        m = Module()
        keep, last = Signal(self.width), Signal()  # pixels that are still to go out, and the mark behind them
        pixels = Signal(data.ArrayLayout(8, self.width))
        rest = Signal(self.width)
        m.d.comb += [
            rest.eq(keep & (keep - 1)),
            self.o.valid.eq(keep.any()),
            self.o.payload.last.eq(last & ~rest.any()),
            self.i.ready.eq(~keep.any() | (~rest.any() & self.o.ready)),
        ]
        for number in reversed(range(self.width)):
            with m.If(keep[number]):
                m.d.comb += self.o.payload.value.eq(pixels[number])
        new = self.i.payload
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += keep.eq(rest)
        with m.If(self.i.valid & self.i.ready):
            nothing = ~new.keep.any()
            m.d.sync += [
                pixels.eq(Mux(nothing, 0, new.data)),
                keep.eq(new.keep | (new.last & nothing)),
                last.eq(new.last),
            ]
        return m
