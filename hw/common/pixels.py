"""Pixel stream of the image buffer, the pixel feeder and the AXI core, and the check of a frame's length."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["FrameWatch", "Pixel"]


class Pixel(data.StructLayout):
    """A pixel: ``value`` 0 to 255; ``last`` is set on the last pixel of a frame."""

    def __init__(self):
        super().__init__({"value": 8, "last": 1})


class FrameWatch(wiring.Component):
    """Checks the length of frames by the rule of the image buffer, and numbers them.

    A frame ends with the pixel that has ``last`` set; it must have ``pixels`` pixels. All outputs but ``number``
    are combinational functions of the inputs and the pixels counted so far.

    Parameters
    ----------
    pixels : int, at least 1
        Pixels of a frame.

    Ports
    -----
    taken : 1 bit, in
        A pixel is transferred in this cycle.
    last : 1 bit, in
        The pixel is the last of its frame. Don't-care unless ``taken`` is asserted.
    accepted : 1 bit, out
        Asserted in the cycle in which a frame of ``pixels`` pixels ends.
    short : 1 bit, out
        Asserted in the cycle in which a frame of fewer pixels ends.
    long : 1 bit, out
        Asserted in the cycle in which a frame of more pixels ends.
    over : 1 bit, out
        Asserted from the cycle after pixel number ``pixels`` of a frame until the frame ends, unless that ends it.
    number : 16 bits, out
        Number of the current frame, modulo 2**16, from 0; a register. Dropped frames count.
    """

    def __init__(self, pixels: int):
        self.pixels = pixels
        super().__init__(
            {
                "taken": In(1), "last": In(1),
                "accepted": Out(1), "short": Out(1), "long": Out(1), "over": Out(1), "number": Out(16),
            }
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        count = Signal(range(self.pixels + 1))  # pixels before this one; stays at ``pixels``
        ends = self.taken & self.last
        m.d.comb += [
            self.accepted.eq(ends & (count == self.pixels - 1)),
            self.short.eq(ends & (count < self.pixels - 1)),
            self.long.eq(ends & self.over),
            self.over.eq(count == self.pixels),
        ]
        with m.If(ends):
            m.d.sync += [count.eq(0), self.number.eq(self.number + 1)]
        with m.Elif(self.taken & ~self.over):
            m.d.sync += count.eq(count + 1)
        return m
