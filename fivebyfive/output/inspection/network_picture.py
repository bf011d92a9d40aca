"""The network of a file as a picture: a box a layer, and between them what flows, its maps drawn to scale."""

from math import log2
from pathlib import Path

from fivebyfive.model.network import Shape, dims
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.output.block_diagram import Block, Sheet
from fivebyfive.output.drawing import INK, QUIET, new_figure, save_picture, text_width
from fivebyfive.support.errors import shown

from .layers import kind_text, parameters, then_text

__all__ = ["draw_network", "layer_block"]

WIDTH = 6.4  # inches
BOX = (2.05, 3.9, 0.62)  # left edge, width and height of a layer's box
ROW, FLOW = 1.24, 0.62  # from a box to the next one, and the space between them
TOP, BOTTOM = 0.9, 0.45  # inches above the first and below the last box's flow
MIDDLE = 0.95  # of the maps, from the left
LARGEST, SMALLEST = 0.5, 0.05  # side of the largest map and of the smallest one that is drawn
STACK, APART = 6, 0.035  # maps that are drawn of many, and the distance between them
FRONT, EDGE = "#dcebfa", "#5d6775"


def layer_block(number: int, network: FloatNetwork) -> Block:
    """The box of a layer: what it is, what happens to its values, what it holds."""
    place = network.network.places[number]
    then = f", then {then_text(place, network)}" if place.layer.then else ""
    counts = f"{parameters(place):,} parameters, {place.macs:,} MACs"
    return Block("compute", f"{place.layer.name}: {kind_text(place)}", (f"gives {dims(place.map)}{then}", counts))


def draw_network(path: Path, name: str, network: FloatNetwork) -> None:
    """Write the picture, PNG or SVG as the suffix says. ``name``: of the model's file."""
    places = network.network.places
    tall = TOP + BOTTOM + ROW * len(places)
    figure, axes = new_figure(WIDTH, tall)
    sheet = Sheet(axes)
    title = axes.text(0.12, tall - 0.12, shown(name), fontsize=11, color=INK, va="top", parse_math=False)
    title.set_fontsize(min(11.0, 11.0 * (WIDTH - 0.24) / text_width(title)))
    total = f"{sum(map(parameters, places)):,} parameters, {sum(network.network.macs.values()):,} MACs an image"
    axes.text(0.12, tall - 0.34, total, fontsize=8.5, color=QUIET, va="top")
    left, width, height = BOX
    longest = max(max(shape[1:]) for shape in shapes(network) if len(shape) == 3)
    for number, shape in enumerate(shapes(network)):
        middle = tall - TOP - ROW * number  # of the flow
        x = left + width / 2
        if number < len(places):
            sheet.box((left, middle - FLOW / 2 - height, width, height), layer_block(number, network))
        above, below = (FLOW / 2 if number else 0.2), (FLOW / 2 if number < len(places) else 0.3)
        sheet.arrow((x, middle + above), (x, middle - below))
        what = {0: "input "}.get(number, "") + dims(shape) + (", the scores" if number == len(places) else "")
        axes.text(x + 0.12, middle, what, fontsize=8.5, color=INK, va="center")
        maps(sheet, middle, shape, longest)
    save_picture(figure, path)


def shapes(network: FloatNetwork) -> list[Shape]:
    """Of the image and of what each layer gives."""
    return [network.network.input, *network.network.outputs.values()]


def maps(sheet: Sheet, middle: float, shape: Shape, longest: int) -> None:
    """A stack of maps, to the scale of the ``longest`` side of all; of a vector a bar, longer by its logarithm."""
    from matplotlib.patches import Rectangle

    if len(shape) == 1 or shape[1:] == (1, 1):
        count, sides = 1, (0.14 * log2(max(shape[0], 2)), 0.09)
    else:
        count = min(shape[0], STACK)
        sides = max(LARGEST * shape[2] / longest, SMALLEST), max(LARGEST * shape[1] / longest, SMALLEST)
    spread = APART * (count - 1)
    for number in range(count):
        x = MIDDLE - (sides[0] + spread) / 2 + spread - APART * number
        y = middle - (sides[1] + spread) / 2 + spread - APART * number
        sheet.axes.add_patch(Rectangle((x, y), *sides, facecolor=FRONT, edgecolor=EDGE, linewidth=0.8, zorder=4))
