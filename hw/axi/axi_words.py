"""From AXI4-Stream transfers of two or four pixels to the accelerator's stream of as many."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pixels import Pixel
from fivebyfive.model.shape import ceil_div

from .axi_pixels import Transfer, hold_transfer

__all__ = ["PixelCollector"]


class PixelCollector(wiring.Component):
    """Words of ``width`` pixels from transfers of as many bytes, and the check of a frame's length.

    Bytes that are not kept are dropped: what is left is collected into words, from the first pixel of a frame on. The
    last word of a frame may have fewer pixels; ``last`` goes with it. A transfer with ``last`` and no pixel becomes one
    black pixel. A frame of another length than ``pixels`` that has as many words gets a word more, so that whoever
    counts words drops it.

    Latency: 2 cycles. Throughput: a word per cycle from transfers of which every byte is kept, else a pixel per cycle.

    Parameters
    ----------
    width : int, 2 or 4
        Pixels in a transfer and in a word.
    pixels : int, more than ``width``
        Pixels of a frame.

    Ports
    -----
    i : stream of `Transfer`, in
        Ready when no pixel is left, or the last ones move into the word in this cycle.
    o : stream of `Pixel`, out
        The words.
    accepted : 1 bit, out
        Asserted in the cycle in which the last pixel of a frame of ``pixels`` pixels moves into its word.
    short : 1 bit, out
        The same of a frame of fewer.
    long : 1 bit, out
        The same of a frame of more.
    number : 16 bits, out
        Number of the current frame, modulo 2**16, from 0; a register. Dropped frames count.
    """

    def __init__(self, width: int, pixels: int):
        self.width, self.pixels = width, pixels
        super().__init__(
            {
                "i": In(stream.Signature(Transfer(width))), "o": Out(stream.Signature(Pixel(width))),
                "accepted": Out(1), "short": Out(1), "long": Out(1), "number": Out(16),
            }
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        words = ceil_div(self.pixels, self.width)
        keep, last = Signal(self.width), Signal()  # as in `PixelUnpacker`
        pixels = Signal(data.ArrayLayout(8, self.width))
        word = Signal(data.ArrayLayout(8, self.width))
        fill = Signal(range(self.width + 1))  # pixels in the word
        count = Signal(range(words + 1))  # words of the frame before this one; stays at ``words``
        end, more = Signal(), Signal()  # the word is the last of its frame, but for ``more``: one without pixels
        rest, taken, room, whole, moves, ends = Signal(self.width), Signal(), Signal(), Signal(), Signal(), Signal()
        first, filled = Signal.like(fill), Signal.like(fill)  # pixels before and after those of this cycle
        m.d.comb += [
            self.o.valid.eq((fill == self.width) | end),
            self.o.payload.value.eq(word),
            self.o.payload.last.eq(end & ~more),
            taken.eq(self.o.valid & self.o.ready),
            room.eq(~self.o.valid | (taken & ~more)),
            first.eq(Mux(self.o.valid, 0, fill)),
            whole.eq(keep.all() & (first == 0)),
            filled.eq(Mux(whole, self.width, first + 1)),
            rest.eq(Mux(whole, 0, keep & (keep - 1))),
            moves.eq(room & keep.any()),
            self.i.ready.eq(~keep.any() | (room & ~rest.any())),
            ends.eq(moves & last & ~rest.any()),
        ]
        before = Signal.like(count)  # words of the frame before that of this cycle
        following = Mux(count == words, words, count + 1)
        m.d.comb += before.eq(Mux(self.o.valid, Mux(end & ~more, 0, following), count))
        with m.If(taken):
            m.d.sync += [fill.eq(0), more.eq(0), end.eq(more), count.eq(before)]
        with m.If(moves):
            m.d.sync += [keep.eq(rest), fill.eq(filled), end.eq(ends)]
            for number in reversed(range(self.width)):
                with m.If(keep[number]):
                    m.d.sync += word[first].eq(pixels[number])
            with m.If(whole):
                m.d.sync += word.eq(pixels)
        self.check_length(m, ends, before == words - 1, before == words, filled, more)
        hold_transfer(m, self.i, pixels, keep, last)
        return m

    def check_length(self, m: Module, ends, at_last, beyond, filled, more):
        """A frame ends in its ``at_last`` word, ``beyond`` it or before, which has ``filled`` pixels then."""
        expected = self.pixels % self.width or self.width
        m.d.comb += [
            self.accepted.eq(ends & at_last & (filled == expected)),
            self.long.eq(ends & (beyond | (at_last & (filled > expected)))),
            self.short.eq(ends & ~self.accepted & ~self.long),
        ]
        with m.If(ends):
            m.d.sync += [self.number.eq(self.number + 1), more.eq(at_last & (filled != expected))]
