"""What the drawings of `draw` have in common: a sheet in inches, its colors, and how it is written."""

from pathlib import Path

from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing

from .plots import require_matplotlib

__all__ = ["INK", "PALE", "QUIET", "check_picture", "new_figure", "save_picture"]

INK, QUIET, PALE = "#1c2430", "#5d6775", "#d5dae1"
KINDS = (".svg", ".png")
DPI = 150  # of a PNG


def check_picture(path: Path) -> None:
    """Raise UserError where a path has no suffix of a picture, or nothing to draw it with is installed."""
    if path.suffix not in KINDS:
        raise UserError(f"{path} says no kind of picture; name it .svg or .png")
    require_matplotlib()


def new_figure(width: float, height: float):
    """A figure of that many inches, white, and axes that cover it, whose units are inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def save_picture(figure, path: Path) -> None:
    """Write it as the suffix says; the same figure gives the same bytes. Letters are outlines in an SVG, so that it
    looks the same whichever fonts there are."""
    from matplotlib import rc_context

    kind = path.suffix.removeprefix(".")
    about = {"Date": None} if kind == "svg" else {"Software": None}
    with replacing(path) as file, rc_context({"svg.hashsalt": "fivebyfive", "svg.fonttype": "path"}):
        figure.savefig(file, format=kind, dpi=DPI, metadata=about)
