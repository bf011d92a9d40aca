"""Connected pieces of ink, and whether they can be one digit.

`one_digit` leaves specks out, and refuses what the network would answer with confidence though it is no digit: paper
that lies on a desk, a frame, a line from border to border, several digits.
"""

import numpy as np

from .grid import border, box_sum, pooled, spread_out

__all__ = ["grown", "labelled", "one_digit"]

CELLS = 128  # longer side of the grid on which pieces are separated
INKED = 0.2  # of full ink: a cell that holds so much somewhere is part of a piece
DOTS = 100  # shorter side of a picture from which a pixel or two on their own are no part of a digit
TRACE = 0.03  # of full ink: less is none
SPECK = 0.12  # of the largest piece's longer side: what is shorter is no part of a digit
SMALLEST = 0.025  # of the picture's longer side: a digit is not shorter
SMALLEST_PIXELS = 5
AT_BORDER = 0.1  # of the border's length: where ink covers more, it is not a digit's
SOLID = 0.85  # of its smallest rectangle that ink covers: MNIST's have 0.82 at most, but for a 1
LONG = 2.5  # sides of a rectangle, one to the other: a solid one that is longer may be a 1
GAP = 0.06  # of the largest piece's longer side: pieces that come together when each grows by it belong together
SEVERAL = 0.5  # of the tallest group's height: one that is lower may be part of a broken digit
FRAMED = 0.25  # of the height of what is around it: a digit in a frame has more
SHARP = 0.3  # of full ink: how much an edge changes at least within three cells
WIDE = 1.6  # width by height: more is said
CROP = "crop it so that only the digit is on it, on an even background, with a margin"


def one_digit(ink: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Ink, 0 to 1, float (H, W), without specks, and what is to be said about it.

    Raises ValueError where it cannot be a digit.
    """
    ink = without_dots(ink)
    labels = labelled(pooled(ink, CELLS, np.max) > INKED)
    steps = steepness(ink)
    pieces = [labels == piece for piece in range(1, labels.max() + 1)]
    spans = np.array([max(extent(piece)) if steps[piece].max() > SHARP else 0 for piece in pieces])
    largest = int(spans.max(initial=0))
    pixels = largest * max(ink.shape) / max(labels.shape)
    if largest < SMALLEST * max(labels.shape) or pixels < SMALLEST_PIXELS:
        raise ValueError("nothing in it stands out but specks and light; " + CROP)
    kept = np.isin(labels, 1 + np.flatnonzero(spans >= SPECK * largest))
    remarks = at_border(kept, labels)
    if fills_rectangle(kept):
        raise ValueError("what stands out is a solid area: paper on a desk? " + CROP)
    groups = groups_of(kept, round(GAP * largest))
    if framed(labelled(kept)) or framed(groups):  # a frame may be broken, or near the digit
        raise ValueError("what stands out is around something else: a frame? " + CROP)
    if (count := shapes_apart(groups)) > 1:
        raise ValueError(f"{count} separate shapes are in it: several digits? {CROP}")
    high, wide = extent(kept)
    if wide > WIDE * high:
        remarks += ("it is wider than a digit; are there several?",)
    return np.where(spread_out(grown(kept), CELLS, ink.shape), ink, 0), remarks


def steepness(ink: np.ndarray) -> np.ndarray:
    """How much ink changes around each cell of the grid, 0 to 1: strokes have edges, light has none."""
    most = around(pooled(ink, CELLS, np.max), np.maximum, 0)
    return most - around(pooled(ink, CELLS, np.min), np.minimum, 1)


def without_dots(ink: np.ndarray) -> np.ndarray:
    """Ink of a larger picture without pixels that stand alone or in pairs. A thin line's have two neighbours."""
    if min(ink.shape) < DOTS:
        return ink
    return np.where(box_sum((ink > TRACE).astype(np.int32), 1) > 2, ink, 0)


def at_border(kept: np.ndarray, labels: np.ndarray) -> tuple[str, ...]:
    """What is to be said about pieces that reach the border. Raises ValueError where that is no digit's ink."""
    share = float(border(kept).mean())
    if share > AT_BORDER:
        raise ValueError(f"what stands out covers {100 * share:.0f} % of its border: a desk, a frame, a shadow? {CROP}")
    sides = [set(labels[place][kept[place]]) for place in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1])]
    if sides[0] & sides[1] or sides[2] & sides[3]:
        raise ValueError("a line reaches from border to border; " + CROP)
    return ("ink reaches its border; it may be cut off, or no part of the digit",) if share else ()


