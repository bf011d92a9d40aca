"""Huffman coding of an array of codes as Deep Compression has it (Han, Mao and Dally 2016, arXiv:1510.00149).

Sparse: for each non-zero code the number of zeros before it, and the code, each with a Huffman code of its own.
Dense: the codes alone. The tables are canonical (Huffman 1952; Schwartz and Kallick 1964): how many codewords there
are of each length, and their symbols. Zeros after the last code are not told.
"""

from collections import Counter
from types import ModuleType

import numpy as np

from fivebyfive.support.optional import require

from .varint import Parts, number

__all__ = ["decode", "encode"]

LONGEST_GAP = 255  # zeros; as a symbol: that many zeros, and no code after them


def encode(array: np.ndarray, sparse: bool) -> bytes:
    """The Huffman form of an int8 array."""
    codes = array.ravel().astype(int)
    if not sparse:
        return _stream((codes & 255).tolist())
    places = np.flatnonzero(codes)
    zeros = np.diff(places, prepend=-1) - 1
    gaps: list[int] = []
    for zero in zeros.tolist():
        gaps += [LONGEST_GAP] * (zero // LONGEST_GAP) + [zero % LONGEST_GAP]
    return _stream(gaps) + _stream((codes[places] & 255).tolist())


def decode(payload: bytes, count: int, sparse: bool) -> np.ndarray:
    """``count`` codes, int8 (count,), from what `encode` made. Raises ValueError where it is nothing of the kind."""
    parts = Parts(payload)
    if not sparse:
        codes = _symbols(parts, count)
        if len(codes) != count:
            raise ValueError("too few codes")
        found = codes
    else:
        gaps = _symbols(parts, count)
        ends = gaps != LONGEST_GAP
        codes = _symbols(parts, count)
        places = np.cumsum(gaps + ends)[ends] - 1
        if len(codes) != len(places) or (len(places) and places[-1] >= count):
            raise ValueError("indices do not fit")
        found = np.zeros(count, int)
        found[places] = codes
    parts.finish()
    return found.astype(np.uint8).view(np.int8)


def _stream(symbols: list[int]) -> bytes:
    """Number of symbols, of bits, the table, the bits."""
    if not symbols:
        return number(0)
    bits = _bitarray()
    table, lengths, order = bits.util.canonical_huffman(Counter(symbols))
    written = bits.bitarray(endian="big")
    written.encode(table, symbols)
    head = number(len(symbols)) + number(len(written)) + bytes([len(lengths)])
    return head + b"".join(map(number, lengths)) + bytes(order) + written.tobytes()


def _symbols(parts: Parts, limit: int) -> np.ndarray:
    """Inverse of `_stream`: int64 (N,), N at most ``limit``."""
    count = parts.number(limit)
    if not count:
        return np.zeros(0, int)
    size = parts.number(255 * count)
    lengths = [parts.number(256) for _ in range(parts.take(1)[0])]
    order = list(parts.take(sum(lengths)))
    bits = _bitarray()
    written = bits.bitarray(endian="big")
    written.frombytes(parts.take((size + 7) // 8))
    del written[size:]
    found = np.fromiter(bits.util.canonical_decode(written, lengths, order), int)
    if len(found) != count:
        raise ValueError("wrong number of symbols")
    return found


def _bitarray() -> ModuleType:
    require("bitarray.util", "packing needs", "bitarray", "compress")
    return require("bitarray", "packing needs", "bitarray", "compress")
