"""What a person reads at the end of a command. Machines take --json."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from fivebyfive.model.checkpoint import SHIPPED
from fivebyfive.model.description import read_network
from fivebyfive.model.evaluate import Evaluation
from fivebyfive.model.shape import summary
from fivebyfive.support.errors import shown

from .terminal import command, quoted

if TYPE_CHECKING:
    from fivebyfive.commands.simulate import Request
    from fivebyfive.model.data.images import Images
    from fivebyfive.sim.simulate import Simulation

__all__ = [
    "Rows", "class_text", "cycle_rows", "image_rows", "show_evaluation", "show_generated", "show_package",
    "show_simulation", "show_training", "training_rows",
]  # fmt: skip

MANY_IMAGES = 20  # more than these are summed up, not listed
MANY_CLASSES = 16
WIDEST = 100_000  # columns: more than any line has


def console() -> Console:
    """Standard output: what is printed is never taken for markup, and no line is broken or cut, however narrow the
    terminal is. Colours only on a terminal."""
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False, width=WIDEST)


def named(column: str) -> str:
    """A column's name without the mark of its side."""
    return column[1:] if column[:1] in ("<", ">") else column


def table(*columns: str) -> Table:
    """A table with right-aligned columns; one whose name has a "<" in front is left-aligned, and a ">" is left out. It
    is as wide as what is in it."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(named(column), justify="left" if column.startswith("<") else "right", no_wrap=True)
    return made


@dataclass(frozen=True)
class Rows:
    """A table for terminals and pages. ``columns``: as `table` takes them. ``figures_in_rows``: names of figures stand
    in front of the rows, too."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Text]]
    figures_in_rows: bool = False

    @property
    def headings(self) -> list[tuple[str, bool]]:
        """Names of the columns, and whether they are left-aligned."""
        return [(named(name), name.startswith("<")) for name in self.columns]

    @property
    def texts(self) -> list[list[str]]:
        """The cells without styles."""
        return [[str(cell) for cell in row] for row in self.rows]

    @property
    def figures(self) -> list[str]:
        """Names of what the table tells."""
        return [name for name, _ in self.headings] + [row[0] for row in self.texts if self.figures_in_rows]

    def printable(self) -> Table:
        made = table(*self.columns)
        for row in self.rows:
            made.add_row(*row)
        return made


def titled(title: str, rows: Table) -> Group:
    return Group(Text(f"\n{title}", "italic"), rows)


def equal_text(equal: bool) -> Text:
    return Text("equal", "green") if equal else Text("DIFFERENT", "bold red")


def training_rows(report: dict) -> Rows:
    """Errors and wraps at each stage of train or quantize."""
    rows = []
    names = {"float": "float network", "rounded": "naively rounded", "rescaled": "rescaled, rounded"}
    stages = [(text, report[key]) for key, text in names.items() if key in report]
    stages.append(("result", {key: report[key] for key in ("held_out", "test")}))
    for text, figures in stages:
        for key in ("held_out", "test"):
            if seen := figures[key]:
                wraps = str(sum(seen["wraps"].values())) if "wraps" in seen else "-"
                peak = str(max(seen["peak"].values())) if "peak" in seen else "-"
                images = f"{seen['images']} {key.replace('_', ' ')}"
                rows.append((text, images, str(seen["errors"]), wraps, peak))
    return Rows("errors and wraps", ("<checkpoint", "<images", "errors", "wraps", "largest code"), rows)


def show_training(report: dict, data: str) -> None:
    """The same, on the set ``data``, and where the checkpoint is."""
    out = console()
    out.print(training_rows(report).printable())
    for remark in report.get("remarks", ()):
        out.print(shown(remark))
    if "input" in report:
        out.print("The float network was given (pixel / 255 - {mean:g}) / {std:g}.".format(**report["input"]))
    made = Path(report["out"])
    out.print(f"\n{report['shape']} in {shown(made)}, after {report['seconds']:.0f} s with seed {report['seed']}.")
    on = () if data == "mnist" else ("--data", Path(data))
    out.print(f"Next: {command('evaluate', made, *on)}; {command('simulate', made)}")


