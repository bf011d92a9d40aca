"""Pages that hold figures: which command writes each, and which Verilog and checkpoints its figures are of.

`make figures` runs all these commands. ``python -m fivebyfive.verify.figures`` lists the pages and says which were
measured before; ``before`` marks one, ``record`` notes what was measured where the command that wrote a page does not.
Each page has the digests of what was measured (`provenance`); tests/test_figures.py compares them with what is
generated now.
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint
from fivebyfive.output.provenance import Record, checkpoint_input, read, write
from fivebyfive.output.terminal import Commands

from .machines import AXI, CHECKPOINTS, COMPONENTS, COMPRESSED, LENET, SIZED, SIZED_EARLY, verilog_inputs

__all__ = ["BY_HAND", "PAGES", "Page", "checkpoint_inputs", "differences", "main"]


@dataclass(frozen=True)
class Page:
    """``path``: from the repository's root. ``target``: of the Makefile, that writes it. ``takes``: about how long that
    takes on two cores. ``machines``: whose Verilog the figures are of. ``checkpoints``: the figures are of."""

    path: str
    target: str
    takes: str
    machines: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """Of the inputs that the page records."""
        verilog = (f"verilog of {machine}" for machine in self.machines)
        return {*verilog, *(f"checkpoint {checkpoint}" for checkpoint in self.checkpoints)}


ONLY_LENET = (SHIPPED.stem,)
FOUR_PES = next(name for name in SIZED if "100 + 20" in name)

PAGES = (
    Page("docs/demo.png", "picture", "a minute", (LENET,), ONLY_LENET),
    Page("docs/registers.md", "registers", "seconds"),
    Page("docs/schedule.md", "schedule", "seconds"),
    Page("docs/studio-speed.log", "studio-speed", "two minutes", (LENET, FOUR_PES), ONLY_LENET),
    Page("docs/coverage.log", "coverage", "10 minutes", (*COMPONENTS, LENET), ONLY_LENET),
    Page("docs/verify-axi.log", "verify-axi", "5 minutes", tuple(AXI), ONLY_LENET),
    Page("docs/verify-netlist.log", "verify-netlist", "10 minutes", (LENET,), ONLY_LENET),
    Page("docs/verify-sizes.log", "verify-sizes", "15 minutes", (*SIZED, *SIZED_EARLY), ONLY_LENET),
    Page("docs/verify-100-20.log", "verify-100-20", "25 minutes", (FOUR_PES,), ONLY_LENET),
    Page("docs/verify-all.log", "verify-all", "45 minutes", (LENET,), ONLY_LENET),
    Page("docs/compressed/compare.json", "compressed", "30 minutes", (LENET, *COMPRESSED), CHECKPOINTS),
    Page("docs/performance.md", "bench", "an hour or two", tuple(SIZED)),
    Page("docs/mutants.log", "mutants", "an hour", tuple(COMPONENTS)),
    Page("docs/fuzz.log", "fuzz", "10 minutes"),
    Page("docs/faults.log", "faults", "an hour"),
    Page("docs/status.md", "status", "seconds"),  # the last one: it is made of the logs
)
# Not by `make figures`: another processor or PyTorch gives another network. The log is of the one that ships.
BY_HAND = (Page("docs/training.log", "train", "15 minutes", (), ONLY_LENET),)


def checkpoint_inputs(names: Iterable[str]) -> dict[str, str]:
    """What pages record of checkpoints that ship."""
    paths = [SHIPPED.with_name(f"{name}.npz") for name in names]
    found = [checkpoint_input(path.stem, load_checkpoint(path)) for path in paths]
    return {name: digest for each in found for name, digest in each.items()}


def differences(record: Record, now: Mapping[str, str]) -> list[str]:
    """The inputs that a page's figures are not of, though nothing says so; ``now``: their digests as they are."""
    if record.before:
        return []
    return [name for name, digest in now.items() if record.inputs.get(name) != digest]


@click.group(cls=Commands, invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """List the pages that hold figures: what writes each, and whether it was measured before a change."""
    if context.invoked_subcommand is None:
        for page in (*PAGES, *BY_HAND):
            click.echo(f"{page.path:30} make {page.target:16} {page.takes:16} {state(Path(page.path))}".rstrip())


def state(path: Path) -> str:
    """What is to be said of a page: that it is not there, or was measured before a change."""
    if not path.is_file():
        return "not there yet"
    record = read(path)
    return f"measured before: {record.before}, {record.why}" if record.before else ""


PATH = click.argument("path", type=click.Choice([page.path for page in (*PAGES, *BY_HAND)]))


@main.command()
@PATH
def record(path: str) -> None:
    """Note on a page, which has just been written, the Verilog and the checkpoints as they are."""
    record_page(named(path))


@main.command()
@PATH
@click.argument("date", type=click.DateTime(["%Y-%m-%d"]))
@click.argument("why")
def before(path: str, date: datetime.datetime, why: str) -> None:
    """Mark a page: it was measured on DATE, and is no longer what would be measured."""
    mark_page(named(path), f"{date:%Y-%m-%d}", why)


def named(path: str) -> Page:
    return next(page for page in (*PAGES, *BY_HAND) if page.path == path)


def record_page(page: Page) -> None:
    write(Path(page.path), Record(verilog_inputs(page.machines) | checkpoint_inputs(page.checkpoints)))


def mark_page(page: Page, date: str, why: str) -> None:
    """``date``: ISO. What the page records as measured stays."""
    write(Path(page.path), Record(read(Path(page.path)).inputs, date, why))


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify.figures")
