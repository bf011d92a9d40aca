"""The probability of a bit from several contexts at once, learned on the way, in integers alone.

Each context has an adaptive probability; a small online logistic regression weighs them, as in Mahoney's PAQ
("Adaptive weighing of context models for lossless data compression", Florida Tech CS-2005-16). The encoder and the
decoder do the same sums and need no table in the file. Floats would round differently on another machine; there are
none here, and the tables come from `decimal`, whose results are the same everywhere.
"""

from collections.abc import Sequence
from decimal import Decimal
from functools import cache

__all__ = ["ONE", "Predictor"]

ONE = 1 << 16  # a probability of 1
STEPS = 256  # of the logistic scale, a unit
REACH = 12 * STEPS - 1  # beyond: one in 160,000
LIMIT = 255  # observations after which a context forgets the oldest
RATE = 14  # of the weights: error times input, shifted right
UNIT = 1 << 16  # a weight of 1


@cache
def squash_table() -> tuple[int, ...]:
    """Probabilities 1 .. ONE - 1 of logits -REACH .. REACH."""
    values = (ONE / (1 + (Decimal(-x) / STEPS).exp()) for x in range(-REACH, REACH + 1))
    return tuple(min(max(int(value), 1), ONE - 1) for value in values)


@cache
def stretch_table() -> tuple[int, ...]:
    """The logit of each probability 0 .. ONE: the inverse of `squash_table`."""
    table, logit = [], 0
    squashed = squash_table()
    for probability in range(ONE + 1):
        while logit < len(squashed) - 1 and squashed[logit] < probability:
            logit += 1
        table.append(logit - REACH)
    return tuple(table)


@cache
def rates() -> tuple[int, ...]:
    """Share of the error by which a probability moves after that many observations, in 1 / ONE."""
    return tuple(ONE * 2 // (2 * count + 3) for count in range(LIMIT + 1))


class Predictor:
    """Probabilities of bits, each seen in one context of each kind; ``sizes``: contexts there are of a kind.

    ``sets`` of weights: which one is used is the caller's to say, a context too.
    """

    def __init__(self, sizes: Sequence[int], sets: int = 1) -> None:
        self.probabilities = [[ONE >> 1] * size for size in sizes]
        self.counts = [[0] * size for size in sizes]
        self.weights = [[UNIT * 2 // (len(sizes) + 1)] * len(sizes) for _ in range(sets)]

    def predict(self, contexts: Sequence[int], chosen: int = 0) -> int:
        """Probability, 1 .. ONE - 1, that the next bit is 1; `update` must follow."""
        stretch = stretch_table()
        self.contexts = contexts
        self.inputs = [stretch[row[index]] for row, index in zip(self.probabilities, contexts, strict=True)]
        self.mixing = self.weights[chosen]
        dot = 0
        for weight, value in zip(self.mixing, self.inputs, strict=True):
            dot += weight * value
        self.mixed = squash_table()[min(max(dot >> 16, -REACH), REACH) + REACH]
        return self.mixed

    def update(self, bit: int) -> None:
        """Learn what the bit was."""
        error = (bit << 16) - self.mixed
        mixing, table = self.mixing, rates()
        for kind, index in enumerate(self.contexts):
            mixing[kind] += self.inputs[kind] * error >> RATE
            row, counts = self.probabilities[kind], self.counts[kind]
            count = counts[index]
            row[index] += ((bit << 16) - row[index]) * table[count] >> 16
            if count < LIMIT:
                counts[index] = count + 1
