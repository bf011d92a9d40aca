"""Tables of LevelDB, as TensorFlow writes them, and the messages of protocol buffers in them. Both are read with bounds
on all that they may ask for; what breaks a rule raises `Damaged`."""

import struct
from collections.abc import Iterator

from .crc32c import crc32c, masked

__all__ = ["MAGIC", "MAX_ENTRIES", "Damaged", "Message", "read_table"]

MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")  # ends a table
FOOTER = 48  # bytes
TRAILER = 5  # bytes behind a block: its compression and a masked CRC
MAX_ENTRIES = 2000  # a LeNet with slots of its optimizer has some hundred
MAX_KEY = 4096  # bytes
MAX_FIELDS = 1000  # of a message
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


class Damaged(ValueError):  # noqa: N818 (what the file holds, no fault of it)
    """The file breaks a rule of its format; the message says which, in a few words."""


def read_table(data: bytes) -> dict[bytes, bytes]:
    """Keys and values of a whole file, in the order of the keys. Raises `Damaged`."""
    if len(data) < FOOTER or data[-len(MAGIC) :] != MAGIC:
        raise Damaged("its end is missing")
    footer = data[-FOOTER : -len(MAGIC)]
    *_, at = handle(footer, 0)  # of the metaindex, which is empty
    offset, size, _ = handle(footer, at)
    entries: dict[bytes, bytes] = {}
    last, end = None, 0
    for _, value in block(data, offset, size):
        offset, size, _ = handle(value, 0)
        if offset < end:
            raise Damaged("its blocks overlap")
        end = offset + size + TRAILER
        pairs = list(block(data, offset, size))
        if not pairs:
            raise Damaged("a block is empty")
        for key, found in pairs:
            if last is not None and key <= last:
                raise Damaged("its names are not in order")
            if len(entries) >= MAX_ENTRIES:
                raise Damaged(f"it has more than {MAX_ENTRIES:,} entries")
            last, entries[key] = key, found
    return entries


def block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block."""
    if offset + size + TRAILER > len(data) - FOOTER or size < 4:
        raise Damaged("a block lies outside of it")
    content, kind = data[offset : offset + size], data[offset + size]
    (stored,) = struct.unpack_from("<I", data, offset + size + 1)
    if masked(crc32c(data[offset : offset + size + 1])) != stored:
        raise Damaged("a block has another check-sum")
    if kind:
        raise Damaged("it is compressed, which TensorFlow's own are not")
    (restarts,) = struct.unpack_from("<I", content, size - 4)
    end = size - 4 - 4 * restarts
    if restarts < 1 or end < 0:
        raise Damaged("a block has no room for its restarts")
    key, at = b"", 0
    while at < end:
        shared, at = varint(content, at)
        more, at = varint(content, at)
        length, at = varint(content, at)
        if shared > len(key) or shared + more > MAX_KEY or at + more + length > end:
            raise Damaged("an entry lies outside of its block")
        key = key[:shared] + content[at : at + more]
        at += more + length
        yield key, content[at - length : at]


def handle(data: bytes, at: int) -> tuple[int, int, int]:
    """Offset and size of a block, and where what is behind them begins."""
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return offset, size, at


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 64 bits, and where what is behind it begins."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, at
    raise Damaged("a number has no end")


class Message:
    """The fields of a message of protocol buffers, as they come; which it may have is known to those who ask."""

    def __init__(self, data: bytes) -> None:
        self.fields: dict[int, list[int | bytes]] = {}
        at = 0
        for _ in range(MAX_FIELDS):
            if at == len(data):
                return
            tag, at = varint(data, at)
            number, kind = tag >> 3, tag & 7
            value: int | bytes
            if kind == VARINT:
                value, at = varint(data, at)
            elif kind in (FIXED64, FIXED32, BYTES):
                size, at = varint(data, at) if kind == BYTES else (8 if kind == FIXED64 else 4, at)
                if at + size > len(data):
                    raise Damaged("a field lies outside of its message")
                value, at = data[at : at + size], at + size
                value = value if kind == BYTES else int.from_bytes(value, "little")
            else:
                raise Damaged("a field is of no known kind")
            self.fields.setdefault(number, []).append(value)
        raise Damaged(f"a message has more than {MAX_FIELDS} fields")

    def number(self, field: int) -> int:
        """The last value of a field, 0 where it has none. Raises `Damaged` where it is no number, or below 0."""
        value = self.fields.get(field, [0])[-1]
        if not isinstance(value, int) or value >> 63:
            raise Damaged("a number is missing or below 0")
        return value

    def messages(self, field: int) -> list["Message"]:
        """The messages in a field."""
        found = []
        for value in self.fields.get(field, []):
            if not isinstance(value, bytes):
                raise Damaged("a number stands for a message")
            found.append(Message(value))
        return found
