"""Winograd's minimal filtering F(2x2, 5x5): the four windows of a 6x6 tile by 36 products instead of 100, exactly.

After S. Winograd, "Arithmetic Complexity of Computations" (SIAM 1980), and A. Lavin and S. Gray, "Fast Algorithms for
Convolutional Neural Networks" (CVPR 2016), whose matrices these are for other points: with a tile d and a kernel g,

    windows = OUTPUT [(KERNEL g KERNEL^T) * (INPUT d INPUT^T)] OUTPUT^T / 4,   * element by element.

Six points (p : q) of the projective line, p / q, take a polynomial of degree 5 apart. Row i of the matrices is that of
point i: KERNEL and OUTPUT have the values of x^k at it, homogeneous: p^k q^(n-k); INPUT has the coefficients of the
product of q_j x - p_j for all other points j, which is zero at these, and at point i a product of determinants, D_i.
KERNEL is divided by D_i / 2.

A determinant is even where two points are equal modulo 2. The line has three points modulo 2, so of six points two are
equal to each at best, as here: 0 and 2, 1 and -1, infinity and -1/2, with determinants of 2. So D_i is two times an odd
number, which has an inverse modulo 2^16, and each dimension leaves a division by 2: everything is done modulo 2^16
(`BITS`), and the exact division by 4 leaves the 14 bits of an accumulator (`Q2_6`). With the usual points 0, 1, -1, 2,
-2 and infinity it is a division by 64, modulo 2^20, and one by 9.
"""

from collections.abc import Iterable
from functools import reduce

import numpy as np

from .q26 import Q2_6

__all__ = [
    "BITS", "INPUT", "KERNEL", "KERNEL_SIZE", "OUTPUT", "OUTPUT_SIZE", "PRODUCTS", "TILE", "WORD_BYTES", "original",
    "transformed", "windows",
]  # fmt: skip

POINTS = ((0, 1), (2, 1), (1, 1), (-1, 1), (1, 0), (-1, 2))
TILE = len(POINTS)  # rows and columns of a tile
KERNEL_SIZE = 5  # of a kernel
OUTPUT_SIZE = 2  # of the windows
PRODUCTS = TILE**2  # multiplications of a tile
BITS = Q2_6.acc_bits + 2  # of everything: the two lowest bits of a result are zero
WORD_BYTES = PRODUCTS * BITS // 8  # of a transformed kernel


def powers(count: int) -> np.ndarray:
    """The values of ``count`` monomials at each point, (6, count)."""
    return np.array([[p**k * q ** (count - 1 - k) for k in range(count)] for p, q in POINTS])


def product(factors: Iterable[tuple[int, int]]) -> np.ndarray:
    """Coefficients of a product of q x - p, the constant one first."""
    return reduce(np.convolve, [np.array([-p, q]) for p, q in factors], np.array([1]))


INPUT = np.array([product(POINTS[:i] + POINTS[i + 1 :]) for i in range(TILE)])
OUTPUT = powers(OUTPUT_SIZE).T
DETERMINANTS = (powers(TILE) * INPUT).sum(axis=1)  # D_i
INVERSES = [pow(int(determinant) // 2, -1, 1 << BITS) for determinant in DETERMINANTS]  # of D_i / 2
KERNEL = powers(KERNEL_SIZE) * np.array(INVERSES).astype(np.int16)[:, np.newaxis]

# Twice a kernel from its values: those of its product by y, which has degree 5 as INPUT has, and no coefficient of x^5.
INTERPOLATION = (OUTPUT[0] * INPUT.T)[:KERNEL_SIZE]


def transformed(kernels: np.ndarray) -> np.ndarray:
    """Kernels (..., 5, 5), int8, as the multipliers take them: int16 (..., 6, 6)."""
    return (KERNEL @ kernels.astype(np.int64) @ KERNEL.T).astype(np.int16)


def original(kernels: np.ndarray) -> np.ndarray:
    """The kernels, int8 (..., 5, 5), of which those of int16 (..., 6, 6) were `transformed`."""
    fourfold = INTERPOLATION @ kernels.astype(np.int64) @ INTERPOLATION.T
    return (fourfold.astype(np.int16) >> 2).astype(np.int8)


def windows(tiles: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """The sums of both windows of both rows of tiles, (..., 6, 6) codes, under kernels that are `transformed`: (..., 2,
    2), modulo 2^14."""
    inputs = (INPUT @ tiles.astype(np.int64) @ INPUT.T).astype(np.int16)
    products = (inputs.astype(np.int64) * kernels).astype(np.int16)
    return (OUTPUT @ products.astype(np.int64) @ OUTPUT.T & (1 << BITS) - 1) >> 2
