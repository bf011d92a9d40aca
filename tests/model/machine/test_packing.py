"""The arithmetic of packed products, for all operands there are: what `hw/common/packed_dot_product.py` builds on."""

import numpy as np
import pytest

from fivebyfive.model.q26 import Q2_6

CODES = np.arange(-128, 128)
PAIRS = tuple(values.ravel() for values in np.meshgrid(CODES, CODES))  # (high, low), 65,536 of them
MASK = (1 << Q2_6.acc_bits) - 1
MOST = MASK  # the largest sum of 14 bits
HIGH = 16


def sums(shared: int, high_sum: int, low_sum: int) -> np.ndarray:
    """What the DSP block computes for every pair of operands."""
    high, low = PAIRS
    return ((high << HIGH) + low) * shared + (high_sum << HIGH | 1 << HIGH - 1 | low_sum)


def test_every_product():
    """2**24 operands, each with the smallest and the largest low sum beside it: those between lie between."""
    high, low = PAIRS
    for shared in CODES:
        for low_sum in (0, MOST):
            for high_sum in (0, MOST) if shared in (-128, -1, 127) else (5,):
                both = sums(shared, high_sum, low_sum)
                assert np.array_equal(both & MASK, (low * shared + low_sum) & MASK)
                assert np.array_equal(both >> HIGH & MASK, (high * shared + high_sum) & MASK)


@pytest.mark.parametrize(("distance", "bits"), [(15, 24), (16, 25), (17, 26)])
def test_factor(distance, bits):
    """A multiplier takes 25 bits: 17 would be too far apart."""
    factors = np.add(*(np.array(PAIRS) << np.array([[distance], [0]])))
    assert factors.min() >= -1 << bits - 1
    assert factors.max() < 1 << bits - 1
    assert factors.min() < -1 << bits - 2


def test_fifteen_is_too_close():
    """The product of -128 and -128 beside one does not fit below bit 15: p[14] does not tell its sign."""
    product = ((1 << 15) - 128) * -128
    assert (product >> 15) + (product >> 14 & 1) != -128
