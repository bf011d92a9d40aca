"""Pictures of measurements, with matplotlib (extra ``plot``)."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from fivebyfive.model.estimates.comparison import Compared, front
from fivebyfive.model.estimates.measurement import Measurement
from fivebyfive.model.estimates.parts import RESOURCES
from fivebyfive.support.files import replacing
from fivebyfive.support.optional import require

__all__ = ["plot_compared", "plot_front", "plot_parts", "require_matplotlib"]


def require_matplotlib() -> ModuleType:
    """matplotlib, or UserError with the line that says how to get it."""
    return require("matplotlib", "the picture needs", "matplotlib", "plot")


def canvas(title: str) -> tuple[Any, Any]:
    """A figure that needs no screen, and its axes."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=title)
    axes.grid(alpha=0.3)
    return figure, axes


def save(figure: Any, path: Path) -> None:
    """As PNG or SVG; the same figure gives the same bytes."""
    from matplotlib import rc_context

    kind = path.suffix.removeprefix(".")
    with replacing(path) as file, rc_context({"svg.hashsalt": "fivebyfive", "svg.fonttype": "none"}):
        figure.savefig(file, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else None)


def plot_parts(path: Path, results: Sequence[Measurement]) -> None:
    """Bars: how full each part is of each resource."""
    figure, axes = canvas(f"{results[0].network}, {results[0].multipliers:,} multipliers: percent of the part")
    width = 0.8 / len(results)
    for number, one in enumerate(results):
        speed = f", {one.fmax_mhz:.0f} MHz, {one.images_per_s:,.0f} images/s" if one.fmax_mhz else ""
        left = [index + width * number for index in range(len(RESOURCES))]
        axes.bar(left, [one.percent[name] for name in RESOURCES], width, label=one.part + speed)
    axes.axhline(100, color="black", linewidth=1)
    axes.set_xticks([index + 0.4 - width / 2 for index in range(len(RESOURCES))], list(RESOURCES.values()))
    axes.set_ylabel("percent")
    axes.legend()
    save(figure, path)


def plot_front(path: Path, results: Sequence[Measurement], front: Sequence[Measurement]) -> None:
    """Throughput against area, the front as a line."""
    routed = any(one.images_per_s for one in results)
    shown = [one for one in results if one.images_per_s or not routed]
    name = "images a second" if routed else "images a million cycles"
    figure, axes = canvas(f"{results[0].network} on {results[0].part}")
    for fits, marker in ((True, "o"), (False, "x")):
        axes.plot(*points([one for one in shown if one.fits is fits]), marker, color="tab:blue" if fits else "tab:gray")
    axes.plot(*points(front), "-", color="tab:orange", label="front")
    for one in shown:
        label = f" {one.conv_multipliers}+{one.fc_multipliers}"
        axes.annotate(label, (one.area_percent, one.throughput), fontsize="small")
    axes.set_xlabel("percent of the part (mean of LUT, FF, DSP and block RAM)")
    axes.set_ylabel(name)
    axes.set_ylim(bottom=0)
    axes.legend()
    save(figure, path)


def points(results: Sequence[Measurement]) -> tuple[list[float], list[float]]:
    return [one.area_percent for one in results], [one.throughput for one in results]


def plot_compared(path: Path, rows: Sequence[Compared]) -> None:
    """Errors against bytes stored and against cycles; the front as a line."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    figure = Figure(figsize=(12, 5.5), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    images = max(row.images for row in rows)
    cycles = "cycles an image" + ("" if all(row.rtl_images for row in rows) else " (model)")
    every = []
    texts = {"bytes": "bytes stored (packed file)", "interval_cycles": cycles}
    known = {name: [row for row in rows if getattr(row, name) is not None] for name in texts}
    drawn = [name for name, having in known.items() if having]
    for place, name in enumerate(drawn, 1):
        axes, having = figure.add_subplot(1, len(drawn), place), known[name]
        axes.set_xlabel(texts[name])
        axes.set_ylabel(f"errors of {images:,} test images")
        best = [(getattr(row, name), row.errors) for row in front(rows, name)]
        axes.plot(*zip(*best, strict=True), "-", color="tab:orange", label="front: nothing is better in both", zorder=1)
        spots = [(getattr(row, name), row.errors) for row in having]
        axes.scatter(*zip(*spots, strict=True), color=["tab:orange" if one in best else "tab:blue" for one in spots],
                     zorder=2)  # fmt: skip
        if max(spots)[0] > 8 * min(spots)[0]:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.margins(0.16, 0.14)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right")
        every.append((axes, spots, [row.name for row in having]))
    figure.canvas.draw()
    for axes, spots, names in every:
        label(axes, spots, names)
    save(figure, path)


AROUND = [(x * far, y * far) for far in (1, 2, 3.2, 4.5) for x, y in ((9, 0), (-9, 0), (0, 12), (0, -12), (9, 10),
          (-9, 10), (9, -10), (-9, -10))]  # points from a mark to its label  # fmt: skip


def label(axes: Any, spots: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Names beside marks, each where it covers no mark and no other name, with a line to its mark if that is far."""
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    renderer = axes.figure.canvas.get_renderer()
    pixels = axes.transData.transform(spots)
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in pixels]
    if axes.get_legend():
        taken.append(axes.get_legend().get_window_extent())
    lines = [line.get_path().transformed(axes.transData) for line in axes.lines]
    frame = axes.get_window_extent()
    for spot, name in zip(spots, names, strict=True):
        for number, (x, y) in enumerate(AROUND):
            sides = {"ha": "left" if x > 0 else "right" if x < 0 else "center",
                     "va": "bottom" if y > 0 else "top" if y < 0 else "center"}  # fmt: skip
            arrow = {"arrowstyle": "-", "color": "gray", "linewidth": 0.7, "shrinkB": 4} if number >= 8 else None
            about = {"xytext": (x, y), "textcoords": "offset points", "fontsize": "small", "arrowprops": arrow}
            text = axes.annotate(name, spot, parse_math=False, **about, **sides)
            text.set_in_layout(False)
            text.update_positions(renderer)
            box = Text.get_window_extent(text, renderer)  # without the line
            crossed = number < 24 and any(path.intersects_bbox(box, filled=False) for path in lines)
            if frame.count_contains(box.corners()) == 4 and not box.count_overlaps(taken) and not crossed:
                break
            if number < len(AROUND) - 1:
                text.remove()
        taken.append(box)
