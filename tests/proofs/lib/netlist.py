"""A component as terms: Amaranth writes RTLIL, Yosys makes BTOR2 of it, and that is evaluated cycle by cycle.

BTOR2 (Niemetz, Preiner, Wolf, Biere, CAV 2018) is a list of nodes: sorts, inputs, states, operations, the next value
of each state. What is proved is this netlist: the one that all generated Verilog is made of, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ValueCastable
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring
from bitwuzla import Kind, Sort, Term

from fivebyfive.hw.codegen.yosys import run_yosys

from .bits import TERMS, Bits, const, mux
from .names import named_as_in_source

__all__ = ["Frame", "Ghost", "Netlist", "netlist"]

YOSYS = (
    "read_rtlil design.il",
    "delete t:$meminit*",  # what a memory holds is unknown in every proof, and takes minutes to carry along
    "hierarchy -top top",
    "setattr -set keep 1 w:\\*",  # a signal that nobody reads is still spoken of in a proof
    "proc",
    "flatten",
    "opt_clean",
    "memory_collect",
    "memory_nordff",  # read ports of a memory become asynchronous, with registers behind them
    "async2sync",
    "dffunmap",
    "opt_clean",
    "write_btor design.btor",
)
BINARY = {
    "and": Kind.BV_AND, "or": Kind.BV_OR, "xor": Kind.BV_XOR, "nand": Kind.BV_NAND, "nor": Kind.BV_NOR,
    "xnor": Kind.BV_XNOR, "add": Kind.BV_ADD, "sub": Kind.BV_SUB, "mul": Kind.BV_MUL, "concat": Kind.BV_CONCAT,
    "sll": Kind.BV_SHL, "srl": Kind.BV_SHR, "sra": Kind.BV_ASHR,
}  # fmt: skip
COMPARE = {
    "eq": Kind.EQUAL, "neq": Kind.DISTINCT, "ugt": Kind.BV_UGT, "ugte": Kind.BV_UGE, "ult": Kind.BV_ULT,
    "ulte": Kind.BV_ULE, "sgt": Kind.BV_SGT, "sgte": Kind.BV_SGE, "slt": Kind.BV_SLT, "slte": Kind.BV_SLE,
}  # fmt: skip
UNARY = {
    "not": Kind.BV_NOT, "neg": Kind.BV_NEG, "redor": Kind.BV_REDOR, "redand": Kind.BV_REDAND, "redxor": Kind.BV_REDXOR,
}  # fmt: skip
EXTEND = {"uext": Kind.BV_ZERO_EXTEND, "sext": Kind.BV_SIGN_EXTEND}
BASES = {"const": 2, "constd": 10, "consth": 16}


@dataclass(frozen=True)
class Ghost:
    """A register that only the proof has: it notes what the component was given, and cannot change what that does."""

    width: int
    init: int
    update: Callable[[Frame], Bits]


@dataclass
class Netlist:
    """Nodes by number, ``names`` of signals, and what each state becomes.

    ``nodes``: number to (operation, sort, operands). ``inputs``, ``states``: number to name. ``init``, ``next``: a
    state's number to node. ``ghosts``: registers of the proof. ``driven``: inputs that the surroundings make of what
    else there is.
    """

    sorts: dict[int, Sort] = field(default_factory=dict)
    nodes: dict[int, tuple[str, int, list[str]]] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    inputs: dict[int, str] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    init: dict[int, int] = field(default_factory=dict)
    next: dict[int, int] = field(default_factory=dict)
    ghosts: dict[str, Ghost] = field(default_factory=dict)
    driven: dict[str, Callable[[Frame], Bits]] = field(default_factory=dict)

    def ghost(self, name: str, width: int, update: Callable[[Frame], Bits | int], init: int = 0) -> None:
        """Add a register of the proof: ``init`` after reset, then what ``update`` makes of each cycle, cut to width."""

        def cut(frame: Frame) -> Bits:
            value = update(frame)
            return const(value, width) if isinstance(value, int) else value.fit(width)

        if name in self.names:
            raise ValueError(f"the component has a signal {name}")
        self.ghosts[name] = Ghost(width, init, cut)

    def add(self, line: str) -> None:
        """Read one line of BTOR2."""
        number, operation, *rest = line.split(";")[0].split()
        node = int(number)
        if operation == "sort":
            self.sorts[node] = self._sort(rest)
        elif operation in ("init", "next"):
            getattr(self, operation)[int(rest[1])] = int(rest[2])
        elif operation == "output":
            self.names[rest[1]] = int(rest[0])
        else:
            self._add_node(node, operation, int(rest[0]), rest[1:])

    def _sort(self, words: list[str]) -> Sort:
        if words[0] == "bitvec":
            return TERMS.mk_bv_sort(int(words[1]))
        return TERMS.mk_array_sort(self.sorts[int(words[1])], self.sorts[int(words[2])])

    def _add_node(self, node: int, operation: str, sort: int, operands: list[str]) -> None:
        self.nodes[node] = operation, sort, operands
        if operation in ("input", "state"):
            name = operands[0] if operands else f"node {node}"
            (self.inputs if operation == "input" else self.states)[node] = name
            self.names[name] = node
        elif operation == "uext" and len(operands) == 3:  # how Yosys names a wire
            self.names[operands[2]] = node

    def source(self, name: str) -> int:
        """Number of the node behind a name: names of one signal have the same."""
        node = self.names[name]
        while self.nodes[node][0] == "uext" and self.nodes[node][2][1] == "0":
            node = int(self.nodes[node][2][0])
        return node

    def register(self, name: str, other_than: str) -> str:
        """The register that is called so in the source, where a submodule's signal, ``other_than``, has taken its name
        in the netlist: one of ``name``, ``name$1``, ... Raises LookupError unless there is one."""
        found = {self.source(n): n for n in self.names if n.split("$")[0] == name and self.source(n) in self.states}
        own = [n for node, n in found.items() if node != self.source(other_than)]
        if len(own) != 1:
            raise LookupError(f"{len(own)} registers are called {name}")
        return own[0]

    def frame(
        self,
        label: str,
        state: Mapping[int | str, Term] | None = None,
        inputs: Mapping[str, Bits | int] | None = None,
        multiply: Callable[[Bits, Bits], Bits] | None = None,
    ) -> Frame:
        """A clock cycle. ``state``: of each register and memory, unknown where it is left out. ``inputs`` by name,
        unknown likewise, except for ``rst``, which is low. ``multiply`` may replace the solver's multiplication."""
        return Frame(self, label, dict(state or {}), {"rst": 0} | dict(inputs or {}), multiply)

    def initial(self) -> dict[int | str, Term]:
        """The state after power-up; what memories hold is left unknown."""
        frame = self.frame("power-up")
        registers = [state for state in self.init if self.sorts[self.nodes[state][1]].is_bv()]
        state: dict[int | str, Term] = {state: frame.term(self.init[state]) for state in registers}
        return state | {name: const(ghost.init, ghost.width).term for name, ghost in self.ghosts.items()}


