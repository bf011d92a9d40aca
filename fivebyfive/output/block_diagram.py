"""The block diagram of an accelerator: what it is made of for a network and a size, with figures from the models."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import CyclePlan, plan
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.weights import fc_banks, memory_depths, memory_map
from fivebyfive.model.network import Network
from fivebyfive.model.shape import CONV_WORD, FC_WORD, IMAGE, KERNEL, PIXELS, LeNetShape, ceil_div
from fivebyfive.support.errors import shown

from .drawing import INK, QUIET, new_figure, save_picture, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Block", "blocks", "draw_diagram", "stored_bytes"]

WIDTH = 10.0  # inches
EDGE = "#5d6775"
COLORS = {"memory": "#dcebfa", "compute": "#fde3c8", "control": "#eceff3"}
PANEL = "#f7f9fb"
KINDS = {"memory": "memory", "compute": "arithmetic", "control": "control"}


@dataclass(frozen=True)
class Block:
    """A box: its ``kind`` (memory, compute or control), ``title`` and the ``lines`` below it."""

    kind: str
    title: str
    lines: tuple[str, ...]


def stored_bytes(network: Network, config: Config) -> dict[str, int]:
    """Bytes of each weight memory as it is built, by its name, rounded up: a weight that is stored as the number of a
    value takes the bits of that number, a place in a lane those of the lane's last place."""
    held = {"conv": 0, "fc": 0}
    place = max((ceil_div(max((one.inputs for one in stages(network).fc), default=1), FC_WORD) - 1).bit_length(), 1)
    for region in memory_map(network, config):
        form = config.engines.conv if region.memory == "conv" else config.engines.fc
        codes = config.conv_word_bytes if region.memory == "conv" else config.fc_multipliers
        if region.memory == "fc" and config.engines.words:
            bits = codes * (8 + place) + 1 if region.is_weight else config.fc_rows * 8
        else:
            bits = codes * (form.bits if region.is_weight else 8)
        held[region.memory] += region.words * bits
    return {memory: ceil_div(bits, 8) for memory, bits in held.items()}


def blocks(shape: LeNetShape, config: Config) -> dict[str, Block]:
    """The boxes by name."""
    planned = plan(shape.network, config)
    found = {} if shape.has_convolutions else {"feeder": feeder()}
    if shape.has_convolutions:
        found |= conv_blocks(shape, config, planned)
    return found | fc_blocks(shape, config, planned)


def feeder() -> Block:
    return Block("compute", "pixel feeder", ("a pixel a cycle", "becomes a code"))


def conv_blocks(shape: LeNetShape, config: Config, planned: CyclePlan) -> dict[str, Block]:
    rows = KERNEL if config.windows == 1 else KERNEL + 1  # of windows one above the other
    form = config.engines.conv
    words = memory_depths(shape.network, config)["conv"]
    maps = shape.conv1 * shape.pool1_out**2
    pes = f"{config.windows} x {config.outputs} PEs, {config.conv_multipliers:,}"
    work = f"{pes} sign adders" if form.kind == "signs" else f"{pes} multipliers"
    sweeps = config.engines.sweeps
    order = (
        f"{sum(len(one) for layer in sweeps for one in layer):,} sweeps, zeros skipped"
        if sweeps
        else "bias, kernels, sweeps"
    )
    return {
        "image": Block("memory", "image buffer", (f"2 images of {IMAGE} x {IMAGE}", f"{2 * PIXELS:,} bytes")),
        "lines": Block("memory", "line buffer", (f"{rows} rows of {IMAGE}", "5x5 windows")),
        "array": Block("compute", "conv array", (work, "25 products a window", "partial sums of 14 bits")),
        "pool": Block("compute", "pooling", ("2x2 maximum", "ReLU")),
        "kernels": Block("memory", "kernel fetcher", (f"{max(config.outputs, 1)} of 25 weights", "for each sweep")),
        "conv weights": Block("memory", "conv weight memory", weight_lines(words, CONV_WORD, shape, config, "conv")),
        "maps": Block("memory", "map memory", (f"conv1: {shape.conv1} maps of 12 x 12", f"{maps:,} bytes")),
        "conv control": Block("control", "conv controller", (order, f"{planned.conv:,} cycles an image")),
    }


def weight_lines(words: int, codes: int, shape: LeNetShape, config: Config, memory: str) -> tuple[str, ...]:
    """What a weight memory holds."""
    form = config.engines.conv if memory == "conv" else config.engines.fc
    held = f"{stored_bytes(shape.network, config)[memory]:,} bytes"
    if memory == "fc" and config.engines.words:
        return f"{words:,} words: {codes:,} weights", "and their places", held
    size = f"{words:,} words of {codes:,}" + ("" if form.narrow else " bytes")
    return (size, f"weights of {form.bits} bits: {held}") if form.narrow else (size, held)


