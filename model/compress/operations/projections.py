"""What a weight goes through before a layer computes with it: the constraint that a method puts on it.

A projection is a module in `LeNet.projections`, called with the free weight and whether to round to Q2.6; with
``quantized`` what it returns is representable, so that the checkpoint is just that. Every projection has a ``mask`` of
the weight's shape, 1 where a weight may be other than zero. Where rounding or choosing has no slope, the gradient
passes straight through (Bengio, Leonard and Courville 2013, arXiv:1308.3432).
"""

import torch

from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.training.tables import round_weight
from fivebyfive.support.errors import UserError

__all__ = [
    "Binary",
    "Logarithmic",
    "Masked",
    "Projection",
    "Shared",
    "Ternary",
    "TrainedTernary",
    "mask_of",
    "only_masked",
    "step_exponent",
]

TERNARY_THRESHOLD = 0.7  # of the mean magnitude; Li, Zhang and Liu 2016, section 2.2
MAX_EXPONENT = 6  # a step of 64 codes is 1.0; 128 is not representable


class Projection(torch.nn.Module):
    """``mask``: float32, zeros and ones, of the weight's shape."""

    mask: torch.Tensor

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask.to(torch.float32))

    def confine(self, weight: torch.Tensor) -> None:
        """Take free weights that went too far back, in place; here none."""


class Masked(Projection):
    """Weights outside the mask are zero. With ``regrow`` they still learn, so that a later mask may take them back
    (Guo, Yao and Chen 2016, Dynamic Network Surgery, arXiv:1608.04493)."""

    def __init__(self, mask: torch.Tensor, regrow: bool = False) -> None:
        super().__init__(mask)
        self.regrow = regrow

    def forward(self, weight: torch.Tensor, quantized: bool) -> torch.Tensor:
        value = (round_weight(weight) if quantized else weight) * self.mask
        return value.detach() + straight(weight) if self.regrow else value


class Shared(Projection):
    """Weights share the values of a codebook: ``centroids`` (K,), trained, in order at the start.

    Each weight takes the centroid it was nearest to at the start (Han, Mao and Dally 2016, arXiv:1510.00149) or, with
    ``reassign``, the one its free weight is nearest to at present. The gradient of a centroid is the sum over its
    weights.
    """

    index: torch.Tensor

    def __init__(self, mask: torch.Tensor, weight: torch.Tensor, centroids: torch.Tensor, reassign: bool) -> None:
        super().__init__(mask)
        self.reassign = reassign
        self.centroids = torch.nn.Parameter(centroids.sort().values.clone())
        self.register_buffer("index", nearest(weight, self.centroids.detach()))

    def forward(self, weight: torch.Tensor, quantized: bool) -> torch.Tensor:
        if self.reassign:
            self.index.copy_(nearest(weight.detach(), self.centroids.detach()))
        centroids = round_weight(self.centroids) if quantized else self.centroids
        value = centroids[self.index]
        if self.reassign:
            value = value + straight(weight)
        return value * self.mask


class Logarithmic(Projection):
    """Weights are the nearest of ``levels``: 0 and powers of two with a sign. Each may change while it is trained or,
    if ``incremental``, stays at its level from `fix` on, and is what Q2.6 makes of it before."""

    levels: torch.Tensor
    fixed: torch.Tensor  # 1 where a weight stays at what ``kept`` is there
    kept: torch.Tensor

    def __init__(self, mask: torch.Tensor, levels: torch.Tensor, incremental: bool) -> None:
        super().__init__(mask)
        self.incremental = incremental
        self.register_buffer("levels", levels)
        self.register_buffer("fixed", torch.zeros_like(self.mask))
        self.register_buffer("kept", torch.zeros_like(self.mask))

    def fix(self, weight: torch.Tensor, share: float) -> None:
        """Fix weights until that ``share`` of those in the mask is, the largest of the others first."""
        free = (self.mask > 0) & (self.fixed == 0)
        count = round(share * float(self.mask.sum())) - int(self.fixed.sum())
        chosen = torch.zeros(free.numel(), dtype=torch.bool)
        chosen[torch.where(free, weight.abs(), -1.0).flatten().topk(max(count, 0)).indices] = True
        chosen = chosen.view_as(free)
        self.kept[chosen] = self.level(weight)[chosen]
        self.fixed[chosen] = 1.0

    def level(self, weight: torch.Tensor) -> torch.Tensor:
        return self.levels[nearest(weight, self.levels)]

    def forward(self, weight: torch.Tensor, quantized: bool) -> torch.Tensor:
        if not self.incremental:
            return (self.level(weight) + straight(weight)) * self.mask
        free = round_weight(weight) if quantized else weight
        return (self.fixed * self.kept + (1 - self.fixed) * free) * self.mask


