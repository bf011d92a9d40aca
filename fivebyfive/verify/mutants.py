"""The mutation score: how many seeded faults of every component its bench notices; a log of it.

`make mutants` runs this as ``python -m fivebyfive.verify.mutants --log docs/mutants.log``. What a run has found out is
kept; one that was interrupted goes on.
"""

import time
from pathlib import Path

import click

from fivebyfive.output.provenance import lines
from fivebyfive.output.terminal import Commands, say
from fivebyfive.sim.quality.mutation_score import MutantResult, Score, score_machine
from fivebyfive.sim.quality.small_machines import SMALL_MACHINES
from fivebyfive.sim.simulator.simulators import find

from .log import log_of, log_option, tools, write_log
from .machines import verilog_inputs

__all__ = ["main"]

NEEDED = 0.98
BY_NAME = {make.__name__: make for make in SMALL_MACHINES}
COLUMNS = "{:20}  {:>7}  {:>7}  {:>10}  {:>11}  {:>7}\n"
HEADER = ("component", "mutants", "noticed", "equivalent", "unexplained", "score")


@click.group(name="verify-mutants", cls=Commands, invoke_without_command=True)
@log_option("build/mutants.log")
@click.option("--count", type=click.IntRange(1, 30_000), default=100, show_default=True, help="Mutants of each.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True)
@click.option("--component", "names", type=click.Choice(list(BY_NAME)), multiple=True, help="Only this one (or these).")
@click.pass_context
def main(context: click.Context, log: Path, count: int, seed: int, names: tuple[str, ...]) -> None:
    """Try mutants of every component; write a log. Exit code 1 where the score is under 98 %."""
    started, said = time.monotonic(), Remarks()
    scores = []
    for name in names or BY_NAME:
        scores.append(score_machine(BY_NAME[name], count, seed, said))
        say(row(scores[-1]).rstrip())
    text = log_text(scores, seed, time.monotonic() - started)
    text += "\n" + lines(verilog_inputs(score.name for score in scores))
    write_log(log, text)
    context.exit(0 if share(scores) >= NEEDED else 1)


class Remarks:
    """Says how far it is, now and then."""

    EVERY_S = 15.0

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self, said: str) -> None:
        if time.monotonic() - self.last > self.EVERY_S:
            self.last = time.monotonic()
            say(said)


def share(scores: list[Score]) -> float:
    """Noticed, of those that are not proved to be the same as the original."""
    counting = sum(len(score.results) - score.proved for score in scores)
    return sum(score.noticed for score in scores) / counting if counting else 1.0


def log_text(scores: list[Score], seed: int, seconds: float) -> str:
    """The log: what ran, on what, a line for each component, each mutant that was not noticed. No date, no path."""
    about = tools(find("verilator").version) | {
        "mutations": f"Yosys's mutate, seed {seed}",
        "seconds": f"{seconds:.0f}, with what was kept of earlier runs",
    }
    table = [COLUMNS.format(*HEADER), *map(row, scores)]
    if len(scores) > 1:
        everything = Score("all", tuple(one for score in scores for one in score.results))
        table.append(row(everything))
    said = f"Score: noticed / (mutants - proved equivalent) = {100 * share(scores):.2f} %; {NEEDED:.0%} is asked for."
    return "\n".join([log_of(about), "".join(table), said, "", "Not noticed:", "", "".join(map(survivors, scores))])


def row(score: Score) -> str:
    counts = (len(score.results), score.noticed, score.proved, score.unexplained)
    return COLUMNS.format(score.name, *counts, f"{100 * share([score]):.1f} %")


def survivors(score: Score) -> str:
    return "".join(line(score.name, one) for one in score.survivors)


def line(name: str, one: MutantResult) -> str:
    return f"{name} {one.mutant.number}: {one.mutant}: {'proved equivalent' if one.proved else 'UNEXPLAINED'}\n"


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify.mutants")
