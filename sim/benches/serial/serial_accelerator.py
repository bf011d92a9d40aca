"""`SerialAccelerator` at its line: images and questions as `link` has them, answers as the golden model has them.

What is on the line is written and read bit by bit, and all that can go wrong on it does.
"""

import random
from functools import cache

import cocotb
import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import read_network
from fivebyfive.model.golden import classify, predict
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.protocol.link import (
    CHUNK,
    DIGEST,
    LOGITS,
    MOST_CHUNKS,
    PAGE,
    PART,
    VERSION,
    Decoder,
    Frame,
    Info,
    Kind,
    Missing,
    Result,
    chunks,
    encode,
    pixel_frame,
    question,
)
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.serial_line import SerialLine
from fivebyfive.sim.benchlib.testbench import cycle, cycles, level, random_arrays, random_source, reset, start, until

LIMIT_CYCLES = 60_000  # for an answer: an image of the small networks of the tests, and many bytes


@cache
def checkpoint() -> Checkpoint:
    given = parameters()
    return Checkpoint.random(read_network(given["network"]), given["seed"])


def image_cycles() -> int:
    """From the last pixel on the line to the end of the answer, with some to spare."""
    network = checkpoint().network
    return 2 * network.pixels + plan(network, sized(network)).latency + 4000


def total() -> int:
    """Chunks of an image."""
    return chunks(checkpoint().network.pixels)


def page_chunks(page: int) -> list[int]:
    """Of a page of an image."""
    return list(range(total()))[page * PAGE :][:PAGE]


class Host:
    """Talks to the board, without any patience for what is lost."""

    def __init__(self, dut: Dut):
        self.dut = dut
        self.line = SerialLine(dut, parameters()["divisor"]).start()
        self.decoder = Decoder()

    async def send(self, *frames: Frame) -> None:
        for frame in frames:
            await self.line.send(encode(frame))

    async def answers(self, wait_cycles: int = 3000) -> list[Frame]:
        """What the board says in that many cycles."""
        await cycles(self.dut, wait_cycles)
        return self.decoder.feed(self.line.take())

    async def answer(self, asked: Frame | None = None) -> Frame:
        """The next answer."""
        if asked:
            await self.send(asked)
        end = cycle() + LIMIT_CYCLES
        while cycle() < end:
            if found := await self.answers(100):
                (frame,) = found
                assert self.decoder.bad == 0
                return frame
        raise AssertionError(f"no answer to {asked} in {LIMIT_CYCLES} cycles")

    async def missing(self, sequence: int, page: int = 0, number: int = 0) -> list[int]:
        """The chunks that a page lacks."""
        frame = await self.answer(question(sequence, page, number))
        assert (frame.kind, frame.sequence) == (Kind.MISSING, sequence)
        missing = Missing.unpack(frame.payload)
        assert (missing.page, missing.number) == (page, number)
        return [chunk for chunk in missing.chunks if chunk < total()]


async def begin(dut: Dut) -> Host:
    await start(dut)
    host = Host(dut)
    await cycles(dut, 20)
    return host


def whole(sequence: int, image: np.ndarray, first_part: int = 0) -> list[Frame]:
    """All frames of an image, or from a part on."""
    frames = []
    for begin in range(first_part * PART, total(), PART):
        end = min(begin + PART, total())
        frames += [
            pixel_frame(sequence, image, first, min(MOST_CHUNKS, end - first))
            for first in range(begin, end, MOST_CHUNKS)
        ]
    return frames


def check(dut: Dut, frame: Frame, sequence: int, image: np.ndarray) -> None:
    """A page of a result is that of the golden model, and the class on the lamps too."""
    (logits,) = predict(checkpoint(), image[np.newaxis])
    assert (frame.kind, frame.sequence) == (Kind.RESULT, sequence), f"{frame} is no result of image {sequence}"
    result = Result.unpack(frame.payload)
    assert result.logits.tolist() == logits[result.page * LOGITS :][:LOGITS].tolist()
    assert result.index == int(classify(logits)) == level(dut, "index")
    assert result.latency == plan(checkpoint().network, sized(checkpoint().network)).latency
    assert dut.done.value == 1
    assert dut.busy.value == 0


def draw(count: int) -> np.ndarray:
    return random_arrays().integers(0, 256, (count, *checkpoint().network.input), np.uint8)


