"""How an array of codes is coded bit by bit, so that each bit is as predictable as can be.

First which codes occur at all, then which rows (outputs) and columns (inputs) hold anything, then cell by cell of
those: is it zero and, where not, which of the codes. What a cell is likely to be is learned from its column, its row,
its neighbours in the kernel, image or map, and from how many of its kernel or lane are there already: pruned networks
lose whole inputs, and bank-balanced ones hold the same number in every lane. The same walk writes and reads; only where
its bits come from differs (`BitSource`). Contexts mixed as in `mixing`; that weights code well so: Wiedemann et al.
2020, DeepCABAC (arXiv:1907.11900).
"""

from typing import Protocol

import numpy as np

from fivebyfive.model.shape import FC_WORD, IMAGE, PIXELS

from .mixing import Predictor

__all__ = ["BitSource", "walk"]

POOLED = 16  # inputs of fc1 that come from one channel, 4 x 4
SEEN = 8  # non-zero cells of a group that are distinguished
DENSITIES = 12  # classes of how full a row or column has been


class BitSource(Protocol):
    """``bit`` is what the bit is, or None for a reader to find out; returns it."""

    def __call__(self, predictor: Predictor, contexts: tuple[int, ...], chosen: int, bit: int | None) -> int: ...


def walk(shape: tuple[int, ...], source: BitSource, array: np.ndarray | None) -> np.ndarray:
    """Tell ``array`` (int8, of ``shape``) to ``source``, or read it from there where it is None; returns it."""
    rows = shape[0]
    columns = int(np.prod(shape[1:], dtype=int))
    codes = None if array is None else array.reshape(rows, columns)
    used = _used_codes(source, codes)
    if not used:
        return np.zeros(shape, np.int8)
    nonzero: np.ndarray | None = None if codes is None else codes != 0
    live_rows = _live(source, rows, None if nonzero is None else np.any(nonzero, axis=1))
    live_columns = _live(source, columns, None if nonzero is None else np.any(nonzero, axis=0))
    cells = _Cells(source, used, columns, kernel=shape[3] if len(shape) == 4 else 0)
    found = np.zeros((rows, columns), np.int8)
    for row in live_rows:
        found[row] = cells.row(live_columns, None if codes is None else codes[row].tolist())
    return found.reshape(shape)


def _used_codes(source: BitSource, codes: np.ndarray | None) -> list[int]:
    """The non-zero codes that occur, in order."""
    predictor, before, used = Predictor((2, 1)), 0, []
    there = None if codes is None else set(np.unique(codes).tolist())
    for code in range(-128, 128):
        if code:
            before = source(predictor, (before, 0), 0, None if there is None else int(code in there))
            if before:
                used.append(code)
    return used


def _live(source: BitSource, count: int, there: np.ndarray | None) -> list[int]:
    """Indices of the rows or columns that are not all zero."""
    predictor, before, live = Predictor((2, 1)), 1, []
    for index in range(count):
        before = source(predictor, (before, 0), 0, None if there is None else int(there[index]))
        if before:
            live.append(index)
    return live


class _Cells:
    """The cells of one array, row after row."""

    def __init__(self, source: BitSource, used: list[int], columns: int, kernel: int) -> None:
        self.source, self.used, self.columns = source, used, columns
        self.index = {code: place for place, code in enumerate(used)}
        self.depth = (len(used) - 1).bit_length()
        self.group, self.places = _groups(columns, kernel**2)
        # Columns of a line of the kernel, image or pooled map, and of all of it.
        self.line, self.block = (IMAGE, PIXELS) if columns == PIXELS else (4, POOLED)
        if kernel:
            self.line, self.block = kernel, kernel**2
        groups = max(self.places) + 1
        sizes = (columns, DENSITIES * DENSITIES, 16, SEEN * groups, SEEN * DENSITIES)
        self.zero = Predictor(sizes, sets=SEEN)
        self.value = Predictor((1 << self.depth, 3 << self.depth, 9 << self.depth), sets=self.depth + 1)
        self.counts = [0] * columns  # non-zero cells of a column so far
        self.above = [0] * columns  # the row before
        self.latest = [0] * columns  # sign of the latest non-zero cell of a column
        self.done = 0  # rows

    def row(self, live: list[int], codes: list[int] | None) -> list[int]:
        """The next row: its cells in the ``live`` columns; the others are zero."""
        found = [0] * self.columns
        seen = [0] * (max(self.group) + 1)
        total = 0
        for step, column in enumerate(live):
            contexts, chosen = self._contexts(column, found, seen, _density(total, step))
            there = self.source(self.zero, contexts, chosen, None if codes is None else int(codes[column] != 0))
            if there:
                found[column] = code = self._code(column, found, None if codes is None else codes[column])
                self.counts[column] += 1
                self.latest[column] = 1 if code > 0 else 2
                seen[self.group[column]] += 1
                total += 1
        self.above = found
        self.done += 1
        return found

    def _contexts(self, column: int, found: list[int], seen: list[int], row: int) -> tuple[tuple[int, ...], int]:
        """Contexts of whether a cell is zero, and the set of weights."""
        left, up = self._neighbours(column, found)
        near = (left != 0) | (up != 0) << 1 | (self.above[column] != 0) << 2
        if column:
            near |= (self.above[column - 1] != 0) << 3
        many = min(seen[self.group[column]], SEEN - 1)
        filled = _density(self.counts[column], self.done)
        place = self.places[column]
        return (column, filled * DENSITIES + row, near, place * SEEN + many, many * DENSITIES + filled), many

    def _code(self, column: int, found: list[int], code: int | None) -> int:
        """A code that is not zero: its index among the used ones, highest bit first."""
        place = None if code is None else self.index[code]
        left, up = (_sign(value) for value in self._neighbours(column, found))
        node, latest, near = 1, self.latest[column], 3 * left + up
        for level in range(self.depth - 1, -1, -1):
            if (node << level + 1 & (1 << self.depth) - 1 | 1 << level) >= len(self.used):
                bit = 0  # no index goes that way
            else:
                contexts = node, latest << self.depth | node, near << self.depth | node
                wanted = None if place is None else place >> level & 1
                bit = self.source(self.value, contexts, level, wanted)
            node = node << 1 | bit
        return self.used[node - (1 << self.depth)]

    def _neighbours(self, column: int, found: list[int]) -> tuple[int, int]:
        """What lies left of a cell and above it, in its kernel, its image or its 4x4 map."""
        place = column % self.block
        left = found[column - 1] if place % self.line else 0
        return left, found[column - self.line] if place >= self.line else 0


def _groups(columns: int, kernel: int) -> tuple[list[int], list[int]]:
    """Of each column, the kernel of so many weights (0: none) or the lane it belongs to, and its place there."""
    if kernel:
        return [c // kernel for c in range(columns)], [c % kernel for c in range(columns)]
    return [c % FC_WORD for c in range(columns)], [c // FC_WORD for c in range(columns)]


def _density(count: int, of: int) -> int:
    """A class of count / of: 0 where there is none, then by powers of two."""
    if not count:
        return 0 if of < 16 else 11 if of < 64 else 10
    return min((of // count).bit_length(), 9)


def _sign(code: int) -> int:
    return 0 if not code else 1 if code > 0 else 2
