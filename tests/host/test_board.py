"""The host's end of the serial line against a board in Python, on lines that err: right classes, or none."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from fivebyfive.host.board import Board, Limits, LinkFailed
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import classify, predict
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.protocol.link import (
    CHUNK,
    LOGITS,
    PAGE,
    PART,
    VERSION,
    Decoder,
    Frame,
    Info,
    Kind,
    chunks,
    encode,
)
from fivebyfive.model.shape import LeNetShape

NETWORK = Checkpoint.random(LeNetShape(1, 1, (10,)), seed=3)
# Three parts, the last one of a chunk that is not full; three pages of logits.
LARGE = Checkpoint.random(
    Network((3, 23, 30), (Layer("c1", "conv", 2, 3, then=(Pool("max", 4, 4),)), Layer("f1", "fc", 150))), seed=3
)
QUICK = Limits(byte_s=1e-6, answer_s=0.001, silence_s=20, image_s=60)

Damage = Callable[[bytes], bytes]


def whole(data: bytes) -> bytes:
    return data


def corrupting(rate: float, seed: int) -> Damage:
    """Bytes become others."""
    rng = random.Random(seed)
    return lambda data: bytes(byte ^ rng.randint(1, 255) if rng.random() < rate else byte for byte in data)


def losing(rate: float, seed: int) -> Damage:
    """Bytes are lost, and others appear."""
    rng = random.Random(seed)

    def damage(data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if rng.random() < rate:
                out += rng.choice((b"", bytes([rng.randrange(256), byte])))
            else:
                out.append(byte)
        return bytes(out)

    return damage


class FakeBoard:
    """A port with a board behind it: as `fivebyfive.hw.serial.link`, at once. ``to``, ``back``: what the line does."""

    def __init__(self, to: Damage = whole, back: Damage = whole, network: Checkpoint = NETWORK):
        self.to, self.back, self.network = to, back, network
        about = network.network
        self.info = Info(VERSION, about.classes, about.input, bytes.fromhex(network.digest)[:8]).pack()
        self.chunks = chunks(about.pixels)
        self.decoder = Decoder()
        self.out = bytearray()
        self.written = 0
        self.dead = False
        self.sequence, self.came, self.image = None, set(), np.zeros(self.chunks * CHUNK, np.uint8)
        self.busy = 0  # questions that are answered BUSY before the result is there

    def write(self, data: bytes) -> None:
        self.written += len(data)
        for frame in self.decoder.feed(self.to(data)):
            for answer in () if self.dead else self.answer(frame):
                self.out += self.back(encode(answer))

    def read(self, timeout_s: float) -> bytes:
        data = bytes(self.out)
        self.out.clear()
        return data

    def answer(self, frame: Frame) -> list[Frame]:
        if frame.kind == Kind.HELLO:
            self.sequence = None
            return [Frame(Kind.INFO, frame.sequence, self.info)]
        if frame.kind == Kind.PIXELS:
            if frame.sequence != self.sequence:
                self.sequence, self.came, self.busy = frame.sequence, set(), 2
                self.logits = None
            first, pixels = int.from_bytes(frame.payload[:2], "little"), frame.payload[2:]
            if first // PART == self.part:
                self.came |= set(range(first, first + len(pixels) // CHUNK))
                self.image[first * CHUNK : first * CHUNK + len(pixels)] = np.frombuffer(pixels, np.uint8)
            return []
        if frame.kind == Kind.ASK:
            return [self.status(frame)]
        return []

    @property
    def part(self) -> int:
        """The one that is received: of the first chunk that has not come."""
        return next((n for n in range(self.chunks) if n not in self.came), self.chunks - 1) // PART

    def status(self, frame: Frame) -> Frame:
        asked = int.from_bytes(frame.payload, "little")
        page, current = asked & 0x3FFF, frame.sequence == self.sequence
        if current and len(self.came) == self.chunks:
            self.busy -= 1
            if self.busy > 0:
                return Frame(Kind.BUSY, frame.sequence)
            if self.logits is None:
                about = self.network.network
                (self.logits,) = predict(self.network, self.image[: about.pixels].reshape(1, *about.input))
            logits, page = self.logits, page % 4
            page = page if page * LOGITS < len(logits) else 0
            payload = bytes([page, int(classify(logits))]) + (1234).to_bytes(4, "little")
            return Frame(Kind.RESULT, frame.sequence, payload + logits[page * LOGITS :][:LOGITS].tobytes())
        bits = sum((current and page * PAGE + n in self.came) << n for n in range(PAGE))
        payload = bits.to_bytes(4, "little") + frame.payload + bytes([self.part if current else 0])
        return Frame(Kind.MISSING, frame.sequence, payload)


def draw(count: int, size: tuple[int, ...] = (28, 28), seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *size), np.uint8)


def test_a_good_line() -> None:
    port = FakeBoard()
    board = Board(port, QUICK)
    assert board.info.digest.hex() == NETWORK.digest[:16]
    before = port.written
    for image, logits in zip(draw(5), predict(NETWORK, draw(5)), strict=True):
        answer = board.classify(image)
        assert answer.logits.tolist() == logits.tolist()
        assert (answer.index, answer.latency) == (int(classify(logits)), 1234)
    assert port.written - before < 5 * 1.3 * 784  # what is not pixels is little


@pytest.mark.parametrize(
    ("to", "back"),
    [
        (corrupting(0.1, 1), corrupting(0.1, 2)),
        (losing(0.05, 3), losing(0.05, 4)),
        (corrupting(0.01, 5), whole),
        (whole, corrupting(0.15, 6)),
    ],
    ids=["a tenth corrupted", "lost and added", "to the board", "from the board"],
)
def test_on_a_bad_line_every_answer_comes_and_is_right(to: Damage, back: Damage) -> None:
    board = Board(FakeBoard(to, back), QUICK)
    images = draw(10)
    for image, logits in zip(images, predict(NETWORK, images), strict=True):
        answer = board.classify(image)
        assert answer.logits.tolist() == logits.tolist()


@pytest.mark.parametrize(
    ("to", "back"),
    [(whole, whole), (corrupting(0.05, 1), corrupting(0.02, 2)), (losing(0.02, 3), losing(0.02, 4))],
    ids=["good", "corrupted", "lost and added"],
)
def test_an_image_of_several_parts_and_many_classes(to: Damage, back: Damage) -> None:
    port = FakeBoard(to, back, LARGE)
    board = Board(port, QUICK)
    images = draw(3, LARGE.network.input)
    for image, logits in zip(images, predict(LARGE, images), strict=True):
        before = port.written
        answer = board.classify(image)
        assert answer.logits.tolist() == logits.tolist()
        assert answer.index == int(classify(logits))
        if to is whole:
            assert answer.resent <= 1  # a question that was answered BUSY
            assert port.written - before < 1.3 * image.size


def test_a_board_that_forgets_begins_again() -> None:
    """A reset in the middle of an image."""
    port = FakeBoard(network=LARGE)
    board = Board(port, QUICK)
    count = 0

    def forgetful(data: bytes) -> bytes:
        nonlocal count
        count += 1
        if count in (25, 70):
            port.came = set()
        return data

    port.to = forgetful
    (image,) = draw(1, LARGE.network.input)
    (logits,) = predict(LARGE, image[np.newaxis])
    answer = board.classify(image)
    assert answer.logits.tolist() == logits.tolist()
    assert answer.resent > PART


def test_on_a_hopeless_line_no_answer_is_wrong() -> None:
    """Half of the bytes: hardly a frame gets through, and the time is limited."""
    port = FakeBoard()
    board = Board(port, Limits(byte_s=1e-6, answer_s=0.001, silence_s=0.2, image_s=0.5))
    port.to, port.back = corrupting(0.5, 1), corrupting(0.5, 2)
    for image in draw(2):
        with pytest.raises(LinkFailed, match=r"^(no answer came|not all of it arrived within 0\.5 s)$"):
            board.classify(image)
    port.to = port.back = whole
    (logits,) = predict(NETWORK, draw(1))
    assert board.classify(draw(1)[0]).logits.tolist() == logits.tolist()  # and the line may recover


def test_a_line_that_only_just_works_says_so() -> None:
    port = FakeBoard()
    board = Board(port, Limits(byte_s=1e-6, answer_s=0.001, silence_s=5, image_s=0.3))
    port.to = corrupting(0.35, 1)
    with pytest.raises(LinkFailed, match=r"^not all of it arrived within 0\.3 s$"):
        board.classify(draw(1)[0])


def test_nobody_there() -> None:
    port = FakeBoard()
    port.dead = True
    with pytest.raises(LinkFailed, match=r"^no answer came$"):
        Board(port, Limits(silence_s=0.05))


def test_a_board_of_another_version() -> None:
    """What version 1 said: no shape, one byte of classes; and what another one may say."""
    port = FakeBoard()
    for info in (bytes([1, 10]) + bytes(8), bytes([9])):
        port.info = info
        said = rf"^the board speaks version {info[0]} of the link, this program 2; build its bitstream again$"
        with pytest.raises(LinkFailed, match=said):
            Board(port, QUICK)


@pytest.mark.parametrize("info", [b"", bytes([2, 10]), bytes([2, 10, 0, 1, 28, 0]) + bytes(8)])
def test_what_no_board_says_of_itself(info: bytes) -> None:
    port = FakeBoard()
    port.info = info
    with pytest.raises(LinkFailed, match=r"^no answer came$"):
        Board(port, Limits(silence_s=0.05))


def test_a_board_that_dies() -> None:
    port = FakeBoard()
    board = Board(port, Limits(byte_s=1e-6, answer_s=0.001, silence_s=0.1, image_s=1))
    board.classify(draw(1)[0])
    port.dead = True
    with pytest.raises(LinkFailed, match=r"^no answer came$"):
        board.classify(draw(1)[0])


class Liar(FakeBoard):
    """Its results are of the image before, of another class than their logits say, or of another length."""

    lies = 0

    def status(self, frame: Frame) -> Frame:
        honest = super().status(frame)
        if honest.kind != Kind.RESULT or self.lies >= 4:
            return honest
        self.lies += 1
        payload = honest.payload
        wrong = payload[:1] + bytes([(payload[1] + 1) % 10]) + payload[2:]
        return (
            Frame(Kind.RESULT, honest.sequence - 1 & 0xFFFF, wrong),
            Frame(Kind.RESULT, honest.sequence, wrong),
            Frame(Kind.RESULT, honest.sequence, payload[:-1]),
            Frame(Kind.RESULT, honest.sequence, b"\0\0"),
        )[self.lies - 1]


def test_answers_that_cannot_be_are_not_taken() -> None:
    port = Liar()
    board = Board(port, QUICK)
    (logits,) = predict(NETWORK, draw(1))
    assert board.classify(draw(1)[0]).logits.tolist() == logits.tolist()
    assert port.lies == 4


def test_images_must_be_images() -> None:
    board = Board(FakeBoard(), QUICK)
    for image in (None, draw(2), [[0] * 28] * 28, 3, np.zeros((28, 27), np.uint8), np.zeros((28, 28))):
        with pytest.raises(ValueError, match=r"^classify takes one image, uint8 \(28, 28\), a NumPy array, not "):
            board.classify(image)
    with pytest.raises(ValueError, match=r"^classify takes one image, uint8 \(3, 23, 30\), .* not uint8 \(28, 28\)$"):
        Board(FakeBoard(network=LARGE), QUICK).classify(draw(1)[0])
    assert board.classify(draw(1)).logits.shape == (10,)  # a channel of its own


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_every_wait_has_an_end(value: float) -> None:
    for name in ("byte_s", "answer_s", "silence_s", "image_s"):
        with pytest.raises(ValueError, match=f"^{name} is a number of seconds above 0, not"):
            Limits(**{name: value})
