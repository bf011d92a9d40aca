"""From AXI4-Stream transfers of one or four pixels to the accelerator's stream of one."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pixels import Pixel

__all__ = ["PixelUnpacker", "Transfer", "hold_transfer"]


class Transfer(data.StructLayout):
    """A transfer of an AXI4-Stream.

    Parameters
    ----------
    width : int
        Pixels in a transfer.

    Fields
    ------
    data : ``width`` bytes
        Pixels, the first in the lowest bits.
    keep : ``width`` bits
        Bytes that are pixels.
    last : 1 bit
        The transfer is the last of its image.
    """

    def __init__(self, width: int):
        super().__init__({"data": data.ArrayLayout(8, width), "keep": width, "last": 1})


class PixelUnpacker(wiring.Component):
    """Pixels, one per cycle, from transfers of ``width``.

    Bytes that are not kept are dropped. ``last`` goes with the last pixel of its transfer. A transfer with ``last`` and
    no pixel becomes one black pixel, so that the frame ends (one pixel too long, if it was complete).

    Latency: 1 cycle. Throughput: a pixel per cycle; a transfer without pixels takes a cycle.

    Parameters
    ----------
    width : int, at least 1
        Pixels in a transfer.

    Ports
    -----
    i : stream of `Transfer`, in
        Ready when no pixel is left, or the last one is transferred in this cycle.
    o : stream of `Pixel`, out
        The pixels.
    """

    def __init__(self, width: int):
        self.width = width
        super().__init__({"i": In(stream.Signature(Transfer(width))), "o": Out(stream.Signature(Pixel()))})

    def elaborate(self, platform):
        m = Module()
        keep, last = Signal(self.width), Signal()  # pixels not transferred yet; the mark of the last
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
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += keep.eq(rest)
        hold_transfer(m, self.i, pixels, keep, last)
        return m


def hold_transfer(m: Module, transfers: stream.Interface, pixels: data.View, keep: Signal, last: Signal) -> None:
    """A transfer that is taken: its bytes, which of them are pixels, its mark. One with ``last`` and no pixel is one
    black pixel."""
    new = transfers.payload
    with m.If(transfers.valid & transfers.ready):
        nothing = ~new.keep.any()
        m.d.sync += [
            pixels.eq(Mux(nothing, 0, new.data)),
            keep.eq(new.keep | (new.last & nothing)),
            last.eq(new.last),
        ]
