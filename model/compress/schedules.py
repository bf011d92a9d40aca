"""How the share of weights that stay falls from what it is to what it shall be. Nothing here needs PyTorch."""

__all__ = ["SCHEDULES", "cubic", "geometric"]

SCHEDULES = ("one-shot", "iterative", "gradual")


def geometric(start: float, target: float, progress: float) -> float:
    """The share after ``progress`` (0 to 1) of rounds that each take the same part of what is left, as one prunes
    and retrains in turn (Han et al. 2015, arXiv:1506.02626)."""
    return start * (target / start) ** progress


def cubic(start: float, target: float, progress: float) -> float:
    """The share at ``progress`` (0 to 1) of training: fast at first, while much is redundant, then slower (Zhu and
    Gupta 2017, arXiv:1710.01878, equation 1)."""
    return target + (start - target) * (1 - min(progress, 1.0)) ** 3
