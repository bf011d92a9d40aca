"""Winograd's F(2x2, 5x5) is the convolution, modulo 2^14, for all tiles and kernels.

Both are bilinear modulo 2^16: four times the windows' sums on one side; on the other matrices of integers, products
element by element, and reductions modulo 2^16, which sums and products of integers allow anywhere. Bilinear functions
that are equal for every pair of a unit tile and a unit kernel are equal for all; and what is four times a sum, modulo
2^16, has the sum modulo 2^14 above its two lowest bits. No bounds of widths are needed.
"""

import numpy as np
import pytest

from fivebyfive.model import winograd
from fivebyfive.model.golden import convolve
from fivebyfive.model.network import Layer
from fivebyfive.model.q26 import Q2_6

MODULUS = 1 << Q2_6.acc_bits
EXTREMES = np.array([-128, 127], np.int8)


def direct(tiles: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Sums of the four windows of tiles (N, 6, 6) under one kernel (5, 5), modulo 2^14."""
    kernels, biases = kernel[np.newaxis, np.newaxis], np.zeros(1, np.int8)
    sums = convolve(tiles[:, np.newaxis], kernels, biases, Layer("conv", "conv", 1, 5))
    return sums[:, 0] % MODULUS


def test_it_is_the_convolution_for_all_tiles_and_kernels() -> None:
    tiles = np.eye(36, dtype=np.int8).reshape(36, 6, 6)
    for unit in np.eye(25, dtype=np.int8).reshape(25, 5, 5):
        assert np.array_equal(winograd.windows(tiles, winograd.transformed(unit)), direct(tiles, unit))


def test_both_sides_are_linear_in_tiles_and_in_kernels() -> None:
    """As their definitions are; here of multiples and sums of random ones, far beyond codes."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(-(1 << 20), 1 << 20, (2, 50, 6, 6))
    g, h = rng.integers(-(1 << 20), 1 << 20, (2, 50, 5, 5))
    u, v = winograd.transformed(g), winograd.transformed(h)
    assert np.array_equal(winograd.transformed(3 * g + h), (3 * u + v).astype(np.int16))
    whole = winograd.windows(3 * a + b, u)
    assert np.array_equal(whole, (3 * winograd.windows(a, u) + winograd.windows(b, u)) % MODULUS)


@pytest.mark.parametrize("codes", ["any", "extreme"])
def test_tiles_and_kernels_of_codes(codes: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        draw = (lambda shape: rng.choice(EXTREMES, shape)) if codes == "extreme" else (
            lambda shape: rng.integers(-128, 128, shape, np.int8))  # fmt: skip
        tiles, kernel = draw((50, 6, 6)), draw((5, 5))
        assert np.array_equal(winograd.windows(tiles, winograd.transformed(kernel)), direct(tiles, kernel))


def test_fourteen_bits_take_sixteen() -> None:
    """The two lowest bits of a result are zero; with one bit fewer the highest one of a sum would be lost."""
    rng = np.random.default_rng(3)
    inputs = winograd.INPUT @ rng.integers(-128, 128, (99, 6, 6)) @ winograd.INPUT.T
    kernels = winograd.transformed(rng.integers(-128, 128, (99, 5, 5), np.int8)).astype(int)
    assert not np.any(winograd.OUTPUT @ (inputs * kernels) @ winograd.OUTPUT.T & 3)
    assert (winograd.BITS, winograd.WORD_BYTES) == (16, 72)


def test_determinants_are_twice_odd_numbers() -> None:
    """So each dimension costs one bit."""
    assert all(abs(int(one)) % 4 == 2 for one in winograd.DETERMINANTS)


def test_kernels_come_back() -> None:
    rng = np.random.default_rng(4)
    kernels = np.concatenate([rng.integers(-128, 128, (500, 5, 5), np.int8), rng.choice(EXTREMES, (500, 5, 5))])
    assert np.array_equal(winograd.original(winograd.transformed(kernels)), kernels)
