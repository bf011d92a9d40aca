"""Images, and everything that a network computed from them, drawn in the terminal: two pixels a character.

With colours where the terminal has them: the upper half of a block has the upper pixel's, its background the lower's.
Otherwise, as in a pipe or with NO_COLOR, characters of ASCII that cover more or less. No line is longer than the
terminal is wide.
"""

from collections.abc import Sequence

import numpy as np
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from fivebyfive.support.errors import shown

from ..picture import GAMMA, PALETTE, Digit, Range, code_range, colours

__all__ = ["draw_in_terminal", "picture_console"]

RAMP = " .:-=+*#%@"  # from no ink to full
HALF = "\N{UPPER HALF BLOCK}"
GAP = -1  # a level of nothing: between two maps
MOST_CLASSES = 16  # of more the largest are shown
NARROWEST = 16  # columns
MOST_DIGITS = 5


def picture_console() -> Console:
    """Standard output, as wide as it is."""
    return Console(highlight=False, markup=False, emoji=False)


def draw_in_terminal(digits: Sequence[Digit], labels: Sequence[str] | None = None, out: Console | None = None) -> None:
    """Print the pixels, each layer's maps and the logits of the first digits. ``labels``: of the classes.

    Shades go from the smallest code of a layer, 0 at most, to its largest, of all digits that are shown.
    """
    out = out or picture_console()
    width = max(NARROWEST, out.width)
    drawn = digits[:MOST_DIGITS]
    ranges = {name: code_range([digit.outputs[name] for digit in drawn]) for name in drawn[0].outputs}
    for digit in drawn:
        lines = digit_lines(digit, ranges, labels, width, coloured=has_colours(out))
        out.print(Text("\n").join(lines), soft_wrap=True, end="\n\n")
    if len(drawn) < len(digits):
        out.print(f"the first {len(drawn)} of {len(digits)} images are drawn", soft_wrap=True)


def has_colours(out: Console) -> bool:
    """Whether half blocks in two colours can be printed."""
    return out.color_system is not None and not out.no_color and out.encoding.startswith("utf")


def digit_lines(
    digit: Digit, ranges: dict[str, Range], labels: Sequence[str] | None, width: int, coloured: bool
) -> list[Text]:
    """The lines of one digit, none of more than ``width`` columns."""
    *layers, last = digit.outputs
    grey = colours(digit.pixels).mean(axis=2).astype(int)
    title = f"{digit.title}, {' '.join(digit.note.split())}"
    lines = [clipped(title, width, "bold"), clipped(f"input {'x'.join(map(str, grey.shape))}", width)]
    lines += block_lines(grey, width, coloured, GREYS)
    for name in layers:
        codes, (low, high) = digit.outputs[name], ranges[name]
        levels = (codes.astype(int) - low) * 255 // (high - low)
        what = f"{len(codes)} maps of {codes.shape[1]}x{codes.shape[2]}" if codes.ndim == 3 else f"{len(codes)} values"
        lines.append(clipped(f"{name}: {what}, codes {low} to {high}", width))
        for canvas in maps_in_rows(levels, width) if codes.ndim == 3 else [values_in_rows(levels, width)]:
            lines += block_lines(canvas, width, coloured, PALETTE)
    lines.append(clipped(f"logits: {last}", width))
    return lines + bars(digit.outputs[last].ravel().astype(int), labels, width)


def clipped(words: str, width: int, style: str = "") -> Text:
    words = shown(words)
    return Text(words if len(words) <= width else f"{words[: width - 3]}...", style)


def maps_in_rows(levels: np.ndarray, width: int) -> list[np.ndarray]:
    """Maps (C, H, W) side by side, as many as there is room for, with a gap between them: a canvas a row of maps."""
    count, columns = len(levels), levels.shape[2]
    across = max(1, (width + 1) // (columns + 1))
    framed = np.pad(levels, ((0, 0), (0, 0), (0, 1)), constant_values=GAP)
    return [np.concatenate(framed[first : first + across], axis=1)[:, :-1] for first in range(0, count, across)]


def values_in_rows(levels: np.ndarray, width: int) -> np.ndarray:
    """Values (N,) in reading order, about twice as wide as high on the terminal."""
    across = min(width, max(1, round((4 * len(levels)) ** 0.5)))
    filled = np.full(-(-len(levels) // across) * across, GAP)
    filled[: len(levels)] = levels
    return filled.reshape(-1, across)


def block_lines(levels: np.ndarray, width: int, coloured: bool, palette: np.ndarray) -> list[Text]:
    """Levels 0 to 255, or GAP, (H, W), two rows a line; of more columns than there is room for some are left out."""
    if levels.shape[1] > width:
        kept = np.arange(width) * levels.shape[1] // width
        levels = levels[:: max(1, levels.shape[1] // width)][:, kept]
    levels = np.pad(levels, ((0, levels.shape[0] % 2), (0, 0)), constant_values=GAP)
    draw = coloured_line if coloured else plain_line
    return [draw(upper, lower, palette) for upper, lower in zip(levels[::2], levels[1::2], strict=True)]


def plain_line(upper: np.ndarray, lower: np.ndarray, _: np.ndarray) -> Text:
    """A character for the mean of both."""
    mean = (upper.clip(0) + lower.clip(0)) / 2 / 255
    return Text("".join(RAMP[round(level**GAMMA * (len(RAMP) - 1))] for level in mean).rstrip())


def coloured_line(upper: np.ndarray, lower: np.ndarray, palette: np.ndarray) -> Text:
    line = Text()
    for above, below in zip(upper, lower, strict=True):
        if above == GAP:
            line.append(" ")
        else:
            style = Style(color=colour(above, palette), bgcolor=None if below == GAP else colour(below, palette))
            line.append(HALF, style)
    return line


def colour(level: int, palette: np.ndarray) -> Color:
    return Color.from_rgb(*map(int, palette[level]))


GREYS = np.repeat(np.arange(256)[:, np.newaxis], 3, axis=1)


def bars(codes: np.ndarray, labels: Sequence[str] | None, width: int) -> list[Text]:
    """A line a logit: class, code and a bar, the largest one marked; of many classes the largest logits alone."""
    best, peak = int(codes.argmax()), max(1, int(abs(codes).max()))
    chosen = np.sort(np.argsort(-codes, kind="stable")[:MOST_CLASSES])
    names = [f"{number} {shown(labels[number])}" if labels else str(number) for number in chosen]
    wide = min(max(map(len, names)), width // 3)
    lines = []
    for number, name in zip(chosen, names, strict=True):
        start = f"{name[:wide]:>{wide}} {codes[number]:>4} "
        length = round(abs(int(codes[number])) / peak * max(1, width - len(start) - 2))
        bar = ("#" if codes[number] >= 0 else "-") * length + (" <" if number == best else "")
        lines.append(Text(start + bar, "bold" if number == best else ""))
    return lines
