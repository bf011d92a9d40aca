"""The host's end of the serial line: images to a board, classes back (`fivebyfive.model.protocol.link`), on a line that
may err.

A `Board` works on anything that writes and reads bytes. What is lost is asked for and sent again, a bounded time; an
answer counts only if its CRC is right and it has the image's own number, so a class is right or there is none.
"""

import secrets
import time
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from fivebyfive.model.golden import check_pixels, classify
from fivebyfive.model.protocol.link import (
    CHUNKS,
    MOST_CHUNKS,
    PAGE,
    PAGES,
    VERSION,
    Decoder,
    Frame,
    Info,
    Kind,
    Missing,
    Result,
    encode,
    pixel_frame,
    question,
)
from fivebyfive.support.errors import DIFFERS, UNUSABLE, Failure

from .adaptive_timeout import Pace

__all__ = ["Board", "Classified", "Limits", "LinkFailed", "Port"]

NO_ANSWER = "no answer came"
MOST_COPIES = 4


class LinkFailed(Failure):
    """No answer came from the board in time. The message is one line."""

    exit_code = DIFFERS


class WrongVersion(LinkFailed):
    """The board speaks another version of the link: its bitstream is another release's."""

    exit_code = UNUSABLE


class Port(Protocol):
    """A serial line. Both raise OSError where it is gone."""

    def write(self, data: bytes) -> None: ...

    def read(self, timeout_s: float) -> bytes:
        """What has come, as soon as there is something; nothing after ``timeout_s``."""
        ...


@dataclass(frozen=True)
class Limits:
    """Seconds. ``byte_s``: of a byte on the line, as a beginning; ``answer_s``: the longest wait for one answer before
    it is asked for again, shorter where the board has been seen to answer sooner; ``silence_s``: without any answer,
    until an image (or the board) is given up; ``image_s``: of one image in all. Raises ValueError unless all are above
    0 and finite: every wait ends."""

    byte_s: float = 12e-6
    answer_s: float = 0.1
    silence_s: float = 5.0
    image_s: float = 60.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is a number of seconds above 0, not {value}")


@dataclass(frozen=True)
class Classified:
    """``index``: the class. ``logits``: int8 (classes,). ``latency``: clock cycles on the board, last pixel to result.
    ``resent``: chunks of 7 pixels, and questions, that were sent again. ``seconds``: on the clock of the host."""

    index: int
    logits: np.ndarray
    latency: int
    resent: int
    seconds: float


class Board:
    """A board at the other end of ``port``. Raises LinkFailed where none answers, or one of another version."""

    def __init__(self, port: Port, limits: Limits | None = None):
        self.port = port
        self.limits = limits or Limits()
        self.decoder = Decoder()
        self.sequence = secrets.randbits(16)
        self.pace = Pace(self.limits.byte_s, self.limits.answer_s)
        self.number = 0  # of the question: another one when something was sent since
        self.resent = 0
        self.copies = 1  # of what is sent again: more on a line that loses most of it
        self.info = self.hello()

    def hello(self) -> Info:
        """Have the board forget what was before, and tell what it is."""
        self.port.read(0)  # what came before this is not for us
        end = time.monotonic() + self.limits.silence_s
        while time.monotonic() < end:
            if frame := self.ask(Frame(Kind.HELLO, self.sequence), Kind.INFO):
                info = Info.unpack(frame.payload)
                if info.version != VERSION:
                    raise WrongVersion(f"the board speaks version {info.version} of the link, this program {VERSION}")
                return info
        raise LinkFailed(NO_ANSWER)

    def classify(self, image: np.ndarray) -> Classified:
        """The class of an image, uint8 (28, 28), and its logits. Raises LinkFailed where no answer comes in time,
        ValueError for anything but an image."""
        if not isinstance(image, np.ndarray) or image.ndim != 2:
            got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ValueError(f"classify takes one image, uint8 (28, 28), a NumPy array, not {got}")
        check_pixels(image[np.newaxis])
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.resent, self.lacked = 0, 2 * PAGE
        began = time.monotonic()
        for first in range(0, CHUNKS, MOST_CHUNKS):
            self.send(pixel_frame(self.sequence, image, first, MOST_CHUNKS))
        result = self.finish(image, began + self.limits.image_s)
        return Classified(result.index, result.logits, result.latency, self.resent, time.monotonic() - began)

    def finish(self, image: np.ndarray, end: float) -> Result:
        """Ask, and send again what has not come, page by page, until there is a result."""
        page, heard = 0, time.monotonic()
        while (now := time.monotonic()) < end and now - heard < self.limits.silence_s:
            asked = question(self.sequence, page, self.number)
            if frame := self.ask(asked, Kind.RESULT, Kind.MISSING, Kind.BUSY):
                heard = time.monotonic()
                if frame.kind == Kind.RESULT:
                    return Result.unpack(frame.payload)
                if frame.kind == Kind.MISSING:
                    page = self.mend(image, Missing.unpack(frame.payload), page)
                elif found := self.listen(heard + self.limits.answer_s, Kind.RESULT):
                    return Result.unpack(found.payload)
            self.resent += 1
        raise LinkFailed(NO_ANSWER if now < end else f"not all of it arrived within {self.limits.image_s:g} s")

    def mend(self, image: np.ndarray, missing: Missing, page: int) -> int:
        """Send the chunks that a page lacks; the page to ask for next. An answer to what was asked before is too old
        from here on."""
        self.number += 1
        lacking = missing.chunks
        if 2 * len(lacking) > self.lacked and self.copies < MOST_COPIES:
            self.copies += 1
        elif 4 * len(lacking) < self.lacked and self.copies > 1:
            self.copies -= 1
        self.lacked = len(lacking) or PAGE
        for chunk in lacking * self.copies:
            self.send(pixel_frame(self.sequence, image, chunk))
            self.resent += 1
        return page if lacking else (page + 1) % PAGES

    def ask(self, asked: Frame, *kinds: Kind) -> Frame | None:
        """Send a question; its answer, if one of these kinds comes in time."""
        for _ in range(self.copies):
            self.send(asked)
        if answer := self.listen(self.pace.until, *kinds):
            self.pace.answered()
        else:
            self.pace.missed()
        return answer

    def send(self, frame: Frame) -> None:
        data = encode(frame)
        self.port.write(data)
        self.pace.sent(len(data))

    def listen(self, end: float, *kinds: Kind) -> Frame | None:
        """The next answer of these kinds to the present question about the present image; None after ``end``."""
        while (left := end - time.monotonic()) > 0:
            for frame in self.decoder.feed(self.port.read(left)):
                if frame.kind in kinds and frame.sequence == self.sequence and self.sound(frame):
                    return frame
        return None

    def sound(self, frame: Frame) -> bool:
        """Whether a board could have said this now: a frame may have the right CRC and come from anything."""
        try:
            if frame.kind == Kind.INFO:
                Info.unpack(frame.payload)
            if frame.kind == Kind.MISSING:
                return Missing.unpack(frame.payload).number == self.number % 4
            if frame.kind == Kind.RESULT:
                result = Result.unpack(frame.payload)
                return len(result.logits) == self.info.classes and int(classify(result.logits)) == result.index
        except ValueError:
            return False
        return True
