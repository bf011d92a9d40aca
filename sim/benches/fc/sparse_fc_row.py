"""`SparseFcRow` against the golden model's sums: activations times weights of any groups of outputs, in any order."""

import random
from functools import cache

import cocotb
import numpy as np

from fivebyfive.hw.common.types import FC_LANES
from fivebyfive.hw.fc.sparse_fc_engine import SparseFcRow
from fivebyfive.model.golden import accumulate
from fivebyfive.model.q26 import Q2_6
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack, pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, random_arrays, random_source, reset_sometime, start

ONE = 64  # the code that a bias is multiplied by
SINGLE = 20  # inputs of a layer of one group, at most


@cache
def component() -> SparseFcRow:
    return SparseFcRow(parameters()["groups"])


class Work:
    """Words for the row, and the codes that come of them. Every group begins with its biases."""

    def __init__(self, arrays: np.random.Generator):
        self.arrays = arrays
        self.words: list[int] = []
        self.codes: list[int] = []
        self.terms: dict[int, tuple[np.ndarray, list[tuple[int, np.ndarray]]]] = {}  # biases; activations and weights

    def add(self, group: int, x: int, w: np.ndarray, first: bool, last: bool) -> None:
        if first:
            self.terms[group] = w, []
        else:
            self.terms[group][1].append((x, w))
        if last:
            biases, products = self.terms[group]
            xs = np.array([[x for x, _ in products]], np.int8)
            weights = np.array([w for _, w in products], np.int8).reshape(-1, FC_LANES).T
            self.codes.append(pack_codes(Q2_6.requantize(accumulate(xs, weights, biases))[0]))
        value = {"x": ONE if first else x, "w": w.tolist(), "first": first, "last": last, "group": group}
        self.words.append(pack(component().i.payload.shape(), value))

    def weights(self) -> np.ndarray:
        return self.arrays.integers(-128, 128, FC_LANES, np.int8)

    def layer(self, inputs: int, groups: int) -> "Work":
        """As the engine has them: biases of all groups, the weights of all groups for each input, and the results."""
        for group in range(groups):
            self.add(group, 0, self.weights(), True, False)
        for x in self.arrays.integers(-128, 128, inputs).tolist():
            for group in range(groups):
                self.add(group, x, self.weights(), False, False)
        for group in range(groups):
            self.add(group, 0, self.weights(), False, True)
        return self

    def any_order(self, count: int, rng: random.Random) -> "Work":
        """Groups that follow themselves at any distance, and begin and end at any time."""
        groups = component().groups
        few = rng.sample(range(groups), min(groups, 3))
        for group in range(groups):
            self.add(group, 0, self.weights(), True, rng.random() < 0.2)
        for _ in range(count):
            group = rng.choice(few) if rng.random() < 0.8 else rng.randrange(groups)
            x = int(self.arrays.integers(-128, 128))
            self.add(group, x, self.weights(), rng.random() < 0.1, rng.random() < 0.3)
        return self


async def check(dut: Dut, work: Work, pause: float) -> None:
    """The right codes, each `latency` cycles after its last word."""
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(work.words)
    row = component()
    await cycles(dut, row.latency + 2)
    assert o.words == work.codes
    last = row.i.payload.shape()["last"].offset
    ends = [at for at, value in zip(i.cycles, i.words, strict=True) if value >> last & 1]
    assert [b - a for a, b in zip(ends, o.cycles, strict=True)] == [row.latency] * len(ends)


async def all_orders(dut: Dut, pause: float, arrays: np.random.Generator) -> None:
    groups = component().groups
    for inputs, used in ((0, groups), (9, groups), (40, min(groups, 2)), (12, 1)):
        await check(dut, Work(arrays).layer(inputs, used), pause)
    await check(dut, Work(arrays).any_order(200, random_source()), pause)
    single = Work(arrays)
    for inputs in range(2 * SINGLE):  # the sum that was just made is wanted again: also of its lowest bit, seldom seen
        single.layer(inputs % SINGLE, 1)
    await check(dut, single, pause)


@cocotb.test()
async def a_word_a_cycle(dut: Dut) -> None:
    await start(dut)
    await all_orders(dut, 0, random_arrays())


@cocotb.test()
async def words_with_gaps(dut: Dut) -> None:
    await start(dut)
    await all_orders(dut, 0.4, random_arrays())


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    await start(dut)
    arrays, rng = random_arrays(), random_source()
    for _ in range(4):
        words = Work(arrays).any_order(60, rng).words
        await reset_sometime(dut, [StreamSource(dut, "i").send(words)], len(words), rng)
        await check(dut, Work(arrays).any_order(60, rng), 0.1)
