"""Histograms of a float network's weights and values, with the range of Q2.6 marked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.readers.value_ranges import EDGES, RANGE_END, LayerRange
from fivebyfive.output.drawing import INK, PALE, QUIET, save_picture, text_width
from fivebyfive.support.errors import shown

from .layers import multiple_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_ranges"]

WIDTH, ROW, AROUND = 8.5, 0.85, 1.45  # inches: of the sheet, of a layer, of titles and axis together
COLORS = {"weights": "#e08a2e", "values": "#2f74b5"}
LEGEND = {"weights": "weights and biases", "values": "values before functions, on images"}
LONGEST_NAME = 60


def draw_ranges(path: Path, name: str, ranges: Sequence[LayerRange]) -> None:
    """Write the plot, PNG or SVG as the suffix says: a row a layer, magnitudes from left to right in powers of two.
    ``name``: of the model's file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tall = ROW * len(ranges) + AROUND
    figure = Figure(figsize=(WIDTH, tall), facecolor="white")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(ranges), 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.04, right=0.98, top=1 - 0.62 / tall, bottom=0.6 / tall, hspace=0.12)
    first, last = limits(ranges)
    for axes, one in zip(rows, ranges, strict=True):
        row(axes, one)
    rows[-1].set_xscale("log", base=2)
    rows[-1].set_xlim(first, last)
    ticks = [2.0**power for power in range(-14, 15) if first <= 2.0**power <= last]
    rows[-1].set_xticks(ticks[::2] if len(ticks) > 14 else ticks, minor=False)
    rows[-1].xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
    rows[-1].set_xlabel(f"magnitude; shaded: from a step of Q2.6, 1/{Q2_6.one}, to the end of its range, {RANGE_END:g}")
    title = f"{clipped(shown(name))}: numbers in floats against the range of Q2.6"
    figure.text(0.04, 1 - 0.1 / tall, title, fontsize=11, color=INK, va="top", parse_math=False)
    drawn = [what for what in COLORS if any(getattr(one, what) for one in ranges)]
    for number, what in enumerate(drawn):
        figure.text(0.04 + 0.2 * number, 1 - 0.36 / tall, LEGEND[what], fontsize=8.5, color=COLORS[what], va="top")
    save_picture(figure, path)


def clipped(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def limits(ranges: Sequence[LayerRange]) -> tuple[float, float]:
    """Where the axis begins and ends: all but a hundredth of each histogram's small numbers, and the range of Q2.6."""
    low, high = [1 / Q2_6.one / 2], [2 * RANGE_END]
    for one in ranges:
        for found in (one.weights, one.values):
            if found is not None and (total := found.counts.sum()):
                low.append(EDGES[np.searchsorted(np.cumsum(found.counts), total / 100)])
                high.append(EDGES[1 + np.flatnonzero(found.counts)[-1]])
    return float(min(low)), float(max(high))


def row(axes: "Axes", one: LayerRange) -> None:
    """The histograms of a layer, each as high as its largest bin."""
    axes.axvspan(1 / Q2_6.one, RANGE_END, color=PALE, alpha=0.55, linewidth=0)
    axes.axvline(RANGE_END, color=INK, linewidth=1)
    largest = []
    for what, color in COLORS.items():
        found = getattr(one, what)
        if found is not None:
            heights = found.counts / max(found.counts.max(), 1)
            axes.stairs(heights, EDGES, fill=True, color=color, alpha=0.45)
            axes.stairs(heights, EDGES, color=color, linewidth=0.8)
            largest.append(f"{what} to {multiple_text(found)}")
    axes.set_ylim(0, 1.45)
    axes.set_yticks([])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    about: dict[str, Any] = {"transform": axes.transAxes, "va": "top", "parse_math": False}
    title = axes.text(0.005, 0.97, clipped(one.name), fontsize=9, color=INK, weight="bold", **about)
    behind = 0.005 + (text_width(title) + 0.15) / (0.94 * WIDTH)
    axes.text(behind, 0.96, ", ".join(largest), fontsize=8, color=QUIET, **about)
