"""How large the numbers of a float network are against the range of Q2.6: what rescaling has to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from fivebyfive.model.q26 import Q2_6

from .execution import layer_values
from .float_network import FloatNetwork

__all__ = ["EDGES", "RANGE_END", "LayerRange", "Magnitudes", "value_ranges"]

RANGE_END = -Q2_6.min / Q2_6.one  # 2.0
EDGES = np.exp2(np.arange(-14, 14.25, 0.25))  # of a histogram of magnitudes
BATCH = 10  # images: the values of a layer are kept for so many at once


@dataclass(frozen=True)
class Magnitudes:
    """``largest``: the largest magnitude. ``counts``: how many lie between `EDGES`, zeros left out; those beyond an end
    are in the bin there."""

    largest: float
    counts: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray) -> "Magnitudes":
        found = np.abs(numbers).ravel()
        inside = np.clip(found[found > 0], EDGES[0], EDGES[-1])
        return cls(float(found.max()), np.histogram(inside, EDGES)[0])

    def __or__(self, other: "Magnitudes") -> "Magnitudes":
        """Those of both."""
        return Magnitudes(max(self.largest, other.largest), self.counts + other.counts)

    @property
    def multiple(self) -> float:
        """``largest`` as a multiple of the range's end, 2.0; above 1 it is beyond."""
        return self.largest / RANGE_END


@dataclass(frozen=True)
class LayerRange:
    """``weights``: of a layer's weights and biases. ``values``: of what it makes of images before its functions and
    pool, None where there were no images."""

    name: str
    weights: Magnitudes
    values: Magnitudes | None


def value_ranges(network: FloatNetwork, images: np.ndarray | None) -> tuple[LayerRange, ...]:
    """The magnitudes of each layer. ``images``: float64 (N, channels, rows, columns), as ``network`` takes them."""
    values: dict[str, list[Magnitudes]] = {}
    for start in range(0, 0 if images is None else len(images), BATCH):
        assert images is not None
        for place, made in layer_values(network, images[start : start + BATCH]):
            values.setdefault(place.layer.name, []).append(Magnitudes.of(made))
    return tuple(
        LayerRange(
            name,
            together(Magnitudes.of(network.arrays[f"{name}.{kind}"]) for kind in ("weight", "bias")),
            together(values[name]) if name in values else None,
        )
        for name in network.network.names
    )


def together(found: Iterable[Magnitudes]) -> Magnitudes:
    return reduce(Magnitudes.__or__, found)
