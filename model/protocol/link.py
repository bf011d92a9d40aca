"""The language of the serial line between a host and a board: frames, and what is in them. One source for both sides.

A frame on the line is

    FLAG | length, kind, sequence (2 bytes, low first), payload (``length`` bytes), CRC-32 (4 bytes, low first)

where behind FLAG each byte that is FLAG or ESCAPE is sent as ESCAPE and the byte ^ FLIP. FLAG therefore begins a frame
wherever it appears: whatever was lost, added or changed before it, the next frame is found. The CRC is that of zlib and
Ethernet, over length to payload. A frame whose CRC is wrong is dropped.

Three requests, and the answers of the board, which carry the request's sequence number:

* HELLO -> INFO: forget every image; the protocol's version (of every version the first byte of this answer), the number
  of classes, the shape of an image, the first bytes of the SHA-256 of the network.
* PIXELS, not answered: some chunks of 8 pixels of the image that has this sequence number, behind the number of the
  first (2 bytes). Another sequence number begins another image. An image is received part after part, each of 128
  chunks, the last one of what is left. Within a part chunks may come in any order and twice; those of other parts are
  ignored. What a last chunk has behind the image's last pixel is ignored. When all are there the accelerator starts.
* ASK -> RESULT, BUSY or MISSING: a page (2 bytes). MISSING is of a page of 32 chunks, and has a bit for each that came,
  the page and the question's number (0 to 3), so that a late answer is not taken for that to a later question, and the
  part that is received now. RESULT has the latency and a page of 64 logits, by the two lowest bits of the question's
  page, the first one where there is no such page; the first one is also sent when it is ready.

The board keeps no state but the image, so whatever is lost is mended by sending it again, and it cannot do harm to send
it twice. An answer that belongs to another image has another sequence number.
"""

import enum
import struct
import zlib
from dataclasses import dataclass
from math import prod

import numpy as np

from fivebyfive.model.shape import ceil_div

__all__ = [
    "CHUNK", "CRC", "DIGEST", "ESCAPE", "FLAG", "FLIP", "HEADER", "LARGEST", "LOGITS", "MOST_CHUNKS", "NUMBER", "PAGE",
    "PAGE_BITS", "PART", "VERSION",
    "Decoder", "Frame", "Info", "Kind", "Missing", "Result", "chunks", "encode", "pixel_frame", "question",
]  # fmt: skip

VERSION = 2
FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
HEADER = 4  # bytes: length, kind, sequence
CRC = 4  # bytes
CHUNK = 8  # pixels that are known to have come together
PART = 128  # chunks of which a board knows at a time whether they came
PAGE = 32  # chunks in an answer
NUMBER = 2  # bytes of the number of a chunk, or of a question with its page
PAGE_BITS = 14  # of a page; the question's number is above
MOST_CHUNKS = 7  # in a frame: with their number they fit the 64 bytes that a board keeps
LARGEST = NUMBER + MOST_CHUNKS * CHUNK  # bytes of the longest payload that a board takes
LOGITS = 64  # in an answer
DIGEST = 8  # bytes of the network's SHA-256


def chunks(pixels: int) -> int:
    """Chunks of an image."""
    return ceil_div(pixels, CHUNK)


class Kind(enum.IntEnum):
    """What a frame is; answers have the highest bit."""

    HELLO = 0x01
    PIXELS = 0x02
    ASK = 0x03
    INFO = 0x81
    MISSING = 0x82
    BUSY = 0x83
    RESULT = 0x84


@dataclass(frozen=True)
class Frame:
    kind: int
    sequence: int
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """A frame as it is on the line."""
    body = struct.pack("<BBH", len(frame.payload), frame.kind, frame.sequence) + frame.payload
    body += struct.pack("<I", zlib.crc32(body))
    line = bytearray([FLAG])
    for byte in body:
        line += bytes([ESCAPE, byte ^ FLIP]) if byte in (FLAG, ESCAPE) else bytes([byte])
    return bytes(line)


