"""Sizes that fit the weights: input, padding and stride of each convolution, and the windows of pools."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, product

from fivebyfive.model.network import INPUT_SIZES, dims
from fivebyfive.model.readers.steps import Sides

from .weights import Weights

__all__ = ["WHOLE", "Geometry", "Spot", "geometries"]

Size = tuple[int, int]
Window = tuple[int, int]  # size and stride
WHOLE: Window = (0, 0)  # the whole map, whatever its size
WINDOWS: tuple[Window | None, ...] = (None, (2, 2), (3, 3), (3, 2), (4, 4))
OVERLAPPING = (3, 2)
STRIDES = (1, 2)
NONE: Sides = (0, 0, 0, 0)
POOL_PADDINGS = "none", "same", "one"  # of all pools alike


@dataclass(frozen=True)
class Spot:
    """Where a convolution stands: ``stride``, ``padding`` on each side, and the ``window`` of the pool behind it.
    ``sides``: the padding where it is not the same on each; ``around``: padding of the pool, which never counts."""

    stride: int
    padding: int
    window: Window | None
    sides: Sides | None = None
    around: Sides = NONE

    @property
    def padded(self) -> Sides:
        """Padding of the convolution."""
        return self.sides or (self.padding,) * 4


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
        top, left, bottom, right = first.padded
        size = self.input[1] + top + bottom, self.input[2] + left + right
        return size, first.stride, first.window, first.around, *others

    @property
    def pools(self) -> bool:
        return any(spot.window not in (None, WHOLE) for spot in self.spots)

    @property
    def ends_whole(self) -> bool:
        return bool(self.spots) and self.spots[-1].window == WHOLE


def geometries(
    layers: Sequence[Weights],
    sizes: Sequence[Size],
    channels: int,
    paddings: Sequence[int] | None = None,
    padded_pools: bool = False,
) -> tuple[Geometry, ...]:
    """Those of images of ``sizes`` that give the first fully-connected layer its inputs or, where there is none, end
    with maps of 1x1. ``paddings``: one for all convolutions or one each; usual ones are tried without.
    ``padded_pools``: those too whose pools all have padding, which PyTorch's seldom have."""
    convs = [one for one in layers if one.kind == "conv"]
    dense = [one for one in layers if one.kind == "fc"]
    width = dense[0].weight.shape[1] if dense else convs[-1].outputs
    if not convs:
        return tuple(Geometry((channels, *size), ()) for size in sizes if channels * size[0] * size[1] == width)
    given = None if paddings is None else tuple(paddings) * (len(convs) if len(paddings) == 1 else 1)
    none, _, one = POOL_PADDINGS
    ways = POOL_PADDINGS if convs[0].framework.same else (none, one) if padded_pools else (none,)
    found = []
    for size in sizes:
        for padding in (given,) if given else usual_paddings(convs):
            for spots, end in chain.from_iterable(spots_from(size, convs, padding, how) for how in ways):
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
    size: Size, convs: Sequence[Weights], paddings: Sequence[int], pooled: str, before: tuple[Spot, ...] = ()
) -> Iterator[tuple[tuple[Spot, ...], Size]]:
    """The usual ways from maps of ``size``, behind the spots ``before``, through the convolutions, and the sizes where
    they end. ``pooled``: the padding of pools, one of `POOL_PADDINGS`."""
    if not convs:
        yield before, size
        return
    one, last = convs[0], len(convs) == 1
    kernel = (one.weight.shape[2], one.weight.shape[3])
    for stride, window in product(STRIDES, (*WINDOWS, WHOLE) if last else WINDOWS):
        plain = Spot(stride, paddings[0], window)
        if (before or not last) and not usual((*before, plain)):
            continue
        for spot in (plain, *same_conv(plain, size, kernel)) if one.framework.same else (plain,):
            rows, columns = made = counts(size, kernel, stride, spot.padded)
            if min(made) < 1 or (stride > 1 and max(made) == 1):
                continue
            if window == WHOLE:
                if made != (1, 1):
                    yield from spots_from((1, 1), convs[1:], paddings[1:], pooled, (*before, spot))
            elif window:
                # A window as large as the map is the whole map.
                if min(made) < window[0] or (last and rows == columns == window[0]):
                    continue
                around = pool_sides(pooled, made, window)
                end = counts(made, (window[0], window[0]), window[1], around)
                yield from spots_from(end, convs[1:], paddings[1:], pooled, (*before, replace(spot, around=around)))
            else:
                yield from spots_from(made, convs[1:], paddings[1:], pooled, (*before, spot))


def counts(size: Size, window: Size, stride: int, sides: Sides) -> Size:
    """Rows and columns of windows."""
    rows, columns = (
        (size[axis] + sides[axis] + sides[axis + 2] - window[axis]) // stride + 1 for axis in (0, 1)
    )  # fmt: skip
    return rows, columns


def same_conv(plain: Spot, size: Size, kernel: Size) -> Iterator[Spot]:
    """The same with padding SAME, where ``plain`` keeps the size so far as it can, and does not do the same."""
    sides = same_sides(size, kernel, plain.stride)
    if plain.padding == (kernel[0] - 1) // 2 and sides != plain.padded:
        yield replace(plain, sides=sides)


def pool_sides(how: str, size: Size, window: Window) -> Sides:
    """Padding of a pool: none, TensorFlow's SAME, or 1 on each side."""
    if how == "same":
        return same_sides(size, (window[0], window[0]), window[1])
    return (1, 1, 1, 1) if how == "one" else NONE


def same_sides(size: Size, window: Size, stride: int) -> Sides:
    """TensorFlow's padding SAME: as many windows as there are strides in the size, rounded up; what is needed for them,
    half of it, rounded down, in front."""
    rows, columns = (
        max(0, (-(-have // stride) - 1) * stride + width - have) for have, width in zip(size, window, strict=True)
    )
    return rows // 2, columns // 2, rows - rows // 2, columns - columns // 2


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