def fc_blocks(shape: LeNetShape, config: Config, planned: CyclePlan) -> dict[str, Block]:
    form = config.engines.fc
    words, sets = memory_depths(shape.network, config)["fc"], 2 if config.overlap else 1
    banks = len(fc_banks(shape.network, config))
    what = "sign adders" if form.kind == "signs" else "multipliers"
    rows = f"{config.fc_outputs} x {config.fc_lanes} lanes, {config.fc_multipliers:,} {what}"
    found = {
        "inputs": Block("memory", "activation memory", (f"{sets} x {shape.fc_inputs[0]:,} codes", "20 codes a word")),
        "rows": Block("compute", "fully-connected rows", (rows, "a word of weights a cycle")),
        "fc weights": Block(
            "memory",
            "FC weight memory",
            (*weight_lines(words, FC_WORD * config.fc_rows, shape, config, "fc"), *([f"{banks} banks"] * (banks > 1))),
        ),
        "argmax": Block("compute", "argmax", (f"largest of {shape.classes} logits",)),
        "fc control": Block("control", "FC controller", ("layers, addresses", f"{planned.fc:,} cycles an image")),
        "counters": Block(
            "control",
            "cycle counters",
            (f"from last pixel: {planned.latency:,}", f"between results: {planned.interval:,}"),
        ),
    }
    if hidden := shape.fc[:-1]:
        several = f"{min(len(hidden), 2)} x " if len(hidden) > 1 else ""
        found["hidden"] = Block("memory", "hidden activations", (f"{several}{max(hidden):,} codes", "20 codes a word"))
    return found


# Where boxes are on the sheet, in inches from the left and from the bottom: left, bottom, width, height. The data path
# goes to the right through the convolutions and comes back through the fully-connected layers.
CONV_BOXES = {
    "conv weights": (2.75, 4.68, 1.75, 0.72),
    "kernels": (4.95, 4.68, 1.45, 0.72),
    "conv control": (7.95, 4.68, 1.8, 0.72),
    "image": (1.1, 3.52, 1.35, 0.8),
    "lines": (2.9, 3.52, 1.35, 0.8),
    "array": (4.7, 3.52, 1.95, 0.8),
    "pool": (7.1, 3.52, 1.3, 0.8),
    "maps": (4.75, 2.55, 1.85, 0.62),
}
FC_BOXES = {
    "argmax": (1.1, 1.2, 1.6, 0.72),
    "rows": (3.55, 1.2, 2.2, 0.72),
    "inputs": (6.6, 1.2, 1.65, 0.72),
    "counters": (1.1, 0.22, 1.8, 0.72),
    "fc weights": (3.55, 0.22, 1.9, 0.78),
    "hidden": (6.6, 0.22, 1.65, 0.72),
    "fc control": (8.38, 1.2, 1.4, 0.72),
}
FEEDER_BOXES = {"feeder": (6.7, 2.55, 1.45, 0.66)}
CONV_PANEL, FC_PANEL = (0.92, 2.4, 8.98, 3.28), (0.92, 0.08, 8.98, 2.1)


def draw_diagram(path: Path, name: str, shape: LeNetShape, config: Config) -> None:
    """Write the picture, PNG or SVG as the suffix says, or raise UserError. ``name``: of the checkpoint."""
    tall = 6.28 if shape.has_convolutions else 3.8
    figure, axes = new_figure(WIDTH, tall)
    sheet = Sheet(axes)
    planned = plan(shape.network, config)
    for number, text in enumerate(headline(shape, config, planned, name)):
        size, color = (11, INK) if number == 0 else (8.5, QUIET)
        axes.text(
            0.12, tall - 0.12 - 0.21 * number, shown(text), fontsize=size, color=color, va="top", parse_math=False
        )
    places = FC_BOXES | (CONV_BOXES if shape.has_convolutions else FEEDER_BOXES)
    if shape.has_convolutions:
        sheet.panel(CONV_PANEL, "convolutions")
    sheet.panel(FC_PANEL, "fully-connected layers")
    for name, block in blocks(shape, config).items():
        sheet.box(places[name], block)
    (conv_arrows if shape.has_convolutions else feeder_arrows)(sheet)
    fc_arrows(sheet, bool(shape.fc[:-1]))
    sheet.legend(WIDTH - 0.12, tall - 0.2)
    save_picture(figure, path)


def headline(shape: LeNetShape, config: Config, planned: CyclePlan, name: str) -> tuple[str, str]:
    parts = f"{config.conv_multipliers:,} + {config.fc_multipliers:,}" if shape.has_convolutions else ""
    products = f"{parts} = {config.multipliers:,}" if parts else f"{config.multipliers:,}"
    about = f"{products} products a cycle, {config.dsps:,} DSP blocks, {planned.interval:,} cycles an image"
    return f"{shape} ({name})", about


