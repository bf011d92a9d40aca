"""Arrays of codes as one stream of a range coder (`constriction`), with the probabilities of `cells`.

Range coding: Martin 1979, "Range encoding: an algorithm for removing redundancy from a digitised message".
"""

from functools import cache
from types import ModuleType

import numpy as np

from fivebyfive.support.optional import require

from .cells import walk
from .mixing import ONE, Predictor

__all__ = ["Reader", "Recorder", "library"]


class Recorder:
    """Arrays as bits with the probability that each was expected with; `payload` makes the stream of them."""

    def __init__(self) -> None:
        self.bits: list[int] = []
        self.expected: list[int] = []

    def write(self, array: np.ndarray) -> None:
        """One more int8 array."""
        walk(array.shape, self._source, array)

    def _source(self, predictor: Predictor, contexts: tuple[int, ...], chosen: int, bit: int | None) -> int:
        assert bit is not None
        self.expected.append(predictor.predict(contexts, chosen))
        self.bits.append(bit)
        predictor.update(bit)
        return bit

    def extend(self, other: "Recorder") -> None:
        """Arrays of another recorder, after those here."""
        self.bits += other.bits
        self.expected += other.expected

    @property
    def payload(self) -> bytes:
        """The stream, little-endian words of 32 bits without the zero bytes at its end."""
        coder = library()
        encoder = coder.stream.queue.RangeEncoder()
        probabilities = np.array(self.expected, np.float64) / ONE
        encoder.encode(np.array(self.bits, np.int32), coder.stream.model.Bernoulli(perfect=False), probabilities)
        return encoder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")

    @property
    def bytes(self) -> float:
        """Bytes that these bits will take, within some ten of them."""
        bits, expected = np.array(self.bits, bool), np.array(self.expected) / ONE
        return float(-np.log2(np.where(bits, expected, 1 - expected)).sum() / 8)


class Reader:
    """Arrays out of a `Recorder`'s ``payload``, in their order."""

    def __init__(self, payload: bytes) -> None:
        coder = library()
        words = np.frombuffer(payload + bytes(-len(payload) % 4), "<u4").astype(np.uint32)
        self.decoder = coder.stream.queue.RangeDecoder(words)
        self.model = cache(lambda expected: coder.stream.model.Bernoulli(expected / ONE, perfect=False))

    def read(self, shape: tuple[int, ...]) -> np.ndarray:
        """The next array, int8 of this shape."""
        return walk(shape, self._source, None)

    def _source(self, predictor: Predictor, contexts: tuple[int, ...], chosen: int, bit: int | None) -> int:
        found = self.decoder.decode(self.model(predictor.predict(contexts, chosen)))
        predictor.update(found)
        return found


def library() -> ModuleType:
    """constriction. Raises UserError without it."""
    return require("constriction", "packing needs", "constriction", "compress")
