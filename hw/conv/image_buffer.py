"""Takes pixels in, checks the frame, and keeps two images: one is read while the next one arrives."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pixels import Pixel
from fivebyfive.hw.common.types import CODE, codes
from fivebyfive.model.shape import IMAGE, PIXELS

from .map_memory import MapMemory

__all__ = ["ImageBuffer"]


class ImageBuffer(wiring.Component):
    """Two images of 28 x 28 pixels; pixels become codes 0..127 on the way in.

    An image that ends early, or does not end with its 784th pixel, is dropped and flagged; the pixels after its last
    mark begin the next image.

    Parameters
    ----------
    rows_out : rows in a transfer, 1 or 2.
    repeats : how often an image is streamed out.

    Members
    -------
    i : stream of `Pixel`. Not ready while both images are in use.
    available : an image is there, from the cycle after its last pixel.
    start : stream the image's rows ``repeats`` times; only while ``available``.
    release : the image is no longer needed; only while ``available``, and after its rows have been taken.
    o : stream of rows of codes.
    accepted : an image's last pixel is taken in this cycle.
    short, long : a frame with too few, with too many pixels was dropped; stays high until reset.
    """

    def __init__(self, rows_out: int = 1, repeats: int = 1):
        self.rows_out = rows_out
        self.repeats = repeats
        super().__init__(
            {
                "i": In(stream.Signature(Pixel())),
                "available": Out(1),
                "start": In(1),
                "release": In(1),
                "o": Out(stream.Signature(data.ArrayLayout(codes(IMAGE), rows_out))),
                "accepted": Out(1),
                "short": Out(1),
                "long": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.maps = maps = MapMemory(1, IMAGE, rows_out=self.rows_out, sets=2, repeats=self.repeats)
        taken = Signal()
        m.d.comb += [taken.eq(self.i.valid & self.i.ready), maps.start.eq(self.start)]
        wiring.connect(m, maps.o, wiring.flipped(self.o))
        self.check_frame(m, maps, taken)
        self.share(m, maps)
        return m

    def share(self, m: Module, maps: MapMemory):
        """Which image is written and which is read. That there is room for one and that one is there are registers:
        much waits for them."""
        w_set, r_set, blocked = Signal(), Signal(), Signal()
        m.d.comb += [self.i.ready.eq(~blocked), maps.r_set.eq(r_set)]
        m.d.sync += maps.w_set.eq(w_set)  # pixels are written a cycle after they are taken
        with m.If(self.accepted):
            m.d.sync += w_set.eq(~w_set)
        with m.If(self.release):
            m.d.sync += r_set.eq(~r_set)
        with m.If(self.accepted & ~self.release):
            m.d.sync += [self.available.eq(1), blocked.eq(self.available)]
        with m.Elif(self.release & ~self.accepted):
            m.d.sync += [self.available.eq(blocked), blocked.eq(0)]

    def check_frame(self, m: Module, maps: MapMemory, taken: Signal):
        """Write the frame's pixels; count them, and drop a frame whose last mark is not on the 784th."""
        count = Signal(range(PIXELS))
        at_last = Signal()  # the next pixel is the 784th
        overrun = Signal()  # the frame has had its 784 pixels without a last mark
        pixel = self.i.payload
        m.d.comb += self.accepted.eq(taken & pixel.last & at_last)
        m.d.sync += [
            maps.i.payload[0].eq(pixel.value[8 - CODE.width + 1 :]),
            maps.i.valid.eq(taken & ~overrun),
            maps.rewind.eq(taken & pixel.last),
        ]
        with m.If(taken):
            m.d.sync += [count.eq(count + 1), at_last.eq(count == PIXELS - 2)]
            with m.If(pixel.last):
                m.d.sync += [count.eq(0), at_last.eq(0), overrun.eq(0)]
                with m.If(~at_last):
                    m.d.sync += [self.short.eq(self.short | ~overrun), self.long.eq(self.long | overrun)]
            with m.Elif(at_last | overrun):
                m.d.sync += [at_last.eq(0), overrun.eq(1)]