def show_evaluation(about: dict, data: str, result: Evaluation) -> None:
    """Errors, confusion and wraps of the golden model."""
    out = console()
    rate = 100 * result.errors / result.images
    out.print(f"{shown(about['checkpoint'])} ({about['network']}) on {shown(data)}: {result.images} test images")
    out.print(f"errors: {result.errors} ({rate:.2f} %), 95 % interval {interval_text(result)} %\n")
    layers = table("<layer", "wraps", "largest code")
    for layer, wraps in result.wraps.items():
        layers.add_row(layer, str(wraps), str(result.peak[layer]))
    out.print(layers)
    classes = len(result.confusion)
    if classes <= MANY_CLASSES:
        out.print()
        rows = table("<label \\ class", *map(str, range(classes)))
        for label, counts in enumerate(result.confusion):
            rows.add_row(
                class_text(label, about.get("labels")),
                *(confusion_cell(label, n, int(c)) for n, c in enumerate(counts)),
            )
        out.print(rows)


def interval_text(result: Evaluation) -> str:
    """The 95 % interval of the errors, in percent."""
    low, high = (100 * share for share in result.interval)
    return f"{low:.2f} to {high:.2f}"


def class_text(number: int, labels: Sequence[str] | None) -> str:
    """A class, with its label where the network has some."""
    return f"{number} {shown(labels[number])}" if labels and number < len(labels) else str(number)


def confusion_cell(label: int, answer: int, count: int) -> Text:
    if not count:
        return Text(".", "dim")
    return Text(str(count), "green" if label == answer else "red")


def show_generated(checkpoint: Path, folder: Path, paths: list[Path], manifest: dict) -> None:
    """What was written, and what to do with it."""
    out = console()
    rows = table("<file", "bytes", "<what it is")
    kinds = {".v": "Verilog, all modules", ".mem": "contents of a memory, for $readmemh"}
    for path in paths:
        what = kinds.get(path.suffix, "ports, memory map, hashes")
        rows.add_row(shown(path), f"{path.stat().st_size:,}", what)
    out.print(rows)
    out.print(f"\nTop module {manifest['top']}: {network_text(manifest)}, {size_text(manifest)}.")
    of = () if checkpoint == SHIPPED else (checkpoint,)
    out.print(f"Next: {command('simulate', *of, '--verilog', folder)}")
    out.print("Or add the files to a synthesis project (docs/vivado.md).")


def show_package(folder: Path, paths: list[Path], manifest: dict) -> None:
    """What was written for Vivado, and what to do with it."""
    out = console()
    rows = table("<file", "bytes")
    for path in paths:
        rows.add_row(shown(path), f"{path.stat().st_size:,}")
    out.print(rows)
    out.print(f"\nIP core {manifest['top']}: {network_text(manifest)}, {size_text(manifest)}.")
    out.print(f"Next: {shown(folder / 'README.md')} tells how Vivado takes it, and what was not tried.")


def network_text(manifest: dict) -> str:
    """The network in a few words."""
    return summary(read_network(manifest["checkpoint"]["network"]))


def size_text(manifest: dict) -> str:
    """Multipliers of both engines, and DSP blocks where they are fewer."""
    products, blocks = ("{conv} + {fc}".format(**manifest[name]) for name in ("multipliers", "dsps"))
    made = f"; {'; '.join(manifest['engines'])}" if manifest["engines"] else ""
    return f"{products} multipliers" + (f" in {blocks} DSP blocks" if blocks != products else "") + made


def show_simulation(report: dict, images: "Images", result: "Simulation", request: "Request") -> None:
    """Cycles of each phase, a line for each image if they are few, and where the first difference is."""
    out = console()
    what = f"{report['network']} of {shown(report['checkpoint'])}, {shown(images.source)}, seed {report['seed']}"
    out.print(f"{report['simulator_version']}: {what}")
    if report.get("netlist"):
        out.print(f"after synthesis for {report['netlist']}: {sum(report['cells'].values()):,} cells")
    if result.images and result.images <= MANY_IMAGES:
        out.print(image_table(images, result, report.get("labels")))
    if result.images:
        out.print(cycle_table(report))
    verdict = f"{images_text(report['images'])}, every value of {', '.join(report['layers_compared'])}: "
    out.print(Text(f"\n{verdict}").append(equal_text(report["equal"])))
    if report["engines"]:
        out.print(f"engines for these weights: {'; '.join(report['engines'])}")
    if report["errors"] is not None:
        out.print(f"{report['errors']} of {images_text(report['images'])} in another class than the label")
    if result.speed:
        out.print(
            f"{report['images_per_second']:,.1f} images a second, {report['cycles_per_second']:,} simulated cycles a "
            f"second; {100 * report['python_share']:.0f} % of the time in Python"
        )
    if result.coverage:
        out.print(coverage_text(report["coverage"]))
    for line in footnotes(report, result, request):
        out.print(line)


