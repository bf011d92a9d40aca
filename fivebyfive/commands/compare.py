"""The command compare: checkpoints side by side, as a table and as a picture."""

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint
from fivebyfive.model.data.named_sets import SUITES
from fivebyfive.model.estimates.comparison import Compared, front
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import Size
from fivebyfive.output.measurement_tables import markdown_table
from fivebyfive.output.page.page import Page, checkpoints, diagram, plotted, write_page
from fivebyfive.output.report import Rows, console
from fivebyfive.output.result_files import draw, print_report, replacing_results, result_paths, resume_hint
from fivebyfive.output.terminal import Stage, say
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import same_file

from .options.report import check_report

if TYPE_CHECKING:
    from fivebyfive.sim.jobs.compare import Comparison

__all__ = ["COLUMNS", "CompareRequest", "run_compare"]

FRONTS = {"bytes": "bytes", "cycles": "interval_cycles"}  # errors against these
COLUMNS = (
    "<checkpoint", "<network", "errors", "parameters", "not zero", "bytes", "Huffman", "MACs", "products", "cycles",
    "latency", "RAMB36", "conv w.", "fc w.", "DSP", "LUT", "nJ", "images/s", "<front", "<engines",
)  # fmt: skip
OTHERS, PREFIX = "other_errors", "other-hands-"  # a field, and what the names of further test sets begin with
BEFORE = COLUMNS.index("errors") + 1  # columns in front of those of further test sets


@dataclass(frozen=True)
class CompareRequest:
    """What compare is asked; ``scheduler``: address of a Dask cluster, None
    for ``workers`` processes here."""

    checkpoints: Sequence[Path]
    size: Size
    data: str
    rtl_images: int
    synthesis: bool
    clock_mhz: float
    scheduler: str | None
    workers: int | None
    out: Path
    force: bool = False
    report: Path | None = None


def run_compare(request: CompareRequest, as_json: bool) -> None:
    """Compare checkpoints; writes compare.json, .csv, .md, .png and .svg."""
    named = by_name(request.checkpoints)
    if request.rtl_images == 1:
        raise UserError("--rtl-images is 0, or at least 2: cycles are counted from one result to the next")
    if not 0 < request.clock_mhz < float("inf"):
        raise UserError(f"--clock is a frequency in MHz, not {request.clock_mhz:g}")
    chosen = {name: machine(path, request.size) for name, path in named.items()}
    from fivebyfive.model.compress.packing.ranges import library
    from fivebyfive.model.data.datasets import fit_images, load_test_sets
    from fivebyfive.sim.jobs.compare import compare
    from fivebyfive.sim.jobs.workers import ClusterPool, LocalPool

    library()  # what packs: asked for before the work
    check_report(request.report, request.checkpoints)
    files = result_paths(request.out, "compare", ("json", "csv", "md", "png", "svg"), request.force)
    with Stage("reading the data") as stage:
        others = load_test_sets(request.data, stage, say)
    for name, (checkpoint, _) in chosen.items():
        for which, one in others.items():
            fit_images(
                one.images[:1],
                checkpoint.network.input,
                f"compare {name} without the others, or give a set that fits with --data",
            )
            if not len(one) or one.classes > checkpoint.network.classes:
                raise UserError(f"{name} has {checkpoint.network.classes} classes, {which} {one.classes}; "
                                "give a set that fits with --data")  # fmt: skip
    data = next(iter(others))
    test = others.pop(data)
    if request.rtl_images > len(test):
        raise UserError(f"{request.data} has {len(test)} test images, fewer than --rtl-images {request.rtl_images}")
    pool = ClusterPool(request.scheduler) if request.scheduler else LocalPool(request.workers)
    with resume_hint(), Stage("comparing") as stage:
        found = compare(
            chosen, test, data, rtl_images=request.rtl_images, synthesis=request.synthesis,
            clock_mhz=request.clock_mhz, pool=pool, progress=stage, others=others,
        )  # fmt: skip
    fronts = {name: [one.name for one in front(found.rows, figure)] for name, figure in FRONTS.items()}
    report = {
        "data": request.data, "clock_mhz": request.clock_mhz, "rtl_images": request.rtl_images, "tools": found.tools,
        "results": [one.as_dict() for one in found.rows], "front": fronts,
    }  # fmt: skip
    texts = {"csv": csv_text(found.rows), "md": markdown(found.rows, fronts, notes(request, found.tools))}
    with replacing_results(files, report, texts, request.force) as pictures:
        draw("plot_compared", pictures, found.rows)
    if request.report:
        write_page(request.report, compared_page(chosen, found, fronts, notes(request, found.tools)))
    print_report(report, as_json, lambda: show(found.rows, fronts, notes(request, found.tools)), files)


def by_name(paths: Sequence[Path]) -> dict[str, Path]:
    """Name, as it is shown and written, to checkpoint. Raises UserError for a file that is given twice, and for equal
    names."""
    named: dict[str, Path] = {}
    for path in paths:
        other = named.setdefault(shown(path.stem), path)
        if other is not path:
            if same_file(other, path):
                raise UserError(f"{path} is given twice")
            raise UserError(f"{other} and {path} have the same name, {shown(path.stem)}; rename one, or copy it")
    resolved: dict[str, Path] = {}
    for path in paths:
        if (other := resolved.setdefault(os.path.realpath(path), path)) is not path:
            raise UserError(f"{other} and {path} are the same file")
    return named


