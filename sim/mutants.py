"""Mutation: would the benches notice if one wire of one cell were wrong?

Yosys puts N seeded mutations (``mutate``: an input or output bit of a cell stuck, inverted or replaced by another) into
one netlist, each awake while a selector has its number; so one compiled simulation holds them all. The selector is a
memory of one word that a simulation reads from ``mutant.mem`` in its folder: benches know nothing of it. Number 0 wakes
none. A mutant that every test of the component's bench lets pass has survived.

A survivor may be one that nobody can observe. `Mutated.equivalent` asks Yosys for a proof: registers of the mutant and
of the original are paired by name, and an inductive argument shows that they and all outputs always agree.
"""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fivebyfive.hw.verilog import Design, Port, to_verilog
from fivebyfive.hw.yosys import YosysError, run_yosys
from fivebyfive.model.temporary import working_folder

from .process import SimulationFailed
from .runner import build, run
from .specimens import bench_of

__all__ = ["Mutant", "Mutated", "Tried", "mutate", "try_mutants"]

SELECTOR = "mutant"  # name of the port, of the memory that drives it, and of the file with its word
WIDTH = 16  # bits of the selector
LIMIT_S = 600  # of Yosys
RUN_LIMIT_S = 120  # of a bench; a mutant that makes it run for so long was noticed
PROOF_LIMIT_S = 60
SEED = 1  # of every run of a bench
READ = ("hierarchy -top {top}", "proc", "opt_clean -purge")


@dataclass(frozen=True)
class Mutant:
    """``number``: what the selector must be. ``command``: that makes it, as Yosys wrote it."""

    number: int
    command: str

    def __str__(self) -> str:
        found = dict(re.findall(r"-(\w+) (\S+)", self.command))
        place = f"{found.get('module', '')}.{found.get('cell', '')}"
        return f"{self.number}: {found['mode']} {place} {found.get('port', '')}[{found.get('portbit', '0')}]"


@dataclass(frozen=True)
class Mutated:
    """``design``: the original's ports, and all mutants inside. ``original``: as it was generated."""

    design: Design
    original: Design
    mutants: tuple[Mutant, ...]

    def equivalent(self, mutant: Mutant) -> bool:
        """Whether Yosys proves that the mutant does nothing that can be observed, from any state on. False says only
        that it found no proof."""
        with working_folder() as folder:
            self.original.write(folder)
            try:
                run_yosys(equivalence(self.original.name, mutant.command), folder, PROOF_LIMIT_S)
            except YosysError:
                return False
            return True


@dataclass(frozen=True)
class Tried:
    """A mutant and what became of it: ``noticed``, with the first line of what the bench ``said``."""

    mutant: Mutant
    noticed: bool
    said: str


def mutate(design: Design, count: int, seed: int) -> Mutated:
    """Put ``count`` mutations into a design; fewer where it has no more. Raises YosysError where Yosys fails."""
    read = [f"read_verilog {design.name}.v", *(line.format(top=design.name) for line in READ)]
    with working_folder() as folder:
        design.write(folder)
        listing = f"mutate -list {count} -seed {seed} -ctrl {SELECTOR} {WIDTH} 1 -o mutations"
        run_yosys([*read, listing], folder, LIMIT_S)
        commands = (folder / "mutations").read_text().splitlines()
        inner = f"{design.name}_inner"
        run_yosys(
            [*read, *commands, f"rename {design.name} {inner}", f"write_verilog -noattr -extmem {inner}.v"],
            folder, LIMIT_S,
        )  # fmt: skip
        verilog = (folder / f"{inner}.v").read_text(encoding="ascii")
        memories = {
            path.name: path.read_text() for path in sorted(folder.glob(f"{inner}*.mem"))
        }
    verilog += wrapper(design, inner)
    mutants = tuple(Mutant(number, command) for number, command in enumerate(commands, 1))
    return Mutated(replace(design, verilog=verilog, memories=memories), design, mutants)


def wrapper(design: Design, inner: str) -> str:
    """The top module of the original's name and ports, which drives the selector."""

    def declared(port: Port) -> str:
        size = f"[{port.width - 1}:0] " if port.width > 1 else ""
        return f"  {port.direction} {size}{port.name};"

    names = [port.name for port in design.ports]
    joined = ", ".join(f".{name}({name})" for name in [*names, SELECTOR])
    return "\n".join([
        "", f"module {design.name}({', '.join(names)});", *map(declared, design.ports),
        f"  reg [{WIDTH - 1}:0] selector [0:0];",
        f'  initial $readmemh("{SELECTOR}.mem", selector);',
        f"  wire [{WIDTH - 1}:0] {SELECTOR} = selector[0];",
        f"  {inner} inner({joined});", "endmodule", "",
    ])  # fmt: skip


def equivalence(top: str, command: str) -> list[str]:
    """A Yosys script that fails unless a mutation cannot be observed."""
    plain = re.sub(rf" -ctrl {SELECTOR} \d+ \d+", "", command)
    flat = ["flatten", "memory_dff", "memory_collect", "memory_map", "opt_clean"]
    return [
        f"read_verilog {top}.v", *(line.format(top=top) for line in READ),
        "design -save start", *flat, "design -stash gold", "design -load start", plain, *flat, "design -stash gate",
        f"design -copy-from gold -as gold {top}", f"design -copy-from gate -as gate {top}",
        "equiv_make gold gate equiv", "hierarchy -top equiv", "opt_clean -purge",
        "equiv_simple -undef", "equiv_induct -undef", "equiv_status -assert",
    ]  # fmt: skip


def try_mutants(
    make: Callable, count: int, seed: int, folder: Path, numbers: Sequence[int] | None = None,
    told: Callable[[Tried], None] = lambda tried: None,
) -> tuple[Mutated, list[Tried]]:
    """Mutate a specimen and run its bench on each mutant (or on some, by number), on Verilator.

    Raises SimulationFailed where the bench fails without a mutant: then nothing that it notices means anything.
    """  # fmt: skip
    component, given = make()
    mutated = mutate(to_verilog(component, make.__name__), count, seed)
    built = build(mutated.design, "verilator")

    def attempt(number: int) -> str:
        """What the bench says of a mutant; empty if it passes."""
        place = folder / str(number)
        place.mkdir(parents=True)
        mutated.design.write(place)
        (place / f"{SELECTOR}.mem").write_text(f"{number:x}\n")
        try:
            run(built, bench_of(make), place, parameters=given, seed=SEED, timeout_s=RUN_LIMIT_S, failures=1)
        except SimulationFailed as failure:
            return " ".join(str(failure).split())[:200]
        finally:
            shutil.rmtree(place)
        return ""

    if said := attempt(0):
        raise SimulationFailed(f"{make.__name__} fails without a mutant: {said}", Path(os.devnull))
    tried = []
    for mutant in mutated.mutants:
        if numbers is None or mutant.number in numbers:
            said = attempt(mutant.number)
            tried.append(Tried(mutant, bool(said), said))
            told(tried[-1])
    return mutated, tried
