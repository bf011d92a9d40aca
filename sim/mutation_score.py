"""How many mutants of a component its bench notices; what nobody can observe is proved and does not count.

Every outcome is kept as soon as it is known (`cache`), under a hash of all that it depends on: the mutants, the bench
and every module of this package that the bench imports. So a run that was interrupted goes on where it was, and after a
change only those components are tried again that it concerns.
"""

import ast
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .cache import cache_folder, content_key, keep, known
from .equivalence import Prover, method
from .mutant_runs import RUN_LIMIT_S, SEED, Tried, try_mutants
from .mutants import Mutant, Mutated, mutate_specimen
from .simulators import find
from .specimens import bench_of

__all__ = ["Judged", "Score", "judge"]

PACKAGE = "fivebyfive"


@dataclass(frozen=True)
class Judged:
    """A mutant: ``noticed`` by the bench, or ``proved`` to be none that anybody could notice, or neither."""

    mutant: Mutant
    noticed: bool
    proved: bool


@dataclass(frozen=True)
class Score:
    """The mutants of a component."""

    name: str
    judged: tuple[Judged, ...]

    @property
    def noticed(self) -> int:
        return sum(one.noticed for one in self.judged)

    @property
    def proved(self) -> int:
        return sum(one.proved for one in self.judged)

    @property
    def unexplained(self) -> int:
        return len(self.judged) - self.noticed - self.proved

    @property
    def survivors(self) -> list[Judged]:
        return [one for one in self.judged if not one.noticed]


class Kept(dict):
    """A dictionary of JSON values that is on disk after every change."""

    def __init__(self, name: str, parts: list[str]):
        self.path = cache_folder("mutants") / f"{name}-{content_key(parts)}.json"
        super().__init__(known(self.path) or {})

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        keep(self.path, dict(self))


def judge(make: Callable, count: int, seed: int, told: Callable[[str], None] = lambda said: None) -> Score:
    """Try ``count`` mutants of a specimen, and prove what can be proved of those that its bench lets pass."""
    mutated, given = mutate_specimen(make, count, seed)
    tried = tried_before_or_now(mutated, bench_of(make), given, told)
    survivors = [mutant for mutant in mutated.mutants if not tried[str(mutant.number)]]
    proofs = Kept(f"{make.__name__}-proofs", [mutated.original.verilog, *mutated.read, *method(mutated.original)])
    if missing := [mutant for mutant in survivors if mutant.change not in proofs]:
        with Prover(mutated.original, mutated.read) as prover:
            for mutant in missing:
                proofs[mutant.change] = prover.equivalent(mutant.change)
                told(f"{make.__name__}: proofs sought for {len(proofs)} of {len(survivors)}")
    judged = [Judged(one, one not in survivors, one in survivors and proofs[one.change]) for one in mutated.mutants]
    return Score(make.__name__, tuple(judged))


def tried_before_or_now(mutated: Mutated, bench: str, given: dict, told: Callable[[str], None]) -> dict[str, str]:
    """What the bench said of each mutant, by its number."""
    about = [mutated.design.verilog, *mutated.design.memories.values(), json.dumps(given), find("verilator").version]
    kept = Kept(mutated.design.name, [*about, f"{SEED} {RUN_LIMIT_S}", *sources(bench)])
    missing = [mutant.number for mutant in mutated.mutants if str(mutant.number) not in kept]

    def note(tried: Tried) -> None:
        kept[str(tried.mutant.number)] = tried.said
        told(f"{mutated.design.name}: tried {len(kept)} of {len(mutated.mutants)}")

    if missing:
        try_mutants(mutated, bench, given, missing, note)
    return kept


def sources(module: str) -> list[str]:
    """The source of a module and of all that it imports of this package, in the order of their names."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        spec = None if name in found else importlib.util.find_spec(name)
        if spec is None or not spec.origin:
            continue
        found[name] = Path(spec.origin).read_text()
        waiting += imported(found[name], name if spec.submodule_search_locations else name.rpartition(".")[0])
    return [found[name] for name in sorted(found)]


def imported(source: str, package: str) -> list[str]:
    """Modules of this package that a source imports, wherever in it; ``package``: what its dots count from."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.partition(".")[0] == PACKAGE and is_module(name)]


def is_module(name: str) -> bool:
    """Whether it is a module, and not something in one."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what it would be inside is none
        return False
