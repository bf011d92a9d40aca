"""The block diagram of an accelerator: what it is made of for a network and a size, with figures from the models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import CyclePlan, plan
from fivebyfive.model.machine.stages import ConvStage, stages
from fivebyfive.model.machine.weights import fc_banks, memory_depths, memory_map
from fivebyfive.model.network import Network, Pool
from fivebyfive.model.shape import FC_WORD, ceil_div, summary
from fivebyfive.support.errors import shown

from .drawing import INK, QUIET, new_figure, save_picture, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["WIDTH", "Block", "Sheet", "arrange", "blocks", "draw_diagram", "height", "stored_bytes"]

WIDTH = 10.0  # inches
EDGE = "#5d6775"
COLORS = {"memory": "#dcebfa", "compute": "#fde3c8", "control": "#eceff3"}
PANEL = "#f7f9fb"
WORKERS = {"signs": "sign adders", "powers": "shifters and adders", "xnor": "exclusive nors"}  # in place of multipliers
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
    network = config.built(network)
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


def blocks(network: Network, config: Config) -> dict[str, Block]:
    """The boxes by name; a part that the machine does not have has none."""
    network = config.built(network)
    planned, parts = plan(network, config), stages(network)
    front = conv_blocks(network, config, planned) if parts.convs else {"feeder": feeder()}
    return front | (fc_blocks(network, config, planned) if parts.fc else {}) | result_blocks(network, planned)


def feeder() -> Block:
    return Block("compute", "pixel feeder", ("a pixel a cycle", "becomes a code"))


def conv_blocks(network: Network, config: Config, planned: CyclePlan) -> dict[str, Block]:
    convs, kernel, form = stages(network).convs, config.kernel, config.engines.conv
    rows = kernel if config.windows == 1 else kernel + 1  # of windows one above the other
    words = memory_depths(network, config)["conv"]
    pes = f"{1 if config.winograd else config.windows} x {config.outputs} PEs, {config.conv_multipliers:,}"
    work = f"{pes} {WORKERS.get(form.kind, 'multipliers')}"
    sums = (
        ("partial sums of 14 bits",)
        if any(config.channel_sets(network, layer) > 1 for layer in range(len(convs)))
        else ()
    )
    sweeps = config.engines.sweeps
    order = (
        f"{sum(len(one) for layer in sweeps for one in layer):,} sweeps, zeros skipped"
        if sweeps
        else "bias, kernels, sweeps"
    )
    channels, height, width = network.input
    of_maps = f"{channels} x {height} x {width}" if channels > 1 else f"{height} x {width}"
    padding = ("and the padding",) if any(any(stage.layer.padding) for stage in convs) else ()
    longest = f"{rows} rows of {max(stage.columns for stage in convs)}"
    per_word = f"{max(config.outputs, 1)} of {config.conv_word_bytes} {'bytes' if config.winograd else 'weights'}"
    found = {
        "image": Block("memory", "image buffer", (f"2 images of {of_maps}", f"{2 * network.pixels:,} bytes")),
        "lines": Block("memory", "line buffer", (longest, f"{kernel}x{kernel} windows", *padding)),
        "array": Block("compute", "conv array", (work, work_of_windows(config), *sums)),
        "pool": Block("compute", "pooling", pool_lines(convs)),
        "kernels": Block("memory", "kernel fetcher", (per_word, "for each sweep")),
        "conv weights": Block(
            "memory", "conv weight memory", weight_lines(words, config.conv_word_bytes, network, config, "conv")
        ),
        "conv control": Block("control", "conv controller", (order, f"{planned.conv:,} cycles an image")),
    }
    if len(convs) > 1:
        found["maps"] = maps_block(convs)
    before = {stage.name: stage.before for stage in convs if stage.before}
    after = {stage.name: stage.after for stage in convs if "table" in stage.after}
    for name, steps, where in (("before", before, "before"), ("after", after, "behind")):
        if steps:
            kinds = {"table": "tables", "relu": "ReLU"}
            title = ", ".join(text for kind, text in kinds.items() if any(kind in one for one in steps.values()))
            found[name] = Block("compute", f"{title} {where}", ("the pool", f"in {names(list(steps))}"))
    return found


def work_of_windows(config: Config) -> str:
    if config.winograd:
        return f"{config.position_products} products for {config.windows} windows (Winograd)"
    return f"{config.conv_word_bytes} products a window"


def pool_lines(convs: Sequence[ConvStage]) -> tuple[str, ...]:
    """What the pooling unit does: each kind of pool, and ReLU."""
    pools = dict.fromkeys(stage.pool for stage in convs)
    lines = [pool_text(pool) for pool in pools if pool] + (["none in some layers"] if None in pools else [])
    relu = ["ReLU"] if any(stage.after == ("relu",) for stage in convs) else []
    return (*(lines if len(pools) > 1 or None not in pools else ["passes codes on"]), *relu)


def pool_text(pool: Pool) -> str:
    what = {"max": "maximum", "average": "average"}[pool.kind]
    apart = f", stride {pool.stride}" if pool.stride != pool.size else ""
    return f"{pool.size}x{pool.size} {what}{apart}"


def maps_block(convs: Sequence[ConvStage]) -> Block:
    """The memories between convolutions: one, or two that take turns."""
    inner = convs[:-1]
    largest = max(inner, key=lambda stage: prod(stage.outputs))
    count, rows, columns = largest.outputs
    sizes = [max(prod(stage.outputs) for stage in held) for held in (inner[::2], inner[1::2]) if held]
    text = " + ".join(f"{size:,}" for size in sizes)
    title = "map memory" if len(sizes) == 1 else "2 map memories"
    return Block("memory", title, (f"{clipped(largest.name)}: {count} maps of {rows} x {columns}", f"{text} bytes"))


def names(layers: Sequence[str]) -> str:
    """A few layers."""
    few = ", ".join(map(clipped, layers))
    return few if len(layers) == 1 or len(few) <= LONGEST_NAME else f"{len(layers)} layers"


def clipped(name: str) -> str:
    """A layer's name, which may be long."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def weight_lines(words: int, codes: int, network: Network, config: Config, memory: str) -> tuple[str, ...]:
    """What a weight memory holds."""
    form = config.engines.conv if memory == "conv" else config.engines.fc
    held = f"{stored_bytes(network, config)[memory]:,} bytes"
    if memory == "fc" and config.engines.words:
        return f"{words:,} words: {codes:,} weights", "and their places", held
    size = f"{words:,} words of {codes:,}" + ("" if form.narrow else " bytes")
    return (size, f"weights of {form.bits} bits: {held}") if form.narrow else (size, held)


