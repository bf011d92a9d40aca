"""A board's side of the protocol (`fivebyfive.model.protocol.link`): collects an image, classifies it, answers."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pixels import Pixel
from fivebyfive.hw.common.types import NO_COLLISIONS
from fivebyfive.hw.fc.argmax import Result
from fivebyfive.model.machine.cycles import COUNTER_BITS
from fivebyfive.model.protocol.link import (
    CHUNK,
    LARGEST,
    LOGITS,
    MOST_CHUNKS,
    NUMBER,
    PAGE,
    PAGE_BITS,
    PART,
    Info,
    Kind,
    chunks,
)
from fivebyfive.model.protocol.link import Result as ResultFrame

from .deframer import DISTRIBUTED, Header
from .framer import Answer

__all__ = ["Link"]

SETTLE = 15  # cycles from a result to its latency on the counters, and some more
LATENCY_BITS = 32  # in an answer


class ReceivedImage:
    """The image that is received, part after part.

    Parameters
    ----------
    pixels : int, at least 1
        Pixels of an image.

    Attributes
    ----------
    last : int
        Number of the last part.
    rest : int
        Chunks of the last part.
    sequence : 16 bits
        The image's number.
    open : 1 bit
        There is such an image.
    part : range(parts)
        The part that is received.
    came : bit per chunk
        Chunks of the part that were received, and those that it does not have.
    """

    def __init__(self, pixels: int):
        count = chunks(pixels)
        self.last = (count - 1) // PART
        self.rest = count - self.last * PART
        self.sequence = Signal(16)
        self.open = Signal()
        self.part = Signal(range(self.last + 1))
        self.came = Signal(PART if self.last else self.rest)

    def begin(self, part):
        """Nothing of ``part`` has come."""
        beyond = (1 << len(self.came)) - (1 << self.rest)
        return [self.part.eq(part), self.came.eq(Mux(part == self.last, beyond, 0))]

    def page(self, number):
        """Whether each chunk of a page of this part has come, or there is none."""
        none = PART - len(self.came)
        return Cat(self.came, Const((1 << none) - 1, none)).word_select(number, PAGE)


class LastResult:
    """Result of the image that was classified last.

    Parameters
    ----------
    classes : int, at least 1
        Number of logits.
    latency_bits : int
        Width of its latency.

    Attributes
    ----------
    tell : 1 bit
        The result has not been sent yet.
    logits : 8 bits per class
        Its logits.
    cycles : ``latency_bits`` bits
        Its latency.
    """

    def __init__(self, classes: int, latency_bits: int):
        self.tell = Signal()
        self.logits = Signal(8 * classes)
        self.cycles = Signal(latency_bits)

    def page(self, number):
        """A page's number and logits, and how many they are; of the first page where there is no such one."""
        size = 8 * LOGITS
        first, *others = [self.logits[begin : begin + size] for begin in range(0, len(self.logits), size)]
        found = Const(0), first, Const(len(first) // 8)
        for page, values in enumerate(others, 1):
            this = Const(page), values, Const(len(values) // 8)
            found = tuple(Mux(number == page, *pair) for pair in zip(this, found, strict=True))
        return found


class Cursor:
    """Where the pixels of a frame are copied.

    Parameters
    ----------
    depth : int
        Pixels of the image's memory.

    Attributes
    ----------
    read : range(payload)
        Byte of the payload to read.
    chunk : range(part)
        Chunk of the part that is written.
    inside : range(chunk)
        Pixel in the chunk.
    place : range(depth)
        Pixel in the image.
    """

    def __init__(self, depth: int):
        self.read = Signal(range(LARGEST + 1))
        self.chunk, self.inside, self.place = Signal(range(PART)), Signal(range(CHUNK)), Signal(range(depth))


class Link(wiring.Component):
    """Connects a `Deframer` and a `Framer` to an `Accelerator`.

    A frame is handled within 60 cycles. An answer is lost while the one before is still being sent: the host asks
    again. Pixels received while an image is in the accelerator are ignored: the host sends them again.

    Parameters
    ----------
    info : Info
        The answer to HELLO: classes and input of the network are those of the accelerator.
    latency_bits : int, at most 32
        Width of the accelerator's counters.

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
    latency : ``latency_bits`` bits, in
        Cycles from the last pixel to the result, from the accelerator's counters.
    busy : 1 bit, out
        Asserted while an image is in the accelerator.
    done : 1 bit, out
        The result of the current image is known.
    index : range(classes), out
        Class of the last image classified.
    """

    def __init__(self, info: Info, latency_bits: int = COUNTER_BITS):
        self.info = info
        self.latency_bits = latency_bits
        self.most = max(len(info.pack()), ResultFrame.HEADER + min(info.classes, LOGITS))  # bytes of the longest answer
        super().__init__(
            {
                "header": In(Header()), "valid": In(1), "address": Out(range(LARGEST)), "payload": In(8),
                "answer": Out(stream.Signature(Answer(self.most))),
                "pixels": Out(stream.Signature(Pixel())), "result": In(stream.Signature(Result(info.classes))),
                "latency": In(latency_bits),
                "busy": Out(1), "done": Out(1), "index": Out(range(info.classes)),
            }
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        depth = chunks(self.info.pixels) * CHUNK
        # Block RAM is for the weights, but an image of several parts would take too many LUTs.
        memory = Memory(shape=8, depth=depth, init=[], attrs=DISTRIBUTED if depth <= PART * CHUNK else NO_COLLISIONS)
        m.submodules.image = memory
        received = ReceivedImage(self.info.pixels)
        last, cursor = LastResult(self.info.classes, self.latency_bits), Cursor(depth)
        number = Signal(8 * NUMBER)  # of the frame's first chunk, or of the question with its page
        current = received.open & (self.header.sequence == received.sequence)
        self.classify(m, memory.read_port(), received, last)
        with m.FSM():
            with m.State("REST"):
                m.d.sync += number.eq(self.payload)  # its low byte
                with m.If(self.valid & (self.header.kind == Kind.HELLO)):
                    m.d.sync += [received.open.eq(0), self.done.eq(0), last.tell.eq(0)]
                    info = self.info.pack()
                    self.send(m, Kind.INFO, Const(int.from_bytes(info, "little"), 8 * len(info)))
                with m.Elif(self.valid & ((self.header.kind == Kind.ASK) | (self.header.kind == Kind.PIXELS))):
                    m.next = "NUMBER"
                with m.Elif(last.tell):
                    self.send_result(m, last, Const(0, 2), received.sequence)
                    with m.If(self.answer.ready):
                        m.d.sync += last.tell.eq(0)
            with m.State("NUMBER"):
                m.d.comb += self.address.eq(1)
                m.d.sync += number[8:].eq(self.payload)
                with m.If(self.header.kind == Kind.ASK):
                    m.next = "REPLY"
                with m.Else():
                    m.next = "CHECK"
            with m.State("REPLY"):
                self.reply(m, current, number, received, last)
                m.next = "REST"
            with m.State("CHECK"):
                self.check(m, current, number, received, last, cursor)
            with m.State("COPY"):
                self.copy(m, memory.write_port(), received, cursor)
        return m

    def check(self, m: Module, current, number, received: ReceivedImage, last: LastResult, cursor: Cursor):
        """Copy the chunks of a frame if they are whole, there are such, and they belong to the present part."""
        bits = (PART - 1).bit_length()
        chunk, part = number[:bits], number[bits:]
        end = Mux(part == received.last, received.rest, PART)
        fits = Cat(
            (self.header.length == NUMBER + count * CHUNK) & (chunk + count <= end)
            for count in range(1, MOST_CHUNKS + 1)
        ).any()
        m.next = "REST"
        with m.If(fits & (part <= received.last) & ~self.busy):
            with m.If(~current):
                m.d.sync += [self.done.eq(0), last.tell.eq(0), *received.begin(Const(0))]
            m.d.sync += [
                received.open.eq(1), received.sequence.eq(self.header.sequence),
                cursor.read.eq(NUMBER), cursor.inside.eq(0), cursor.chunk.eq(chunk),
                cursor.place.eq(Cat(Const(0, (CHUNK - 1).bit_length()), number)),
            ]  # fmt: skip
            with m.If(part == Mux(current, received.part, 0)):
                m.next = "COPY"

    def copy(self, m: Module, port, received: ReceivedImage, cursor: Cursor):
        """Copy the frame's pixels to the image, one per cycle; a chunk is received with its last pixel."""
        read, chunk, inside, place = cursor.read, cursor.chunk, cursor.inside, cursor.place
        m.d.comb += [self.address.eq(read), port.addr.eq(place), port.data.eq(self.payload), port.en.eq(1)]
        m.d.sync += [read.eq(read + 1), place.eq(place + 1), inside.eq(inside + 1)]
        with m.If(inside == CHUNK - 1):
            m.d.sync += [received.came.bit_select(chunk, 1).eq(1), chunk.eq(chunk + 1)]
        with m.If(read == self.header.length - 1):
            m.next = "REST"

    def send(self, m: Module, kind: Kind, payload, sequence=None, length=None):
        """Offer an answer in this cycle, of ``length`` bytes or all of the payload."""
        header = self.answer.payload.header
        m.d.comb += [
            self.answer.valid.eq(1), header.kind.eq(kind),
            header.length.eq((len(payload) + 7) // 8 if length is None else length),
            header.sequence.eq(self.header.sequence if sequence is None else sequence),
            self.answer.payload.payload.eq(payload),
        ]  # fmt: skip

    def send_result(self, m: Module, last: LastResult, page, sequence=None):
        """Offer RESULT with a page of the logits."""
        number, logits, count = last.page(page)
        payload = Cat(extended(number, 8), extended(self.index, 8), extended(last.cycles, LATENCY_BITS), logits)
        self.send(m, Kind.RESULT, payload, sequence, ResultFrame.HEADER + count)

    def reply(self, m: Module, current, number, received: ReceivedImage, last: LastResult):
        """Answer ASK. Of an image that is not the current one, no chunk is received."""
        bits = (PART // PAGE - 1).bit_length()
        page, its_part = number[:bits], number[bits:PAGE_BITS]
        part = Mux(current, received.part, 0)
        with m.If(current & self.done):
            self.send_result(m, last, page)
            with m.If(self.answer.ready):
                m.d.sync += last.tell.eq(0)
        with m.Elif(current & self.busy):
            self.send(m, Kind.BUSY, Const(0, 0))
        with m.Else():
            now = Mux(current & (its_part == part), received.page(page), 0)
            came = Mux(its_part < part, (1 << PAGE) - 1, now)
            self.send(m, Kind.MISSING, Cat(came, number, extended(part, 8)))

    def classify(self, m: Module, port, received: ReceivedImage, last: LastResult):
        """When all chunks of a part are received, go on to the next one; behind the last one send the pixels to the
        accelerator, one every two cycles, then wait for its result.
        """
        pixels = self.info.pixels
        pixel = Signal(range(pixels))
        settle = Signal(range(SETTLE + 1))
        m.d.comb += [
            port.addr.eq(pixel), self.pixels.payload.value.eq(port.data),
            self.pixels.payload.last.eq(pixel == pixels - 1),
        ]  # fmt: skip
        with m.FSM():
            with m.State("EMPTY"):
                m.d.sync += [pixel.eq(0), settle.eq(0)]
                with m.If(received.open & received.came.all() & ~self.done):
                    with m.If(received.part == received.last):
                        m.d.sync += self.busy.eq(1)
                        m.next = "READ"
                    with m.Else():
                        m.d.sync += received.begin(received.part + 1)
            with m.State("READ"):
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.pixels.valid.eq(1)
                with m.If(self.pixels.ready):
                    m.d.sync += pixel.eq(pixel + 1)
                    with m.If(pixel == pixels - 1):
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


def extended(value, bits: int):
    """``value`` in ``bits`` bits."""
    return Cat(value, Const(0, bits - len(value)))
