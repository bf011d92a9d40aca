"""Q2.6, the number format of every weight, bias and activation, and the modular arithmetic around it.

A code is a signed 8-bit integer; its value is ``code / 64``. A layer computes, in exact integers,

    acc  = (bias << 6) + sum of x * w
    code = wrap(acc >> 6)            # arithmetic shift (floor), then the low 8 bits as a signed number

so an overflow wraps. Only bits 13..6 of ``acc`` reach the code, and addition carries upwards only: all of
it may be done modulo 2**14. `Q2_6.acc_bits` is that 14, the width of every accumulator in the hardware.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Q2_6", "FixedPoint"]


@dataclass(frozen=True)
class FixedPoint:
    """A signed two's complement fixed-point format.

    ``int_bits`` integer bits, sign included, and ``frac_bits`` fraction bits.
    """

    int_bits: int
    frac_bits: int

    @property
    def bits(self) -> int:
        """Width of a code, in bits."""
        return self.int_bits + self.frac_bits

    @property
    def acc_bits(self) -> int:
        """Bits of an accumulator that can still reach a code after requantization."""
        return self.bits + self.frac_bits

    @property
    def one(self) -> int:
        """The code of 1.0."""
        return 1 << self.frac_bits

    @property
    def min(self) -> int:
        """Lowest code."""
        return -(1 << (self.bits - 1))

    @property
    def max(self) -> int:
        """Highest code."""
        return (1 << (self.bits - 1)) - 1

    def wrap(self, value: np.ndarray) -> np.ndarray:
        """Low `bits` bits of integers of any shape, as signed codes (int8 for an 8-bit format)."""
        low = np.asarray(value, dtype=np.int64) & ((1 << self.bits) - 1)
        return (low - ((low > self.max) << self.bits)).astype(np.min_scalar_type(self.min))

    def requantize(self, acc: np.ndarray) -> np.ndarray:
        """Codes of exact accumulators: floor to the code's fraction, then wrap."""
        return self.wrap(np.asarray(acc, dtype=np.int64) >> self.frac_bits)

    def wraps(self, acc: np.ndarray) -> int:
        """How many accumulators leave the range of a code, so that requantizing them wraps."""
        code = np.asarray(acc, dtype=np.int64) >> self.frac_bits
        return int(np.count_nonzero((code < self.min) | (code > self.max)))

    def peak(self, acc: np.ndarray) -> int:
        """How far from zero accumulators get, as a code c or -1 - c: at most `max` where none wraps."""
        code = np.asarray(acc, dtype=np.int64) >> self.frac_bits
        return max(int(code.max(initial=0)), -1 - int(code.min(initial=-1)))


Q2_6 = FixedPoint(int_bits=2, frac_bits=6)
