"""What a person says of a reading: each option leaves fewer candidates."""

import re
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path

from fivebyfive.model.readers.float_errors import USUAL_INPUTS, Scaling
from fivebyfive.support.errors import UserError, shown

from .candidates import ACTIVATIONS, POOLS, USUAL_ACTIVATIONS
from .geometry import Geometry, checked_size

__all__ = ["ReadingOptions", "given_scaling"]

NO_POOL = "none"
POOL = re.compile(rf"({'|'.join(POOLS)})([2-9]?)")
SIZE = re.compile(r"([0-9]{1,3})x([0-9]{1,3})x([0-9]{1,3})")
MAX_PADDING = 6


@dataclass(frozen=True)
class ReadingOptions:
    """As they are written: ``pool``, max or average, also with the size of all (max2), or none; ``activation``, of all
    layers or of convolutions and fully-connected layers, such as none,relu; ``padding`` of all convolutions or of each,
    such as 2 or 2,0; ``input``, such as 1x32x32; ``mean`` and ``std`` of pixels; ``description``, the JSON of a network
    whose functions are named. None leaves it open. Raises ValueError, one line, for what means nothing."""

    pool: str | None = None
    activation: str | None = None
    padding: str | None = None
    input: str | None = None
    mean: float | None = None
    std: float | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        if self.description is not None and any((self.pool, self.activation, self.padding, self.input)):
            raise ValueError("a description says all of a network: give no --pool, --activation, --padding or --input")
        # Each of them raises for what it cannot be.
        _ = self.pools, self.activations, self.scalings, self.paddings, self.size

    def check_graph(self, path: Path) -> None:
        """Raise UserError where more than the scaling of pixels is said of a file that has a graph."""
        if self != ReadingOptions(mean=self.mean, std=self.std):
            raise UserError(f"{path} says what its layers are; only a state_dict takes --pool and the like")

    @property
    def pools(self) -> tuple[str, ...]:
        """The kinds that pools may be of."""
        if self.pool is None or self.pool == NO_POOL:
            return POOLS
        if not (found := POOL.fullmatch(self.pool)):
            raise ValueError(
                f"a pool is {' or '.join(POOLS)}, also with its size as in {POOLS[0]}2, or {NO_POOL}; not "
                f"{shown(self.pool)}"
            )
        return (found[1],)

    def fits(self, geometry: Geometry) -> bool:
        """Whether its pools are those that ``pool`` says: at least one, and all of that size."""
        if self.pool is None:
            return True
        windows = {spot.window for spot in geometry.spots} - {None}
        if self.pool == NO_POOL:
            return not windows
        found = POOL.fullmatch(self.pool)
        size = int(found[2] or 0) if found else 0
        return not geometry.spots or (windows == {(size, size)} if size else bool(windows))

    @property
    def activations(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of convolutions, and of fully-connected layers."""
        if self.activation is None:
            return USUAL_ACTIVATIONS, USUAL_ACTIVATIONS
        names = self.activation.split(",")
        if len(names) > 2 or not set(names) <= set(ACTIVATIONS):
            raise ValueError(
                f"an activation is one of {', '.join(ACTIVATIONS)}, or two of them, of convolutions and of "
                f"fully-connected layers, such as none,relu; not {shown(self.activation)}"
            )
        return (names[0],), (names[-1],)

    @property
    def paddings(self) -> tuple[int, ...] | None:
        if self.padding is None:
            return None
        parts = self.padding.split(",")
        if not all(re.fullmatch(r"[0-9]", part) and int(part) <= MAX_PADDING for part in parts):
            raise ValueError(
                f"padding is a number up to {MAX_PADDING} for all convolutions, or one each, such as 2,0; not "
                f"{shown(self.padding)}"
            )
        return tuple(map(int, parts))

    @property
    def size(self) -> tuple[int, int, int] | None:
        if self.input is None:
            return None
        found = SIZE.fullmatch(self.input)
        if not found:
            raise ValueError(f"an input is CHANNELSxROWSxCOLUMNS, such as 1x28x28, not {shown(self.input)}")
        return checked_size(*map(int, found.groups()))

    @property
    def scalings(self) -> tuple[Scaling, ...]:
        one = given_scaling(self.mean, self.std)
        return USUAL_INPUTS if one is None else (one,)


def given_scaling(mean: float | None, std: float | None) -> Scaling | None:
    """The scaling that a person gives. Raises ValueError, one line, for half of one, or for none that can be."""
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise ValueError("mean and std belong together: give both, or neither to have the usual ones tried")
    if not isfinite(mean) or not 0 < std < inf:
        raise ValueError(f"mean must be finite and std above 0 and finite, not {mean} and {std}")
    return Scaling(mean, std)