def fc_blocks(network: Network, config: Config, planned: CyclePlan) -> dict[str, Block]:
    form, layers = config.engines.fc, stages(network).fc
    words, sets = memory_depths(network, config)["fc"], 2 if config.overlap else 1
    banks = len(fc_banks(network, config))
    what = WORKERS.get(form.kind, "multipliers")
    rows = f"{config.fc_outputs} x {config.fc_lanes} lanes, {config.fc_multipliers:,} {what}"
    tables = [layer.name for layer in layers if "table" in layer.after]
    through = (f"tables in {names(tables)}",) if tables else ()
    found = {
        "inputs": Block("memory", "activation memory", (f"{sets} x {layers[0].inputs:,} codes", "20 codes a word")),
        "rows": Block("compute", "fully-connected rows", (rows, "a word of weights a cycle", *through)),
        "fc weights": Block(
            "memory",
            "FC weight memory",
            (
                *weight_lines(words, FC_WORD * config.fc_rows, network, config, "fc"),
                *([f"{banks} banks"] * (banks > 1)),
            ),
        ),
        "fc control": Block("control", "FC controller", ("layers, addresses", f"{planned.fc:,} cycles an image")),
    }
    if hidden := [layer.outputs for layer in layers[:-1]]:
        several = f"{min(len(hidden), 2)} x " if len(hidden) > 1 else ""
        found["hidden"] = Block("memory", "hidden activations", (f"{several}{max(hidden):,} codes", "20 codes a word"))
    return found


