"""Proving that a mutation cannot be observed.

Yosys makes one circuit of the original and the mutant: both get the same inputs, any that `assumptions` allow, and a
reset in the first cycle; ``differ`` is high where an output differs afterwards that counts then. ABC then proves that
``differ`` is never high: signals that are always equal are found by induction, what is left is for property-directed
reachability.

Memories are cut out first (`memory_cut`): a proof without them is much smaller. And the module with the mutation is
tried alone first, in all its cycles and with all its outputs: if nothing changes at its ports, nothing does anywhere.
"""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from fivebyfive.hw.codegen.verilog import Design, Port
from fivebyfive.hw.codegen.yosys import YosysError, run_yosys
from fivebyfive.support.temporary import working_folder

from .assumptions import ASSUMED, COUNTS, MANY_PRODUCTS, NOT_NEGATIVE, STATE
from .memory_cut import Circuit, read_circuit

__all__ = ["Prover", "method"]

LIMIT_S = 120  # of Yosys or ABC
REACH_S = 80  # of property-directed reachability, in all attempts at a proof together
MOST_BITS = 10_000  # of memories that are not cut out
CODE_BITS = 8
RESETS = {"rst": "", "aresetn": "!"}  # and what makes them high in a reset
CLOCKS = ("clk", "aclk")
SIDE = ("flatten", "memory_collect")
CIRCUIT = (
    "hierarchy -top both", "proc", "flatten", "memory_map", "opt_expr", "opt_clean", "wreduce", "opt_expr", "opt_clean",
    "async2sync", "setundef -undriven -init -zero", "simplemap", "techmap", "dffunmap", "simplemap", "aigmap",
    "delete t:$scopeinfo", "write_aiger -zinit both.aig",
)  # fmt: skip
ABC = (
    "&r both.aig", "&scl", "&lcorr", "&scorr", "&scorr -F 2", "&put", "write_aiger left.aig", "pdr -T {seconds}",
)  # fmt: skip


