"""What the drawings of `draw` have in common: a sheet in inches, its colors, and how it is written."""

from pathlib import Path
from typing import TYPE_CHECKING

from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing

from .plots import require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["INK", "PALE", "QUIET", "check_picture", "new_figure", "save_picture", "text_width"]

INK, QUIET, PALE = "#1c2430", "#5d6775", "#d5dae1"
KINDS = (".svg", ".png")
DPI = 150  # of a PNG


def check_picture(path: Path) -> None:
    """Raise UserError where a path has no suffix of a picture, or nothing to draw it with is installed."""
    if path.suffix not in KINDS:
        raise UserError(f"{path} says no kind of picture; name it .svg or .png")
    require_matplotlib()


def new_figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure of that many inches, white, and axes that cover it, whose units are inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def text_width(text: "Text") -> float:
    """Inches that a text takes on a figure of `new_figure`."""
    figure = text.get_figure(root=True)
    assert figure is not None
    return text.get_window_extent().width / figure.dpi


def save_picture(figure: "Figure", path: Path) -> None:
    """Write it as the suffix says; the same figure gives the same bytes. Letters are outlines in an SVG, so that it
    looks the same whichever fonts there are."""
    from matplotlib import rc_context

    kind = path.suffix.removeprefix(".")
    about = {"Date": None} if kind == "svg" else {"Software": None}
    with replacing(path) as file, rc_context({"svg.hashsalt": "fivebyfive", "svg.fonttype": "path"}):
        figure.savefig(file, format=kind, dpi=DPI, metadata=about)