def result_blocks(network: Network, planned: CyclePlan) -> dict[str, Block]:
    cycles = f"from last pixel: {planned.latency:,}", f"between results: {planned.interval:,}"
    return {
        "argmax": Block("compute", "argmax", (f"largest of {network.classes} logits",)),
        "counters": Block("control", "cycle counters", cycles),
    }


# Where boxes are on the sheet, in inches from the left and from the bottom: left, bottom, width, height. The data path
# goes to the right through the convolutions and comes back through the fully-connected layers.
CONV_BOXES = {
    "conv weights": (2.75, 4.68, 1.75, 0.72),
    "kernels": (4.95, 4.68, 1.45, 0.72),
    "conv control": (7.95, 4.68, 1.8, 0.72),
    "maps": (4.75, 2.55, 1.85, 0.62),
}
PATH = {"image": (1.1, 1.35), "lines": (2.9, 1.35), "array": (4.7, 1.95), "pool": (7.1, 1.3)}  # left, width
# The same with tables in front of the pooling unit or behind it:
LONG_PATH = {
    "image": (1.05, 1.25), "lines": (2.5, 1.2), "array": (3.9, 1.85), "before": (5.95, 1.1), "pool": (7.25, 1.15),
    "after": (8.65, 1.1),
}  # fmt: skip
PATH_BOTTOM, PATH_HEIGHT = 3.52, 0.8
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
LONGEST_NAME = 14  # of a layer, in a box
INNER = "inner maps", "again, for the next"  # texts of arrows, where there are several
FC_TOP = 1.92  # upper edge of the activation memory
TITLE_ROOM = WIDTH - 3.5  # inches beside the legend


def draw_diagram(path: Path, name: str, network: Network, config: Config) -> None:
    """Write the picture, PNG or SVG as the suffix says, or raise UserError. ``name``: of the checkpoint."""
    figure, axes = new_figure(WIDTH, height(network))
    arrange(Sheet(axes), name, network, config)
    save_picture(figure, path)


def height(network: Network) -> float:
    """Of the sheet, inches."""
    return 6.28 if stages(network).convs else 3.8


def arrange(sheet: "Sheet", name: str, network: Network, config: Config) -> None:
    """Draw the diagram on a sheet of WIDTH and `height`."""
    parts, found = stages(config.built(network)), blocks(network, config)
    tall = height(network)
    legend = sheet.headline(tall, headline(network, config, name))
    places = FC_BOXES | (path_boxes(found) | CONV_BOXES if parts.convs else FEEDER_BOXES)
    if parts.convs:
        sheet.panel(CONV_PANEL, "convolutions")
    sheet.panel(FC_PANEL, "fully-connected layers" if parts.fc else "result")
    for unit, block in found.items():
        sheet.unit(unit, places[unit], block)
    if parts.convs:
        conv_arrows(sheet, places, found, [stage.name for stage in parts.convs], FC_TOP if parts.fc else None)
    else:
        feeder_arrows(sheet)
    if parts.fc:
        fc_arrows(sheet, "hidden" in found)
    sheet.arrow((1.1, 1.56), (0.72, 1.56))
    sheet.outside(1.56, "logits,\nclass")
    sheet.legend(WIDTH - 0.12, legend)


def path_boxes(found: Mapping[str, Block]) -> dict[str, tuple[float, float, float, float]]:
    """Places of the boxes that codes go through, from the image to the last one."""
    row = LONG_PATH if {"before", "after"} & set(found) else PATH
    return {name: (left, PATH_BOTTOM, width, PATH_HEIGHT) for name, (left, width) in row.items()}


