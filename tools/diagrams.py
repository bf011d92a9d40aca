"""Block diagrams as SVG: boxes on a grid, and arrows between them.

`make diagrams` draws docs/data-path.svg and docs/axi-core.svg, whose boxes and arrows are listed here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

from fivebyfive.support.files import replacing

CELL = (192, 92)  # pixels of a column and a row
BOX = (136, 52)
MARGIN = 24
LINE = 15  # pixels of a line of text

STYLE = """\
text { font: 13px sans-serif; text-anchor: middle; fill: #1b2733; }
.small { font-size: 11px; fill: #44586b; }
.group { fill: #f3f6f9; stroke: #c3ced9; }
.logic { fill: #dcebfa; stroke: #3b74a8; }
.memory { fill: #fbeed3; stroke: #a87b2d; }
.control { fill: #e9e4f5; stroke: #6f5aa5; }
.port { fill: #fff; stroke: #1b2733; }
.arrow { fill: none; stroke: #1b2733; marker-end: url(#head); }
.dashed { stroke-dasharray: 4 4; stroke: #6f5aa5; }
"""


@dataclass(frozen=True)
class Box:
    """``column``, ``row``: of the grid, from the upper left; halves are allowed. ``kind``: logic, memory, control or
    port. ``text``: its lines, the first one larger."""

    column: float
    row: float
    kind: str
    text: tuple[str, ...]


@dataclass(frozen=True)
class Arrow:
    """From one box to another. ``bend``: "" where both are in one row or column, "hv" first sideways and then up or
    down, "vh" the other way round. ``shift``: pixels to the side, for two arrows between the same boxes. ``dashed``:
    control, not data."""

    start: str
    end: str
    label: str = ""
    bend: str = ""
    shift: int = 0
    dashed: bool = False


@dataclass(frozen=True)
class Diagram:
    """``groups``: title and the corners of a frame: first and last column and row."""

    title: str
    boxes: Mapping[str, Box]
    arrows: Sequence[Arrow]
    groups: Sequence[tuple[str, float, float, float, float]] = ()


def centre(box: Box) -> tuple[float, float]:
    return MARGIN + box.column * CELL[0] + CELL[0] / 2, MARGIN + box.row * CELL[1] + CELL[1] / 2


def edge(box: Box, towards: tuple[float, float], sideways: bool, shift: int) -> tuple[float, float]:
    """Where an arrow leaves or reaches a box: the middle of the side that looks ``towards`` a point."""
    x, y = centre(box)
    if sideways:
        return x + (BOX[0] / 2 if towards[0] > x else -BOX[0] / 2), y + shift
    return x + shift, y + (BOX[1] / 2 if towards[1] > y else -BOX[1] / 2)


def path(boxes: Mapping[str, Box], arrow: Arrow) -> list[tuple[float, float]]:
    """The corners of an arrow."""
    start, end = boxes[arrow.start], boxes[arrow.end]
    (x0, y0), (x1, y1) = centre(start), centre(end)
    if not arrow.bend:
        sideways = start.row == end.row
        return [edge(start, (x1, y1), sideways, arrow.shift), edge(end, (x0, y0), sideways, arrow.shift)]
    first_sideways = arrow.bend == "hv"
    first = edge(start, (x1, y1), first_sideways, arrow.shift if first_sideways else 0)
    last = edge(end, (x0, y0), not first_sideways, 0 if first_sideways else arrow.shift)
    corner = (last[0], first[1]) if first_sideways else (first[0], last[1])
    return [first, corner, last]


def drawn_arrow(boxes: Mapping[str, Box], arrow: Arrow) -> str:
    points = path(boxes, arrow)
    line = " ".join(f"{x:g},{y:g}" for x, y in points)
    made = f'<polyline class="arrow{" dashed" if arrow.dashed else ""}" points="{line}"/>\n'
    if arrow.label:
        (x0, y0), (x1, y1) = max(pairwise(points), key=lambda ends: distance(*ends))
        beside = (x0 + x1) / 2 + (0 if y0 == y1 else 5), (y0 + y1) / 2 - (5 if y0 == y1 else 0)
        anchor = "" if y0 == y1 else ' style="text-anchor:start"'
        made += f'<text class="small" x="{beside[0]:g}" y="{beside[1]:g}"{anchor}>{escape(arrow.label)}</text>\n'
    return made


def distance(start: tuple[float, float], end: tuple[float, float]) -> float:
    return abs(start[0] - end[0]) + abs(start[1] - end[1])


def drawn_box(box: Box) -> str:
    x, y = centre(box)
    corner = BOX[1] / 2 if box.kind == "port" else 6
    made = f'<rect class="{box.kind}" x="{x - BOX[0] / 2:g}" y="{y - BOX[1] / 2:g}" width="{BOX[0]}" height="{BOX[1]}"'
    made += f' rx="{corner:g}"/>\n'
    top = y - (len(box.text) - 1) * LINE / 2 + 4
    for number, line in enumerate(box.text):
        small = ' class="small"' if number else ""
        made += f'<text{small} x="{x:g}" y="{top + number * LINE:g}">{escape(line)}</text>\n'
    return made


def drawn_group(title: str, left: float, top: float, right: float, bottom: float) -> str:
    x, y = MARGIN + left * CELL[0] + 6, MARGIN + top * CELL[1] - 6
    width, height = (right - left + 1) * CELL[0] - 12, (bottom - top + 1) * CELL[1] + 12
    made = f'<rect class="group" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8"/>\n'
    return made + f'<text class="small" x="{x + 8:g}" y="{y + 15:g}" style="text-anchor:start">{escape(title)}</text>\n'


def draw(diagram: Diagram) -> str:
    """The SVG, on a white ground so that it is read on dark pages too."""
    width = 2 * MARGIN + CELL[0] * (1 + max(box.column for box in diagram.boxes.values()))
    height = 2 * MARGIN + CELL[1] * (1 + max(box.row for box in diagram.boxes.values()))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}" role="img">\n',
        f"<title>{escape(diagram.title)}</title>\n<style>\n{STYLE}</style>\n",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#1b2733"/></marker></defs>\n',
        f'<rect width="{width:g}" height="{height:g}" rx="10" fill="#fff"/>\n',
        *(drawn_group(*group) for group in diagram.groups),
        *(drawn_arrow(diagram.boxes, arrow) for arrow in diagram.arrows),
        *(drawn_box(box) for box in diagram.boxes.values()),
        "</svg>\n",
    ]
    return "".join(parts)


DATA_PATH = Diagram(
    "The data path of the accelerator",
    {
        "pixels": Box(0, 1, "port", ("i", "pixels")),
        "image": Box(1, 1, "memory", ("image_buffer", "2 images")),
        "lines": Box(2, 1, "logic", ("line_buffer", "5x5 windows")),
        "array": Box(3, 1, "logic", ("conv_array", "W x O conv_pe", "25 multipliers each")),
        "pool": Box(4, 1, "logic", ("pooling", "2x2 max, ReLU")),
        "maps": Box(3, 2, "memory", ("map_memory", "conv1's maps")),
        "kernels": Box(2, 0, "memory", ("weight_memory", "25 bytes a word")),
        "fetcher": Box(3, 0, "logic", ("kernel_fetcher",)),
        "conv": Box(1, 0, "control", ("conv_controller",)),
        "inputs": Box(4, 3.35, "memory", ("activation_memory", "20 codes a word")),
        "rows": Box(3, 3.35, "logic", ("fc_row", "R x 20 lanes")),
        "hidden": Box(3, 4.35, "memory", ("activation_memory", "hidden layers")),
        "weights": Box(2, 4.35, "memory", ("weight_memory", "20 R bytes a word")),
        "fc": Box(4, 4.35, "control", ("fc_controller",)),
        "argmax": Box(1, 3.35, "logic", ("argmax",)),
        "result": Box(0, 3.35, "port", ("o", "logits, class")),
    },
    (
        Arrow("pixels", "image"),
        Arrow("image", "lines", "rows"),
        Arrow("lines", "array", "windows"),
        Arrow("array", "pool", "codes"),
        Arrow("kernels", "fetcher"),
        Arrow("fetcher", "array"),
        Arrow("conv", "kernels", dashed=True),
        Arrow("conv", "image", dashed=True),
        Arrow("pool", "maps", "conv1", "vh", 0),
        Arrow("maps", "lines", "rows", "hv"),
        Arrow("pool", "inputs", "conv2", shift=30),
        Arrow("inputs", "rows"),
        Arrow("rows", "hidden", shift=-20),
        Arrow("hidden", "rows", shift=20),
        Arrow("weights", "rows", "", "vh", 12),
        Arrow("fc", "inputs", dashed=True),
        Arrow("rows", "argmax", "last layer", shift=-12),
        Arrow("argmax", "result"),
    ),
    (("conv_engine", 1, 0, 4, 2), ("fc_engine", 1, 3.35, 4, 4.35)),
)

AXI_CORE = Diagram(
    "The AXI core",
    {
        "watch": Box(3, 0, "control", ("frame watch",)),
        "s_axis": Box(1, 1, "port", ("s_axis", "pixels")),
        "unpacker": Box(2, 1, "logic", ("pixel unpacker",)),
        "accelerator": Box(3, 1, "logic", ("accelerator",)),
        "packer": Box(4, 1, "logic", ("result packer",)),
        "m_axis": Box(5, 1, "port", ("m_axis", "results")),
        "s_axi": Box(0, 2, "port", ("s_axi",)),
        "lite": Box(1, 2, "logic", ("AXI4-Lite",)),
        "registers": Box(2, 2, "memory", ("registers",)),
        "loader": Box(3, 2, "logic", ("weight loader",)),
        "interrupt": Box(2, 3, "port", ("interrupt",)),
    },
    (
        Arrow("s_axis", "unpacker"),
        Arrow("unpacker", "accelerator"),
        Arrow("accelerator", "packer"),
        Arrow("packer", "m_axis"),
        Arrow("unpacker", "watch", "frames", "vh", dashed=True),
        Arrow("watch", "packer", "numbers", "hv", dashed=True),
        Arrow("s_axi", "lite", shift=-8),
        Arrow("lite", "s_axi", shift=8),
        Arrow("lite", "registers", shift=-8),
        Arrow("registers", "lite", shift=8),
        Arrow("registers", "loader"),
        Arrow("loader", "accelerator", "words"),
        Arrow("registers", "interrupt"),
    ),
)

DIAGRAMS = {"data-path.svg": DATA_PATH, "axi-core.svg": AXI_CORE}


def main(folder: Path = Path("docs")) -> None:
    for name, diagram in DIAGRAMS.items():
        with replacing(folder / name, "w") as file:
            file.write(draw(diagram))


if __name__ == "__main__":
    main()
