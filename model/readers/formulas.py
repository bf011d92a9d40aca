"""Functions of one value that a file spells out, such as GELU by erf or x * sigmoid(x), known again by their values."""

from collections.abc import Callable, Iterable
from functools import reduce

import numpy as np

from .execution import FUNCTIONS, apply
from .steps import Activation, Affine, Quantizer, Step, Unsupported

__all__ = ["Formula", "composed", "recognized"]

Formula = Callable[[np.ndarray], np.ndarray]
POINTS = np.unique(np.concatenate([np.linspace(-200, 200, 81), np.linspace(-9, 9, 1009)]))
CLOSE = 5e-6  # files hold their constants in float32
NAMES = "relu tanh sigmoid gelu gelu-tanh swish hard-swish softplus abs elu selu floor round".split()
KNOWN = [Activation(name) for name in NAMES]
KNOWN += [Activation("hard-sigmoid", {"alpha": alpha, "beta": 0.5}) for alpha in (1 / 6, 0.2)]
KNOWN += [Activation("clip", {"low": 0.0, "high": 6.0})]


def composed(steps: Iterable[Step], last: Formula | None = None) -> Formula | None:
    """Steps of each value alone, and ``last`` behind them, as one formula; None where one of them is not of each value
    alone."""
    parts: list[Formula] = []
    for step in steps:
        scalar = isinstance(step, Affine) and np.size(step.scale) == np.size(step.shift) == 1
        if not (isinstance(step, Activation | Quantizer) or scalar):
            return None
        parts.append(lambda x, step=step: apply(step, x))  # type: ignore[misc]
    if last:
        parts.append(last)
    return lambda x: reduce(lambda value, part: part(value), parts, x)


def recognized(formula: Formula) -> tuple[Step, ...]:
    """The steps that compute a formula: a function that has a name, and what it is multiplied by and shifted. Raises
    `Unsupported` where there are none."""
    with np.errstate(all="ignore"):
        values = np.broadcast_to(formula(POINTS), POINTS.shape)
        if not np.isfinite(values).all():
            raise Unsupported("a function that is not finite everywhere")
        alpha = (values[1] - values[0]) / (values[-1] - values[-2])  # of leaky ReLU
        functions = [None, *KNOWN, *([Activation("leaky-relu", {"alpha": float(alpha)})] if 0 <= alpha < 1e6 else [])]
        for function in functions:
            basis = POINTS if function is None else FUNCTIONS[function.name](POINTS, function.parameters)
            (scale, shift), *_ = np.linalg.lstsq(np.stack([basis, np.ones_like(basis)], 1), values, rcond=None)
            if (np.abs(scale * basis + shift - values) <= CLOSE * np.maximum(1, np.abs(values))).all():
                factor = Affine(snapped(scale, 1.0), snapped(shift, 0.0))
                steps: tuple[Step, ...] = () if function is None else (function,)
                return steps if factor.scale == 1 and factor.shift == 0 else (*steps, factor)
    raise Unsupported("a function of each value that has no name here")


def snapped(value: float, to: float) -> np.ndarray:
    return np.array(to if abs(value - to) < CLOSE else value)
