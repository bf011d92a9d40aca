"""Pixels as the fully-connected engine's activations: for networks without convolutions."""

from amaranth.hdl import Module, Mux
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pixels import FrameWatch, Pixel, pixel_codes
from fivebyfive.hw.common.types import codes
from fivebyfive.model.shape import ceil_div

__all__ = ["PixelFeeder"]


class PixelFeeder(wiring.Component):
    """Takes the place of the conv engine in networks without convolutions: a pixel 0 to 255 becomes a code 0 to 127.

    There is no buffer: pixels fill the receiver's set of activations. A frame that has not ``pixels`` pixels up to
    its last mark is dropped and flagged: the receiver discards its codes, and the pixel after the mark begins the next
    frame.

    Latency: none; a pixel's code is on ``o`` in the same cycle. Throughput: a transfer per cycle, also between images.

    Parameters
    ----------
    pixels : int, at least 1
        Pixels of an image.
    at_once : int, 1, 2 or 4
        Pixels in a transfer.

    Ports
    -----
    i : stream of `Pixel`, in
        ``pixels`` pixels per image, channel after channel, row-major. Ready while ``grant`` is asserted.
    o : stream of {values, count}, out, always ready
        The first ``count`` of ``values`` are the codes of a transfer; the last one of an image may have fewer. Valid in
        the cycle of the pixels' transfer; not for pixels beyond those of an image.
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

    def __init__(self, pixels: int, at_once: int = 1):
        self.pixels = pixels
        self.at_once = at_once
        out = data.StructLayout({"values": codes(at_once), "count": range(at_once + 1)})
        super().__init__(
            {
                "i": In(stream.Signature(Pixel(at_once))),
                "o": Out(stream.Signature(out, always_ready=True)),
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
        m.submodules.frames = frames = FrameWatch(ceil_div(self.pixels, self.at_once))
        pixel, rest = self.i.payload, self.pixels % self.at_once or self.at_once
        m.d.comb += [
            self.i.ready.eq(self.grant),
            frames.taken.eq(self.i.valid & self.i.ready),
            frames.last.eq(pixel.last),
            self.o.valid.eq(frames.taken & ~frames.over),
            self.o.payload.values.as_value().eq(pixel_codes(pixel.value)),
            self.o.payload.count.eq(Mux(pixel.last, rest, self.at_once) if rest < self.at_once else self.at_once),
            self.done.eq(frames.accepted),
            self.accepted.eq(frames.accepted),
            self.drop.eq(frames.short | frames.long),
        ]
        m.d.sync += [self.short.eq(self.short | frames.short), self.long.eq(self.long | frames.long)]
        return m
