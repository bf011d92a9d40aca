# amaranth: UnusedElaboratable=no
"""Constructor arguments out of range: the message states the rule."""

import pytest

from fivebyfive.hw.common.dot_product import DotProduct
from fivebyfive.hw.common.packed_dot_product import PackedDotProduct
from fivebyfive.hw.common.weight_memory import WeightMemory
from fivebyfive.hw.conv.line_buffer import LineBuffer
from fivebyfive.hw.conv.pooling import Pooling


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DotProduct(0), "a dot product needs at least one term, not 0"),
        (lambda: PackedDotProduct(0), "a dot product needs at least one term, not 0"),
        (lambda: Pooling(1, 3, (8,)), "windows must be 1, 2 or 4, not 3"),
        (lambda: Pooling(1, 1, (7,)), r"sizes of maps to be pooled must be even, not \(7,\)"),
        (lambda: LineBuffer(8, (28,)), "windows must be 1, 2 or 4, not 8"),
        (lambda: LineBuffer(1, (28, 4)), r"sizes of maps must be even and at least 6, not \(28, 4\)"),
        (lambda: WeightMemory([], 25), "a weight memory needs at least one word"),
        (lambda: WeightMemory([1, 2, 3], 25, [1, 1]), r"banks of \[1, 1\] words do not hold 3"),
    ],
)
def test_message(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


def test_parameters_stay_readable():
    lines = LineBuffer(4, (28, 12))
    assert (lines.windows, lines.sizes, lines.rows, lines.columns, lines.rows_in) == (4, (28, 12), 6, 6, 2)
    assert DotProduct(25).latency == 7
    assert DotProduct(1).latency == 2
    assert [PackedDotProduct(terms).latency for terms in (1, 2, 10, 25)] == [3, 3, 6, 7]
