"""Q2.6 against plain Python integers, and the theorem that 14 accumulator bits are enough."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivebyfive.model.q26 import Q2_6, FixedPoint

ACC = st.integers(-(2**40), 2**40)


def plain_wrap(value: int, bits: int = 8) -> int:
    return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def test_the_numbers_of_the_format():
    assert (Q2_6.bits, Q2_6.acc_bits, Q2_6.one, Q2_6.min, Q2_6.max) == (8, 14, 64, -128, 127)


@given(ACC)
def test_wrap_keeps_the_low_byte(value):
    assert Q2_6.wrap(value) == plain_wrap(value)
    assert Q2_6.wrap(value).dtype == np.int8


@given(ACC)
def test_requantize_floors_then_wraps(acc):
    assert Q2_6.requantize(acc) == plain_wrap(acc // 64)


@given(st.lists(ACC, min_size=1, max_size=20))
def test_arrays_are_elementwise(values):
    assert Q2_6.requantize(np.array(values)).tolist() == [plain_wrap(value // 64) for value in values]


@given(st.lists(ACC, max_size=20))
def test_wraps_counts_what_leaves_the_range(values):
    expected = sum(not -128 <= value // 64 <= 127 for value in values)
    assert Q2_6.wraps(np.array(values, dtype=np.int64)) == expected


@given(st.lists(st.integers(-20_000, 20_000), max_size=20))
def test_peak_is_at_most_127_exactly_where_nothing_wraps(values):
    acc = np.array(values, dtype=np.int64)
    assert (Q2_6.peak(acc) <= 127) == (Q2_6.wraps(acc) == 0)
    assert Q2_6.peak(acc) == max([0, *(max(v // 64, -1 - v // 64) for v in values)])


@given(st.lists(st.tuples(st.integers(-128, 127), st.integers(-128, 127)), max_size=50), st.integers(-128, 127))
def test_fourteen_bits_are_as_good_as_infinitely_many(pairs, bias):
    """The modular theorem: reduce modulo 2**14 after every addition and the code stays the same."""
    exact, modular = bias << 6, plain_wrap(bias << 6, 14)
    for x, w in pairs:
        exact += x * w
        modular = plain_wrap(modular + x * w, 14)
    assert Q2_6.requantize(modular) == Q2_6.requantize(exact)


def test_thirteen_bits_are_not():
    exact = 127 * 64  # code 127 becomes -1 when bit 13 is lost
    assert Q2_6.requantize(plain_wrap(exact, 13)) != Q2_6.requantize(exact)


@given(ACC, st.integers(-1000, 1000))
def test_only_bits_13_to_6_count(acc, multiple):
    assert Q2_6.requantize(acc + multiple * 2**14) == Q2_6.requantize(acc)
    assert Q2_6.requantize(acc & ~63) == Q2_6.requantize(acc)


@pytest.mark.parametrize(
    ("acc", "code"),
    [(0, 0), (63, 0), (64, 1), (-1, -1), (-64, -1), (-65, -2), (8191, 127), (8192, -128), (-8193, 127)],
)
def test_by_hand(acc, code):
    assert Q2_6.requantize(acc) == code


def test_other_formats_follow_the_same_rules():
    q1_3 = FixedPoint(1, 3)
    assert (q1_3.bits, q1_3.acc_bits, q1_3.min, q1_3.max) == (4, 7, -8, 7)
    assert q1_3.wrap(np.arange(-9, 9)).tolist() == [plain_wrap(value, 4) for value in range(-9, 9)]
