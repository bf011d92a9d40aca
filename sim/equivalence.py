"""Proving that a mutation cannot be observed.

Yosys makes one circuit of the original and the mutant: both get the same inputs, any that `contracts` allow, and a
reset in the first cycle; ``differ`` is high where an output differs afterwards that counts then. ABC then proves that
``differ`` is never high: signals that are always equal are found by induction, what is left is for property-directed
reachability.
"""

import importlib.util
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from fivebyfive.hw.verilog import Design, Port
from fivebyfive.hw.yosys import YosysError, run_yosys

from .contracts import ASSUMED, COUNTS

__all__ = ["Prover", "method"]

YOSYS_LIMIT_S = 300
PROOF_LIMIT_S = 60
RESETS = {"rst": "", "aresetn": "!"}  # and what makes them high in a reset
CLOCKS = ("clk", "aclk")
CIRCUIT = (
    "memory_map", "opt_expr", "opt_clean", "wreduce", "opt_expr", "opt_clean", "async2sync",
    "setundef -undriven -init -zero", "simplemap", "techmap", "dffunmap", "simplemap", "aigmap", "opt_clean",
    "delete t:$scopeinfo", "write_aiger -zinit both.aig",
)  # fmt: skip
ABC = (
    "&r both.aig", "&scl", "&lcorr", "&scorr", "&scorr -F 2", "&put", "write_aiger left.aig",
    f"pdr -T {PROOF_LIMIT_S}",
)  # fmt: skip


class Prover:
    """Proofs about the mutations of a design that Yosys commands ``read`` read; a context, as it keeps files."""

    def __init__(self, design: Design, read: list[str]):
        self.design, self.read = design, read

    def __enter__(self) -> "Prover":
        self.place = tempfile.TemporaryDirectory(prefix="fivebyfive-")
        self.folder = Path(self.place.name)
        self.design.write(self.folder)
        (self.folder / "both.v").write_text(both(self.design))
        run_yosys([*self.read, "write_rtlil start.il"], self.folder, YOSYS_LIMIT_S)
        return self

    def __exit__(self, *_) -> None:
        self.place.cleanup()

    def equivalent(self, mutation: str) -> bool:
        """Whether it is proved that a mutation (a command of Yosys, without its -ctrl) can never be observed. False
        says only that no proof was found in a minute or so.

        The module with the mutation is tried alone first: if nothing changes at its ports, whatever happens there,
        nothing does anywhere.
        """
        if re.search(r" -port (CLK|clk|aclk) ", mutation):
            return False  # AIGER has no clocks: it would all be the same
        module = re.search(r" -module (\S+)", mutation)[1]
        scripts = [alone(module, mutation)] if module != self.design.name else []
        return any(map(self.proved, [*scripts, whole(self.design.name, mutation)]))

    def proved(self, script: list[str]) -> bool:
        """Whether ABC proves that the output of what a script writes is never high."""
        left = self.folder / "left.aig"
        left.unlink(missing_ok=True)
        try:
            run_yosys(script, self.folder, YOSYS_LIMIT_S)
            said = subprocess.run(
                [abc(), "-q", "; ".join(ABC)], cwd=self.folder, capture_output=True, text=True,
                timeout=YOSYS_LIMIT_S, check=False,
            ).stdout  # fmt: skip
        except (YosysError, subprocess.TimeoutExpired):
            return False
        return "Property proved" in said or never(left)


def method(design: Design) -> list[str]:
    """All that a proof's outcome depends on but the design and the mutation."""
    return [both(design), *alone("", ""), *whole(design.name, ""), *ABC]


def never(path: Path) -> bool:
    """Whether the output of a circuit is constant zero: then there is nothing left for `pdr` to prove."""
    if not path.is_file():
        return False
    header, output = path.read_bytes().split(b"\n", 2)[:2]
    _, _, _, latches, outputs, ands = header.split()[:6]
    return (latches, outputs, ands, output) == (b"0", b"1", b"0", b"0")


