"""How many mutants of a component its bench notices; what nobody can observe is proved and does not count.

Every outcome is kept as soon as it is known (`cache`), under a hash of all that it depends on: the mutants, the tools,
the bench and every module of this package that the bench and its run import (`sources`). So a run that was interrupted
goes on where it was, and after a change only those components are tried again that it concerns.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fivebyfive.sim.jobs import sources
from fivebyfive.sim.jobs.job import conform, installed
from fivebyfive.sim.simulator.cache import cache_folder, content_key, keep, known
from fivebyfive.sim.simulator.simulators import find

from . import assumptions, equivalence, mutant_runs
from .equivalence import Prover, method
from .mutant_runs import Tried, try_mutants
from .mutants import Mutant, Mutated, mutate_machine
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


def score_machine(make: Callable, count: int, seed: int, say: Callable[[str], None] = lambda said: None) -> Score:
    """Try ``count`` mutants of a small machine, and prove what can be proved of those that its bench lets pass."""
    mutated, given = mutate_machine(make, count, seed)
    tried = bench_results(mutated, bench_of(make), given, say)
    survivors = [mutant for mutant in mutated.mutants if not tried[str(mutant.number)]]
    proofs = Kept(f"{make.__name__}-proofs", [mutated.original.verilog, *mutated.read, *proving(mutated)], bool)
    if missing := [mutant for mutant in survivors if mutant.change not in proofs]:
        with Prover(mutated.original, mutated.read) as prover:
            for mutant in missing:
                proofs[mutant.change] = prover.equivalent(mutant.change)
                say(f"{make.__name__}: proofs sought for {len(proofs)} of {len(survivors)}")
    results = [
        MutantResult(one, one not in survivors, one in survivors and proofs[one.change]) for one in mutated.mutants
    ]
    return Score(make.__name__, tuple(results))


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


def proving(mutated: Mutated) -> list[str]:
    """All that the outcome of a proof depends on beside the design and the mutation. What `assumptions` says of other
    designs is no part of it."""
    own = sources.digest(equivalence.__name__, without=(assumptions.__name__,))
    return [*method(mutated.original), f"pyosys {installed('pyosys')}", own]
