"""Proving that a mutation in a part of a machine cannot be observed, where the part alone may differ.

`equivalence` asks of the module with the mutation that no output ever differs, or else proves the whole machine at
once, which is too large for ABC where a counter of one part is held back by another part. Here the machine is taken
apart. A part is a module of the machine, with all that is in it. Its outputs count always, but for the payload of a
stream, which counts while it is valid. What the machine promises a part stands in `assumptions`: a condition on the
part's ports that holds in every cycle. ABC proves two claims:

1. Of the part: given the same inputs, any that keep the promise, the original and the mutant of the part differ in no
   output that counts.
2. Of the machine: the original keeps the promise. And the rest of it, the machine without the part, does the same if
   the part's outputs are changed, in any way, while they do not count: its outputs that count are the same, and what it
   gives the part.

Then the mutant machine cannot be told from the original one. For any inputs of the machine, take what the original
gives its part. It keeps the promise (2), so the mutant part answers it with the same outputs, but for what does not
count (1); and to these the rest answers as it did, with the same inputs of the part and the same outputs of the machine
(2). So this is a behaviour of the mutant machine. It has no other one, as it has no combinational loop, which is
checked: what is in its registers decides what follows.

Where no output of the part ever differs, whatever its inputs are, the first claim is enough. All copies of the part are
taken out at once. Memories and multipliers are cut out as in `equivalence`: what these read and compute may be
anything; in the first claim they are left in where it is not proved without them. Unlike there, a memory may be read at
another address, as long as it is written the same: then what the mutant reads may be anything, too.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fivebyfive.hw.codegen.verilog import Port
from fivebyfive.hw.codegen.yosys import YosysError, run_yosys

from .assumptions import PROMISES, Promise
from .equivalence import ABC, CIRCUIT, CLOCKS, Prover, abc, counts, declared, driven, never, possible
from .memory_cut import Circuit, Lines

__all__ = ["PartProver", "part_method"]

LIMIT_S = 300  # of Yosys or ABC
SECONDS = {"part": 100, "around": 20, "machine": 120}  # of property-directed reachability, in an attempt
FIRST_PORT = 2_000_000  # beyond those that a module has and those that `memory_cut` adds
PORTS = 1_000  # of a part, at most
INSTANCE = re.compile(r"(?:^  attribute .*\n)*^  cell \\(\S+) \S+\n((?:    .*\n)*)  end\n", re.M)
CONNECTION = re.compile(r"    connect \\(\S+) (.*)")
DECLARED = re.compile(r"^(?:reg|wire) (?:\[[^]]*\] )?(\w+)")
NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Rest:
    """A machine without a part. ``circuit``: inputs and outputs of copy n of the part are ports of the name
    ``part_n_NAME``, with the direction turned. ``copies``: how many of them there are."""

    circuit: Circuit
    copies: int


class PartProver:
    """Proofs about the parts of the machine that a `Prover` has read. What is proved of a part is kept for its other
    mutations."""

    def __init__(self, prover: Prover):
        self.prover, self.top = prover, prover.design.name
        self.parents = parents(prover.start)
        self.rests: dict[str, Rest] = {}
        self.fits: dict[str, bool] = {}

    def equivalent(self, mutation: str) -> bool:
        """Whether it is proved that a mutation can never be observed (`Prover.equivalent`)."""
        if re.search(r" -port (CLK|clk|aclk) ", mutation):
            return False
        found = re.search(r" -module (\S+)", mutation)
        assert found, mutation
        try:
            return any(self.proved_in(part, mutation) for part in self.around(found[1])) and self.has_no_loop(mutation)
        except (YosysError, subprocess.TimeoutExpired):
            return False

    def around(self, module: str) -> Iterator[str]:
        """A module and those around it, inside the machine; only while each is in a single one. Of what is in no part
        the machine itself is one."""
        yield module
        others = self.parents.get(module, set())
        while len(others) == 1 and others != {self.top}:
            (module,) = others
            yield module
            others = self.parents.get(module, set())

    def proved_in(self, part: str, mutation: str) -> bool:
        if part == self.top:
            return self.part_is_equal(part, mutation)
        if self.part_is_equal(part, mutation, strictly=True):
            return True
        return self.part_is_equal(part, mutation) and self.fits_in(part)

    def fits_in(self, part: str) -> bool:
        """The second claim."""
        if part not in self.fits:
            self.fits[part] = self.machine_is_equal(part)
        return self.fits[part]

    def has_no_loop(self, mutation: str) -> bool:
        """Whether the mutant machine has no combinational loop. Raises YosysError if there may be one."""
        commands = ["read_rtlil start.il", mutation, f"hierarchy -top {self.top}", "flatten", "scc -expect 0"]
        run_yosys(commands, self.prover.folder, LIMIT_S)
        return True

    def part_is_equal(self, part: str, mutation: str, strictly: bool = False) -> bool:
        """The first claim. ``strictly``: for any inputs, and all outputs always count."""
        seconds = SECONDS["part" if f" -module {part} " in mutation else "around"]
        for gold, gate in self.sides(part, mutation):
            if gold.ports == gate.ports:
                text = part_module(gold.ports, None if strictly else PROMISES.get(part, Promise()))
                if self.proved({"gold": gold, "gate": gate}, text, seconds):
                    return True
        return False

    def sides(self, part: str, mutation: str) -> Iterator[tuple[Circuit, Circuit]]:
        """The original and the mutant of a part, the smallest circuits first: without memories and multipliers, without
        memories, and with all of it if the memories are small."""
        gold, gate = self.prover.sides(part, mutation)
        smaller = gold.without_memories(), gate.without_memories()
        smallest = smaller[0].without_products(), smaller[1].without_products()
        if smallest != smaller:
            yield smallest
        if possible(gold, cut=True):
            yield smaller
        if possible(gold, cut=False):
            yield gold, gate

    def machine_is_equal(self, part: str) -> bool:
        rest, ports = self.rest_of(part), self.ports_of(part)
        alone = self.prover.circuit(part, [], "part").without_memories().without_products()
        text = machine_module(rest, ports, alone, PROMISES.get(part, Promise()), self.top)
        gate = Circuit(rest.circuit.text.replace("module \\gold\n", "module \\gate\n", 1))
        return self.proved({"gold": rest.circuit, "gate": gate, "part": alone}, text, SECONDS["machine"])

    def ports_of(self, part: str) -> list[Port]:
        return self.prover.circuit(part, [], "gold").ports

    def rest_of(self, part: str) -> Rest:
        if part not in self.rests:
            commands = [
                "read_rtlil start.il", f"hierarchy -top {self.top}", f"setattr -mod -set keep_hierarchy 1 {part}",
                "flatten", "memory_collect", f"rename {self.top} gold", "write_rtlil rest.il",
            ]  # fmt: skip
            run_yosys(commands, self.prover.folder, LIMIT_S)
            text = (self.prover.folder / "rest.il").read_text()
            begin = text.index("\nmodule \\gold\n")
            text, copies = without_part(text[begin : text.index("\nend\n", begin) + 5], part, self.ports_of(part))
            self.rests[part] = Rest(Circuit(text).without_memories().without_products(), copies)
        return self.rests[part]

    def proved(self, circuits: Mapping[str, Circuit], both: str, seconds: int) -> bool:
        """Whether ABC proves that ``differ`` of a module ``both`` is never high."""
        folder = self.prover.folder
        for name, circuit in circuits.items():
            (folder / f"{name}.il").write_text(circuit.text)
        (folder / "both.v").write_text(both)
        (folder / "left.aig").unlink(missing_ok=True)
        read = [f"read_rtlil {name}.il" for name in circuits]
        run_yosys([*read, "read_verilog both.v", *CIRCUIT], folder, LIMIT_S)
        said = subprocess.run(
            [abc(), "-q", "; ".join(ABC).format(seconds=seconds)],
            cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        ).stdout  # fmt: skip
        return "Property proved" in said or never(folder / "left.aig")


def part_method(verilog: str) -> list[str]:
    """What outcomes depend on beside the design, the mutation and the sources but `assumptions`: what is promised the
    modules of a design."""
    return [repr(PROMISES.get(module)) for module in re.findall(r"^module (\w+)", verilog, re.M)]


def parents(rtlil: str) -> dict[str, set[str]]:
    """The modules of an RTLIL file in which each module is."""
    found: dict[str, set[str]] = {}
    for module in re.split(r"^(?=module )", rtlil, flags=re.M)[1:]:
        outer = module.split("\n", 1)[0].removeprefix("module \\")
        for instance in INSTANCE.finditer(module):
            found.setdefault(instance[1], set()).add(outer)
    return found


def without_part(text: str, part: str, ports: Sequence[Port]) -> tuple[str, int]:
    """A module in RTLIL without the copies of a part, whose ports become its own; and the number of copies."""
    copies = 0

    def cut(found: re.Match) -> str:
        nonlocal copies
        if found[1] != part:
            return found[0]
        lines, joined = Lines(FIRST_PORT + PORTS * copies), dict(CONNECTION.findall(found[2]))
        for port in ports:
            if port.name in CLOCKS:
                continue
            name = f"part_{copies}_{port.name}"
            given = port.direction == "input"
            lines.port(name, "output" if given else "input", port.width)
            lines.connect(*((f"\\{name}", joined[port.name]) if given else (joined[port.name], f"\\{name}")))
        copies += 1
        return "".join(lines.texts)

    return INSTANCE.sub(cut, text), copies


def conditions(ports: Sequence[Port]) -> dict[str, str]:
    """The outputs that do not always count, payloads of streams, and the output that says when."""
    names = {port.name for port in ports if port.direction == "output"}
    valid = {name: re.sub("_payload$", "_valid", name) for name in sorted(names)}
    return {name: of for name, of in valid.items() if of != name and of in names}


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Verilog with other names."""
    return NAME.sub(lambda found: names.get(found[0], found[0]), text)


