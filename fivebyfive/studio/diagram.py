"""The block diagram of a machine as an element of the page, which gives it colours and lights its units up."""

from collections.abc import Sequence
from html import escape

from fivebyfive.model.machine.config import Config
from fivebyfive.model.network import Network
from fivebyfive.output.block_diagram import WIDTH, Block, Sheet, arrange, height
from fivebyfive.support.errors import shown

__all__ = ["diagram", "unit_name"]

UNITS = 100  # of the drawing in an inch of the sheet
TITLE, LINE = 14.0, 13.0  # height of letters
STEP = 16.0  # from line to line
EM = 0.54  # mean width of a letter, of its height; a little less where lines are tight
HEAD = 9.0, 3.5  # length and half the width of an arrow's head
Point = tuple[float, float]


def unit_name(block: str) -> str:
    """What the page calls a block of `fivebyfive.output.block_diagram`."""
    return block.replace(" ", "_")


def diagram(name: str, network: Network, config: Config) -> str:
    """The element <svg>, without colours: groups of the class unit and of its kind (memory, compute or control) have
    their name in data-unit, groups of the class wire have paths, of which arrows' heads are of the class head; other
    texts are of the class note. ``name``: of the checkpoint."""
    sheet = SvgSheet(height(network))
    arrange(sheet, name, network, config)
    size = f"0 0 {UNITS * WIDTH:g} {UNITS * height(network):g}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}">{"".join(sheet.parts)}</svg>'


class SvgSheet(Sheet):
    """Boxes and arrows as elements of an SVG; places are in inches, from the left and from the bottom."""

    def __init__(self, tall: float):
        self.tall = tall
        self.parts: list[str] = []

    def point(self, x: float, y: float) -> Point:
        """A place in the units of the drawing."""
        return UNITS * x, UNITS * (self.tall - y)

    def text(
        self, kind: str, at: Point, text: str, room: float = 0.0, size: float = LINE, anchor: str = "middle"
    ) -> str:
        """A line at a place in the units of the drawing; its letters get smaller where ``room`` is too narrow."""
        wide = EM * size * len(text) * (1.08 if kind == "title" else 1.0)
        if room and wide > room:
            size *= room / wide
        x, y = at
        return (
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" text-anchor="{anchor}" '
            f'dominant-baseline="central">{escape(shown(text))}</text>'
        )

    def rectangle(self, kind: str, place: Sequence[float]) -> str:
        left, bottom, wide, tall = place
        x, y = self.point(left, bottom + tall)
        return (
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{UNITS * wide:.1f}" height="{UNITS * tall:.1f}" '
            f'rx="7"/>'
        )

    def headline(self, tall: float, lines: Sequence[str]) -> float:
        """None: the page has a title of its own. There is no room for the legend, either."""
        return tall

    def legend(self, right: float, y: float) -> None:
        """None: the page explains its colours."""

    def panel(self, place: Sequence[float], title: str) -> None:
        left, bottom, _, tall = place
        x, y = self.point(left + 0.1, bottom + tall - 0.15)
        self.parts += [self.rectangle("panel", place), self.text("note", (x, y), title, anchor="start")]

    def unit(self, name: str, place: Sequence[float], block: Block) -> None:
        left, bottom, wide, tall = place
        x, y = self.point(left + wide / 2, bottom + tall / 2)
        step = min(STEP, (UNITS * tall - 6) / (len(block.lines) + 1))
        top = y - step * len(block.lines) / 2
        room = UNITS * wide - 10
        texts = [self.text("title", (x, top), block.title, room, min(TITLE, step))]
        texts += [
            self.text("line", (x, top + step * number), line, room, min(LINE, step))
            for number, line in enumerate(block.lines, 1)
        ]
        group = f'<g class="unit {block.kind}" data-unit="{unit_name(name)}">'
        self.parts.append(f"{group}{self.rectangle('box', place)}{''.join(texts)}</g>")

    def arrow(self, *points: Point, text: str = "", at: Point | None = None, both: bool = False) -> None:
        line = [self.point(*point) for point in points]
        ends = [head(line[-2], line[-1])] + ([head(line[1], line[0])] if both else [])
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        heads = "".join(f'<path class="head" d="{end}"/>' for end in ends)
        self.parts.append(f'<g class="wire"><path d="M{path}" fill="none"/>{heads}</g>')
        if text:
            self.parts.append(self.text("note", self.point(*(at or points[0])), text))

    def outside(self, y: float, text: str) -> None:
        lines = text.split("\n")
        x, middle = self.point(0.4, y)
        first = middle - STEP * (len(lines) - 1) / 2
        self.parts += [self.text("note", (x, first + STEP * n), line) for n, line in enumerate(lines)]


def head(before: Point, tip: Point) -> str:
    """The head of an arrow along an axis, as data of a path."""
    length, half = HEAD
    along = [(end > start) - (end < start) for start, end in zip(before, tip, strict=True)]
    (x, y), (u, v) = tip, along
    base = x - length * u, y - length * v
    corners = [(base[0] - half * v, base[1] - half * u), (base[0] + half * v, base[1] + half * u)]
    return f"M{x:.1f},{y:.1f} " + " ".join(f"L{a:.1f},{b:.1f}" for a, b in corners) + " Z"
