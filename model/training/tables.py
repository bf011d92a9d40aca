"""Functions of single values in PyTorch, and the tables of 256 codes that the hardware has for them.

`FUNCTIONS` are those of `fivebyfive.model.readers.execution`, with gradients. A `Table` fits its function into Q2.6: a
value v before rounding becomes f(before v) / after, the nearest code of it.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812

from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.readers.steps import Activation

__all__ = ["FUNCTIONS", "HIGH", "LOW", "FixedTable", "Table", "floor_activation", "round_weight"]

LOW, HIGH = Q2_6.min / Q2_6.one, Q2_6.max / Q2_6.one


def round_weight(w: torch.Tensor) -> torch.Tensor:
    """The nearest representable values; the gradient passes as if nothing had happened."""
    rounded = (w * Q2_6.one).round().clamp(Q2_6.min, Q2_6.max) / Q2_6.one
    return w + (rounded - w).detach()


def floor_activation(v: torch.Tensor) -> torch.Tensor:
    """The next representable values below, clamped to the range; the gradient passes inside the range."""
    floored = torch.floor(v * Q2_6.one) / Q2_6.one
    return (v + (floored - v).detach()).clamp(LOW, HIGH)


def straight(step: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A function of steps whose gradient passes as if it were none."""
    return lambda x, p: step(x) + (x - x.detach())


def hard_sigmoid(x: torch.Tensor, alpha: float = 1 / 6, beta: float = 0.5) -> torch.Tensor:
    return (alpha * x + beta).clamp(0, 1)


FUNCTIONS: dict[str, Callable[[torch.Tensor, Mapping[str, float]], torch.Tensor]] = {
    "relu": lambda x, p: F.relu(x),
    "leaky-relu": lambda x, p: F.leaky_relu(x, p.get("alpha", 0.01)),
    "tanh": lambda x, p: torch.tanh(x),
    "sigmoid": lambda x, p: torch.sigmoid(x),
    "gelu": lambda x, p: F.gelu(x),
    "gelu-tanh": lambda x, p: F.gelu(x, approximate="tanh"),
    "elu": lambda x, p: F.elu(x, p.get("alpha", 1.0)),
    "selu": lambda x, p: F.selu(x),
    "softplus": lambda x, p: F.softplus(x),
    "hard-sigmoid": lambda x, p: hard_sigmoid(x, p.get("alpha", 1 / 6), p.get("beta", 0.5)),
    "hard-swish": lambda x, p: x * hard_sigmoid(x),
    "swish": lambda x, p: F.silu(x),
    "clip": lambda x, p: x.clamp(p.get("low", -torch.inf), p.get("high", torch.inf)),
    "abs": lambda x, p: x.abs(),
    "floor": straight(torch.floor),
    "round": straight(torch.round),
    "erf": lambda x, p: torch.erf(x),
    "affine": lambda x, p: p.get("scale", 1.0) * x + p.get("shift", 0.0),
}
BEFORE = {"tanh": 2.0, "sigmoid": 4.0}  # what a training from nothing begins with; others: 1


class Table(torch.nn.Module):
    """A table of ``functions``, one after the other: a value v becomes f(before v) / after, with ``quantized`` the
    nearest code of it. `fit` chooses both for the range of Q2.6.
    """

    def __init__(self, functions: Sequence[Activation]) -> None:
        super().__init__()
        self.functions = tuple(functions)
        self.before = self.after = 1.0
        if self.functions:
            self.fit(BEFORE.get(self.functions[0].name, 1.0))

    def function(self, x: torch.Tensor) -> torch.Tensor:
        for one in self.functions:
            x = FUNCTIONS[one.name](x, one.parameters)
        return x

    def fit(self, before: float, least: float = 0.0) -> None:
        """Take ``before``, and the ``after`` with which the furthest entry, and a value of magnitude ``least``, still
        has a code."""
        self.before = before
        entries = self.entries()
        self.after = max(float(entries.max()) / HIGH, float(entries.min()) / LOW, least / HIGH) or 1.0

    def entries(self) -> torch.Tensor:
        """f(before v) of the values of all codes, the lowest first, float64 (256,)."""
        return self.function(self.before * every_value().double())

    def forward(self, v: torch.Tensor, quantized: bool) -> torch.Tensor:
        exact = self.function(self.before * v) / self.after
        if not quantized:
            return exact
        codes = (v.detach() * Q2_6.one).long() - Q2_6.min
        return (self.codes() / Q2_6.one)[codes] + (exact - exact.detach())

    @torch.no_grad()
    def codes(self) -> torch.Tensor:
        """The table, int8 (256,): what becomes of each code."""
        return (round_weight(self(every_value(), quantized=False)) * Q2_6.one).round().to(torch.int8)


class FixedTable(Table):
    """A table of codes, int8 (256,), as a function: straight lines between its values. At a code it is exact."""

    values: torch.Tensor

    def __init__(self, codes: torch.Tensor) -> None:
        super().__init__(())
        self.register_buffer("values", codes.float() / Q2_6.one)

    def function(self, x: torch.Tensor) -> torch.Tensor:
        place = (x * Q2_6.one - Q2_6.min).clamp(0, Q2_6.max - Q2_6.min)
        low = place.detach().floor().clamp(max=Q2_6.max - Q2_6.min - 1).long()
        part = place - low
        return self.values[low] * (1 - part) + self.values[low + 1] * part


def every_value() -> torch.Tensor:
    """The values of all codes, the lowest first, float32 (256,)."""
    return torch.arange(Q2_6.min, Q2_6.max + 1) / Q2_6.one
