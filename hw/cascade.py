"""Two accelerators for one image: the second computes only where the first one is unsure."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pixels import FrameWatch, Pixel
from fivebyfive.model.cascade import MAX_MARGIN
from fivebyfive.model.shape import ceil_div

from .accelerator import Accelerator
from .fc.argmax import Result

__all__ = ["Answer", "Cascade"]

IMAGES = 8  # images whose pixels are kept: more than the first accelerator has inside


class Answer(data.StructLayout):
    """Result of an image, and whose it is.

    Parameters
    ----------
    classes : int
        Number of logits.

    Fields
    ------
    result : `Result`
        Logits and class of the network that answered.
    second : 1 bit
        The second network answered.
    """

    def __init__(self, classes: int):
        super().__init__({"result": Result(classes), "second": 1})


class Cascade(wiring.Component):
    """Two accelerators with all their weights on chip; the second one's result counts where it was asked for.

    Pixels go into the first accelerator, and into a memory of eight images. Where the two largest logits of its result
    are less than ``margin`` codes apart, the image is sent to the second accelerator, and that one's result is the
    image's. Meanwhile the first goes on with the next images until it has a result. Golden model:
    `fivebyfive.model.cascade`.

    Latency: that of the first accelerator, and 2 + classes cycles; for the second one's results besides a cycle for
    each transfer of an image, 1, and its own latency. Throughput: that of the first accelerator until the second is
    asked.

    Parameters
    ----------
    first : Accelerator
        Of the small network.
    second : Accelerator
        Of the large network, with the same input, classes and pixels in a transfer.
    margin : int, 0 to 256
        Below this distance of the two largest logits, in codes, the second is asked.

    Ports
    -----
    i : stream of `Pixel`, in
        As of `Accelerator`. Not ready either while eight images have no result.
    o : stream of `Answer`, out
        Logits and class, in the order of the images.
    load_first : stream of `Load`, in
        Weights of the first accelerator. Ready while ``busy`` is not asserted.
    load_second : stream of `Load`, in
        Weights of the second accelerator, likewise.
    busy : 1 bit, out
        An image is inside: its last pixel is accepted, its result not yet transferred.
    short_frame : 1 bit, out
        A frame with too few pixels was dropped since reset.
    long_frame : 1 bit, out
        A frame with too many pixels was dropped since reset.
    images : 32 bits, out
        Results transferred since reset, modulo 2**32.
    asked : 32 bits, out
        Of these, results of the second accelerator.

    Raises
    ------
    ValueError
        The accelerators do not take the same transfers or do not give as many logits, or ``margin`` is out of range.
    """

    def __init__(self, first: Accelerator, second: Accelerator, margin: int):
        one, other = first.network, second.network
        if (one.input, one.classes, first.config.pixels) != (other.input, other.classes, second.config.pixels):
            raise ValueError(
                "both accelerators must take the same images, in the same transfers, and have as many logits"
            )
        if one.classes < 2 or not 0 <= margin <= MAX_MARGIN:
            raise ValueError(f"a cascade needs two classes and a margin from 0 to {MAX_MARGIN}, not {margin}")
        self.first, self.second, self.margin = first, second, margin
        self.classes, self.transfers = one.classes, ceil_div(one.pixels, first.config.pixels)
        super().__init__(
            {
                "i": In(stream.Signature(Pixel(first.config.pixels))),
                "o": Out(stream.Signature(Answer(self.classes))),
                "load_first": In(first.signature.members["load"].signature.flip()),
                "load_second": In(second.signature.members["load"].signature.flip()),
                "busy": Out(1), "short_frame": Out(1), "long_frame": Out(1), "images": Out(32), "asked": Out(32),
            }
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.first, m.submodules.second = first, second = self.first, self.second
        m.submodules.frames = frames = FrameWatch(self.transfers)
        place = Signal(range(self.transfers))  # of the transfer in its image
        newest, oldest = Signal(range(IMAGES)), Signal(range(IMAGES))  # image that comes in, image that is next out
        held = Signal(range(IMAGES + 1))  # images that are in and have no result yet
        m.submodules.store = store = memory.Memory(
            shape=self.i.payload.value.shape(), depth=IMAGES << len(place), init=[]
        )
        self.receive(m, frames, store, place, newest, held)
        done = Signal()  # a result is transferred
        m.d.sync += held.eq(held + frames.accepted - done)
        with m.If(done):
            m.d.sync += [oldest.eq(oldest + 1), self.images.eq(self.images + 1)]
        m.d.comb += [
            self.busy.eq(held != 0),
            self.short_frame.eq(first.status.short_frame),
            self.long_frame.eq(first.status.long_frame),
            done.eq(self.o.valid & self.o.ready),
            first.o.ready.eq(done),
        ]
        for port, accelerator in ((self.load_first, first), (self.load_second, second)):
            m.d.comb += [
                accelerator.load.payload.eq(port.payload),
                accelerator.load.valid.eq(port.valid & ~self.busy),
                port.ready.eq(accelerator.load.ready & ~self.busy),
            ]
        self.decide(m, store, oldest, done)
        return m

    def receive(self, m: Module, frames: FrameWatch, store: memory.Memory, place: Signal, newest: Signal, held: Signal):
        """Pixels into the first accelerator and the memory."""
        first, write = self.first, store.write_port()
        room = held != IMAGES
        taken = self.i.valid & self.i.ready
        m.d.comb += [
            first.i.payload.eq(self.i.payload),
            first.i.valid.eq(self.i.valid & room),
            self.i.ready.eq(first.i.ready & room),
            frames.taken.eq(taken),
            frames.last.eq(self.i.payload.last),
            write.addr.eq(Cat(place, newest)),
            write.data.eq(self.i.payload.value),
            write.en.eq(taken & ~frames.over),
        ]
        with m.If(taken):
            m.d.sync += place.eq(Mux(self.i.payload.last | (place == self.transfers - 1), 0, place + 1))
        with m.If(frames.accepted):
            m.d.sync += newest.eq(newest + 1)

    def decide(self, m: Module, store: memory.Memory, oldest: Signal, done: Signal):
        """Take the first one's result, or send the image to the second and take that one's."""
        first, second, read = self.first, self.second, store.read_port()
        logits, index = first.o.payload.logits, first.o.payload.index
        looked = Signal(range(self.classes))
        largest = Signal(8, init=0)  # of the logits that are not the best one; 128 added, so that it is not negative
        sent = Signal(range(self.transfers))
        sends = second.i.valid & second.i.ready
        with m.If(sends):
            m.d.sync += sent.eq(sent + 1)
        m.d.comb += [
            read.addr.eq(Cat((sent + sends)[: len(sent)], oldest)),
            second.i.payload.value.eq(read.data),
            second.i.payload.last.eq(sent == self.transfers - 1),
            self.o.payload.result.eq(first.o.payload),
        ]
        unsigned = Signal(8)
        best = Signal(8)
        m.d.comb += [unsigned.eq(logits[looked] ^ 0x80), best.eq(logits[index] ^ 0x80)]
        with m.FSM():
            with m.State("WAIT"):
                m.d.sync += [looked.eq(0), largest.eq(0), sent.eq(0)]
                with m.If(first.o.valid):
                    m.next = "COMPARE"
            with m.State("COMPARE"):
                m.d.sync += looked.eq(looked + 1)
                with m.If((looked != index) & (unsigned > largest)):
                    m.d.sync += largest.eq(unsigned)
                with m.If(looked == self.classes - 1):
                    m.next = "DECIDE"
            with m.State("DECIDE"):
                m.next = "FIRST"
                with m.If(best - largest < self.margin):
                    m.next = "SEND"
            with m.State("FIRST"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "WAIT"
            with m.State("SEND"):
                m.d.comb += second.i.valid.eq(1)
                with m.If(sends & second.i.payload.last):
                    m.next = "SECOND"
            with m.State("SECOND"):
                m.d.comb += [
                    self.o.valid.eq(second.o.valid),
                    self.o.payload.result.eq(second.o.payload),
                    self.o.payload.second.eq(1),
                    second.o.ready.eq(self.o.ready),
                ]
                with m.If(done):
                    m.d.sync += self.asked.eq(self.asked + 1)
                    m.next = "WAIT"