def machine(path: Path, size: Size) -> tuple[Checkpoint, Config]:
    """A checkpoint and the machine that serves it best, of the size that is asked for."""
    checkpoint = load_checkpoint(path)
    try:
        return checkpoint, size.config(checkpoint)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def csv_text(rows: Sequence[Compared]) -> str:
    """All figures, a row a checkpoint."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [one.name for one in fields(Compared) if one.name != OTHERS]
    writer.writerow([*names, *(f"errors on {name}" for name in rows[0].other_errors)])
    for row in rows:
        values = row.as_dict() | {"name": shown(row.name), "engines": "; ".join(row.engines)}
        values |= values.pop(OTHERS)
        writer.writerow(["" if value is None else value for value in values.values()])
    return text.getvalue()


def columns_of(rows: Sequence[Compared]) -> list[str]:
    """`COLUMNS`, and those of further test sets."""
    return [*COLUMNS[:BEFORE], *(name.removeprefix(PREFIX) for name in rows[0].other_errors), *COLUMNS[BEFORE:]]


def cells(row: Compared, fronts: dict[str, list[str]]) -> tuple[str, ...]:
    """The texts of a row, in the order of `columns_of`."""
    lut = None if row.lut is None or row.lutram is None else row.lut + row.lutram
    counts = (row.errors, *row.other_errors.values(), row.parameters, row.nonzero_weights, row.bytes,
              row.huffman_bytes, row.macs, row.products, row.interval_cycles, row.latency_cycles, row.ramb36,
              row.conv_weights_ramb36, row.fc_weights_ramb36, row.dsp, lut)  # fmt: skip
    on = ", ".join(name for name, names in fronts.items() if row.name in names)
    figures = ("-" if count is None else f"{count:,.10g}" for count in counts)
    rest = f"{row.energy_pj / 1000:,.0f}", f"{row.images_per_s:,.0f}", on, "; ".join(row.engines) or "dense"
    return row.name, row.network, *figures, *rest


def notes(request: CompareRequest, tools: Sequence[str]) -> list[str]:
    """Where the figures come from."""
    cycles = "by the cycle model: nothing was simulated"
    if request.rtl_images:
        cycles = f"by the hardware's counters, {request.rtl_images} images simulated, their logits equal to the golden"
        cycles += " model's"
    area = "by synthesis for the 7 series; LUT with those used as RAM, conv w. and fc w. the weights' block RAM"
    others = SUITES.get(request.data, (request.data,))
    further = "; those of other sets in columns of their own (docs/command-line.md)" if len(others) > 1 else ""
    return [
        f"Errors of the test images of {shown(others[0])}{further}, by the golden model. Bytes of the packed "
        "file, and with Huffman codes alone.",
        f"Cycles {cycles}.",
        f"Block RAM, DSP and LUT {area}." if request.synthesis else "Nothing was synthesized.",
        f"nJ an image: an estimate, at 45 nm. Images a second at {request.clock_mhz:g} MHz."
        + (f" {', '.join(tools)}." if tools else ""),
    ]


def markdown(rows: Sequence[Compared], fronts: dict[str, list[str]], remarks: Sequence[str]) -> str:
    lines = markdown_table([name.lstrip("<") for name in columns_of(rows)], [plain(cells(row, fronts)) for row in rows])
    return "# Checkpoints compared\n\n" + lines + "\n" + "\n".join(remarks) + "\n"


def plain(row: Sequence[str]) -> list[str]:
    """Cells of a row of Markdown; the first is a name of the user's, which means nothing else there."""
    return [re.sub(r"([\\`*<>|\[\]])", r"\\\1", shown(row[0])), *row[1:]]


def compared_page(
    chosen: dict[str, tuple[Checkpoint, Config]], found: "Comparison", fronts: dict[str, list[str]], remarks: list[str]
) -> Page:
    """The page of --report, with the machine of each checkpoint."""
    pictures = plotted(
        "Errors against bytes and against cycles", "Checkpoints as dots, those that no other beats joined by a line",
        lambda path: draw("plot_compared", [path], found.rows),
    )  # fmt: skip
    for name, (checkpoint, config) in chosen.items():
        pictures += diagram(name, checkpoint, config)
    table, engines = compared_rows(found.rows, fronts)
    return Page(
        f"{len(chosen)} checkpoints compared", remarks, [table], pictures,
        checkpoints({name: checkpoint for name, (checkpoint, _) in chosen.items()}), found.tools,
        remarks=[f"engines of {name}: {made}" for name, made in engines.items()],
    )  # fmt: skip


def compared_rows(rows: Sequence[Compared], fronts: dict[str, list[str]]) -> tuple[Rows, dict[str, str]]:
    """A row a figure, a column a checkpoint; and the engines of each."""
    names, *figures = zip(
        (name.lstrip("<") for name in columns_of(rows)), *(cells(row, fronts) for row in rows), strict=True
    )
    *figures, engines = figures
    shown_names = [shown(name) for name in names[1:]]
    columns = (f"<{names[0]}", *(f">{name}" for name in shown_names))
    return Rows("errors, bytes and machines", columns, figures, True), dict(zip(shown_names, engines[1:], strict=True))


def show(rows: Sequence[Compared], fronts: dict[str, list[str]], remarks: Sequence[str]) -> None:
    """`compared_rows` on a terminal, as wide as they have to be; the engines below."""
    out = console()
    table, engines = compared_rows(rows, fronts)
    out.print(table.printable())
    out.print()
    for name, chosen in engines.items():
        out.print(f"engines of {name}: {chosen}")
    out.print("\n" + "\n".join(remarks))