@cocotb.test()
async def images(dut: Dut) -> None:
    """One after the other; the result is sent when it is there, and again for every question."""
    host = await begin(dut)
    info = Info.unpack((await host.answer(Frame(Kind.HELLO, 77))).payload)
    network = checkpoint()
    assert info == Info(VERSION, network.network.classes, network.network.input, bytes.fromhex(network.digest)[:DIGEST])
    for sequence, image in enumerate(draw(2), 0xFFFF):
        number = sequence & 0xFFFF
        await host.send(*whole(number, image))
        check(dut, await host.answer(), number, image)
        for page in (*range(4), 1001):
            answer = await host.answer(question(number, page, 1))
            there = page % 4 * LOGITS < network.network.classes
            assert Result.unpack(answer.payload).page == (page % 4 if there else 0)
            check(dut, answer, number, image)


@cocotb.test()
async def chunks_in_any_order(dut: Dut) -> None:
    """Twice, by one and by several, part after part; the board says what it lacks, and starts with the last one."""
    host = await begin(dut)
    rng = random_source()
    (image,) = draw(1)
    have: set[int] = set()
    for begins in range(0, total(), PART):
        last = await fill_part(host, image, begins, have, rng)
        assert dut.busy.value == 0
        await host.send(pixel_frame(9, image, last))
        have.add(last)
    check(dut, await host.answer(), 9, image)


async def fill_part(host: Host, image: np.ndarray, begins: int, have: set[int], rng: random.Random) -> int:
    """Send all chunks of a part of image 9 but one, which is returned; those of other parts are ignored."""
    end = min(begins + PART, total())
    rest = list(range(begins, end))
    rng.shuffle(rest)
    last = rest.pop()
    for chunk in rest:
        if chunk not in have or rng.random() < 0.2:
            count = next((n for n in range(1, MOST_CHUNKS) if chunk + n in (last, end)), rng.randint(1, MOST_CHUNKS))
            await host.send(pixel_frame(9, image, chunk, count))
            have |= set(range(chunk, chunk + count))
        if rng.random() < 0.1:
            other = rng.randrange(total())
            if not begins <= other < end:
                await host.send(pixel_frame(9, ~image, other))
        if rng.random() < 0.4:
            page, number = rng.randrange(ceil_div(total(), PAGE)), rng.randrange(4)
            assert await host.missing(9, page, number) == [n for n in page_chunks(page) if n not in have]
    return last


def damaged(line: bytes, rng: random.Random) -> bytes:
    """A byte between the flags of a frame is lost, added or changed: before the first one, and in place of the last,
    which the next frame's flag makes up for, it does no harm."""
    place = rng.randrange(1, len(line) - 1)
    how = rng.randrange(3)
    middle = (b"", bytes([rng.randrange(256), line[place]]), bytes([line[place] ^ rng.randint(1, 255)]))[how]
    return line[:place] + middle + line[place + 1 :]


@cocotb.test()
async def a_bad_line(dut: Dut) -> None:
    """Damaged frames change nothing; what is sent again is taken."""
    host = await begin(dut)
    rng = random_source()
    (image,) = draw(1)
    await host.line.send(rng.randbytes(50))
    for frame in whole(3, image):
        wrong = Frame(frame.kind, frame.sequence, frame.payload[:2] + rng.randbytes(len(frame.payload) - 2))
        await host.line.send(damaged(encode(wrong), rng))
        await host.send(frame)
    check(dut, await host.answer(), 3, image)


@cocotb.test()
async def what_cannot_be(dut: Dut) -> None:
    """Unknown kinds, pixels of a wrong length and beyond the image: neither an answer nor a change."""
    host = await begin(dut)
    for number in (5, 0xFFFA):
        await nothing_changes(host, number)


def numbered(chunk: int, count: int) -> bytes:
    """That many bytes of pixels behind the number of a chunk."""
    return chunk.to_bytes(2, "little") + bytes(count)


async def nothing_changes(host: Host, number: int) -> None:
    """Image ``number`` comes through, whatever is sent meanwhile."""
    (image,) = draw(1)
    good = pixel_frame(number, image, 0, 2)
    await host.send(good)
    for kind, payload in (
        (0, b""), (0x55, b"abc"), (Kind.INFO, b""), (Kind.RESULT, good.payload),
        (Kind.PIXELS, b""), (Kind.PIXELS, b"\x05"), (Kind.PIXELS, numbered(5, 0)),
        (Kind.PIXELS, numbered(5, CHUNK - 1)),
        (Kind.PIXELS, numbered(5, CHUNK + 1)), (Kind.PIXELS, numbered(total(), CHUNK)),
        (Kind.PIXELS, numbered(total() - 1, 2 * CHUNK)), (Kind.PIXELS, numbered(0xFFFF, CHUNK)),
        (Kind.PIXELS, numbered(min(total(), PART) - 1, 2 * CHUNK)), (Kind.PIXELS, numbered(0x8000, CHUNK)),
    ):  # fmt: skip
        await host.send(Frame(kind, number, payload))
    last = ceil_div(total(), PAGE) - 1
    assert await host.answers() == []
    assert await host.missing(number) == page_chunks(0)[2:]
    assert await host.missing(number, last) == page_chunks(last)
    await host.send(*whole(number, image))
    check(host.dut, await host.answer(), number, image)


