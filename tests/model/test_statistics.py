"""Intervals and McNemar's test, against SciPy."""

import pytest
from scipy.stats import binomtest

from fivebyfive.model.statistics import mcnemar, wilson


@pytest.mark.parametrize(("count", "total"), [(0, 1), (0, 5000), (1, 1), (44, 10_000), (203, 1797), (1000, 2000)])
def test_an_interval_is_wilson_s(count: int, total: int) -> None:
    expected = binomtest(count, total).proportion_ci(method="wilson")
    assert wilson(count, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("counts", [(0, 0), (0, 6), (6, 0), (3, 10), (7, 7), (70, 46), (32, 85), (4000, 5000)])
def test_p_is_that_of_an_exact_test(counts: tuple[int, int]) -> None:
    expected = binomtest(counts[0], sum(counts)).pvalue if sum(counts) else 1.0
    assert mcnemar(*counts) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(*counts) == mcnemar(*counts[::-1])


def test_what_is_no_count() -> None:
    for count, total in ((-1, 5), (6, 5), (0, 0)):
        with pytest.raises(ValueError, match="is no share"):
            wilson(count, total)
    with pytest.raises(ValueError, match="-2 is no count"):
        mcnemar(3, -2)
