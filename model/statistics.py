"""How sure a count of errors is: intervals of a share, and a test whether two networks differ on the same images."""

from math import sqrt

__all__ = ["mcnemar", "wilson"]

Z_95 = 1.959963984540054  # of the normal distribution, two-sided


def wilson(count: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """The interval of a share, 0 to 1, of which ``count`` of ``total`` cases are a sample; 95 % unless ``z`` says
    otherwise.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference (JASA 22, 1927). Raises
    ValueError unless 0 <= count <= total and total > 0.
    """
    if not 0 <= count <= total or not total:
        raise ValueError(f"{count} of {total} is no share")
    share = count / total
    spread = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    middle, scale = share + z * z / (2 * total), 1 + z * z / total
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def mcnemar(first_alone: int, second_alone: int) -> float:
    """How probable it is, 0 to 1, that two networks that err equally often differ on the same images at least as far as
    they do: one errs alone on ``first_alone`` of them, the other on ``second_alone``. Exact and two-sided.

    Q. McNemar, Note on the sampling error of the difference between correlated proportions or percentages
    (Psychometrika 12, 1947). Raises ValueError for negative counts.
    """
    if min(first_alone, second_alone) < 0:
        raise ValueError(f"{min(first_alone, second_alone)} is no count")
    different, fewer = first_alone + second_alone, min(first_alone, second_alone)
    ways = tail = 1  # to choose 0 of those that differ; up to `fewer` of them
    for count in range(fewer):
        ways = ways * (different - count) // (count + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**different)