class Sheet:
    """Boxes and arrows on axes whose units are inches."""

    def __init__(self, axes: "Axes"):
        self.axes = axes

    def panel(self, place: Sequence[float], title: str) -> None:
        x, y, _, height = place
        self.patch(place, PANEL, "#c3cad3", 0)
        self.axes.text(x + 0.1, y + height - 0.08, title, fontsize=8.5, color=QUIET, va="top", style="italic")

    def box(self, place: Sequence[float], block: Block) -> None:
        """A box; its text gets smaller until it fits."""
        x, y, width, height = place
        self.patch(place, COLORS[block.kind], EDGE, 2, "--" if block.kind == "control" else "-")
        step = min(0.165, (height - 0.06) / (len(block.lines) + 1))
        top = y + height / 2 + step * len(block.lines) / 2
        for number, text in enumerate((block.title, *block.lines)):
            weight, color = ("bold", INK) if number == 0 else ("normal", "#343d4a")
            line = self.axes.text(
                x + width / 2, top - step * number, text, parse_math=False, fontsize=8, ha="center", va="center",
                weight=weight, color=color, zorder=4,
            )  # fmt: skip
            room, wide = width - 0.14, text_width(line)
            line.set_fontsize(min(8.0, 8.0 * room / wide) if number == 0 else min(7.5, 8.0 * room / wide))

    def patch(self, place: Sequence[float], fill: str, edge: str, zorder: int, style: str = "-") -> None:
        from matplotlib.patches import FancyBboxPatch

        x, y, width, height = place
        shape = "round,pad=0,rounding_size=0.07"
        self.axes.add_patch(FancyBboxPatch(
            (x, y), width, height, shape, facecolor=fill, edgecolor=edge, linewidth=1.0, zorder=zorder, linestyle=style
        ))  # fmt: skip

    def arrow(
        self,
        *points: tuple[float, float],
        text: str = "",
        at: tuple[float, float] | None = None,
        both: bool = False,
    ) -> None:
        """An arrow along points; ``text`` stands at ``at``."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path as Line

        self.axes.add_patch(FancyArrowPatch(
            path=Line(points), arrowstyle="<|-|>" if both else "-|>", color=INK, linewidth=1.1, mutation_scale=9,
            zorder=3, joinstyle="round",
        ))  # fmt: skip
        if text:
            x, y = at or points[0]
            self.axes.text(x, y, text, fontsize=7.5, color=QUIET, ha="center", va="center", style="italic", zorder=4)

    def outside(self, y: float, text: str) -> None:
        """What goes in or out, at the left."""
        self.axes.text(0.4, y, text, fontsize=8.5, color=INK, ha="center", va="center")

    def legend(self, right: float, y: float) -> None:
        for kind, text in reversed(KINDS.items()):
            right -= 0.085 * len(text)
            self.axes.text(right, y, text, fontsize=7.5, color=QUIET, va="center")
            right -= 0.24
            self.patch((right, y - 0.06, 0.18, 0.12), COLORS[kind], EDGE, 2, "--" if kind == "control" else "-")
            right -= 0.14


def conv_arrows(sheet: Sheet) -> None:
    middle = 3.92
    sheet.outside(middle, "pixels")
    sheet.arrow((0.72, middle), (1.1, middle))
    sheet.arrow((2.45, middle), (2.9, middle))
    sheet.arrow((4.25, middle), (4.7, middle))
    sheet.arrow((6.65, middle), (7.1, middle))
    sheet.arrow((4.5, 5.04), (4.95, 5.04))
    sheet.arrow((5.675, 4.68), (5.675, 4.32))
    sheet.arrow((7.35, 3.52), (7.35, 2.86), (6.6, 2.86), text="conv1", at=(7.0, 2.98))
    sheet.arrow((4.75, 2.86), (3.575, 2.86), (3.575, 3.52), text="again, for conv2", at=(4.17, 2.98))
    sheet.arrow((7.9, 3.52), (7.9, 1.92), text="conv2", at=(8.2, 2.86))


def feeder_arrows(sheet: Sheet) -> None:
    sheet.outside(2.88, "pixels")
    sheet.arrow((0.72, 2.88), (6.7, 2.88))
    sheet.arrow((7.425, 2.55), (7.425, 1.92))


def fc_arrows(sheet: Sheet, hidden: bool) -> None:
    sheet.arrow((6.6, 1.7), (5.75, 1.7))
    sheet.arrow((4.5, 1.0), (4.5, 1.2))
    sheet.arrow((3.55, 1.56), (2.7, 1.56), text="last layer", at=(3.12, 1.68))
    sheet.arrow((1.1, 1.56), (0.72, 1.56))
    sheet.outside(1.56, "logits,\nclass")
    if hidden:
        sheet.arrow((5.75, 1.38), (6.15, 1.38), (6.15, 0.58), (6.6, 0.58), both=True)