def instance(module: str, name: str, pins: Mapping[str, str]) -> str:
    return f"  {module} {name}({', '.join(f'.{port}({given})' for port, given in pins.items())});"


def wires(ports: Sequence[Port], prefix: str) -> list[str]:
    return [f"  wire [{port.width - 1}:0] {prefix}{port.name};" for port in ports]


def of(ports: Sequence[Port], direction: str) -> list[Port]:
    return [port for port in ports if port.direction == direction]


def head(inputs: Sequence[Port]) -> list[str]:
    """The first lines of ``both``."""
    names = ", ".join(port.name for port in inputs)
    return [f"module both({names}, differ);", *map(declared, inputs), "  output differ;"]


def other_reads(ports: Sequence[Port]) -> dict[str, tuple[Port, str]]:
    """What the second circuit reads of memories that were cut out: where it reads at other addresses, each bit may be
    inverted. By the name of the input: another input, which has the inverted bits, and Verilog."""
    found = {}
    for port in ports:
        if port.direction == "input" and re.fullmatch(r"cut_\d+_read", port.name):
            noise, place = f"noise_{port.name}", f"{port.name}_address"
            differs = f"{{{port.width}{{gold_{place} != gate_{place}}}}}"
            found[port.name] = Port(noise, "input", port.width, False), f"{port.name} ^ ({noise} & {differs})"
    return found