def whole(top: str, mutation: str) -> list[str]:
    """Yosys commands that write the circuit of a design and its mutant, put together by `both`."""
    join = [
        "read_verilog both.v", "design -copy-from gold gold", "design -copy-from gate gate", "hierarchy -top both",
        "proc", "flatten",
    ]  # fmt: skip
    return [*sides(top, mutation), *join, *CIRCUIT]


def alone(module: str, mutation: str) -> list[str]:
    """The same for one module, from its first cycle on, with all its outputs."""
    join = [
        "design -copy-from gold gold", "design -copy-from gate gate", "miter -equiv -flatten gold gate both",
        "hierarchy -top both",
    ]  # fmt: skip
    return [*sides(module, mutation), *join, *CIRCUIT]


def sides(top: str, mutation: str) -> list[str]:
    """Commands that keep the original as ``gold`` and the mutant as ``gate``."""
    flat = ["flatten", "memory_dff", "memory_collect", "opt_clean"]
    return [
        "read_rtlil start.il", f"hierarchy -top {top}", "design -save start",
        *flat, f"rename {top} gold", "design -stash gold",
        "design -load start", mutation, *flat, f"rename {top} gate", "design -stash gate",
    ]  # fmt: skip


def both(design: Design) -> str:
    """The module that compares them."""
    inputs = [port for port in design.ports if port.direction == "input"]
    outputs = [port for port in design.ports if port.direction == "output"]
    lines = [f"module both({', '.join(port.name for port in inputs)}, differ);", *map(declared, inputs)]
    lines += ["  output differ;", "  reg begun = 0;"]
    (clock,) = (port.name for port in inputs if port.name in CLOCKS)
    lines += [f"  always @(posedge {clock}) begun <= 1;"]
    for side in ("gold", "gate"):
        lines += [f"  wire [{port.width - 1}:0] {side}_{port.name};" for port in outputs]
        pins = [f".{port.name}({driven(port)})" for port in inputs]
        pins += [f".{port.name}({side}_{port.name})" for port in outputs]
        lines += [f"  {side} {side}({', '.join(pins)});"]
    names = {port.name for port in outputs}
    assumed = on_gold(ASSUMED.get(design.name, "1"), names)
    lines += ["  reg kept = 1;", f"  wire holds = kept & ({assumed});"]
    lines += [f"  always @(posedge {clock}) kept <= holds | !begun;"]
    terms = [f"(({counts(design.name, port, names)}) & (gold_{port.name} != gate_{port.name}))" for port in outputs]
    return "\n".join([*lines, f"  assign differ = begun & holds & ({' | '.join(terms)});", "endmodule", ""])


def declared(port: Port) -> str:
    return f"  {port.direction} [{port.width - 1}:0] {port.name};"


def driven(port: Port) -> str:
    """What an input gets: a reset in the first cycle at least."""
    if port.name not in RESETS:
        return port.name
    sign = RESETS[port.name]
    return f"{sign}({sign}{port.name} | !begun)"


def counts(top: str, port: Port, outputs: set[str]) -> str:
    """When an output counts."""
    valid = re.sub("_payload$", "_valid", port.name)
    stream = valid if valid != port.name and valid in outputs else "1"
    return on_gold(COUNTS.get(top, {}).get(port.name, stream), outputs)


def on_gold(condition: str, outputs: set[str]) -> str:
    """A condition on ports, with the original's outputs."""
    return re.sub(r"[a-z]\w*", lambda name: f"gold_{name[0]}" if name[0] in outputs else name[0], condition)


def abc() -> str:
    """The program that comes with Yosys."""
    package = importlib.util.find_spec("pyosys")
    folder = Path(package.submodule_search_locations[0]) if package else Path()
    path = folder / "yosys-abc"
    return str(path) if path.is_file() else shutil.which("yosys-abc") or "yosys-abc"
