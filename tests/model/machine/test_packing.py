"""The arithmetic of packed products, for all operands there are: what `hw/products/packed_dot_product.py` builds on;
and which machines take codes that may be negative."""

from dataclasses import replace

import numpy as np
import pytest

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import DSP_SIZES, Config
from fivebyfive.model.machine.sizing import Size, sized
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.q26 import Q2_6

CODES = np.arange(-128, 128)
PAIRS = tuple(values.ravel() for values in np.meshgrid(CODES, CODES))  # (high, low), 65,536 of them
MASK = (1 << Q2_6.acc_bits) - 1
MOST = MASK  # the largest sum of 14 bits
HIGH = 16
OVERLAPPED = 10  # where the high product begins in 18x18 bits


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


def parted(shared: int, known_bits: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """What comes out of an 18x18 multiplier for every pair of operands: the low and the high product."""
    high, low = PAIRS
    v = low & 127
    product = ((high << OVERLAPPED) + v) * shared & (1 << OVERLAPPED + Q2_6.acc_bits) - 1  # the bits that are kept
    known = high * shared & (1 << known_bits) - 1
    negative = (shared < 0) & (v > 0)
    rest = (product >> OVERLAPPED) + (negative << known_bits) - known
    of_seven = (rest & (1 << known_bits) - 1) << OVERLAPPED | product & (1 << OVERLAPPED) - 1
    return of_seven - (low < 0) * (shared << 7), rest >> known_bits << known_bits | known


def test_every_overlapped_product():
    """2**24 operands, signed ones included: four bits of the high product are enough."""
    high, low = PAIRS
    for shared in CODES:
        low_product, high_product = parted(shared)
        assert np.array_equal(low_product & MASK, low * shared & MASK)
        assert np.array_equal(high_product & MASK, high * shared & MASK)


def test_three_bits_are_too_few():
    """What the low product adds to the high one, up to 15, is then not told apart."""
    assert not np.array_equal(parted(127, known_bits=3)[1] & MASK, PAIRS[0] * 127 & MASK)


@pytest.mark.parametrize(("distance", "bits"), [(9, 17), (10, 18), (11, 19)])
def test_overlapped_factor(distance, bits):
    """Side by side, seven bits of the low operand take none of the high one's: a multiplier takes 18."""
    high, low = PAIRS
    factors = (high << distance) + (low & 127)
    assert (factors.min(), factors.max()) == (-1 << bits - 1, (127 << distance) + 127)
    assert factors.max() < 1 << bits - 1


HALVES = Pool("max", 2, 2)


def of_two(*then, fill: int = 0) -> Network:
    """Two convolutions; what follows the first one's pool, and what is around the second one's maps."""
    first = Layer("c1", "conv", 2, 3, then=(HALVES, *then))
    second = Layer("c2", "conv", 2, 3, padding=(1, 1, 1, 1), fill=(fill,), then=(HALVES, "relu"))
    return Network((1, 12, 12), (first, second, Layer("f1", "fc", 3)))


NEGATIVE = {
    "no ReLU": of_two(), "a table": of_two("table"), "a table behind ReLU": of_two("relu", "table"),
    "fill": of_two("relu", fill=-1),
}  # fmt: skip


@pytest.mark.parametrize("dsp_size", DSP_SIZES)
@pytest.mark.parametrize("name", NEGATIVE)
def test_windows_of_negative_codes_are_not_packed(name, dsp_size):
    """One window at a time is: then kernels are what a pair does not share, and those may have any sign."""
    network, packed = NEGATIVE[name], Config(packed=True, dsp_size=dsp_size, kernel=3)
    for windows in (2, 4):
        with pytest.raises(
            ValueError, match=rf"^packed with {windows} windows takes no negative codes, but c2 has some"
        ):
            replace(packed, windows=windows).check(network)
        Config(windows, kernel=3).check(network)
        replace(packed, windows=windows).check(of_two("relu"))
    packed.check(network)
    config = sized(network, 4, packed=True, dsp_size=dsp_size)
    assert (config.windows, config.outputs) == (1, 2)


def test_multiplier_of_a_family():
    """Only a packed machine has it; what is asked for counts more."""
    checkpoint = Checkpoint.random(of_two("relu"), 1)
    sizes = {family: Size(packed=True).config(checkpoint, family).dsp_size for family in (None, "xc7", "ecp5")}
    assert sizes == {None: "25x18", "xc7": "25x18", "ecp5": "18x18"}
    assert Size().config(checkpoint, "ecp5") == Size().config(checkpoint)
    assert Size(packed=True, dsp_size="18x18").config(checkpoint, "xc7").dsp_size == "18x18"
    with pytest.raises(ValueError, match=r"^dsp_size 18x18 is for packed machines; add packed, or leave it out$"):
        Config(dsp_size="18x18")
    with pytest.raises(ValueError, match=r"^dsp_size must be 25x18 or 18x18, not '9x9'$"):
        Config(packed=True, dsp_size="9x9")


def test_multiplier_in_manifests():
    """Only where it is not what packed machines had before there was a choice."""
    assert "dsp_size" not in Config(packed=True).plain
    square = Config(4, 1, 1, packed=True, dsp_size="18x18")
    assert square.plain["dsp_size"] == "18x18"
    assert Config(**square.plain) == square
    assert (square.conv_dsps, square.fc_dsps) == (50, 10)
