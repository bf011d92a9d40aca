"""The weight memory: a word is what was last written to its address, `latency` cycles after the address.

From any state, with any contents, for every address. Unrolled over the latency, with the memories as the solver's
arrays: a read gives the word of the bank that has it, whatever the other banks hold; a write changes that word and no
other; and a read two cycles after a write gives what was written. The contents begin as the .mem files have them,
which is not part of this.
"""

from itertools import accumulate

import pytest

from fivebyfive.hw.common import weight_memory
from fivebyfive.model.machine.latency import BANK_GROUP
from fivebyfive.model.machine.weights import bank_sizes
from fivebyfive.model.shape import ceil_div

from .lib.bits import Bits, any_of, fresh, mux, prove
from .lib.netlist import Frame, netlist
from .lib.seeded import broken


class Proof:
    def __init__(self, component):
        self.component = component
        self.ends = list(accumulate(component.banks))
        self.bits = (component.depth - 1).bit_length()
        self.netlist = netlist(component)
        self.address = fresh("address", self.bits)

    def run(self, cycles: int, inputs: dict[int, dict]) -> list[Frame]:
        """Cycles from any state, no write in them unless ``inputs`` has one."""
        frames = []
        for number in range(cycles + 1):
            given = {"load__en": 0} | inputs.get(number, {})
            label = f"cycle {number}"
            frames.append(frames[-1].next(label, given) if frames else self.netlist.frame(label, None, given))
        return frames

    def word(self, f: Frame) -> Bits:
        """The word at the address, wherever it lies."""
        if len(self.ends) == 1:
            return f.memory("words", self.address)
        value = f.memory("bank_0", self.address)
        for number in range(1, len(self.ends)):
            start = self.ends[number - 1]
            value = mux(self.address >= start, f.memory(f"bank_{number}", (self.address - start)[: self.bits]), value)
        return value

    def writes(self, f: Frame) -> Bits:
        """A write is on its way."""
        if len(self.ends) == 1:
            return f["load.en"]
        return any_of([f["load.en"]] + [f[f"writes_{number}_1"] for number in range(len(self.ends))])

    def given(self, frame: Frame) -> list[Bits]:
        return [self.address < self.component.depth, ~self.writes(frame)]

    def prove_read(self) -> None:
        latency = self.component.latency
        frames = self.run(latency, {0: {"address": self.address}})
        prove({"read": frames[-1]["data"] == self.word(frames[0])}, self.given(frames[0]))

    def prove_write(self) -> None:
        """Three cycles later: it has gone through two registers."""
        frames = self.run(3, {0: {"load__en": 1}})
        target, data = frames[0]["load__address"], frames[0]["load__data"]
        expected = mux(target == self.address, data, self.word(frames[0]))
        given = [*self.given(frames[0]), target < self.component.depth]
        prove({"write": self.word(frames[-1]) == expected}, given)

    def prove_read_after_write(self) -> None:
        """The cycle of the first read that sees a write, and of the last that does not; in between nothing is known."""
        latency, groups = self.component.latency, ceil_div(len(self.ends), BANK_GROUP)
        behind = 2 if len(self.ends) > 1 else 1
        wrote = {"load__en": 1, "load__address": self.address}
        frames = self.run(behind + latency, {0: wrote, behind: {"address": self.address}})
        prove({"new": frames[-1]["data"] == frames[0]["load__data"]}, self.given(frames[0]))
        before = groups + 2
        frames = self.run(before + latency, {0: {"address": self.address}, before: wrote})
        prove({"old": frames[latency]["data"] == self.word(frames[0])}, self.given(frames[0]))


def prove_memory(component) -> None:
    proof = Proof(component)
    proof.prove_read()
    proof.prove_write()
    proof.prove_read_after_write()


def memory(words: int, width: int, banks: list[int] | None, component=weight_memory.WeightMemory):
    return component([0] * words, width, banks)


@pytest.mark.parametrize(
    ("words", "width", "banks"),
    [
        (1023, 25, None),
        pytest.param(20276, 20, bank_sizes(20276), marks=pytest.mark.full),
        (5000, 2, [2048, 2048, 904]),
    ],
)
def test_words(words: int, width: int, banks: list[int] | None) -> None:
    prove_memory(memory(words, width, banks))


BUGS = {
    "another bank's word too": ("Mux(mine, delay(", "Mux(1, delay("),
    "written everywhere": ("written = load.en & self.within(load.address, start, end)", "written = load.en"),
    "a bank too far": ("self.init[start:end], address, written, near)", "self.init[start:end], address, mine, near)"),
    "one group's address": ("max(self.banks[group : group + BANK_GROUP])", "1024"),
    "a cycle early": ('start, end), 3, name=f"reads_{number}"', 'start, end), 2, name=f"reads_{number}"'),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    component = broken("weight_memory", "WeightMemory", *BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        prove_memory(memory(5000, 2, [2048, 2048, 904], component))