class Decoder:
    """Finds the frames in what comes over the line. ``bad``: how many were cut off or had another CRC."""

    def __init__(self) -> None:
        self.bad = 0
        self._body = bytearray()
        self._inside = self._escaped = False

    def feed(self, line: bytes) -> list[Frame]:
        """The frames that end in these bytes."""
        return [frame for byte in line if (frame := self._byte(byte))]

    def _byte(self, byte: int) -> Frame | None:
        if byte == FLAG:
            self.bad += self._inside and len(self._body) > 0
            self._body.clear()
            self._inside, self._escaped = True, False
        elif self._inside and byte == ESCAPE:
            self._escaped = True
        elif self._inside:
            self._body.append(byte ^ FLIP if self._escaped else byte)
            self._escaped = False
            if len(self._body) == HEADER + self._body[0] + CRC:
                return self._whole()
        return None

    def _whole(self) -> Frame | None:
        self._inside = False
        body, crc = bytes(self._body[:-CRC]), bytes(self._body[-CRC:])
        if struct.pack("<I", zlib.crc32(body)) != crc:
            self.bad += 1
            return None
        _, kind, sequence = struct.unpack_from("<BBH", body)
        return Frame(kind, sequence, body[HEADER:])


def pixel_frame(sequence: int, image: np.ndarray, first: int, count: int = 1) -> Frame:
    """PIXELS with chunks ``first`` to ``first + count - 1`` of an image, uint8."""
    pixels = image.reshape(-1)[first * CHUNK : (first + count) * CHUNK].tobytes()
    return Frame(Kind.PIXELS, sequence, first.to_bytes(NUMBER, "little") + pixels.ljust(count * CHUNK, b"\0"))


@dataclass(frozen=True)
class Info:
    """Payload of INFO. ``input``: (channels, rows, columns) of an image. ``digest``: how the SHA-256 of the network's
    arrays (`Checkpoint.digest`) begins."""

    version: int
    classes: int
    input: tuple[int, int, int]
    digest: bytes

    LAYOUT = f"<BHBBB{DIGEST}s"

    @property
    def pixels(self) -> int:
        return prod(self.input)

    def pack(self) -> bytes:
        return struct.pack(self.LAYOUT, self.version, self.classes, *self.input, self.digest)

    @classmethod
    def unpack(cls, payload: bytes) -> "Info":
        """Raises ValueError for a payload of another length, and for an image or classes of no size."""
        if len(payload) != struct.calcsize(cls.LAYOUT):
            raise ValueError(f"INFO has {struct.calcsize(cls.LAYOUT)} bytes, not {len(payload)}")
        version, classes, channels, rows, columns, digest = struct.unpack(cls.LAYOUT, payload)
        if not classes * channels * rows * columns:
            raise ValueError(f"INFO of {len(payload)} bytes tells of {classes} classes, {channels}x{rows}x{columns}")
        return cls(version, classes, (channels, rows, columns), digest)


def question(sequence: int, page: int, number: int) -> Frame:
    """ASK for a page of an image, or of its logits; ``number``: modulo 4, of the question."""
    return Frame(Kind.ASK, sequence, (number % 4 << PAGE_BITS | page).to_bytes(NUMBER, "little"))


@dataclass(frozen=True)
class Missing:
    """Payload of MISSING. ``came``: bit n is set where chunk ``page * PAGE + n`` has come. ``number``: of the question,
    modulo 4. ``part``: the part that is received now."""

    page: int
    came: int
    number: int
    part: int

    LAYOUT = "<IHB"

    @classmethod
    def unpack(cls, payload: bytes) -> "Missing":
        """Raises ValueError for a payload of another length."""
        if len(payload) != struct.calcsize(cls.LAYOUT):
            raise ValueError(f"MISSING has {struct.calcsize(cls.LAYOUT)} bytes, not {len(payload)}")
        came, asked, part = struct.unpack(cls.LAYOUT, payload)
        return cls(asked & ((1 << PAGE_BITS) - 1), came, asked >> PAGE_BITS, part)

    @property
    def chunks(self) -> list[int]:
        """Those that have not come; in the last page there may be some that no image has."""
        return [self.page * PAGE + n for n in range(PAGE) if not self.came >> n & 1]


@dataclass(frozen=True)
class Result:
    """Payload of RESULT. ``latency``: clock cycles from the last pixel to the result; ``logits``: int8, those of a
    ``page`` of `LOGITS`."""

    page: int
    index: int
    latency: int
    logits: np.ndarray

    LAYOUT = "<BBI"
    HEADER = struct.calcsize(LAYOUT)  # bytes in front of the logits

    @classmethod
    def unpack(cls, payload: bytes) -> "Result":
        """Raises ValueError for a payload that has no logit."""
        if len(payload) <= cls.HEADER:
            raise ValueError(f"RESULT of {len(payload)} bytes has no logit")
        page, index, latency = struct.unpack_from(cls.LAYOUT, payload)
        return cls(page, index, latency, np.frombuffer(payload[cls.HEADER :], np.int8))