@cocotb.test()
async def another_image(dut: Dut) -> None:
    """A new number forgets the image before; of one that is not the present one nothing has come; HELLO forgets all."""
    host = await begin(dut)
    first, second = draw(2)
    await host.send(*whole(1, first)[:-1])
    assert await host.missing(2) == page_chunks(0)
    assert await host.missing(1) == []
    await host.send(*whole(2, second)[1:])
    assert await host.missing(2) == list(range(MOST_CHUNKS))
    assert await host.missing(1) == page_chunks(0)
    await host.send(whole(2, second)[0], *whole(2, second, 1))
    check(dut, await host.answer(), 2, second)
    assert (await host.answer(Frame(Kind.HELLO, 8))).kind == Kind.INFO
    assert dut.done.value == 0
    assert await host.missing(2) == page_chunks(0)


@cocotb.test()
async def busy(dut: Dut) -> None:
    """Pixels of the next image are ignored while one is in the machine; a question is answered BUSY. An image that
    HELLO has forgotten gives no result."""
    host = await begin(dut)
    first, second = draw(2)
    await host.send(*whole(1, first), pixel_frame(2, second, 0))
    assert dut.busy.value == 1
    asked = encode(question(1, 0, 0))
    await host.line.send(asked)
    seen = await host.answers(25 * 10 * parameters()["divisor"])
    assert seen[:1] == [Frame(Kind.BUSY, 1)]
    while not seen[1:]:
        seen += await host.answers(1000)
    check(dut, seen[1], 1, first)
    await host.send(*whole(2, second))
    await cycles(dut, 100)
    assert dut.busy.value == 1
    assert (await host.answer(Frame(Kind.HELLO, 8))).kind == Kind.INFO
    assert await host.answers(LIMIT_CYCLES) == []
    assert dut.done.value == 0
    await host.send(*whole(3, first))
    check(dut, await host.answer(), 3, first)


@cocotb.test()
async def busy_with_another(dut: Dut) -> None:
    """While one image is in the machine, nothing has come of any other."""
    host = await begin(dut)
    (image,) = draw(1)
    await host.send(*whole(1, image))
    await host.line.send(encode(question(2, 0, 0)))
    assert dut.busy.value == 1
    seen = await host.answers(image_cycles())
    assert [(frame.kind, frame.sequence) for frame in seen] == [(Kind.MISSING, 2), (Kind.RESULT, 1)]
    assert Missing.unpack(seen[0].payload).chunks[: total()] == page_chunks(0)
    check(dut, seen[1], 1, image)


@cocotb.test()
async def questions_in_a_hurry(dut: Dut) -> None:
    """A result that comes while an answer is being sent follows it unasked. What is asked again before the answer is
    out may get none: another question does."""
    host = await begin(dut)
    first, second = draw(2)
    await host.send(*whole(1, first))
    began = cycle()
    await until(dut, dut.done, 1, LIMIT_CYCLES)
    takes = cycle() - began
    check(dut, await host.answer(), 1, first)
    await host.send(*whole(2, second))
    asked = encode(question(2, 0, 0))
    await cycles(dut, takes - 10 * len(asked) * parameters()["divisor"] - 100)
    await host.line.send(asked)
    seen = await host.answers(image_cycles())
    assert seen[0] == Frame(Kind.BUSY, 2)
    assert len(seen) == 2
    check(dut, seen[1], 2, second)
    await host.line.send(5 * asked)
    seen = await host.answers(image_cycles())
    assert 1 <= len(seen) < 5
    assert host.decoder.bad == 0
    for frame in [*seen, await host.answer(question(2, 0, 0))]:
        check(dut, frame, 2, second)


@cocotb.test()
async def resets(dut: Dut) -> None:
    """In the middle of a frame, of an image, of an answer."""
    host = await begin(dut)
    (image,) = draw(1)
    frames = whole(1, image)
    for before in (encode(frames[0])[:20], encode(frames[0]), b"".join(map(encode, frames)), encode(question(1, 0, 0))):
        await host.line.send(before)
        await reset(dut)
        await cycles(dut, 200)
        host.line.take()
        host.decoder = Decoder()
        assert dut.done.value == 0
        assert dut.busy.value == 0
        assert await host.missing(1) == page_chunks(0)
    await host.send(*frames)
    check(dut, await host.answer(), 1, image)
