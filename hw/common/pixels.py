"""Pixel stream of the image buffer, the pixel feeder and the AXI core, and the check of a frame's length."""

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .types import CODE

__all__ = ["FrameWatch", "Pixel", "pixel_codes"]


class Pixel(data.StructLayout):
    """A transfer of pixels.

    Parameters
    ----------
    count : int, 1, 2 or 4
        Pixels of a transfer.

    Fields
    ------
    value : ``count`` x 8 bits
        Pixels, 0 to 255, the first one lowest. A transfer may go from row to row and from channel to channel. What the
        last one of a frame has too many is ignored.
    last : 1 bit
        The transfer is the last of a frame.
    """

    def __init__(self, count: int = 1):
        super().__init__({"value": 8 * count, "last": 1})


def pixel_codes(value: Value) -> Value:
    """Pixels 0 to 255 as codes 0 to 127, side by side."""
    pixels = [value[first : first + 8] for first in range(0, len(value), 8)]
    return Cat(Cat(pixel[8 - CODE.width + 1 :], Const(0, 1)) for pixel in pixels) if len(pixels) > 1 else value[1:]


class FrameWatch(wiring.Component):
    """Checks the length of frames by the rule of the image buffer, and numbers them.

    A frame ends with the transfer that has ``last`` set; it must have ``transfers`` of them. All outputs but ``number``
    are combinational functions of the inputs and the transfers counted so far.

    Parameters
    ----------
    transfers : int, at least 1
        Transfers of a frame.

    Ports
    -----
    taken : 1 bit, in
        There is a transfer in this cycle.
    last : 1 bit, in
        The transfer is the last of its frame. Don't-care unless ``taken`` is asserted.
    accepted : 1 bit, out
        Asserted in the cycle in which a frame of ``transfers`` transfers ends.
    short : 1 bit, out
        Asserted in the cycle in which a frame of fewer ends.
    long : 1 bit, out
        Asserted in the cycle in which a frame of more ends.
    over : 1 bit, out
        Asserted from the cycle after transfer number ``transfers`` until the frame ends, unless that one ends it.
    number : 16 bits, out
        Number of the current frame, modulo 2**16, from 0; a register. Dropped frames count.
    """

    def __init__(self, transfers: int):
        self.transfers = transfers
        super().__init__(
            {
                "taken": In(1), "last": In(1),
                "accepted": Out(1), "short": Out(1), "long": Out(1), "over": Out(1), "number": Out(16),
            }
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        count = Signal(range(self.transfers + 1))  # transfers before this one; stays at ``transfers``
        ends = self.taken & self.last
        m.d.comb += [
            self.accepted.eq(ends & (count == self.transfers - 1)),
            self.short.eq(ends & (count < self.transfers - 1)),
            self.long.eq(ends & self.over),
            self.over.eq(count == self.transfers),
        ]
        with m.If(ends):
            m.d.sync += [count.eq(0), self.number.eq(self.number + 1)]
        with m.Elif(self.taken & ~self.over):
            m.d.sync += count.eq(count + 1)
        return m
