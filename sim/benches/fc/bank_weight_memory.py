"""`BankWeightMemory` against a list of words: weights, places and marks, and the biases beside them."""

from functools import cache
from random import Random

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.common.types import FC_LANES
from fivebyfive.hw.fc.bank_weight_memory import BankWeightMemory
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack, pack_codes, unpack_codes
from fivebyfive.sim.benchlib.testbench import cycles, drive, load_memory, random_arrays, random_source, reset, start


@cache
def component() -> BankWeightMemory:
    given = parameters()
    words = [int(word, 16) for word in given["words"]]
    return BankWeightMemory(words, given["rows"], given["places"], given["biases"], given["banks"])


def word_out(memory: BankWeightMemory, word: np.ndarray) -> int:
    """What a word of bytes reads as."""
    lanes, kept = FC_LANES * memory.rows, (1 << memory.place_bits) - 1
    places = word[lanes : 2 * lanes].view(np.uint8) & kept
    return pack(memory.layout, {"w": word[:lanes].tolist(), "place": places.tolist(), "last": word[-1] & 1})


async def read_all(dut: Dut, memory: BankWeightMemory, words: np.ndarray, rng: Random) -> None:
    """All words and all biases in some order, one of both a cycle."""
    biases, weights = words[: memory.biases], words[memory.biases :]
    steps = max(len(biases), len(weights)) + memory.latency
    asked = [(rng.randrange(len(weights)), rng.randrange(len(biases))) for _ in range(steps)]
    for step in range(len(weights)):
        asked[step] = step, step % len(biases)
    for step, (weight, bias) in enumerate(asked):
        drive(dut, "address", weight)
        drive(dut, "bias_address", bias)
        await RisingEdge(dut.clk)
        if step >= memory.latency:
            assert int(dut.data.value) == word_out(memory, weights[asked[step - memory.latency][0]]), f"step {step}"
        if step:
            assert int(dut.bias.value) == pack_codes(biases[asked[step - 1][1]][: memory.rows]), f"bias in step {step}"


@cocotb.test()
async def contents_loads_and_resets(dut: Dut) -> None:
    """The words from the start, those that are loaded, and the same after a reset; a long one brings out zeros from
    several banks."""
    await start(dut)
    memory, rng, arrays = component(), random_source(), random_arrays()
    size = 2 * FC_LANES * memory.rows + 1
    words = np.array([unpack_codes(word, size) for word in memory.init])
    await read_all(dut, memory, words, rng)
    for _ in range(2):
        words = arrays.integers(-128, 128, words.shape, np.int8)
        await load_memory(dut, words, rng)
        await cycles(dut, 2)
        await read_all(dut, memory, words, rng)
        await reset(dut, 1)
        await read_all(dut, memory, words, rng)
        await reset(dut, memory.latency)
        if len(memory.words.banks) > 1:
            assert not dut.data.value, "a word that was asked for before the reset"
