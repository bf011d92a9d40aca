"""The command evaluate: what checkpoints get wrong on test sets, by the golden model."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from fivebyfive.model.checkpoint import load_checkpoint
from fivebyfive.model.data.datasets import load_test_sets
from fivebyfive.model.evaluate import Evaluation, compared, evaluate
from fivebyfive.output.report import console, interval_text, show_evaluation, table
from fivebyfive.output.terminal import Stage, say
from fivebyfive.support.errors import shown

from .compare import by_name

__all__ = ["run_evaluate"]

COLUMNS = ("<set", "<checkpoint", "images", "errors", "%", "95 % interval")
AGAINST = ("the first alone", "this alone", "p")
LEGEND = "interval: of the percentage, by Wilson's formula."
AGAINST_LEGEND = (
    "the first alone, this alone: images that one of the two checkpoints gets wrong, and the other does not. p: of "
    "McNemar's test; a difference of errors with p above 0.05 may well be chance."
)


def run_evaluate(paths: Sequence[Path], data: str, as_json: bool) -> None:
    """Count errors of each checkpoint on each of the test sets that ``data`` names, and tell of them; those behind the
    first are compared with it image by image. Raises UserError."""
    networks = {path.name: load_checkpoint(path) for path in by_name(paths).values()}
    about = {
        name: {"checkpoint": name, "network": network.summary, "sha256": network.digest} | network.network.labels_member
        for name, network in networks.items()
    }
    with Stage("reading the data") as stage:
        sets = load_test_sets(data, stage, say)
        found = {
            (which, name): evaluate(network, test, stage)
            for which, test in sets.items()
            for name, network in networks.items()
        }
    first = next(iter(networks))
    if len(found) == 1:
        (seen,) = found.values()
        report = about[first] | {"data": data} | seen.as_dict()
    else:
        report = {"data": data, "checkpoints": list(about.values()), "results": results(found, first)}
    if as_json:
        click.echo(json.dumps(report))
    elif len(found) == 1:
        show_evaluation(about[first], data, seen)
    else:
        show(report["results"], found)


def results(found: dict[tuple[str, str], Evaluation], first: str) -> list[dict]:
    """Of each set and checkpoint all figures; those of a second one with ``against_first``."""
    rows = []
    for (which, name), seen in found.items():
        against = {} if name == first else {"against_first": compared(found[which, first], seen)}
        rows.append({"set": which, "checkpoint": name} | seen.as_dict() | against)
    return rows


def show(rows: Sequence[dict], found: dict[tuple[str, str], Evaluation]) -> None:
    """A row a set and checkpoint."""
    several = any("against_first" in row for row in rows)
    made = table(*COLUMNS, *(AGAINST if several else ()))
    for row, seen in zip(rows, found.values(), strict=True):
        against = row.get("against_first")
        last = (f"{against['first_alone']}", f"{against['other_alone']}", f"{against['p']:.2g}") if against else ()
        percent = f"{100 * seen.errors / seen.images:.2f}"
        cells = shown(row["set"]), shown(row["checkpoint"]), f"{seen.images:,}", f"{seen.errors:,}", percent
        made.add_row(*cells, interval_text(seen), *last)
    out = console()
    out.print(made)
    out.print(f"\n{LEGEND}")
    if several:
        out.print(AGAINST_LEGEND)
