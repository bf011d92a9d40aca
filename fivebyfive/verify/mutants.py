"""The mutation score: how many seeded faults of every component its bench notices; a log of it.

`make mutants` runs this as ``python -m fivebyfive.verify.mutants --log docs/mutants.log``. What a run has found out is
kept; one that was interrupted goes on. With ``--component`` only that one is tried, and the log keeps what it says of
the others: a new component takes minutes, not the hour of all.
"""

import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import click

from fivebyfive.output.provenance import Record, read
from fivebyfive.output.terminal import Commands, say
from fivebyfive.sim.quality.mutation_score import Score, score_machine
from fivebyfive.sim.quality.small_machines import SMALL_MACHINES
from fivebyfive.sim.simulator.simulators import find

from .log import log_of, log_option, tools, write_log
from .machines import verilog_inputs

__all__ = ["main"]

NEEDED = 0.98
BY_NAME = {make.__name__: make for make in SMALL_MACHINES}
COLUMNS = "{:22}  {:>7}  {:>7}  {:>10}  {:>11}  {:>7}\n"
HEADER = ("component", "mutants", "noticed", "equivalent", "unexplained", "score")
ABOUT = re.compile(r"^([^:\n]+): +(.+)$", re.M)  # a line of the head, which ends with the first empty one
ROW = re.compile(r"^(\w+) +(\d+) +(\d+) +(\d+) +\d+ +[\d.]+ %$", re.M)
SURVIVOR = re.compile(r"^((\w+) \d+: .*: (?:proved equivalent|UNEXPLAINED))$", re.M)
REMARKS = re.compile(r"^Score: .*\n((?s:.*?))\nNot noticed:$", re.M)


@dataclass(frozen=True)
class Row:
    """A component in the log: numbers of mutants, and a line for each that its bench does not notice."""

    name: str
    mutants: int
    noticed: int
    proved: int
    survivors: tuple[str, ...]

    @classmethod
    def of(cls, score: Score) -> "Row":
        lines = (
            f"{score.name} {one.mutant.number}: {one.mutant}: {'proved equivalent' if one.proved else 'UNEXPLAINED'}"
            for one in score.survivors
        )
        return cls(score.name, len(score.results), score.noticed, score.proved, tuple(lines))

    @classmethod
    def all(cls, listed: "list[Row]") -> "Row":
        """The sums of components."""
        mutants, noticed, proved = (sum(getattr(one, of) for one in listed) for of in ("mutants", "noticed", "proved"))
        return cls("all", mutants, noticed, proved, tuple(line for one in listed for line in one.survivors))

    @property
    def share(self) -> float:
        """Noticed, of those that are not proved to be the same as the original."""
        counting = self.mutants - self.proved
        return self.noticed / counting if counting else 1.0

    def text(self) -> str:
        counts = self.mutants, self.noticed, self.proved, self.mutants - self.noticed - self.proved
        return COLUMNS.format(self.name, *counts, f"{100 * self.share:.1f} %")


@click.group(name="verify-mutants", cls=Commands, invoke_without_command=True)
@log_option("build/mutants.log")
@click.option("--count", type=click.IntRange(1, 30_000), default=100, show_default=True, help="Mutants of each.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True)
@click.option(
    "--component", "names", type=click.Choice(list(BY_NAME)), multiple=True,
    help="Only this one (or these); what the log says of others stays.",
)  # fmt: skip
@click.option("--whole", is_flag=True, help="Seek no proofs by parts, which take minutes for each mutant.")
@click.pass_context
def main(context: click.Context, log: Path, count: int, seed: int, names: tuple[str, ...], whole: bool) -> None:
    """Try mutants of every component; write a log. Exit code 1 where the score is under 98 %."""
    started, said = time.monotonic(), Remarks()
    old, record = (log.read_text(), read(log)) if names and log.is_file() else ("", Record())
    tried = {}
    for name in names or BY_NAME:
        tried[name] = Row.of(score_machine(BY_NAME[name], count, seed, said, whole))
        say(tried[name].text().rstrip())
    found = rows(old) | tried
    listed = [found[name] for name in BY_NAME if name in found]
    about = tools(find("verilator").version) | {
        "mutations": f"Yosys's mutate, seed {seed}",
        "seconds": f"{time.monotonic() - started:.0f}, with what was kept of earlier runs",
    }
    if len(listed) > len(tried):
        about = dict(ABOUT.findall(old.partition("\n\n")[0])) | about | {"tried last": ", ".join(tried)}
    remarks = REMARKS.search(old)
    text = log_text(listed, about, remarks[1] if remarks else "")
    write_log(log, text + "\n" + measured(record, tried).text())
    context.exit(0 if Row.all(listed).share >= NEEDED else 1)


def rows(log: str) -> dict[str, Row]:
    """What a log says of each component."""
    survivors = SURVIVOR.findall(log)
    return {
        name: Row(name, int(tried), int(noticed), int(proved), tuple(line for line, of in survivors if of == name))
        for name, tried, noticed, proved in ROW.findall(log)
    }


def measured(record: Record, tried: Collection[str]) -> Record:
    """What the log records, given what it did: those tried are of the Verilog that there is now, and of what is no
    component any more nothing is said."""
    there = {name: of for name, of in record.inputs.items() if name.removeprefix("verilog of ") in BY_NAME}
    inputs = there | verilog_inputs(tried)
    older = [name for name in re.findall(r"\w+", record.why) if name in BY_NAME]
    left = [name for name in older if name not in tried]
    if left == older:
        return Record(inputs, record.before, record.why)
    return (
        Record(inputs, record.before, f"the Verilog of {', '.join(left)} has changed since") if left else Record(inputs)
    )


class Remarks:
    """Says how far it is, now and then."""

    EVERY_S = 15.0

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self, said: str) -> None:
        if time.monotonic() - self.last > self.EVERY_S:
            self.last = time.monotonic()
            say(said)


def log_text(listed: list[Row], about: dict[str, str], remarks: str) -> str:
    """The log: what ran, on what, a line for each component, each mutant that was not noticed. No date, no path."""
    every = Row.all(listed)
    table = [COLUMNS.format(*HEADER), *(one.text() for one in listed)]
    if len(listed) > 1:
        table.append(every.text())
    said = f"Score: noticed / (mutants - proved equivalent) = {100 * every.share:.2f} %; {NEEDED:.0%} is asked for."
    survivors = "".join(f"{line}\n" for line in every.survivors)
    return "\n".join([log_of(about), "".join(table), said, remarks, "Not noticed:", "", survivors])


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify.mutants")
