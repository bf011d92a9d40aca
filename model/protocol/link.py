"""The language of the serial line between a host and a board: frames, and what is in them. One source for both sides.

A frame on the line is

    FLAG | length, kind, sequence (2 bytes, low first), payload (``length`` bytes), CRC-32 (4 bytes, low first)

where behind FLAG each byte that is FLAG or ESCAPE is sent as ESCAPE and the byte ^ FLIP. FLAG therefore begins a frame
wherever it appears: whatever was lost, added or changed before it, the next frame is found. The CRC is that of zlib and
Ethernet, over length to payload. A frame whose CRC is wrong is dropped.

Three requests, and the answers of the board, which carry the request's sequence number:

* HELLO -> INFO: forget every image; the protocol's version, the number of classes, the first bytes of the SHA-256 of
  the network.
* PIXELS, not answered: some chunks of 7 pixels of the image that has this sequence number, behind the number of the
  first. An image has 112 chunks, which may come in any order and twice; another sequence number begins another image.
  When all are there the accelerator starts.
* ASK -> RESULT, BUSY or MISSING: a page of 28 chunks; MISSING has a bit for each that came, and repeats the question's
  number (0 to 3), so that a late answer is not taken for that to a later question. RESULT is also sent when it is
  ready.

The board keeps no state but the image, so whatever is lost is mended by sending it again, and it cannot do harm to send
it twice. An answer that belongs to another image has another sequence number.
"""

import enum
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from fivebyfive.model.shape import IMAGE

__all__ = [
    "CHUNK", "CHUNKS", "DIGEST", "ESCAPE", "FLAG", "FLIP", "LARGEST", "MOST_CHUNKS", "PAGE", "PAGES", "VERSION",
    "Decoder", "Frame", "Info", "Kind", "Missing", "Result", "encode", "pixel_frame", "question",
]  # fmt: skip

VERSION = 1
FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
HEADER = 4  # bytes: length, kind, sequence
CRC = 4  # bytes
CHUNK = 7  # pixels that are known to have come together: a quarter of a row
CHUNKS = IMAGE * IMAGE // CHUNK
PAGE = 28  # chunks in an answer: seven rows
PAGES = CHUNKS // PAGE
MOST_CHUNKS = 8  # in a frame
LARGEST = 1 + MOST_CHUNKS * CHUNK  # bytes of the longest payload that a board takes
DIGEST = 8  # bytes of the network's SHA-256


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
    """PIXELS with chunks ``first`` to ``first + count - 1`` of an image, uint8 (28, 28)."""
    pixels = image.reshape(-1)[first * CHUNK : (first + count) * CHUNK]
    return Frame(Kind.PIXELS, sequence, bytes([first]) + pixels.tobytes())


@dataclass(frozen=True)
class Info:
    """Payload of INFO. ``digest``: how the SHA-256 of the network's arrays (`Checkpoint.digest`) begins."""

    version: int
    classes: int
    digest: bytes

    def pack(self) -> bytes:
        return struct.pack(f"<BB{DIGEST}s", self.version, self.classes, self.digest)

    @classmethod
    def unpack(cls, payload: bytes) -> "Info":
        """Raises ValueError for a payload of another length."""
        if len(payload) != 2 + DIGEST:
            raise ValueError(f"INFO has {2 + DIGEST} bytes, not {len(payload)}")
        return cls(*struct.unpack(f"<BB{DIGEST}s", payload))


def question(sequence: int, page: int, number: int) -> Frame:
    """ASK for a page of an image; ``number``: modulo 4, of the question."""
    return Frame(Kind.ASK, sequence, bytes([number % 4 * PAGES + page]))


@dataclass(frozen=True)
class Missing:
    """Payload of MISSING. ``came``: bit n is set where chunk ``page * PAGE + n`` has come. ``number``: of the question,
    modulo 4."""

    page: int
    came: int
    number: int

    @classmethod
    def unpack(cls, payload: bytes) -> "Missing":
        """Raises ValueError for a payload of another length."""
        if len(payload) != 4:
            raise ValueError(f"MISSING has 4 bytes, not {len(payload)}")
        word = int.from_bytes(payload, "little")
        number, page = divmod(word >> PAGE, PAGES)
        return cls(page, word & ((1 << PAGE) - 1), number)

    @property
    def chunks(self) -> list[int]:
        """Those that have not come."""
        return [self.page * PAGE + n for n in range(PAGE) if not self.came >> n & 1]


@dataclass(frozen=True)
class Result:
    """Payload of RESULT. ``latency``: clock cycles from the last pixel to the result; ``logits``: int8 (classes,)."""

    index: int
    latency: int
    logits: np.ndarray

    @classmethod
    def unpack(cls, payload: bytes) -> "Result":
        """Raises ValueError for a payload that has no logit, or names a class that there is not."""
        logits = np.frombuffer(payload[4:], np.int8)
        if len(payload) < 5 or payload[0] >= len(logits):
            raise ValueError(f"RESULT of {len(payload)} bytes names class {payload[:1].hex()}")
        return cls(payload[0], int.from_bytes(payload[1:4], "little"), logits)