def headline(network: Network, config: Config, name: str) -> tuple[str, str]:
    both = stages(network).convs and stages(network).fc
    parts = f"{config.conv_multipliers:,} + {config.fc_multipliers:,} = " if both else ""
    interval = plan(network, config).interval
    about = f"{config.multipliers:,} products a cycle, {config.dsps:,} DSP blocks, {interval:,} cycles an image"
    return f"{summary(network)} ({name})", parts + about


class Sheet:
    """Boxes and arrows on axes whose units are inches."""

    def __init__(self, axes: "Axes"):
        self.axes = axes

    def headline(self, tall: float, lines: Sequence[str]) -> float:
        """A title and what is below it; the height at which there is room for the legend."""
        legend = tall - 0.2
        for number, text in enumerate(lines):
            size, color = (11, INK) if number == 0 else (8.5, QUIET)
            line = self.axes.text(
                0.12, tall - 0.12 - 0.21 * number, shown(text), fontsize=size, color=color, va="top", parse_math=False
            )
            if number == 0 and (wide := text_width(line)) > TITLE_ROOM:
                legend -= 0.2
                line.set_fontsize(min(size, size * (WIDTH - 0.24) / wide))
        return legend

    def unit(self, name: str, place: Sequence[float], block: Block) -> None:
        """The box of a unit of the machine, as `blocks` calls it."""
        self.box(place, block)

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


def conv_arrows(
    sheet: Sheet, places: Mapping[str, Sequence[float]], found: Mapping[str, Block], layers: Sequence[str],
    bottom: float | None,
) -> None:  # fmt: skip
    """``bottom``: where the arrow to the fully-connected layers ends; None: it goes to the argmax."""
    middle = PATH_BOTTOM + PATH_HEIGHT / 2
    row = [name for name in ("image", "lines", "array", "before", "pool", "after") if name in found]
    sheet.outside(middle, "pixels")
    sheet.arrow((0.72, middle), (places["image"][0], middle))
    for left, right in pairwise(row):
        x, _, width, _ = places[left]
        sheet.arrow((x + width, middle), (places[right][0], middle))
    x, _, width, _ = places["array"]
    down = min(5.675, x + width - 0.4)
    sheet.arrow((4.5, 5.04), (4.95, 5.04))
    sheet.arrow((down, 4.68), (down, PATH_BOTTOM + PATH_HEIGHT))
    last = places[row[-1]][0]
    if "maps" in found:
        first, again = (clipped(layers[0]), f"again, for {clipped(layers[1])}") if len(layers) == 2 else INNER
        back = places["lines"][0] + places["lines"][2] / 2
        sheet.arrow((last + 0.25, PATH_BOTTOM), (last + 0.25, 2.86), (6.6, 2.86), text=first,
                    at=((last + 0.25 + 6.6) / 2, 2.98))  # fmt: skip
        sheet.arrow((4.75, 2.86), (back, 2.86), (back, PATH_BOTTOM), text=again, at=((back + 4.75) / 2, 2.98))
    x, text = last + 0.8, clipped(layers[-1])
    side = 0.1 + 0.035 * len(text)
    at = (x + side if x < 9 else x - side, 2.7)
    ends = ((x, 1.56), (2.7, 1.56)) if bottom is None else ((x, 2.3), (7.9, 2.3), (7.9, bottom))
    sheet.arrow((x, PATH_BOTTOM), *ends, text=text, at=at)


def feeder_arrows(sheet: Sheet) -> None:
    sheet.outside(2.88, "pixels")
    sheet.arrow((0.72, 2.88), (6.7, 2.88))
    sheet.arrow((7.425, 2.55), (7.425, FC_TOP))


def fc_arrows(sheet: Sheet, hidden: bool) -> None:
    sheet.arrow((6.6, 1.7), (5.75, 1.7))
    sheet.arrow((4.5, 1.0), (4.5, 1.2))
    sheet.arrow((3.55, 1.56), (2.7, 1.56), text="last layer", at=(3.12, 1.68))
    if hidden:
        sheet.arrow((5.75, 1.38), (6.15, 1.38), (6.15, 0.58), (6.6, 0.58), both=True)
