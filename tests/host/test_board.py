"""The host's end of the serial line against a board in Python, on lines that err: right classes, or none."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from fivebyfive.host.board import Board, Limits, LinkFailed
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import classify, predict
from fivebyfive.model.protocol.link import CHUNK, CHUNKS, PAGE, PAGES, VERSION, Decoder, Frame, Info, Kind, encode
from fivebyfive.model.shape import LeNetShape

NETWORK = Checkpoint.random(LeNetShape(1, 1, (10,)), seed=3)
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

    def __init__(self, to: Damage = whole, back: Damage = whole, version: int = VERSION):
        self.to, self.back, self.version = to, back, version
        self.decoder = Decoder()
        self.out = bytearray()
        self.written = 0
        self.dead = False
        self.sequence, self.came, self.image = None, [False] * CHUNKS, np.zeros(784, np.uint8)
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
            info = Info(self.version, 10, bytes.fromhex(NETWORK.digest)[:8])
            return [Frame(Kind.INFO, frame.sequence, info.pack())]
        if frame.kind == Kind.PIXELS:
            if frame.sequence != self.sequence:
                self.sequence, self.came, self.busy = frame.sequence, [False] * CHUNKS, 2
                self.logits = None
            first, pixels = frame.payload[0], frame.payload[1:]
            for chunk in range(len(pixels) // CHUNK):
                self.came[first + chunk] = True
            self.image[first * CHUNK : first * CHUNK + len(pixels)] = np.frombuffer(pixels, np.uint8)
            return []
        if frame.kind == Kind.ASK:
            return [self.status(frame)]
        return []

    def status(self, frame: Frame) -> Frame:
        came = self.came if frame.sequence == self.sequence else [False] * CHUNKS
        if all(came):
            self.busy -= 1
            if self.busy > 0:
                return Frame(Kind.BUSY, frame.sequence)
            if self.logits is None:
                (self.logits,) = predict(NETWORK, self.image.reshape(1, 28, 28))
            logits = self.logits
            payload = bytes([int(classify(logits))]) + (1234).to_bytes(3, "little") + logits.tobytes()
            return Frame(Kind.RESULT, frame.sequence, payload)
        page = frame.payload[0] % PAGES
        word = sum(came[page * PAGE + n] << n for n in range(PAGE)) | (frame.payload[0] & 0xF) << PAGE
        return Frame(Kind.MISSING, frame.sequence, word.to_bytes(4, "little"))


def draw(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)


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
    with pytest.raises(LinkFailed, match=r"^the board speaks version 9 of the link, this program 1$"):
        Board(FakeBoard(version=9), QUICK)


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
        wrong = bytes([(payload[0] + 1) % 10]) + payload[1:]
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
    for image in (np.zeros((28, 27), np.uint8), np.zeros((28, 28))):
        with pytest.raises(ValueError, match="images must be uint8"):
            board.classify(image)
    for image in (None, draw(1), [[0] * 28] * 28, 3):
        with pytest.raises(ValueError, match=r"^classify takes one image, uint8 \(28, 28\), a NumPy array, not "):
            board.classify(image)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_every_wait_has_an_end(value: float) -> None:
    for name in ("byte_s", "answer_s", "silence_s", "image_s"):
        with pytest.raises(ValueError, match=f"^{name} is a number of seconds above 0, not"):
            Limits(**{name: value})