def compared(ports: Sequence[Port]) -> list[Port]:
    """The outputs that must be the same: all, but for addresses at which memories are read."""
    return [port for port in of(ports, "output") if not re.fullmatch(r"cut_\d+_read_address", port.name)]


def clock_of(ports: Sequence[Port]) -> str:
    return next((port.name for port in ports if port.name in CLOCKS), "")


def part_module(ports: Sequence[Port], promise: Promise | None) -> str:
    """Verilog that compares a part with its mutant, as long as the promise was kept; without one all outputs always
    count."""
    inputs, outputs, clock = of(ports, "input"), of(ports, "output"), clock_of(ports)
    when, promise = conditions(ports) if promise is not None else {}, promise or Promise()
    gold, reads = {port.name: f"gold_{port.name}" for port in outputs}, other_reads(ports)
    lines = [*head([*inputs, *(noise for noise, _ in reads.values())]), "  reg kept = 1;"]
    lines += [*wires(outputs, "gold_"), *wires(outputs, "gate_")]
    for side in ("gold", "gate"):
        pins = {port.name: port.name for port in inputs} | {port.name: f"{side}_{port.name}" for port in outputs}
        if side == "gate":
            pins |= {name: given for name, (_, given) in reads.items()}
        lines.append(instance(side, side, pins))
    lines += [f"  {renamed(line, gold)}" for line in promise.state]
    lines += [f"  wire holds = kept & ({renamed(promise.holds, gold)});"]
    if clock:
        lines += [f"  always @(posedge {clock}) kept <= holds;"]
    terms = [
        f"(({renamed(when.get(port.name, '1'), gold)}) & gold_{port.name} != gate_{port.name})"
        for port in compared(ports)
    ]
    return "\n".join([*lines, f"  assign differ = holds & ({' | '.join(terms)});", "endmodule", ""])