def fills_rectangle(kept: np.ndarray) -> bool:
    """Whether ink is one area that nearly fills the smallest rectangle around it, at any angle, and is no 1."""
    places = np.argwhere(kept)
    angles = np.deg2rad(np.arange(0, 90, 5))
    turned = [places @ np.array([[np.cos(one), -np.sin(one)], [np.sin(one), np.cos(one)]]) for one in angles]
    sides = min((np.ptp(one, axis=0) + 1 for one in turned), key=np.prod)
    return len(places) > SOLID * np.prod(sides) and sides.max() < LONG * sides.min()


def groups_of(kept: np.ndarray, gap: int) -> np.ndarray:
    """Pieces that are no further from each other than twice ``gap``, labelled as one."""
    return np.where(kept, labelled(grown(kept, gap)), 0)


def shapes_apart(groups: np.ndarray) -> int:
    """Groups that are nearly as tall as the tallest one: parts of a broken digit are nearer, or lower."""
    heights = [height(one) for one in boxes(groups)]
    return sum(one >= SEVERAL * max(heights) for one in heights)


def framed(labels: np.ndarray) -> bool:
    """Whether something of some height is inside the box of another and touches none of its sides."""
    found = boxes(labels)
    tallest = max(found, key=height)
    within = (all(b.start < a.start and a.stop < b.stop for a, b in zip(one, tallest, strict=True)) for one in found)
    return any(inside and height(one) >= FRAMED * height(tallest) for inside, one in zip(within, found, strict=True))


def boxes(labels: np.ndarray) -> list[tuple[slice, slice]]:
    """The box around each of the labels from 1."""
    return [box(labels == label) for label in range(1, labels.max() + 1)]


def box(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a mask that is not empty."""
    places = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    rows, columns = (slice(int(one[0]), int(one[-1]) + 1) for one in places)
    return rows, columns


def height(box: tuple[slice, slice]) -> int:
    return box[0].stop - box[0].start


def extent(mask: np.ndarray) -> tuple[int, int]:
    """Height and width of the box around a mask that is not empty."""
    rows, columns = box(mask)
    return rows.stop - rows.start, columns.stop - columns.start


def around(grid: np.ndarray, choose: np.ufunc, outside: int | bool | np.int32) -> np.ndarray:
    """What ``choose`` (np.minimum, ...) takes of each place, (H, W), and the eight around it."""
    padded = np.pad(grid, 1, constant_values=outside)
    rows = choose(choose(padded[:-2], padded[1:-1]), padded[2:])
    return choose(choose(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def grown(mask: np.ndarray, times: int = 1) -> np.ndarray:
    """A mask, bool (H, W), and what touches it, corners included; as often as ``times`` says."""
    for _ in range(times):
        mask = around(mask, np.logical_or, False)
    return mask


def labelled(mask: np.ndarray) -> np.ndarray:
    """The connected pieces of a mask, bool (H, W), as numbers from 1, int (H, W); 0 elsewhere. Corners connect.

    Each place takes the lowest number around it, then the number that that place has, until nothing changes.
    """
    none = np.int32(mask.size)
    labels = np.where(mask, np.arange(none, dtype=np.int32).reshape(mask.shape), none)
    while True:
        lowest = np.where(mask, around(labels, np.minimum, none), none)
        after = np.append(lowest.ravel(), np.int32(none))[lowest]
        if np.array_equal(after, labels):
            break
        labels = after
    numbers = np.unique(labels[mask])
    return np.where(mask, np.searchsorted(numbers, labels) + 1, 0)
