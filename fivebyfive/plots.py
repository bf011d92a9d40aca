"""Pictures of measurements, with matplotlib (extra ``plot``)."""

from collections.abc import Sequence
from pathlib import Path

from fivebyfive.model.extras import require
from fivebyfive.model.files import replacing
from fivebyfive.model.measurement import Measurement
from fivebyfive.model.parts import RESOURCES

__all__ = ["plot_front", "plot_parts", "require_matplotlib"]


def require_matplotlib():
    """matplotlib, or UserError with the line that says how to get it."""
    return require("matplotlib", "the picture needs", "matplotlib", "plot")


def canvas(title: str):
    """A figure that needs no screen, and its axes."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=title)
    axes.grid(alpha=0.3)
    return figure, axes


def save(figure, path: Path) -> None:
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)


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
