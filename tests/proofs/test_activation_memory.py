"""The activation memory: what is read of a word is what was last written to it, code by code, whatever else happens.

Symbolic witness: code number ``word`` x 20 + ``lane`` of a set, any. It is noted for each of the sets as it comes,
and its memory's word is compared with that; and so is what is read. Codes of a transfer that are still to be written,
more than 20 of them take more cycles, are in the invariant too. Nothing is lost: the codes in the memory are those
that came, less those.
"""

import pytest

from fivebyfive.hw.fc import activation_memory

from .lib.bits import Bits, any_of, choose, const, fresh, mux
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken
from .lib.streams import taken

LANES = 20
WIDTH = 12  # bits of a number of codes


class Proof:
    def __init__(self, component):
        self.component = component
        self.word, self.lane = fresh("word", 6), fresh("lane", 5)
        self.number = (self.word * LANES + self.lane).zext(WIDTH)
        self.netlist = net = netlist(component)
        net.ghost("came", WIDTH, lambda f: mux(f["rewind"], 0, f["came"] + self.given(f)))
        net.ghost("rewound", 1, lambda f: f["rewind"])
        net.ghost("w_set_before", 1, lambda f: f["w_set"])
        for which in range(component.sets):
            net.ghost(f"noted_{which}", 8, lambda f, s=which: mux(self.mine(f, s), self.value(f), f[f"noted_{s}"]))
            net.ghost(f"known_{which}", 1, lambda f, s=which: f[f"known_{s}"] | self.mine(f, s))

    def given(self, f: Frame) -> Bits:
        """Codes that are taken in this cycle."""
        return mux(taken(f, "i"), f["i__payload"][8 * self.component.writers :], 0)

    def mine(self, f: Frame, which: int) -> Bits:
        """The witness of this set is among them."""
        return self.writes_to(f, which) & (self.number >= f["came"]) & (self.number < f["came"] + self.given(f))

    def writes_to(self, f: Frame, which: int) -> Bits:
        return f["w_set"] == which if self.component.sets == 2 else const(1, 1)

    def reads_from(self, f: Frame, which: int) -> Bits:
        return f["r_set"] == which if self.component.sets == 2 else const(1, 1)

    def value(self, f: Frame) -> Bits:
        return f["i__payload"].word((self.number - f["came"])[:6], 8)

    def pending(self, f: Frame) -> Bits:
        """Codes that were taken and are not in the memory."""
        return f["left"] if "left" in f else const(0, 1)

    def stored(self, f: Frame, which: int) -> Bits:
        """The witness in the memory."""
        address = self.word if self.component.sets == 1 else (self.word * 2 + which)
        return choose(self.lane, [f.memory(f"lane_{n}", address) for n in range(LANES)])

    def assume(self, f: Frame) -> dict[str, Bits]:
        """As the component's documentation has it."""
        count = f["i__payload"][8 * self.component.writers :]
        return {
            "the witness is a code of the set": (self.lane < LANES) & (self.number < self.component.inputs),
            "counts": f["i__valid"].implies(any_of(count == n for n in self.component.counts)),
            "sets have room": f["i__valid"].implies(f["came"] + count <= self.component.inputs),
            "rewind between transfers": f["rewind"].implies(~f["i__valid"] & (self.pending(f) == 0)),
            "set changes with rewind": (f["w_set"] == f["w_set_before"]) | f["rewound"],
        }

    def invariants(self, f: Frame) -> dict[str, Bits]:
        pending, lane = self.pending(f), f["lane"]
        stored = (f["came"] - pending)[:WIDTH]
        claims = {
            "none lost": (f["word"] * LANES + lane == stored) & (pending <= f["came"]),
            "a place to begin at": any_of(lane == start for start in self.component.starts()),
            "in range": f["came"] <= self.component.inputs,
            "words that are complete": f["written"] == f["word"],
            "starts over": f["rewound"].implies(f["came"] == 0),
        }
        if "left" in f:
            claims["rest"] = any_of(pending == n for n in self.pendings())
        for which in range(self.component.sets):
            noted, here = f[f"noted_{which}"], self.writes_to(f, which)
            waits = here & (self.number >= stored) & (self.number < f["came"])
            claims[f"set {which}: written"] = (f[f"known_{which}"] & ~waits).implies(self.stored(f, which) == noted)
            claims[f"set {which}: known"] = (here & (self.number < f["came"])).implies(f[f"known_{which}"])
            if "left" in f:
                value = f["rest"].word((self.number - stored)[:6], 8)
                claims[f"set {which}: still to be written"] = waits.implies(value == noted)
        return claims

    def pendings(self) -> set[int]:
        """What may be left of a transfer after some cycles."""
        left = {0}
        for count in self.component.counts:
            left |= set(range(count - LANES, 0, -LANES))
        return left

    def steps(self, now: Frame, then: Frame) -> dict[str, Bits]:
        """A word that is complete, or of the other set, is read a cycle later."""
        claims = {}
        for which in range(self.component.sets):
            readable = ~self.writes_to(now, which) | (self.word < now["written"])
            reads = self.reads_from(now, which) & (now["address"] == self.word) & readable & now[f"known_{which}"]
            claims[f"read of set {which}"] = reads.implies(then["data"].word(self.lane, 8) == now[f"noted_{which}"])
        return claims

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants, assume=self.assume, step=self.steps)


def full(*values: object) -> object:
    """A memory of which each property is that of another one, too."""
    return pytest.param(*values, marks=pytest.mark.full)


@pytest.mark.parametrize(
    ("inputs", "writers", "counts", "sets"),
    [
        (800, 1, (1,), 2),
        full(500, 1, (1,), 1),
        full(800, 5, (5,), 2),
        (96, 6, (6, 4), 2),
        (500, 13, (6, 13), 1),
        full(800, 25, (25,), 2),
        (800, 45, (45,), 2),
    ],
)
def test_what_is_read_is_what_was_written(inputs: int, writers: int, counts: tuple[int, ...], sets: int) -> None:
    Proof(activation_memory.ActivationMemory(inputs, writers, counts, sets)).prove()


BUGS = {
    "never the next word": ("target = Mux(index < lane, word + 1, word) if straddles else word", "target = word"),
    "one code too many": ("valid & (value < count)", "valid"),
    "lane too far": ("lane.eq(end - FC_LANES)", "lane.eq(end - FC_LANES + 1)"),
    "sets mixed": ("self.place(self.address, self.r_set)", "self.place(self.address, ~self.r_set)"),
    "rewinds the word only": ("m.d.sync += [word.eq(0), lane.eq(0)]", "m.d.sync += word.eq(0)"),
    "complete too early": ("self.written.eq(word)", "self.written.eq(word + (lane != 0))"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    memory = broken("activation_memory", "ActivationMemory", *BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Proof(memory(96, 6, (6, 4))).prove()


def test_a_bug_of_long_transfers_is_refuted() -> None:
    bug = "rest.as_value() >> FC_LANES * CODE.width", "rest.as_value() >> CODE.width"
    memory = broken("activation_memory", "ActivationMemory", *bug)
    with pytest.raises(AssertionError, match="not always so"):
        Proof(memory(800, 45, (45,))).prove()