class Frame:
    """One clock cycle of a netlist; signals are found by name: ``frame["line_0"]``."""

    def __init__(self, netlist: Netlist, label: str, state: dict[int | str, Term], inputs: dict, multiply):
        self.netlist = netlist
        self.label = label
        self.inputs = inputs
        self.multiply = multiply
        self.terms: dict[int | str, Term] = dict(state)

    def __getitem__(self, name: str) -> Bits:
        """A signal or a register of the proof. Raises KeyError where there is none of that name."""
        if name in self.netlist.ghosts:
            width = self.netlist.ghosts[name].width
            term = self.terms.setdefault(name, TERMS.mk_const(TERMS.mk_bv_sort(width), f"{name} @ {self.label}"))
            return Bits(term, width)
        return self._bits(self.netlist.names[name])

    def __contains__(self, name: str) -> bool:
        return name in self.netlist.names or name in self.netlist.ghosts

    def memory(self, name: str, address: Bits) -> Bits:
        """A word of a memory."""
        node = self.netlist.names[name]
        array = self.term(node)
        bits = array.sort().array_index().bv_size()
        word = TERMS.mk_term(Kind.ARRAY_SELECT, [array, address.fit(bits).term])
        return Bits(word, word.sort().bv_size())

    def _bits(self, node: int) -> Bits:
        term = self.term(node)
        return Bits(term, term.sort().bv_size())

    def next(self, label: str, inputs: Mapping[str, Bits | int] | None = None) -> Frame:
        """The clock cycle after this one."""
        state: dict[int | str, Term] = {state: self.term(value) for state, value in self.netlist.next.items()}
        for name, ghost in self.netlist.ghosts.items():
            state[name] = mux(self["rst"], ghost.init, ghost.update(self)).term
        return self.netlist.frame(label, state, inputs, self.multiply)

    def term(self, node: int) -> Term:
        """The value of a node; those it needs are made first, without recursion: netlists are deep."""
        waiting = [node]
        while waiting:
            top = waiting[-1]
            if top in self.terms:
                waiting.pop()
                continue
            missing = [n for n in self._needs(top) if n not in self.terms]
            if missing:
                waiting += missing
            else:
                self.terms[top] = self._evaluate(top)
        return self.terms[node]

    def _needs(self, node: int) -> list[int]:
        operation, _, operands = self.netlist.nodes[node]
        if operation in ("input", "state", *BASES) or self._is_nothing(operation, operands):
            return []
        if operation in ("slice", "uext", "sext"):
            return [int(operands[0])]
        return [int(x) for x in operands if x.isdigit()]

    @staticmethod
    def _is_nothing(operation: str, operands: list[str]) -> bool:
        """Whether an operand of no bits is extended: Amaranth's ``x + 0`` has one; Yosys calls it number -1."""
        return operation in EXTEND and operands[0] == "-1"

    def _evaluate(self, node: int) -> Term:
        operation, sort, operands = self.netlist.nodes[node]
        if operation == "input":
            return self._input(self.netlist.inputs[node], self.netlist.sorts[sort])
        if operation == "state":
            return TERMS.mk_const(self.netlist.sorts[sort], f"{self.netlist.states[node]} @ {self.label}")
        if self._is_nothing(operation, operands):
            return TERMS.mk_bv_zero(self.netlist.sorts[sort])
        if operation in BASES:
            width = self.netlist.sorts[sort].bv_size()
            return const(int(operands[0], BASES[operation]) % (1 << width), width).term
        terms = [self.terms[n] for n in self._needs(node)]
        return self._apply(operation, terms, operands)

    def _input(self, name: str, sort: Sort) -> Term:
        value = self.inputs.get(name)
        if value is None and name in self.netlist.driven:
            value = self.netlist.driven[name](self)
        if value is None:
            return TERMS.mk_const(sort, f"{name} @ {self.label}")
        value = const(value, sort.bv_size()) if isinstance(value, int) else value
        if value.width != sort.bv_size():
            raise ValueError(f"input {name} has {sort.bv_size()} bits, not {value.width}")
        return value.term

    def _apply(self, operation: str, terms: list[Term], operands: list[str]) -> Term:
        if operation == "mul" and self.multiply:
            a, b = (Bits(term, term.sort().bv_size()) for term in terms)
            return self.multiply(a, b).term
        if operation in BINARY:
            return TERMS.mk_term(BINARY[operation], terms)
        if operation in COMPARE:
            return self._as_bit(TERMS.mk_term(COMPARE[operation], terms))
        if operation in UNARY:
            return TERMS.mk_term(UNARY[operation], terms)
        if operation in EXTEND:
            return TERMS.mk_term(EXTEND[operation], terms, [int(operands[1])]) if int(operands[1]) else terms[0]
        if operation == "slice":
            return TERMS.mk_term(Kind.BV_EXTRACT, terms, [int(operands[1]), int(operands[2])])
        if operation == "ite":
            one = TERMS.mk_bv_one(TERMS.mk_bv_sort(1))
            return TERMS.mk_term(Kind.ITE, [TERMS.mk_term(Kind.EQUAL, [terms[0], one]), *terms[1:]])
        if operation == "read":
            return TERMS.mk_term(Kind.ARRAY_SELECT, terms)
        if operation == "write":
            return TERMS.mk_term(Kind.ARRAY_STORE, terms)
        raise NotImplementedError(f"BTOR2 operation {operation}")

    @staticmethod
    def _as_bit(condition: Term) -> Term:
        one = TERMS.mk_bv_sort(1)
        return TERMS.mk_term(Kind.ITE, [condition, TERMS.mk_bv_one(one), TERMS.mk_bv_zero(one)])


def netlist(component: wiring.Component) -> Netlist:
    """The netlist of a component, all of its modules in one; signals of submodules are called ``part.signal``."""
    ports = {}
    for path, member, value in component.signature.flatten(component):
        value = value.as_value() if isinstance(value, ValueCastable) else value
        if hasattr(value, "name"):  # the ready of an always-ready stream is a constant
            direction = PortDirection.Input if member.flow == wiring.In else PortDirection.Output
            ports["__".join(map(str, path))] = value, direction
    with tempfile.TemporaryDirectory(prefix="fivebyfive-proof-") as temporary:
        folder = Path(temporary)
        with named_as_in_source():
            text = rtlil.convert(component, name="top", ports=ports, emit_src=False)
        (folder / "design.il").write_text(text)
        run_yosys(YOSYS, folder)
        lines = (folder / "design.btor").read_text().splitlines()
    result = Netlist()
    for line in lines:
        if line and not line.startswith(";"):
            result.add(line)
    return result
