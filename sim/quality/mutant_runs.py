"""What a component's bench says of its mutants: one compiled simulation, forked for each (`fork_runs`)."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fivebyfive.sim.simulator.builder import Build, build
from fivebyfive.sim.simulator.process import SimulationFailed, call, last_lines
from fivebyfive.sim.simulator.runner import check_results, prepare
from fivebyfive.support.temporary import working_folder

from .fork_runs import CODE, FOLDERS_VARIABLE, LOG, RESULTS
from .mutants import SELECTOR, Mutant, Mutated

__all__ = ["Tried", "try_mutants"]

RUN_LIMIT_S = 120  # of CPU, of a bench; a mutant that makes it run for so long was noticed
SEED = 1  # of every run of a bench
SAID = 200  # characters kept of what a bench said
STOPPED = ("the simulation ended prematurely", "the simulation ended early")  # by the simulator, not by the bench
NOT = 0  # the number that wakes no mutant


@dataclass(frozen=True)
class Tried:
    """A mutant and what became of it: ``noticed``, with the first line of what the bench ``said``."""

    mutant: Mutant
    noticed: bool
    said: str


def try_mutants(
    mutated: Mutated,
    bench: str,
    given: dict,
    numbers: Sequence[int] | None = None,
    on_tried: Callable[[Tried], None] = lambda tried: None,
) -> list[Tried]:
    """Run a bench on each mutant (or on some, by number), on Verilator; ``on_tried`` gets each at once.

    Raises SimulationFailed where the bench fails without a mutant: then nothing that it notices means anything.
    """  # fmt: skip
    built = build(mutated.design, "verilator")
    wanted = [mutant for mutant in mutated.mutants if numbers is None or mutant.number in numbers]
    tried: list[Tried] = []

    def take(number: int, said: str) -> None:
        if number == NOT and said:
            raise SimulationFailed(f"{mutated.design.name} fails without a mutant: {said}", Path(os.devnull))
        if number != NOT:
            tried.append(Tried(mutated.mutants[number - 1], bool(said), said))
            on_tried(tried[-1])

    with working_folder() as place:
        run_each(built, bench, given, place, [NOT, *(mutant.number for mutant in wanted)], take)
    return tried


def run_each(
    built: Build, bench: str, given: dict, folder: Path, numbers: Sequence[int], take: Callable[[int, str], None]
) -> None:
    """Give ``take`` each number, in order, with what the bench says of that mutant; empty if it passes."""
    places = [folder / str(number) for number in numbers]
    for place, number in zip(places, numbers, strict=True):
        place.mkdir()
        for name, text in built.design.memories.items():
            (place / name).write_text(text, encoding="ascii")
        (place / f"{SELECTOR}.mem").write_text(f"{number:x}\n")
    command, environment = prepare(built, f"fivebyfive.sim.quality.fork_runs,{bench}", folder, given, (), SEED, 1)
    environment[FOLDERS_VARIABLE] = json.dumps([RUN_LIMIT_S, *map(str, places)])
    outcomes = read_each(places)
    done = iter(numbers)

    def look() -> None:
        for said in outcomes:
            if said is None:
                return
            take(next(done), said)

    log = folder / LOG
    with log.open("w") as file:
        code = call(command, folder, environment, file, 10 * RUN_LIMIT_S * len(places), look)
    look()
    if left := sum(1 for _ in done):
        what = f"{built.design.name}: {left} runs did not begin, exit code {code}:"
        raise SimulationFailed("\n".join([what, *last_lines(log)]), Path(os.devnull))


def read_each(places: Sequence[Path]) -> Iterator[str | None]:
    """What the bench said in each folder, which then goes; None as often as asked while the next is not there."""
    for place in places:
        while not (place / CODE).is_file():
            yield None
        yield outcome(place)
        shutil.rmtree(place)


def outcome(place: Path) -> str:
    """What a bench said, shortened to a line; empty if it passed."""
    code = (place / CODE).read_text()
    try:
        check_results(int(code) if code else None, place / RESULTS, place / LOG, SEED, RUN_LIMIT_S)
    except SimulationFailed as failure:
        if any(words in str(failure) for words in STOPPED):  # the bench has not seen anything
            return ""
        return " ".join(str(failure).split())[:SAID]
    return ""
