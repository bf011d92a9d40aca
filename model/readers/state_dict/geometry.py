"""Sizes that fit the weights: input, padding and stride of each convolution, and the windows of pools."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from fivebyfive.model.network import INPUT_SIZES, dims

from .weights import Weights

__all__ = ["WHOLE", "Geometry", "Spot", "geometries"]

Size = tuple[int, int]
Window = tuple[int, int]  # size and stride
WHOLE: Window = (0, 0)  # the whole map, whatever its size
WINDOWS: tuple[Window | None, ...] = (None, (2, 2), (3, 3), (3, 2), (4, 4))
OVERLAPPING = (3, 2)
STRIDES = (1, 2)


@dataclass(frozen=True)
class Spot:
    """Where a convolution stands: ``stride``, ``padding`` on each side, and the ``window`` of the pool behind it."""

    stride: int
    padding: int
    window: Window | None


@dataclass(frozen=True)
class Geometry:
    """``input``: (channels, rows, columns); ``spots``: one a convolution."""

    input: tuple[int, int, int]
    spots: tuple[Spot, ...]

    @cached_property
    def hashed(self) -> int:
        return hash((self.input, self.spots))

    def __hash__(self) -> int:
        """Asked for so often that it is computed once."""
        return self.hashed

    @cached_property
    def inner(self) -> tuple:
        """What is behind the padding of the input: geometries that differ in whether an image comes with its border
        or gets it there have the same."""
        if not self.spots:
            return self.input
        first, *others = self.spots
        size = tuple(one + 2 * first.padding for one in self.input[1:])
        return size, first.stride, first.window, *others

    @property
    def pools(self) -> bool:
        return any(spot.window not in (None, WHOLE) for spot in self.spots)

    @property
    def ends_whole(self) -> bool:
        return bool(self.spots) and self.spots[-1].window == WHOLE


def geometries(
    layers: Sequence[Weights], sizes: Sequence[Size], channels: int, paddings: Sequence[int] | None = None
) -> tuple[Geometry, ...]:
    """Those of images of ``sizes`` that give the first fully-connected layer its inputs or, where there is none, end
    with maps of 1x1. ``paddings``: one for all convolutions or one each; usual ones are tried without."""
    convs = [one for one in layers if one.kind == "conv"]
    dense = [one for one in layers if one.kind == "fc"]
    width = dense[0].weight.shape[1] if dense else convs[-1].outputs
    if not convs:
        return tuple(Geometry((channels, *size), ()) for size in sizes if channels * size[0] * size[1] == width)
    given = None if paddings is None else tuple(paddings) * (len(convs) if len(paddings) == 1 else 1)
    found = []
    for size in sizes:
        for padding in (given,) if given else usual_paddings(convs):
            for spots, end in spots_from(size, convs, padding):
                if convs[-1].outputs * end[0] * end[1] == width:
                    found.append(Geometry((channels, *size), spots))
    return tuple(dict.fromkeys(found))


def usual_paddings(convs: Sequence[Weights]) -> tuple[tuple[int, ...], ...]:
    """No padding; that which keeps the size, of all, of the first, of all but the last, or of those with one kernel."""
    same = tuple((one.weight.shape[-1] - 1) // 2 for one in convs)
    none = (0,) * len(convs)
    alike = [tuple(one if one == size else 0 for one in same) for size in dict.fromkeys(same)]
    return tuple(dict.fromkeys([none, same, same[:1] + none[1:], same[:-1] + none[-1:], *alike]))


def spots_from(
    size: Size, convs: Sequence[Weights], paddings: Sequence[int], before: tuple[Spot, ...] = ()
) -> Iterator[tuple[tuple[Spot, ...], Size]]:
    """The usual ways from maps of ``size``, behind the spots ``before``, through the convolutions, and the sizes where
    they end."""
    if not convs:
        yield before, size
        return
    kernel, padding, last = convs[0].weight.shape[2:], paddings[0], len(convs) == 1
    for stride, window in product(STRIDES, (*WINDOWS, WHOLE) if last else WINDOWS):
        so_far = (*before, Spot(stride, padding, window))
        if (len(so_far) > 1 or not last) and not usual(so_far):
            continue
        rows, columns = ((one + 2 * padding - width) // stride + 1 for one, width in zip(size, kernel, strict=True))
        if min(rows, columns) < 1 or (stride > 1 and max(rows, columns) == 1):
            continue
        if window == WHOLE:
            end = (1, 1)
            if (rows, columns) == end:
                continue
        elif window:
            # A window as large as the map is the whole map.
            if min(rows, columns) < window[0] or (last and rows == columns == window[0]):
                continue
            end = ((rows - window[0]) // window[1] + 1, (columns - window[0]) // window[1] + 1)
        else:
            end = (rows, columns)
        yield from spots_from(end, convs[1:], paddings[1:], so_far)


def usual(spots: Sequence[Spot]) -> bool:
    """Whether people build such networks: pools of one size, or of 2 and another; overlapping ones alone; strides or
    pools."""
    kinds = {spot.window for spot in spots if spot.window not in (None, WHOLE)}
    if kinds and any(spot.stride > 1 for spot in spots):
        return False
    return len(kinds) <= 1 or (len(kinds) == 2 and (2, 2) in kinds and OVERLAPPING not in kinds)


def checked_size(channels: int, rows: int, columns: int) -> tuple[int, int, int]:
    """An input's size. Raises ValueError, one line."""
    if channels < 1 or rows not in INPUT_SIZES or columns not in INPUT_SIZES:
        first, last = INPUT_SIZES[0], INPUT_SIZES[-1]
        raise ValueError(
            f"an input is CHANNELSxROWSxCOLUMNS, such as 1x28x28, of {first} to {last} rows and columns, not "
            f"{dims((channels, rows, columns))}"
        )
    return channels, rows, columns