def machine_module(rest: Rest, ports: Sequence[Port], alone: Circuit, promise: Promise, top: str) -> str:
    """Verilog of the machine, made of the rest and its parts, and of a second rest that gets the same outputs of the
    parts; where they do not count each bit may be inverted. ``differ`` is also high where a promise is not kept."""
    whole = rest.circuit.ports
    inputs, outputs, clock = of(whole, "input"), of(whole, "output"), clock_of(whole)
    outer, names = [port for port in inputs if not port.name.startswith("part_")], {port.name for port in outputs}
    free = [port for port in of(alone.ports, "input") if port.name.startswith("cut_")]  # by the part's memories
    more = [Port(f"of_{copy}_{port.name}", "input", port.width, False) for copy in range(rest.copies) for port in free]
    reads, when, widths = other_reads(whole), conditions(ports), {port.name: port.width for port in ports}
    more += [noise for noise, _ in reads.values()]
    changed, parts, terms = {name: given for name, (_, given) in reads.items()}, [], []
    for copy in range(rest.copies):
        own = {
            port.name: clock
            if port.name in CLOCKS
            else f"{'gold_' * (port.direction == 'input')}part_{copy}_{port.name}"
            for port in ports
        }
        parts.append(instance("part", f"part_{copy}", own | {port.name: f"of_{copy}_{port.name}" for port in free}))
        registers = {found[1]: f"own_{copy}_{found[1]}" for line in promise.state for found in DECLARED.finditer(line)}
        parts += [f"  {renamed(line, own | registers)}" for line in promise.state]
        terms.append(f"!({renamed(promise.holds, own | registers)})")
        for name, condition in when.items():
            more.append(Port(f"noise_{copy}_{name}", "input", widths[name], False))
            inverted = f"noise_{copy}_{name} & {{{widths[name]}{{!({renamed(condition, own | registers)})}}}}"
            changed[own[name]] = f"{own[name]} ^ ({inverted})"
    lines = [*head([*outer, *more]), "  reg begun = 0;", f"  always @(posedge {clock}) begun <= 1;"]
    lines += wires([port for port in inputs if port not in outer], "")
    lines += [*wires(outputs, "gold_"), *wires(outputs, "gate_"), *parts]
    pins = {port.name: driven(port, top, {}) for port in inputs}
    for side, given in (("gold", pins), ("gate", pins | changed)):
        lines.append(instance(side, side, given | {name: f"{side}_{name}" for name in names}))
    terms += [
        f"(({'1' if port.name.startswith('part_') else counts(top, port, names)})"
        f" & (gold_{port.name} != gate_{port.name}))"
        for port in compared(whole)
    ]
    return "\n".join([*lines, f"  assign differ = {' | '.join(terms)};", "endmodule", ""])
