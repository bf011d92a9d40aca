"""Receives pixels, checks the frame, and buffers two images: one is read while the next one arrives."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import pick
from fivebyfive.hw.common.pixels import Pixel, pixel_codes
from fivebyfive.hw.common.types import CODE, codes
from fivebyfive.model.shape import ceil_div

from .map_memory import MapMemory, StoredMaps

__all__ = ["ImageBuffer"]


class ImageBuffer(wiring.Component):
    """Two images, whose maps are their channels. A pixel 0 to 255 becomes a code 0 to 127.

    A frame whose last mark is not on the last pixel of an image is dropped and flagged; the pixel after the mark begins
    the next frame.

    Throughput: a pixel per cycle in, a transfer of rows per cycle out.

    Parameters
    ----------
    image : StoredMaps, of at least two pixels
        Channels, rows and columns of an image, and how it is streamed out.
    rows_out : int, 1 or 2
        Rows in a transfer.
    at_once : int, 1, 2 or 4
        Pixels in a transfer.

    Ports
    -----
    i : stream of `Pixel`, in
        The pixels of an image, channel after channel, row-major. Not ready while both images are in use.
    available : 1 bit, out
        An image is complete: asserted from the cycle after its last pixel until it is released, and on if the other one
        is complete then.
    start : 1 bit, in
        Asserted for one cycle to stream the image's rows; only while ``available`` is asserted and no
        rows are being streamed.
    release : 1 bit, in
        Asserted for one cycle when the image is no longer needed; only while ``available`` is asserted, after its last
        rows are transferred.
    o : stream of ``rows_out`` rows of codes, out
        Rows of a channel from top to bottom; see `MapMemory`.
    fill : `CODE`, out
        Fill code of the channel whose rows are on ``o``; valid as ``o`` is. Only with a ``fill`` that is not 0.
    accepted : 1 bit, out
        Asserted in the cycle in which the last pixel of a frame of the right length is transferred.
    short : 1 bit, out
        Asserted from the first frame with too few pixels until reset.
    long : 1 bit, out
        Asserted from the first frame with too many pixels until reset.
    """

    def __init__(self, image: StoredMaps, rows_out: int = 1, at_once: int = 1):
        self.image = image
        self.rows_out = rows_out
        self.at_once = at_once
        self.transfers = ceil_div(image.channels * image.rows * image.columns, at_once)
        members = {
            "i": In(stream.Signature(Pixel(at_once))),
            "available": Out(1),
            "start": In(1),
            "release": In(1),
            "o": Out(stream.Signature(data.ArrayLayout(codes(image.columns), rows_out))),
            "accepted": Out(1),
            "short": Out(1),
            "long": Out(1),
        }
        super().__init__(members | ({"fill": Out(CODE)} if image.fills else {}))

    def elaborate(self, platform):
        m = Module()
        across = self.at_once if self.by_parts else self.image.columns
        m.submodules.maps = maps = MapMemory([self.image], rows_out=self.rows_out, sets=2, across=across)
        taken = Signal()
        m.d.comb += [taken.eq(self.i.valid & self.i.ready), maps.start.eq(self.start)]
        if self.image.fills:
            m.d.comb += self.fill.eq(maps.fill)
        wiring.connect(m, maps.o, wiring.flipped(self.o))
        self.check_frame(m, maps, taken)
        self.share(m, maps)
        return m

    @property
    def by_parts(self) -> bool:
        """Whether a row is a number of whole transfers: each is written as it comes."""
        return self.image.columns % self.at_once == 0

    def join_rows(self, m: Module, maps: MapMemory, taken, given: Value, ends):
        """Write rows, each when it is whole: the last pixels move through a register, and those that follow a row stay
        in it. ``ends``: what follows is another frame."""
        columns, spare = self.image.columns, self.at_once - 1
        row = Signal(codes(columns + spare), reset_less=True)
        there = Signal(range(columns))  # codes of a row that is not whole
        over = Signal(range(self.at_once))  # codes behind the row that is written
        total = Signal(range(columns + self.at_once))
        m.d.comb += total.eq(there + self.at_once)
        m.d.sync += maps.i.valid.eq(taken & (total >= columns))
        with m.If(taken):
            m.d.sync += [
                row.as_value().eq(Cat(row.as_value()[CODE.width * self.at_once :], given)),
                there.eq(Mux(total >= columns, total - columns, total)),
                over.eq(total - columns),
            ]
        with m.If(ends):
            m.d.sync += there.eq(0)
        rows = [row.as_value().bit_select(CODE.width * (spare - n), CODE.width * columns) for n in range(self.at_once)]
        m.d.comb += maps.i.payload.as_value().eq(pick(rows, over))

    def share(self, m: Module, maps: MapMemory):
        """Which image is written and which is read. Room for an image and a complete image are registers: much depends
        on them.
        """
        w_set, r_set, blocked = Signal(), Signal(), Signal()
        m.d.comb += [self.i.ready.eq(~blocked), maps.r_set.eq(r_set)]
        m.d.sync += maps.w_set.eq(w_set)  # pixels are written one cycle after their transfer
        with m.If(self.accepted):
            m.d.sync += w_set.eq(~w_set)
        with m.If(self.release):
            m.d.sync += r_set.eq(~r_set)
        with m.If(self.accepted & ~self.release):
            m.d.sync += [self.available.eq(1), blocked.eq(self.available)]
        with m.Elif(self.release & ~self.accepted):
            m.d.sync += [self.available.eq(blocked), blocked.eq(0)]

    def check_frame(self, m: Module, maps: MapMemory, taken: Signal):
        """Write the frame's pixels; count them, and drop a frame whose last mark is not on the image's last pixel."""
        count = Signal(range(self.transfers))
        at_last = Signal()  # the next transfer is the image's last
        overrun = Signal()  # the frame has had the pixels of an image without a last mark
        pixel = self.i.payload
        m.d.comb += self.accepted.eq(taken & pixel.last & at_last)
        given = pixel_codes(pixel.value)
        if self.by_parts:
            m.d.sync += [
                maps.i.payload.as_value().eq(given),
                maps.i.valid.eq(taken & ~overrun),
            ]
        else:
            self.join_rows(m, maps, taken & ~overrun, given, taken & pixel.last)
        m.d.sync += maps.rewind.eq(taken & pixel.last)
        with m.If(taken):
            m.d.sync += [count.eq(count + 1), at_last.eq(count == self.transfers - 2)]
            with m.If(pixel.last):
                m.d.sync += [count.eq(0), at_last.eq(0), overrun.eq(0)]
                with m.If(~at_last):
                    m.d.sync += [self.short.eq(self.short | ~overrun), self.long.eq(self.long | overrun)]
            with m.Elif(at_last | overrun):
                m.d.sync += [at_last.eq(0), overrun.eq(1)]
