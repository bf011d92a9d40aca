"""The pixel stream of the image buffer, the pixel feeder and the AXI core, and what a frame is."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.shape import PIXELS

__all__ = ["FrameWatch", "Pixel"]


class Pixel(data.StructLayout):
    """A pixel 0..255 and the mark of an image's last one."""

    def __init__(self):
        super().__init__({"value": 8, "last": 1})


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