class Stepped(Projection):
    """Weights are multiples of s, which is 2**``exponent`` codes. The free weights stay within ``reach`` times s."""

    def __init__(self, mask: torch.Tensor, exponent: int, reach: float = 0.0) -> None:
        super().__init__(mask)
        self.exponent = exponent
        self.reach = reach * step_value(exponent)

    def confine(self, weight: torch.Tensor) -> None:
        if self.reach:
            weight.clamp_(-self.reach, self.reach)


class Ternary(Stepped):
    """-s, 0 and s, where s is 2**``exponent`` codes: a product is an add, a subtract or nothing.

    Zero where the free weight is below 0.7 of the layer's mean magnitude (Li, Zhang and Liu 2016, Ternary Weight
    Networks, arXiv:1605.04711).
    """

    def forward(self, weight: torch.Tensor, quantized: bool) -> torch.Tensor:
        chosen = weight.detach().abs() > ternary_threshold(weight.detach(), self.mask)
        value = step_value(self.exponent) * weight.detach().sign() * chosen
        return (value + straight(weight)) * self.mask


class TrainedTernary(Projection):
    """-n, 0 and p, where n and p are ``scales`` (2,), trained: Zhu et al. 2017, Trained ternary quantization
    (arXiv:1612.01064). Zero where the free weight is within ``threshold`` times the layer's largest; elsewhere its
    gradient is scaled as the weight is."""

    def __init__(self, mask: torch.Tensor, weight: torch.Tensor, threshold: float) -> None:
        super().__init__(mask)
        self.threshold = threshold
        sides = self.sides(weight)
        means = [float((weight.abs() * side).sum() / side.sum().clamp(min=1)) for side in sides]
        self.scales = torch.nn.Parameter(torch.tensor(means))

    def sides(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of weights, 1 where they are below zero, and where they are above."""
        limit = self.threshold * (weight.abs() * self.mask).max()
        return ((weight < -limit) * self.mask, (weight > limit) * self.mask)

    def forward(self, weight: torch.Tensor, quantized: bool) -> torch.Tensor:
        below, above = self.sides(weight.detach())
        low, high = (round_weight(self.scales) if quantized else self.scales).unbind()
        slope = torch.where(below > 0, low, torch.where(above > 0, high, 1.0)).detach()
        return above * high - below * low + slope * straight(weight) * self.mask


class Binary(Stepped):
    """-s and s, where s is 2**``exponent`` codes (Courbariaux, Bengio and David 2015, BinaryConnect,
    arXiv:1511.00363; one scale a layer as in Rastegari et al. 2016, arXiv:1603.05279). The mask is all ones."""

    def forward(self, weight: torch.Tensor, quantized: bool) -> torch.Tensor:
        value = step_value(self.exponent) * torch.where(weight.detach() < 0, -1.0, 1.0)
        return value + straight(weight)


def only_masked(net: torch.nn.Module, layer: str, advice: str) -> None:
    """Raise UserError where a layer's weights have few values already."""
    projection = net.projections[layer] if layer in net.projections else None
    if projection is not None and not isinstance(projection, Masked):
        kind = type(projection).__name__.lower()
        raise UserError(f"{layer} has {kind} weights already; {advice}")


def mask_of(net: torch.nn.Module, layer: str) -> torch.Tensor:
    """The mask of a layer: all ones where it has no projection."""
    projections = net.projections
    return projections[layer].mask if layer in projections else torch.ones_like(net.layers[layer][0])


def straight(weight: torch.Tensor) -> torch.Tensor:
    """Exactly zero, with the slope of the weight."""
    return weight - weight.detach()


def nearest(weight: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """Index of the nearest centroid of each weight."""
    ordered, order = centroids.sort()
    middles = (ordered[1:] + ordered[:-1]) / 2
    return order[torch.bucketize(weight.detach().contiguous(), middles)]


def ternary_threshold(weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Weights below become zero; a scalar."""
    return TERNARY_THRESHOLD * (weight.abs() * mask).sum() / mask.sum().clamp(min=1)


def step_value(exponent: int) -> float:
    """The value of a step of 2**exponent codes."""
    return 2.0**exponent / Q2_6.one


def step_exponent(magnitude: float) -> int:
    """The exponent of the largest step that is at most ``magnitude``, or the smallest there is."""
    exponent = 0
    while exponent < MAX_EXPONENT and step_value(exponent + 1) <= magnitude:
        exponent += 1
    return exponent
