"""`NarrowWeightMemory` against a list of words: biases as they are, numbers as the values of the present layer."""

from functools import cache
from random import Random

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.common.narrow_weight_memory import NarrowWeightMemory
from fivebyfive.model.machine.weight_form import WeightForm
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack_codes, unpack_codes
from fivebyfive.sim.benchlib.testbench import cycles, drive, load_memory, random_arrays, random_source, reset, start


@cache
def component() -> NarrowWeightMemory:
    given = parameters()
    words = [int(word, 16) for word in given["words"]]
    return NarrowWeightMemory(words, given["width"], given["biases"], WeightForm(**given["form"]), given["banks"])


def word_out(memory: NarrowWeightMemory, address: int, word: np.ndarray, layer: int) -> int:
    """What a word of bytes reads as; a number that no value has reads as 0."""
    values, kept = memory.form.values[layer], (1 << memory.form.bits) - 1
    if address < memory.biases:
        return pack_codes(word)
    numbers = word.view(np.uint8) & kept
    codes = [values[number] if number < len(values) else 0 for number in numbers]
    if memory.form.scaled:
        codes = [(code > 0) - (code < 0) for code in codes]
    if memory.form.kind == "powers":
        codes = [(abs(code).bit_length() - 1) + 8 + 16 * (code < 0) if code else 0 for code in codes]
    return pack_codes(np.array(codes))


async def read_all(dut: Dut, memory: NarrowWeightMemory, words: np.ndarray, layer: int, rng: Random) -> None:
    """All words in some order, one a cycle."""
    order = list(range(len(words)))
    rng.shuffle(order)
    if len(memory.form.values) > 1:
        dut.layer.value = layer
    for step in range(len(order) + memory.latency):
        drive(dut, "address", order[min(step, len(order) - 1)])
        await RisingEdge(dut.clk)
        if step >= memory.latency:
            address = order[step - memory.latency]
            assert int(dut.data.value) == word_out(memory, address, words[address], layer), (
                f"word {address} of layer {layer}"
            )


def random_words(memory: NarrowWeightMemory, arrays: np.random.Generator) -> np.ndarray:
    """Biases, and numbers, also such that no value has; what is above a number's bits is undefined."""
    return arrays.integers(-128, 128, (memory.depth, memory.width), np.int8)


@cocotb.test()
async def contents_loads_and_resets(dut: Dut) -> None:
    """The words from the start, those that are loaded, and the same after a reset; in every layer."""
    await start(dut)
    memory, rng, arrays = component(), random_source(), random_arrays()
    words = np.array([unpack_codes(word, memory.width) for word in memory.init])
    layers = range(len(memory.form.values))
    for layer in layers:
        await read_all(dut, memory, words, layer, rng)
    for _ in range(2):
        words = random_words(memory, arrays)
        await load_memory(dut, words, rng)
        await cycles(dut, 2)
        for layer in layers:
            await read_all(dut, memory, words, layer, rng)
        await reset(dut, 1)
        await read_all(dut, memory, words, 0, rng)
