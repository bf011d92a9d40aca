"""A timing diagram: what signals do in each clock cycle, drawn with matplotlib (extra ``plot``)."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fivebyfive.support.errors import shown

from .drawing import INK, PALE, QUIET, new_figure, save_picture, text_width
from .wave_file import Samples, Wanted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_timing"]

LINE = "#1f5fa8"
FILL = "#e8f1fb"
TRANSFER = "#fde9b8"
UNKNOWN = "#f3c9c9"
ROW = 0.32  # inches from one row to the next
HIGH = 0.19  # inches of a wave
SLOPE = 0.12  # of a cycle, that a bus takes to change
TOP, BOTTOM, SIDE = 0.56, 0.34, 0.12  # inches around the waves
WIDTH = 10.0  # inches, unless cycles would be narrower than this:
NARROWEST = 0.17
CHARACTER = 0.075  # inches of a letter of a name
TEXT = 7.5  # points
LONGEST_NAME = 48


def draw_timing(
    path: Path,
    title: str,
    signals: Sequence[Wanted],
    samples: Samples,
    names: Mapping[int, Mapping[int, str]] | None = None,
) -> None:
    """Write the picture, PNG or SVG as the suffix says, or raise UserError.

    Below the clock a row for each signal; a column is a clock cycle, and shows what flip-flops take at the rising edge
    that ends it. A transfer of a stream, a cycle in which NAME_valid and NAME_ready are 1, is shaded in the rows of
    that stream. ``names``: for a signal's index, the names of its values.
    """
    count = len(samples.values[0])
    labels = [clipped(shown(one.label or one.name)) for one in signals]
    left = SIDE + max(CHARACTER * max(map(len, labels)), 1.0) + 0.1
    column = max((WIDTH - left - SIDE) / count, NARROWEST)
    width, height = left + column * count + SIDE, TOP + ROW * (len(signals) + 1) + BOTTOM
    figure, axes = new_figure(width, height)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name's letters that the font lacks
        sheet = Sheet(axes, left, column, count, height - TOP)
        axes.text(SIDE, height - 0.13, shown(title), fontsize=9, color=INK, va="top", parse_math=False)
        sheet.ruler(samples.first, ROW * (len(signals) + 1))
        sheet.transfers(signals, samples)
        sheet.clock()
        for number, (one, label, bits) in enumerate(zip(signals, labels, samples.values, strict=True)):
            sheet.name(number + 1, label)
            if len(bits[0]) == 1:
                sheet.level(number + 1, bits)
            else:
                sheet.bus(number + 1, bits, one.format, (names or {}).get(number, {}))
        sheet.legend(height)
        save_picture(figure, path)


def clipped(name: str) -> str:
    """A name that leaves room for waves: of a long one, its end."""
    return name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}"


class Sheet:
    """Waves on axes whose units are inches: ``count`` columns of width ``column`` from ``left`` on; the first row is
    below ``top``."""

    def __init__(self, axes: "Axes", left: float, column: float, count: int, top: float):
        self.axes, self.left, self.column, self.count, self.top = axes, left, column, count, top
        self.shaded = False
        self.unknown = False

    def x(self, cycle: float) -> float:
        return self.left + self.column * cycle

    def y(self, row: int) -> float:
        """The bottom of a wave."""
        return self.top - ROW * (row + 1) + (ROW - HIGH) / 2

    def name(self, row: int, text: str) -> None:
        x, y = self.left - 0.1, self.y(row) + HIGH / 2
        self.axes.text(x, y, text, fontsize=8, color=INK, ha="right", va="center_baseline", parse_math=False)

    def ruler(self, first: int, depth: float) -> None:
        """Numbers of the cycles above the waves, and a line for each rising edge."""
        step = next(step for step in (1, 2, 5, 10, 20, 50, 100) if step * self.column >= 0.09 * len(f"{first:,}") + 0.1)
        for cycle in range(self.count + 1):
            self.axes.plot([self.x(cycle)] * 2, [self.top, self.top - depth], color=PALE, linewidth=0.6, zorder=0)
            if cycle < self.count and (first + cycle) % step == 0:
                x = self.x(cycle + 0.5)
                self.axes.text(x, self.top + 0.03, f"{first + cycle:,}", fontsize=7, color=QUIET, ha="center")
        self.axes.text(self.left - 0.1, self.top + 0.03, "cycle", fontsize=7, color=QUIET, ha="right")

    def transfers(self, signals: Sequence[Wanted], samples: Samples) -> None:
        """Shade each transfer of each stream whose valid and ready are both there."""
        found = {one.name: bits for one, bits in zip(signals, samples.values, strict=True) if len(bits[0]) == 1}
        for name, valid in found.items():
            stream, _, last = name.rpartition("_")
            if last != "valid" or (ready := found.get(f"{stream}_ready")) is None:
                continue
            rows = [row for row, one in enumerate(signals, 1) if one.name.startswith(f"{stream}_")]
            for cycle in (cycle for cycle in range(self.count) if valid[cycle] == ready[cycle] == "1"):
                for row in rows:
                    self.shade(row, cycle)

    def shade(self, row: int, cycle: int) -> None:
        from matplotlib.patches import Rectangle

        place = self.x(cycle), self.top - ROW * (row + 1)
        self.axes.add_patch(Rectangle(place, self.column, ROW, facecolor=TRANSFER, edgecolor="none", zorder=0.5))
        self.shaded = True

    def clock(self) -> None:
        """A column begins with a rising edge and ends with the next one."""
        self.name(0, "clock")
        low, high = self.y(0), self.y(0) + HIGH
        points = [(self.x(0), low)]
        for cycle in range(self.count):
            middle = self.x(cycle + 0.5)
            points += [(self.x(cycle), high), (middle, high), (middle, low), (self.x(cycle + 1), low)]
        self.line([*points, (self.x(self.count), high)])

    def line(self, points: Sequence[tuple[float, float]]) -> None:
        xs, ys = zip(*points, strict=True)
        self.axes.plot(xs, ys, color=LINE, linewidth=1.1, solid_joinstyle="round", zorder=2)

    def level(self, row: int, bits: Sequence[str]) -> None:
        """A signal of one bit."""
        low, points = self.y(row), []
        heights = {"0": low, "1": low + HIGH, "x": low + HIGH / 2, "z": low + HIGH / 2}
        for cycle, bit in enumerate(bits):
            points += [(self.x(cycle), heights[bit]), (self.x(cycle + 1), heights[bit])]
            if bit in "xz":
                self.cell(row, cycle, cycle + 1, UNKNOWN)
        self.line(points)

    def bus(self, row: int, bits: Sequence[str], kind: str, names: Mapping[int, str]) -> None:
        """A signal of several bits: a cell as long as its value stays."""
        begin = 0
        for cycle in range(1, self.count + 1):
            if cycle == self.count or bits[cycle] != bits[begin]:
                known = set(bits[begin]) <= set("01")
                self.cell(row, begin, cycle, FILL if known else UNKNOWN)
                text = names.get(int(bits[begin], 2), "") if known else ""
                self.value(row, begin, cycle, text or formatted(bits[begin], kind))
                begin = cycle

    def cell(self, row: int, begin: int, end: int, color: str) -> None:
        from matplotlib.patches import Polygon

        self.unknown |= color == UNKNOWN
        low, slope = self.y(row), min(SLOPE * self.column, 0.05)
        high, middle, x, to = low + HIGH, low + HIGH / 2, self.x(begin), self.x(end)
        points = [(x, middle), (x + slope, high), (to - slope, high), (to, middle), (to - slope, low), (x + slope, low)]
        self.axes.add_patch(Polygon(points, facecolor=color, edgecolor=LINE, linewidth=1.0, zorder=1.5))

    def value(self, row: int, begin: int, end: int, text: str) -> None:
        """The text of a cell, shortened until it fits; nothing where not even one letter does."""
        x, y, room = self.x((begin + end) / 2), self.y(row) + HIGH / 2, self.column * (end - begin) - 0.06
        placed = self.axes.text(x, y, text, fontsize=TEXT, color=INK, ha="center", va="center_baseline", zorder=3)
        placed.set_parse_math(False)
        for length in range(len(text), 0, -1):
            placed.set_text(text if length == len(text) else f"{text[:length]}…")
            if text_width(placed) <= room:
                return
        placed.remove()

    def legend(self, height: float) -> None:
        """What a column and the colors are."""
        from matplotlib.patches import Rectangle

        y, x = 0.1, self.left
        notes = [(TRANSFER, "transfer: valid and ready")] if self.shaded else []
        notes += [(UNKNOWN, "not known")] if self.unknown else []
        for color, text in notes:
            self.axes.add_patch(Rectangle((x, y), 0.16, 0.12, facecolor=color, edgecolor=QUIET, linewidth=0.5))
            self.axes.text(x + 0.22, y + 0.06, text, fontsize=7, color=QUIET, va="center_baseline")
            x += 0.42 + 0.062 * len(text)
        last = "a column shows what flip-flops take at the rising edge that ends it"
        self.axes.text(self.x(self.count), y + 0.06, last, fontsize=7, color=QUIET, ha="right", va="center_baseline")


def formatted(bits: str, kind: str) -> str:
    """The value of a string of bits; x or z where one of them is."""
    if not set(bits) <= set("01"):
        return "z" if set(bits) == {"z"} else "x"
    value = int(bits, 2)
    if kind == "signed":
        value -= (bits[0] == "1") << len(bits)
    return {"hex": f"{value:0{-(-len(bits) // 4)}x}", "bin": bits}.get(kind, str(value))
