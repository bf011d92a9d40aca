"""Pixels of an AXI4-Stream, one or four in a transfer, as the accelerator takes them: one a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.conv.image_buffer import Pixel
from fivebyfive.model.shape import PIXELS

__all__ = ["FrameWatch", "PixelUnpacker", "Transfer"]


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


class FrameWatch(wiring.Component):
    """Judges each frame as the image buffer does, and numbers all of them.

    Members
    -------
    taken : a pixel is taken in this cycle.
    last : it is a frame's last one.
    accepted, short, long : a frame ends in this cycle and has 784 pixels, fewer, more.
    over : the frame has had its 784 pixels already.
    number : of the frame, modulo 2**16; dropped frames count.
    """

    def __init__(self):
        super().__init__(
            {
                "taken": In(1), "last": In(1),
                "accepted": Out(1), "short": Out(1), "long": Out(1), "over": Out(1), "number": Out(16),
            }
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        count = Signal(range(PIXELS + 1))  # pixels before this one; stays at 784
        ends = self.taken & self.last
        m.d.comb += [
            self.accepted.eq(ends & (count == PIXELS - 1)),
            self.short.eq(ends & (count < PIXELS - 1)),
            self.long.eq(ends & self.over),
            self.over.eq(count == PIXELS),
        ]
        with m.If(ends):
            m.d.sync += [count.eq(0), self.number.eq(self.number + 1)]
        with m.Elif(self.taken & ~self.over):
            m.d.sync += count.eq(count + 1)
        return m