def coverage_text(coverage: dict) -> str:
    """What of the Verilog a run exercised."""
    blocks, toggles = (
        f"{one['seen']:,} of {one['all']:,} {what} ({100 * one['seen'] / one['all']:.1f} %)"
        for one, what in (
            (coverage["blocks"], "blocks ran"),
            (coverage["toggles"], "risings and fallings of bits seen"),
        )
    )
    return f"coverage of the Verilog: {blocks}, {toggles}; --json lists the bits that never toggled"


def images_text(count: int) -> str:
    return f"{count:,} image{'s' if count != 1 else ''}"


def image_table(images: "Images", result: "Simulation", labels: Sequence[str] | None) -> Group:
    """`image_rows` on a terminal."""
    rows = image_rows(images, result, labels)
    return titled(rows.title, rows.printable())


def image_rows(images: "Images", result: "Simulation", labels: Sequence[str] | None) -> Rows:
    """A row an image: name, label, class, equal or not, cycles."""
    from fivebyfive.sim.simulate import COUNTERS  # here, where a simulation has loaded it: an estimate needs no HDL

    counted = result.counters[: result.images]
    engines = [name for name in ("conv", "fc") if counted[:, COUNTERS.index(name)].any()]
    columns = ("<image", "label", "class", "<RTL and golden model", *engines, "interval")
    rows: list[Sequence[str | Text]] = []
    for index in range(result.images):
        differs = result.difference is not None and result.difference.image == index
        label = "-" if images.labels is None else class_text(int(images.labels[index]), labels)
        cycles = dict(zip(COUNTERS, (f"{value:,}" for value in result.counters[index]), strict=True))
        counters = [*(cycles[name] for name in engines), cycles["interval"] if index else "-"]
        answer = class_text(int(result.classes[index]), labels)
        rows.append((shown(images.names[index]), label, answer, equal_text(not differs), *counters))
        if differs:
            break
    return Rows("images and their cycles", columns, rows)


def cycle_table(report: dict) -> Group:
    """`cycle_rows` on a terminal."""
    rows = cycle_rows(report)
    return titled(rows.title, rows.printable())


def cycle_rows(report: dict) -> Rows:
    """The four clocks beside the arithmetic's limit; none of an engine that the machine does not have."""
    rows: list[Sequence[str | Text]] = []
    interval = report["interval_cycles"]
    for engine in ("conv", "fc"):
        if limit := report[f"{engine}_limit_cycles"]:
            rows.append((engine, f"{report[f'{engine}_cycles']:,}", f"{limit:,}", "first to last busy cycle"))
    rows.append(("latency", f"{report['latency_cycles']:,}", "", "last pixel accepted to result valid, first image"))
    if interval is not None:
        used = f"{report['products_a_cycle']:.1f} products a cycle, skipped ones counted"
        if report["utilization"]:
            used = f"{100 * report['utilization']:.0f} % of {report['multipliers']} multipliers in use"
        rows.append(("interval", f"{interval:,.0f}", "", f"between results; {used}"))
    return Rows("clocks (hardware counters)", ("<clock", "cycles", "limit", "<what it counts"), rows, True)


def footnotes(report: dict, result: "Simulation", request: "Request") -> list[str]:
    """What lies where, and what to do about a difference."""
    lines = []
    if report["out"]:
        lines.append(f"logits in {shown(report['out'])}")
    if result.difference:
        lines.append(f"first difference: {result.difference}")
        if not request.waves:
            lines.append("To see it in a waveform, run the same command with --waves.")
    if report["waves"]:
        folder = Path(report["waves"]).parent
        lines.append(f"waveform in {shown(report['waves'])}; open it with: cd {quoted(folder)} && gtkwave waves.gtkw")
    return lines
