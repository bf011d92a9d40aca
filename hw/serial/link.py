"""A board's side of the protocol (`fivebyfive.model.protocol.link`): collects an image, classifies it, answers."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pixels import Pixel
from fivebyfive.hw.fc.argmax import Result
from fivebyfive.model.machine.cycles import COUNTER_BITS
from fivebyfive.model.protocol.link import CHUNK, CHUNKS, DIGEST, LARGEST, MOST_CHUNKS, PAGE, PAGES, VERSION, Info, Kind
from fivebyfive.model.shape import PIXELS

from .deframer import DISTRIBUTED, Header
from .framer import Answer

__all__ = ["Link"]

SETTLE = 15  # cycles from a result to its latency on the counters, and some more


class ReceivedImage:
    """The image that is received.

    Attributes
    ----------
    sequence : 16 bits
        Its number.
    open : 1 bit
        There is such an image.
    came : bit per chunk
        Chunks received.
    """

    def __init__(self):
        self.sequence = Signal(16)
        self.open = Signal()
        self.came = Signal(CHUNKS)


class LastResult:
    """Result of the image that was classified last.

    Attributes
    ----------
    tell : 1 bit
        The result has not been sent yet.
    logits : 8 bits per class
        Its logits.
    cycles : 24 bits
        Its latency.
    """

    def __init__(self, classes: int):
        self.tell = Signal()
        self.logits = Signal(8 * classes)
        self.cycles = Signal(COUNTER_BITS)


class Cursor:
    """Where the pixels of a frame are copied.

    Attributes
    ----------
    read : range(payload)
        Byte of the payload to read.
    chunk : range(chunks)
        Chunk that is written.
    inside : range(7)
        Pixel in the chunk.
    place : range(784)
        Pixel in the image.
    """

    def __init__(self):
        self.read = Signal(range(LARGEST + 1))
        self.chunk, self.inside, self.place = Signal(range(CHUNKS + 1)), Signal(range(CHUNK)), Signal(range(PIXELS + 1))


class Link(wiring.Component):
    """Connects a `Deframer` and a `Framer` to an `Accelerator`.

    A frame is handled within 60 cycles. An answer is lost while the one before is still being sent: the host asks
    again. Pixels received while an image is in the accelerator are ignored: the host sends them again.

    Parameters
    ----------
    classes : int, at least 1
        Number of logits.
    digest : str
        SHA-256 of the network's arrays, hexadecimal; INFO carries its first bytes.

    Ports
    -----
    header : `Header`, in
        As of `Deframer`; must hold for 60 cycles from ``valid`` on.
    valid : 1 bit, in
        Asserted for one cycle when a frame is complete.
    address : range(longest payload), out
        Byte of the payload to read.
    payload : 8 bits, in
        That byte, in the same cycle.
    answer : stream of `Answer`, out
        Unlike other streams, an answer to a request is valid for one cycle only, transferred or not. A RESULT that is
        sent on completion stays valid until it is transferred, but for cycles in which a frame is handled.
    pixels : stream of `Pixel`, out
        The image, once all of its chunks are received; at most a pixel every two cycles.
    result : stream of `Result`, in
        Its result; ready when ``latency`` has settled.
    latency : 24 bits, in
        Cycles from the last pixel to the result, from the accelerator's counters.
    busy : 1 bit, out
        Asserted while an image is in the accelerator.
    done : 1 bit, out
        The result of the current image is known.
    index : range(classes), out
        Class of the last image classified.
    """

    def __init__(self, classes: int, digest: str):
        self.classes = classes
        self.info = Info(VERSION, classes, bytes.fromhex(digest)[:DIGEST])
        self.most = max(len(self.info.pack()), 4 + classes)  # bytes of the longest answer
        super().__init__(
            {
                "header": In(Header()), "valid": In(1), "address": Out(range(LARGEST)), "payload": In(8),
                "answer": Out(stream.Signature(Answer(self.most))),
                "pixels": Out(stream.Signature(Pixel())), "result": In(stream.Signature(Result(classes))),
                "latency": In(COUNTER_BITS),
                "busy": Out(1), "done": Out(1), "index": Out(range(classes)),
            }
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        memory = Memory(shape=8, depth=PIXELS, init=[], attrs=DISTRIBUTED)
        m.submodules.image = memory
        received, last, cursor = ReceivedImage(), LastResult(self.classes), Cursor()
        fits = Signal()
        m.d.sync += fits.eq(self.good())
        current = received.open & (self.header.sequence == received.sequence)
        self.classify(m, memory.read_port(), received, last)
        with m.FSM():
            with m.State("REST"):
                with m.If(self.valid & (self.header.kind == Kind.HELLO)):
                    m.d.sync += [received.open.eq(0), self.done.eq(0), last.tell.eq(0)]
                    self.send(m, Kind.INFO, Const(int.from_bytes(self.info.pack(), "little"), 8 * (2 + DIGEST)))
                with m.Elif(self.valid & (self.header.kind == Kind.ASK)):
                    self.reply(m, current, received, last)
                with m.Elif(self.valid & (self.header.kind == Kind.PIXELS) & ~self.busy):
                    m.next = "CHECK"
                with m.Elif(last.tell):
                    self.send(m, Kind.RESULT, self.result_bytes(last), received.sequence)
                    with m.If(self.answer.ready):
                        m.d.sync += last.tell.eq(0)
            with m.State("CHECK"):
                m.next = "REST"
                with m.If(fits):
                    with m.If(~current):
                        m.d.sync += [received.came.eq(0), self.done.eq(0), last.tell.eq(0)]
                    m.d.sync += [
                        received.open.eq(1), received.sequence.eq(self.header.sequence),
                        cursor.read.eq(1), cursor.inside.eq(0), cursor.chunk.eq(self.payload),
                        cursor.place.eq((self.payload << 3) - self.payload),  # times CHUNK
                    ]  # fmt: skip
                    m.next = "COPY"
            with m.State("COPY"):
                self.copy(m, memory.write_port(), received, cursor)
        return m

    def good(self):
        """Whether the payload's length is that of a chunk number and whole chunks, and no chunk is beyond the last."""
        return Cat(
            (self.header.length == 1 + count * CHUNK) & (self.payload <= CHUNKS - count)
            for count in range(1, MOST_CHUNKS + 1)
        ).any()

    def copy(self, m: Module, port, received: ReceivedImage, cursor: Cursor):
        """Copy the frame's pixels to the image, one per cycle; a chunk is received with its last pixel."""
        read, chunk, inside, place = cursor.read, cursor.chunk, cursor.inside, cursor.place
        m.d.comb += [self.address.eq(read), port.addr.eq(place), port.data.eq(self.payload), port.en.eq(1)]
        m.d.sync += [read.eq(read + 1), place.eq(place + 1), inside.eq(inside + 1)]
        with m.If(inside == CHUNK - 1):
            m.d.sync += [received.came.bit_select(chunk, 1).eq(1), chunk.eq(chunk + 1), inside.eq(0)]
        with m.If(read == self.header.length - 1):
            m.next = "REST"

    def send(self, m: Module, kind: Kind, payload, sequence=None):
        """Offer an answer in this cycle."""
        header = self.answer.payload.header
        m.d.comb += [
            self.answer.valid.eq(1), header.length.eq((len(payload) + 7) // 8), header.kind.eq(kind),
            header.sequence.eq(self.header.sequence if sequence is None else sequence),
            self.answer.payload.payload.eq(payload),
        ]  # fmt: skip

    def reply(self, m: Module, current, received: ReceivedImage, last: LastResult):
        """Answer ASK. Of an image that is not the current one, no chunk is received."""
        question = self.payload[:4]
        page = question[: (PAGES - 1).bit_length()]
        with m.If(current & self.done):
            self.send(m, Kind.RESULT, self.result_bytes(last))
            with m.If(self.answer.ready):
                m.d.sync += last.tell.eq(0)
        with m.Elif(current & self.busy):
            self.send(m, Kind.BUSY, Const(0, 0))
        with m.Else():
            came = Mux(current, received.came.word_select(page, PAGE), 0)
            self.send(m, Kind.MISSING, Cat(came, question))

    def result_bytes(self, last: LastResult):
        """Payload of RESULT: class, latency, logits."""
        return Cat(self.index, Const(0, 8 - len(self.index)), last.cycles, last.logits)

    def classify(self, m: Module, port, received: ReceivedImage, last: LastResult):
        """When all chunks are received: send the pixels to the accelerator, one every two cycles; then wait for its
        result.
        """
        pixel = Signal(range(PIXELS))
        settle = Signal(range(SETTLE + 1))
        m.d.comb += [
            port.addr.eq(pixel), self.pixels.payload.value.eq(port.data),
            self.pixels.payload.last.eq(pixel == PIXELS - 1),
        ]  # fmt: skip
        with m.FSM():
            with m.State("EMPTY"):
                m.d.sync += [pixel.eq(0), settle.eq(0)]
                with m.If(received.open & received.came.all() & ~self.done):
                    m.d.sync += self.busy.eq(1)
                    m.next = "READ"
            with m.State("READ"):
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.pixels.valid.eq(1)
                with m.If(self.pixels.ready):
                    m.d.sync += pixel.eq(pixel + 1)
                    with m.If(pixel == PIXELS - 1):
                        m.next = "RESULT"
                    with m.Else():
                        m.next = "READ"
            with m.State("RESULT"):
                with m.If(self.result.valid):
                    m.d.sync += settle.eq(settle + 1)
                with m.If(settle == SETTLE):
                    m.d.comb += self.result.ready.eq(1)
                    m.d.sync += [
                        self.busy.eq(0),
                        self.index.eq(self.result.payload.index),
                        last.cycles.eq(self.latency),
                        last.logits.eq(self.result.payload.logits.as_value()),
                        self.done.eq(received.open),
                        last.tell.eq(received.open),
                    ]
                    m.next = "EMPTY"
