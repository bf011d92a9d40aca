"""Mutation: would the benches notice if one wire of one cell were wrong?

Yosys puts N seeded mutations (``mutate``: an input or output bit of a cell stuck, inverted or replaced by another) into
one netlist, each awake while a selector has its number; so one compiled simulation holds them all. The selector is a
memory of one word that a simulation reads from ``mutant.mem`` in its folder: benches know nothing of it. Number 0 wakes
none. A mutant that every test of the component's bench lets pass has survived.

A survivor may be one that nobody can observe: `equivalence` looks for a proof.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from fivebyfive.hw.codegen.verilog import Design, Port, to_verilog
from fivebyfive.hw.codegen.yosys import run_yosys
from fivebyfive.support.temporary import working_folder

__all__ = ["SELECTOR", "Mutant", "Mutated", "mutate", "mutate_machine"]

SELECTOR = "mutant"  # name of the port, of the memory that drives it, and of the file with its word
WIDTH = 16  # bits of the selector
LIMIT_S = 600  # of Yosys
# A memory's contents, and the enable and clock that an asynchronous read does not have: write_verilog stops at those.
UNWRITABLE = re.compile(r"-cell \S*(\$memrd|mem\.cc)\S* .*-port (EN|CLK|ARST|SRST) ")
# Some of what synthesis does first. Without it more mutations would be in bits that nothing reads, and a mutant would
# meet the undefined address of a memory that is not written, which simulators and hardware choose as they like. Nor may
# there be a cell of which one input at most is to be high ($pmux): Verilator stops where a mutant raises two.
READ = (
    "proc -norom", "pmuxtree", "opt_expr -mux_undef", "opt_muxtree", "opt_reduce", "wreduce", "opt_expr -mux_undef",
    "opt_dff -nodffe -nosdff", "opt_clean -purge",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """``number``: what the selector must be. ``command``: that makes it, as Yosys wrote it."""

    number: int
    command: str

    @property
    def change(self) -> str:
        """The command without the selector."""
        return self.command.partition(" -ctrl ")[0]

    def __str__(self) -> str:
        found = dict(re.findall(r"-(\w+) (\S+)", self.command))
        bit = f"{found['port']}[{found['portbit']}]"
        other = f" by its bit {found['ctrlbit']}" if "ctrlbit" in found else ""
        wire = f" ({found['wire']})" if "wire" in found else ""
        line = f", {source[1]}" if (source := re.search(r" -src (\S+?:\d+)", self.command)) else ""
        return f"{found['mode']}{other} on {found['module']}.{found['cell']} {bit}{wire}{line}"


@dataclass(frozen=True)
class Mutated:
    """``design``: the original's ports, and all mutants inside. ``original``: as it was generated."""

    design: Design
    original: Design
    mutants: tuple[Mutant, ...]

    @property
    def read(self) -> list[str]:
        """Yosys commands that read the original."""
        return reading(self.original.name)


def reading(top: str) -> list[str]:
    return [f"read_verilog {top}.v", f"hierarchy -top {top}", *READ]


def mutate(design: Design, count: int, seed: int) -> Mutated:
    """Put ``count`` mutations into a design; fewer where it has no more. Raises YosysError where Yosys fails."""
    read = reading(design.name)
    with working_folder() as folder:
        design.write(folder)
        # Twice as many, as not all can be written; the first N of a longer list are the list of N.
        listing = f"mutate -list {2 * count} -seed {seed} -o mutations t:$meminit* %n"
        run_yosys([*read, listing], folder, LIMIT_S)
        listed = [line for line in (folder / "mutations").read_text().splitlines() if not UNWRITABLE.search(line)]
        commands = [f"{line} -ctrl {SELECTOR} {WIDTH} {number}" for number, line in enumerate(listed[:count], 1)]
        inner = f"{design.name}_inner"
        run_yosys(
            [*read, *commands, f"rename {design.name} {inner}", f"write_verilog -noattr -extmem {inner}.v"],
            folder, LIMIT_S,
        )  # fmt: skip
        verilog = (folder / f"{inner}.v").read_text(encoding="ascii")
        memories = {path.name: path.read_text() for path in sorted(folder.glob(f"{inner}*.mem"))}
    memories |= design.memories  # which benches may read
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


def mutate_machine(make: Callable, count: int, seed: int) -> tuple[Mutated, dict]:
    """The mutants of one of `SMALL_MACHINES`, and the parameters of its bench."""
    component, given = make()
    return mutate(to_verilog(component, make.__name__), count, seed), given
