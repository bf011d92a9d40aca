"""Pixels as the fully-connected engine's activations: for networks without convolutions."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pixels import FrameWatch, Pixel
from fivebyfive.hw.common.types import CODE, codes

__all__ = ["PixelFeeder"]


class PixelFeeder(wiring.Component):
    """Takes the place of the conv engine in networks without convolutions: a pixel 0 to 255 becomes a code 0 to 127.

    There is no buffer: pixels fill the receiver's set of activations. A frame that has not ``pixels`` pixels up to
    its last mark is dropped and flagged: the receiver discards its codes, and the pixel after the mark begins the next
    frame.

    Latency: none; a pixel's code is on ``o`` in the same cycle. Throughput: a pixel per cycle, also between images.

    Parameters
    ----------
    pixels : int, at least 1
        Pixels of an image.

    Ports
    -----
    i : stream of `Pixel`, in
        ``pixels`` pixels per image, channel after channel, row-major. Ready while ``grant`` is asserted.
    o : stream of {values, count}, out, always ready
        ``values``: one code; ``count`` is 1. Valid in the cycle of the pixel's transfer; not for pixels beyond
        those of an image.
    grant : 1 bit, in
        The receiver has room for an image.
    done : 1 bit, out
        Asserted in the cycle in which the last pixel of an image is transferred; its code is on ``o``.
    accepted : 1 bit, out
        The same signal as ``done``.
    drop : 1 bit, out
        Asserted in the cycle in which a frame of the wrong length ends; its codes must be discarded. A code may be on
        ``o``.
    short : 1 bit, out
        Asserted from the cycle after the first frame with too few pixels until reset.
    long : 1 bit, out
        Asserted from the cycle after the first frame with too many pixels until reset.
    """

    def __init__(self, pixels: int):
        self.pixels = pixels
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
        m.submodules.frames = frames = FrameWatch(self.pixels)
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
