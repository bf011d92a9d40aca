"""Pixels as the fully-connected engine's activations: for networks without convolutions."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pixels import FrameWatch, Pixel
from fivebyfive.hw.common.types import CODE, codes

__all__ = ["PixelFeeder"]


class PixelFeeder(wiring.Component):
    """Stands where the conv engine stands in other networks: each pixel becomes a code 0..127 and goes on at once.

    An image takes 784 cycles, and the next may follow without a gap. There is no buffer: the receiver's set of
    activations is filled while pixels come. An image that ends early, or does not end with its 784th pixel, is dropped
    and flagged: the receiver forgets what came of it, and the pixels after its last mark begin the next image.

    Members
    -------
    i : stream of `Pixel`, 784 an image.
    o : stream of {values: a code, count: 1}, in the cycle of the pixel; always ready.
    grant : the receiver can take a whole image; a pixel is taken only then.
    done, accepted : the last pixel of an image is taken in this cycle, and its code is on ``o``.
    drop : a frame of the wrong length ends in this cycle; its codes are to be discarded. A code may be on ``o``.
    short, long : a frame with too few, with too many pixels was dropped; stays high until reset.
    """

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(Pixel())),
                "o": Out(stream.Signature(data.StructLayout({"values": codes(1), "count": 1}), always_ready=True)),
                "grant": In(1),
                "done": Out(1),
                "accepted": Out(1),
                "drop": Out(1),
                "short": Out(1),
                "long": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.frames = frames = FrameWatch()
        pixel = self.i.payload
        m.d.comb += [
            self.i.ready.eq(self.grant),
            frames.taken.eq(self.i.valid & self.i.ready),
            frames.last.eq(pixel.last),
            self.o.valid.eq(frames.taken & ~frames.over),
            self.o.payload.values[0].eq(pixel.value[8 - CODE.width + 1 :]),
            self.o.payload.count.eq(1),
            self.done.eq(frames.accepted),
            self.accepted.eq(frames.accepted),
            self.drop.eq(frames.short | frames.long),
        ]
        m.d.sync += [self.short.eq(self.short | frames.short), self.long.eq(self.long | frames.long)]
        return m
