"""How many mutants of a component its bench notices; what nobody can observe is proved and does not count.

Every outcome is kept as soon as it is known (`cache`), under a hash of all that it depends on: the mutants, the tools,
the bench and every module of this package that the bench and its run import (`sources`). So a run that was interrupted
goes on where it was, and after a change only those components are tried again that it concerns.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from fivebyfive.sim.jobs import sources
from fivebyfive.sim.jobs.job import conform, installed
from fivebyfive.sim.simulator.cache import cache_folder, content_key, keep, known
from fivebyfive.sim.simulator.simulators import find

from . import assumptions, equivalence, mutant_runs, part_proofs, renamed_words
from .equivalence import Prover, method
from .mutant_runs import Tried, try_mutants
from .mutants import Mutant, Mutated, mutate_machine
from .part_proofs import PartProver, part_method
from .renamed_words import RenamingProver
from .small_machines import bench_of

__all__ = ["MutantResult", "Score", "score_machine"]


@dataclass(frozen=True)
class MutantResult:
    """A mutant: ``noticed`` by the bench, or ``proved`` to be none that anybody could notice, or neither."""

    mutant: Mutant
    noticed: bool
    proved: bool


@dataclass(frozen=True)
class Score:
    """The mutants of a component."""

    name: str
    results: tuple[MutantResult, ...]

    @property
    def noticed(self) -> int:
        return sum(one.noticed for one in self.results)

    @property
    def proved(self) -> int:
        return sum(one.proved for one in self.results)

    @property
    def unexplained(self) -> int:
        return len(self.results) - self.noticed - self.proved

    @property
    def survivors(self) -> list[MutantResult]:
        return [one for one in self.results if not one.noticed]


class Kept(dict):
    """A dictionary from texts to values of a type that is on disk after every change."""

    def __init__(self, name: str, parts: list[str], of: type):
        self.path = cache_folder("mutants") / f"{name}-{content_key(parts)}.json"
        super().__init__(known(self.path, lambda kept: conform(kept, dict.fromkeys(kept, of))) or {})

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        keep(self.path, dict(self))


def score_machine(
    make: Callable, count: int, seed: int, say: Callable[[str], None] = lambda said: None, whole: bool = False
) -> Score:
    """Try ``count`` mutants of a small machine, and prove what can be proved of those that its bench lets pass.
    ``whole``: without proofs by parts, which take minutes each."""
    mutated, given = mutate_machine(make, count, seed)
    tried = bench_results(mutated, bench_of(make), given, say)
    survivors = [mutant for mutant in mutated.mutants if not tried[str(mutant.number)]]
    proved = proofs_of(mutated, survivors, say, whole)
    results = [MutantResult(one, one not in survivors, one in proved) for one in mutated.mutants]
    return Score(make.__name__, tuple(results))


def proofs_of(mutated: Mutated, survivors: list[Mutant], say: Callable[[str], None], whole: bool) -> list[Mutant]:
    """Those of which it is proved that nobody can observe them: as a whole (`equivalence`), which takes least, or else,
    unless ``whole``, by parts (`renamed_words`, `part_proofs`). What was proved before counts in any case."""
    name, about = mutated.original.name, [mutated.original.verilog, *mutated.read]
    own = part_method(mutated.original.verilog)
    kinds: dict[str, tuple[Callable[[Prover], Any], list[str]]] = {
        "proofs": (lambda prover: prover, proving(equivalence, method(mutated.original))),
        "words": (RenamingProver, proving(renamed_words, own)),
        "parts": (PartProver, proving(part_proofs, own)),
    }
    sought = ["proofs"] if whole else list(kinds)
    kept = {kind: Kept(f"{name}-{kind}", [*about, *how], bool) for kind, (_, how) in kinds.items()}

    def proved(mutant: Mutant) -> bool:
        return any(kept[kind].get(mutant.change, False) for kind in kinds)

    def known(mutant: Mutant) -> bool:
        return proved(mutant) or all(mutant.change in kept[kind] for kind in sought)

    if missing := [mutant for mutant in survivors if not known(mutant)]:
        with Prover(mutated.original, mutated.read) as prover:
            provers = {kind: make(prover) for kind, (make, _) in kinds.items() if kind in sought}
            for kind, prover in provers.items():
                for number, mutant in enumerate(missing, len(survivors) - len(missing) + 1):
                    if not known(mutant) and mutant.change not in kept[kind]:
                        kept[kind][mutant.change] = prover.equivalent(mutant.change)
                    say(f"{name}: {kind} tried for {number} of {len(survivors)}")
    return [mutant for mutant in survivors if proved(mutant)]


def bench_results(mutated: Mutated, bench: str, given: dict, say: Callable[[str], None]) -> dict[str, str]:
    """What the bench said of each mutant, by its number."""
    about = [mutated.design.verilog, *mutated.design.memories.values(), json.dumps(given), find("verilator").version,
             f"cocotb {installed('cocotb')}"]  # fmt: skip
    kept = Kept(mutated.design.name, [*about, sources.digest(bench, mutant_runs.__name__)], str)
    missing = [mutant.number for mutant in mutated.mutants if str(mutant.number) not in kept]

    def note(tried: Tried) -> None:
        kept[str(tried.mutant.number)] = tried.said
        say(f"{mutated.design.name}: tried {len(kept)} of {len(mutated.mutants)}")

    if missing:
        try_mutants(mutated, bench, given, missing, note)
    return kept


def proving(module: ModuleType, method: list[str]) -> list[str]:
    """All that the outcome of a proof depends on beside the design and the mutation. What `assumptions` says of other
    designs is no part of it."""
    own = sources.digest(module.__name__, without=(assumptions.__name__,))
    return [*method, f"pyosys {installed('pyosys')}", own]
