"""What shapes leave open between the layers: pools, functions, the place of BatchNorm, and how images are prepared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, TypeVar

import numpy as np

from fivebyfive.model.readers.execution import nondecreasing
from fivebyfive.model.readers.float_errors import Scaling
from fivebyfive.model.readers.steps import Activation, Affine, Convolution, Dense, Flatten, Pooling, Step

from .geometry import WHOLE, Geometry, Spot
from .preparation import Preparation
from .weights import Weights

__all__ = ["ACTIVATIONS", "POOLS", "RECTIFIERS", "USUAL_ACTIVATIONS", "Candidate", "Functions", "Readings"]

NO_FUNCTION = "none"
USUAL_ACTIVATIONS = ("relu", NO_FUNCTION, "tanh", "sigmoid")
RECTIFIERS = ("relu", "leaky-relu", "gelu")  # what is trained with one does as well with another: images do not decide
ACTIVATIONS = (
    *USUAL_ACTIVATIONS,
    *RECTIFIERS[1:],
    "elu",
    "selu",
    "softplus",
    "swish",
    "hard-swish",
    "hard-sigmoid",
    "relu6",
)
Made = TypeVar("Made", bound=Step)
POOLS = ("max", "average")
PARAMETERS = {"leaky-relu": {"alpha": 0.01}, "relu6": {"low": 0.0, "high": 6.0}}


@dataclass(frozen=True)
class Candidate:
    """A way to read layers, and to prepare images for it."""

    geometry: Geometry
    functions: "Functions"
    preparation: Preparation
    scaling: Scaling

    @cached_property
    def hashed(self) -> int:
        return hash((self.geometry, self.functions, self.preparation, self.scaling))

    def __hash__(self) -> int:
        """Asked for so often that it is computed once."""
        return self.hashed

    @property
    def reading(self) -> tuple:
        """What competes; how images are prepared does not."""
        return self.geometry.inner, self.functions


@dataclass(frozen=True)
class Functions:
    """``pool``: of the pools; ``whole``: of that of the whole map at the end. ``conv``: the function of convolutions,
    ``last``: of the last of them; ``fc``: of fully-connected layers but the last. ``pool_first``: pools stand before
    functions. ``norm``: BatchNorm stands first (0), behind the function (1), or behind function and pool (2)."""

    pool: str = POOLS[0]
    whole: str = POOLS[1]
    conv: str = NO_FUNCTION
    last: str = NO_FUNCTION
    fc: str = NO_FUNCTION
    pool_first: bool = False
    norm: int = 0


class Readings:
    """The steps of readings of some layers. The same step is the same object in all of them: `scoring` runs it once."""

    def __init__(self, layers: Sequence[Weights]) -> None:
        self.layers = layers
        self.convs = [one for one in layers if one.kind == "conv"]
        self.dense = [one for one in layers if one.kind == "fc"]
        self.made: dict[tuple, Any] = {}
        self.known: dict[tuple[Geometry, Functions], tuple[Step, ...]] = {}
        self.given: tuple[Step, ...] = ()  # the only reading, where a person said all of it

    def functions(
        self, geometry: Geometry, pools: Sequence[str], convs: Sequence[str], fcs: Sequence[str]
    ) -> tuple[Functions, ...]:
        """The different functions of a geometry; those that are known to be the same come once."""
        found: dict[tuple, Functions] = {}
        for conv, fc in product(convs if self.convs else [NO_FUNCTION], fcs if self.dense[1:] else [NO_FUNCTION]):
            lasts = [conv] if len(self.convs) < 2 or NO_FUNCTION not in convs else dict.fromkeys([conv, NO_FUNCTION])
            for last, pool, whole, pool_first, norm in product(
                lasts if self.last_is_open(geometry) else [NO_FUNCTION],
                pools if geometry.pools else POOLS[:1],
                pools[::-1] if geometry.ends_whole else POOLS[1:],
                (False, True),
                range(3) if any(one.norm for one in self.layers) else (0,),
            ):
                one = Functions(pool, whole, conv, last, fc, pool_first, norm)
                found.setdefault(tuple(map(id, self.steps(geometry, one))), one)
        return tuple(found.values())

    def last_is_open(self, geometry: Geometry) -> bool:
        """Whether the last convolution may have a function: where a pool or a layer is behind it, not scores."""
        return bool(self.dense or (geometry.spots and geometry.spots[-1].window))

    def steps(self, geometry: Geometry, functions: Functions) -> tuple[Step, ...]:
        """From scaled pixels to scores."""
        if self.given:
            return self.given
        if (known := self.known.get((geometry, functions))) is None:
            known = self.known[geometry, functions] = self.composed(geometry, functions)
        return known

    def composed(self, geometry: Geometry, functions: Functions) -> tuple[Step, ...]:
        steps: list[Step] = []
        for number, (layer, spot) in enumerate(zip(self.convs, geometry.spots, strict=True)):
            groups = layer.groups if number else geometry.input[0] // layer.weight.shape[1]
            steps.append(self.convolution(layer, spot, groups))
            name = functions.last if layer is self.convs[-1] else functions.conv
            pools: list[Pooling] = []
            if spot.window:
                pools = [self.pooling(functions.whole if spot.window == WHOLE else functions.pool, spot)]
            steps += self.behind(layer, name, pools, functions)
        if self.dense:
            steps.append(self.once(Flatten, self.dense[0].framework.order))
        for layer in self.dense:
            steps.append(self.once(Dense, layer.name, layer.weight, layer.bias))
            name = NO_FUNCTION if layer is self.dense[-1] else functions.fc
            steps += self.behind(layer, name, [], functions)
        return tuple(steps)

    def behind(self, layer: Weights, name: str, pools: list[Pooling], functions: Functions) -> list[Step]:
        """What follows a layer: function, pool and BatchNorm in their order."""
        function = [] if name == NO_FUNCTION else [self.activation(name)]
        commute = all(pool.kind == "max" for pool in pools) and all(map(nondecreasing, function))
        norm: list[Step] = [layer.norm] if layer.norm else []
        first, middle, last = (norm if functions.norm == place else [] for place in range(3))
        if functions.pool_first and not commute:
            return [*first, *pools, *function, *middle, *last]
        if not function:
            first, middle = [*first, *middle], []
        return [*first, *function, *middle, *pools, *last]

    def once(self, kind: Callable[..., Made], *values: object) -> Made:
        """A step, made when it is first needed."""
        key = kind, *(id(value) if isinstance(value, np.ndarray) else value for value in values)
        return self.made.setdefault(key, kind(*values))

    def convolution(self, layer: Weights, spot: Spot, groups: int) -> Step:
        stride = spot.stride, spot.stride
        return self.once(Convolution, layer.name, layer.weight, layer.bias, stride, spot.padded, groups)

    def pooling(self, kind: str, spot: Spot) -> Pooling:
        size, stride = spot.window or WHOLE
        if spot.window == WHOLE:
            return self.once(Pooling, kind, None, (1, 1))
        counts = not (any(spot.around) and self.layers[0].framework.same)
        return self.once(Pooling, kind, (size, size), (stride, stride), spot.around, False, counts)

    def activation(self, name: str) -> Activation:
        made = Activation("clip" if name == "relu6" else name, PARAMETERS.get(name, {}))
        return self.made.setdefault((Activation, name), made)

    def scaled(self, scaling: Scaling) -> Step:
        """The scaling of pixels from 0 to 255."""
        made = Affine(np.array(1 / 255 / scaling.std), np.array(-scaling.mean / scaling.std))
        return self.made.setdefault((Affine, scaling), made)