class Prover:
    """Proofs about the mutations of a design that Yosys commands ``read`` read; a context, as it keeps files."""

    def __init__(self, design: Design, read: list[str]):
        self.design, self.read = design, read
        self.originals: dict[str, Circuit] = {}

    def __enter__(self) -> "Prover":
        with ExitStack() as stack:
            self.folder = stack.enter_context(working_folder())
            self.design.write(self.folder)
            run_yosys([*self.read, "write_rtlil start.il"], self.folder, LIMIT_S)
            self.start = (self.folder / "start.il").read_text()
            self.files = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.files.close()

    def equivalent(self, mutation: str) -> bool:
        """Whether it is proved that a mutation (a command of Yosys, without its -ctrl) can never be observed. False
        says only that no proof was found in a minute or so.
        """
        if re.search(r" -port (CLK|clk|aclk) ", mutation):
            return False  # AIGER has no clocks: it would all be the same
        found = re.search(r" -module (\S+)", mutation)
        assert found, mutation
        module = found[1]
        tops = list(dict.fromkeys([module, self.design.name]))
        try:
            sides = {top: self.sides(top, mutation) for top in tops}
            attempts = [(top, cut) for top in tops for cut in (True, False) if possible(sides[top][0], cut)]
            return any(self.proved(top, *sides[top], cut, REACH_S // len(attempts)) for top, cut in attempts)
        except (YosysError, subprocess.TimeoutExpired):
            return False

    def sides(self, top: str, mutation: str) -> tuple[Circuit, Circuit]:
        """A module and all in it, as one: the original and the mutant."""
        if top not in self.originals:
            self.originals[top] = self.circuit(top, [], "gold")
        return self.originals[top], self.circuit(top, [mutation], "gate")

    def circuit(self, top: str, change: list[str], name: str) -> Circuit:
        start = self.start
        for mutation in change:
            start = without_initial_value(start, mutation)
        (self.folder / "changed.il").write_text(start)
        commands = ["read_rtlil changed.il", *change, f"hierarchy -top {top}", *SIDE, f"rename {top} {name}"]
        run_yosys([*commands, "write_rtlil side.il"], self.folder, LIMIT_S)
        return read_circuit((self.folder / "side.il").read_text())

    def proved(self, top: str, gold: Circuit, gate: Circuit, cut: bool, seconds: int) -> bool:
        """Whether ABC proves that nothing differs."""
        whole = top == self.design.name
        zeros = zeros_of(gold, NOT_NEGATIVE.get(top, ())) if cut and whole else {}
        sides = (gold.without_memories(zeros), gate.without_memories(zeros)) if cut else (gold, gate)
        if self.design.name in MANY_PRODUCTS:
            sides = sides[0].without_products(), sides[1].without_products()
        if sides[0].ports != sides[1].ports:
            return False
        for side, name in zip(sides, ("gold", "gate"), strict=True):
            (self.folder / f"{name}.il").write_text(side.text)
        (self.folder / "both.v").write_text(both(sides[0].ports, top if whole else None, masks(gold, zeros)))
        (self.folder / "left.aig").unlink(missing_ok=True)
        run_yosys(["read_rtlil gold.il", "read_rtlil gate.il", "read_verilog both.v", *CIRCUIT], self.folder, LIMIT_S)
        commands = "; ".join(ABC).format(seconds=seconds)
        said = subprocess.run(
            [abc(), "-q", commands], cwd=self.folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
        ).stdout
        return "Property proved" in said or never(self.folder / "left.aig")


def without_initial_value(rtlil: str, mutation: str) -> str:
    """The modules without the initial value, if it is zero, of the wire's bit that a register no longer drives: a
    mutation of its output puts a cell between the two, and Yosys stops where what a cell drives has an initial value.
    The register then has none, which is zero in a proof."""
    found = re.search(r" -module (\S+) .* -port Q .* -wire (\S+) -wirebit (\d+)", mutation)
    if not found:
        return rtlil
    begin = rtlil.index(f"\nmodule \\{found[1]}\n")
    end = rtlil.index("\nend\n", begin)
    wire = rf"(?:  attribute .*\n)*  wire .*\\{re.escape(found[2])}\n"
    initial = rf"(  attribute \\init \d+'[01x]*)0([01x]{{{found[3]}}}\n{wire})"
    return rtlil[:begin] + re.sub(initial, r"\1x\2", rtlil[begin:end]) + rtlil[end:]


def possible(gold: Circuit, cut: bool) -> bool:
    """Whether there is something to cut out; or else whether all the memories are few enough bits."""
    return bool(gold.memories) if cut else gold.bits <= MOST_BITS


def method(design: Design) -> list[str]:
    """All that a proof's outcome depends on but the design and the mutation."""
    names = [*NOT_NEGATIVE.get(design.name, ()), *(["products"] if design.name in MANY_PRODUCTS else [])]
    limits = f"{MOST_BITS} {REACH_S}"
    return [both(design.ports, design.name), both(design.ports, None), *names, *SIDE, *CIRCUIT, *ABC, limits]


def zeros_of(circuit: Circuit, names: Sequence[str]) -> dict[int, str]:
    """The highest bits of all codes of the memories with such names: masks of a word in binary, by the memories'
    numbers (`memory_cut`)."""
    return {
        number: format(1 << CODE_BITS - 1, f"0{CODE_BITS}b") * (int(memory["WIDTH"]) // CODE_BITS)
        for number, memory in enumerate(circuit.memories)
        if any(name in memory["MEMID"] for name in names) and "1" not in memory["INIT"].partition("'")[2]
    }


def masks(circuit: Circuit, zeros: Mapping[int, str]) -> dict[str, str]:
    """Bits that are only ever zero, of what memories read and of what is written: masks in Verilog, by the names of the
    ports."""
    found = {}
    for number, word in zeros.items():
        for kind, count in (("read", "RD_PORTS"), ("data", "WR_PORTS")):
            bits = word * int(circuit.memories[number][count])
            found[f"cut_{number}_{kind}"] = f"{len(bits)}'b{bits}"
    return found


def never(path: Path) -> bool:
    """Whether the output of a circuit is constant zero: then there is nothing left for `pdr` to prove."""
    if not path.is_file():
        return False
    header, output = path.read_bytes().split(b"\n", 2)[:2]
    _, _, _, latches, outputs, ands = header.split()[:6]
    return (latches, outputs, ands, output) == (b"0", b"1", b"0", b"0")


def both(ports: Sequence[Port], top: str | None, signs: Mapping[str, str] = {}) -> str:
    """A module that compares ``gold`` and ``gate``: as small machine ``top``, or in every cycle and with every output.

    Memories that were cut out read as zero at ``signs``: nothing else was ever written there, which is proved as well.
    """
    inputs = [port for port in ports if port.direction == "input"]
    outputs = [port for port in ports if port.direction == "output"]
    names = {port.name for port in outputs}
    clock = next((port.name for port in inputs if port.name in CLOCKS), "")
    lines = [f"module both({', '.join(port.name for port in inputs)}, differ);", *map(declared, inputs)]
    lines += ["  output differ;", f"  reg begun = {int(top is None)};", "  reg kept = 1;"]
    for side in ("gold", "gate"):
        lines += [f"  wire [{port.width - 1}:0] {side}_{port.name};" for port in outputs]
        pins = [f".{port.name}({driven(port, top, signs)})" for port in inputs]
        pins += [f".{port.name}({side}_{port.name})" for port in outputs]
        lines += [f"  {side} {side}({', '.join(pins)});"]
    lines += [f"  {on_gold(line, names)}" for line in STATE.get(top or "", [])]
    lines += [f"  wire holds = kept & ({on_gold(ASSUMED.get(top or '', '1'), names)});"]
    if clock:
        lines += [f"  always @(posedge {clock}) begun <= 1;", f"  always @(posedge {clock}) kept <= holds | !begun;"]
    terms = [f"(({counts(top, port, names)}) & (gold_{port.name} != gate_{port.name}))" for port in outputs]
    terms += [f"(|(gold_{port} & {mask}))" for port, mask in signs.items() if port in names]
    return "\n".join([*lines, f"  assign differ = holds & ({' | '.join(terms)});", "endmodule", ""])


def declared(port: Port) -> str:
    return f"  {port.direction} [{port.width - 1}:0] {port.name};"


def driven(port: Port, top: str | None, signs: Mapping[str, str]) -> str:
    """What an input gets: a reset in the first cycle at least, if it is that of a small machine."""
    if port.name in signs:
        return f"{port.name} & ~{signs[port.name]}"
    if top is None or port.name not in RESETS:
        return port.name
    sign = RESETS[port.name]
    return f"{sign}({sign}{port.name} | !begun)"


def counts(top: str | None, port: Port, outputs: set[str]) -> str:
    """When an output counts. What goes to a memory does so in the first cycle too."""
    if port.name.startswith("cut_"):
        return "1"
    valid = re.sub("_payload$", "_valid", port.name)
    stream = valid if top and valid != port.name and valid in outputs else "1"
    return f"begun & ({on_gold(COUNTS.get(top or '', {}).get(port.name, stream), outputs)})"


def on_gold(condition: str, outputs: set[str]) -> str:
    """A condition on ports, with the original's outputs."""
    return re.sub(r"[a-z]\w*", lambda name: f"gold_{name[0]}" if name[0] in outputs else name[0], condition)


def abc() -> str:
    """The program that comes with Yosys."""
    package = importlib.util.find_spec("pyosys")
    folder = Path(*package.submodule_search_locations) if package and package.submodule_search_locations else Path()
    path = folder / "yosys-abc"
    return str(path) if path.is_file() else shutil.which("yosys-abc") or "yosys-abc"
