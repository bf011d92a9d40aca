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

from fivebyfive.model.golden import check_images, classify
from fivebyfive.model.protocol.link import (
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
    ``resent``: chunks of 8 pixels, and questions, that were sent again. ``seconds``: on the clock of the host."""

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
                if (version := frame.payload[0]) != VERSION:
                    raise WrongVersion(
                        f"the board speaks version {version} of the link, this program {VERSION}; build its bitstream "
                        "again"
                    )
                return Info.unpack(frame.payload)
        raise LinkFailed(NO_ANSWER)

    def classify(self, image: np.ndarray) -> Classified:
        """The class of an image, uint8 (rows, columns) or (channels, rows, columns), and its logits. Raises LinkFailed
        where no answer comes in time, ValueError for anything but an image of the board's network."""
        try:
            check_images(image[np.newaxis] if isinstance(image, np.ndarray) else image, self.info.input)
        except ValueError:
            size = self.info.input if self.info.input[0] > 1 else self.info.input[1:]
            got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ValueError(f"classify takes one image, uint8 {size}, a NumPy array, not {got}") from None
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.resent, self.lacked = 0, 2 * PAGE
        began = time.monotonic()
        end = began + self.limits.image_s
        wanted: int | Result = 0
        sent = -1
        while not isinstance(wanted, Result):
            self.send_part(image, wanted, again=wanted <= sent)
            sent = max(sent, wanted)
            wanted = self.finish_part(image, wanted, end)
        result = self.finish_result(wanted, end)
        return Classified(result.index, result.logits, result.latency, self.resent, time.monotonic() - began)

    @property
    def chunks(self) -> int:
        """Of an image."""
        return chunks(self.info.pixels)

    def send_part(self, image: np.ndarray, part: int, again: bool) -> None:
        """Send all chunks of a part."""
        self.number += 1
        end = min((part + 1) * PART, self.chunks)
        for first in range(part * PART, end, MOST_CHUNKS):
            count = min(MOST_CHUNKS, end - first)
            self.send(pixel_frame(self.sequence, image, first, count))
            self.resent += count * again

    def finish_part(self, image: np.ndarray, part: int, end: float) -> int | Result:
        """Ask, and send again what has not come, page by page, until the board wants another part or has a result:
        that part, or a page of the result."""
        page = part * PART // PAGE
        while True:
            answer = self.answer(page, end)
            if answer.kind == Kind.RESULT:
                return Result.unpack(answer.payload)
            missing = Missing.unpack(answer.payload)
            if missing.part != part:
                return missing.part
            page = self.mend(image, missing, page)
            self.resent += 1

    def finish_result(self, first: Result, end: float) -> Result:
        """Ask for the other pages of a result: all of it, once its class is that of its logits."""
        found = {first.page: first}
        while True:
            lacking = [page for page in range(self.result_pages) if page not in found]
            if lacking:
                answer = self.answer(lacking[0], end)
                if answer.kind == Kind.RESULT:
                    result = Result.unpack(answer.payload)
                    found[result.page] = result
                continue
            logits = np.concatenate([found[page].logits for page in range(self.result_pages)])
            if {(one.index, one.latency) for one in found.values()} == {(int(classify(logits)), first.latency)}:
                return Result(0, first.index, first.latency, logits)
            found.clear()

    def answer(self, page: int, end: float) -> Frame:
        """RESULT or MISSING to a question for a page, asked until one comes. Raises LinkFailed where none does."""
        heard = time.monotonic()
        while (now := time.monotonic()) < end and now - heard < self.limits.silence_s:
            asked = question(self.sequence, page, self.number)
            frame = self.ask(asked, Kind.RESULT, Kind.MISSING, Kind.BUSY)
            if frame:
                heard = time.monotonic()
            if frame and frame.kind == Kind.BUSY:
                frame = self.listen(heard + self.limits.answer_s, Kind.RESULT)
            if frame:
                return frame
            self.resent += 1
        raise LinkFailed(NO_ANSWER if now < end else f"not all of it arrived within {self.limits.image_s:g} s")

    def mend(self, image: np.ndarray, missing: Missing, page: int) -> int:
        """Send the chunks that a page lacks; the page to ask for next, of the same part. An answer to what was asked
        before is too old from here on."""
        self.number += 1
        lacking = [chunk for chunk in missing.chunks if chunk < self.chunks]
        if 2 * len(lacking) > self.lacked and self.copies < MOST_COPIES:
            self.copies += 1
        elif 4 * len(lacking) < self.lacked and self.copies > 1:
            self.copies -= 1
        self.lacked = len(lacking) or PAGE
        for chunk in lacking * self.copies:
            self.send(pixel_frame(self.sequence, image, chunk))
            self.resent += 1
        if lacking:
            return page
        first = missing.part * PART
        pages = ceil_div(min(PART, self.chunks - first), PAGE)
        return first // PAGE + (page + 1) % (PART // PAGE) % pages

    @property
    def result_pages(self) -> int:
        """Of the logits."""
        return ceil_div(self.info.classes, LOGITS)

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
                return frame.payload[:1] not in (b"", bytes([VERSION])) or bool(Info.unpack(frame.payload))
            if frame.kind == Kind.MISSING:
                missing = Missing.unpack(frame.payload)
                return missing.number == self.number % 4 and missing.part * PART < self.chunks
            if frame.kind == Kind.RESULT:
                result = Result.unpack(frame.payload)
                count = len(range(self.info.classes)[result.page * LOGITS :][:LOGITS])
                return 0 < count == len(result.logits) and result.index < self.info.classes
        except ValueError:
            return False
        return True
