"""`ActivationMemory` against a flat array; with ``rows`` among the parameters, `BankActivationMemory`."""

import random
from functools import cache
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.common.types import FC_LANES
from fivebyfive.hw.fc.activation_memory import ActivationMemory
from fivebyfive.hw.fc.bank_activation_memory import BankActivationMemory
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack, unpack, unpack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import (
    cycles,
    drive,
    limited,
    random_arrays,
    random_codes,
    random_source,
    reset_sometime,
    start,
    stored_as_given,
)


@cache
def component() -> ActivationMemory:
    given = parameters()
    sizes = given["inputs"], given["writers"], tuple(given["counts"])
    stored = stored_as_given()
    if "rows" in given:
        return BankActivationMemory(*sizes, rows=given["rows"], stored=stored)
    return ActivationMemory(*sizes, stored=stored)


def transfers(
    memory: ActivationMemory, rng: random.Random, arrays: np.random.Generator
) -> tuple[list[int], np.ndarray]:
    """Random transfers that fill a set (with the counts that the memory was built for), and the set."""
    shape = memory.i.payload.shape()
    words, codes = [], np.empty(0, np.int8)
    while len(codes) < memory.inputs:
        fitting = [count for count in memory.counts if count <= memory.inputs - len(codes)]
        if not fitting:
            break
        count = rng.choice(fitting)
        values = random_codes(arrays, memory.writers)
        words.append(pack(shape, {"values": values.tolist(), "count": count}))
        codes = np.append(codes, values[:count])
    return words, codes


async def write(dut: Dut, which: int, words: list[int], pause: float, rng: random.Random) -> None:
    """Fill set ``which`` from its first word on, and go back to its first word."""
    dut.w_set.value = which
    await StreamSource(dut, "i", pause=pause, rng=rng).send(words)
    await cycles(dut, ceil_div(component().writers, FC_LANES))  # a long transfer takes several cycles
    shape = component().i.payload.shape()
    assert int(dut.written.value) == sum(unpack(shape, word)["count"] for word in words) // FC_LANES
    dut.rewind.value = 1
    await RisingEdge(dut.clk)
    dut.rewind.value = 0
    await cycles(dut, 2)  # what is not valid is not written


async def read(dut: Dut, which: int, expected: np.ndarray) -> None:
    """Every word of set ``which``, one a cycle, each after `latency`."""
    dut.r_set.value = which
    if "rows" in parameters():
        await read_places(dut, expected)
        return
    words = ceil_div(len(expected), FC_LANES)
    got: list[np.ndarray] = []
    for step in range(words + ActivationMemory.latency):
        drive(dut, "address", min(step, words - 1))
        await RisingEdge(dut.clk)
        if step >= ActivationMemory.latency:
            got.append(lanes(dut.data, len(expected) - len(got) * FC_LANES))
    np.testing.assert_array_equal(np.concatenate(got), expected)


async def read_places(dut: Dut, expected: np.ndarray) -> None:
    """A place of its own for each row and lane, in some order, one a cycle."""
    memory, arrays = component(), random_arrays()
    padded = np.full(memory.words * FC_LANES, 85, np.int8)
    padded[: len(expected)] = expected
    known = np.arange(len(padded)) < len(expected)
    banks, written = padded.reshape(memory.words, FC_LANES), known.reshape(memory.words, FC_LANES)
    lane = np.arange(FC_LANES * memory.rows) % FC_LANES
    places = [arrays.permutation(memory.words) for _ in lane]
    bits = len(dut.address) // len(lane)
    for step in range(memory.words + memory.latency):
        at = [int(order[min(step, memory.words - 1)]) for order in places]
        dut.address.value = sum(place << n * bits for n, place in enumerate(at))
        await RisingEdge(dut.clk)
        if step >= memory.latency:
            asked = np.array([order[step - memory.latency] for order in places])
            word = str(dut.data.value)
            for n in np.flatnonzero(written[asked, lane]):
                code = np.uint8(int(word[len(word) - 8 * n - 8 : len(word) - 8 * n], 2)).view(np.int8)
                assert code == banks[asked[n], lane[n]], f"lane {n}, place {asked[n]}"


def lanes(data: Any, count: int) -> np.ndarray:
    """The first ``count`` codes of the data port; those beyond may be undefined."""
    count = min(count, FC_LANES)
    return unpack_codes(int(str(data.value)[-8 * count :], 2), count)


def point(dut: Dut, word: int) -> None:
    """Ask for a word, all lanes of it at the same place."""
    if "rows" not in parameters():
        drive(dut, "address", word)
        return
    count = FC_LANES * component().rows
    bits = len(dut.address) // count
    dut.address.value = sum(word << n * bits for n in range(count))


async def fill_and_read(dut: Dut, sets: int, pause: float, rng: random.Random, arrays: np.random.Generator) -> None:
    """One set after the other; while one is written, the one before is read."""
    memory = component()
    before = None
    for turn in range(sets):
        words, codes = transfers(memory, rng, arrays)
        writing = cocotb.start_soon(write(dut, turn % 2, words, pause, rng))
        if before is not None:
            await read(dut, 1 - turn % 2, before)
        await writing
        await read(dut, turn % 2, codes)
        before = codes


@cocotb.test()
async def sets_in_turn(dut: Dut) -> None:
    await start(dut)
    await fill_and_read(dut, 4, 0, random_source(), random_arrays())


@cocotb.test()
async def sets_in_turn_with_gaps(dut: Dut) -> None:
    await start(dut)
    await fill_and_read(dut, 4, 0.5, random_source(), random_arrays())


@cocotb.test()
async def transfers_take_what_they_say(dut: Dut) -> None:
    """A transfer is taken every ceil(writers / 20) cycles."""
    await start(dut)
    memory, rng = component(), random_source()
    monitor = StreamMonitor(dut, "i").start()
    words, codes = transfers(memory, rng, random_arrays())
    await write(dut, 0, words, 0, rng)
    assert monitor.words == words
    if set(memory.counts) == {memory.writers}:
        step = ceil_div(memory.writers, FC_LANES)
        assert set(np.diff(monitor.cycles)) <= {step}
    await read(dut, 0, codes)


@cocotb.test()
async def read_behind_the_writer(dut: Dut) -> None:
    """Each word of the set that is being written is read as soon as ``written`` says that it is complete."""
    await start(dut)
    rng = random_source()
    for which in (0, 1, 0):
        words, codes = transfers(component(), rng, random_arrays())
        dut.w_set.value = dut.r_set.value = which
        writing = cocotb.start_soon(write(dut, which, words, 0.3, rng))
        for word in range(len(codes) // FC_LANES):
            while int(dut.written.value) <= word and not writing.done():
                await RisingEdge(dut.clk)
            point(dut, word)
            await cycles(dut, 1 + ActivationMemory.latency)
            expected = codes[FC_LANES * word : FC_LANES * (word + 1)]
            assert lanes(dut.data, FC_LANES).tolist() == expected.tolist(), f"word {word}"
        await limited(writing, 100_000, "the writer")
        assert dut.written.value == 0


@cocotb.test()
async def what_is_not_written_stays(dut: Dut) -> None:
    """A set that is rewound keeps its other codes: not one more is written than a transfer's count."""
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    codes = {}
    for which in (0, 1):
        words, codes[which] = transfers(component(), rng, arrays)
        await write(dut, which, words, 0, rng)
    for turn in range(40):
        which = turn % 2
        words, new = transfers(component(), rng, arrays)
        shape = component().i.payload.shape()
        words = words[: rng.randint(1, min(3, len(words)))]
        count = sum(unpack(shape, word)["count"] for word in words)
        await write(dut, which, words, 0.1, rng)
        codes[which] = np.append(new[:count], codes[which][count:])
        for each, expected in codes.items():
            await read(dut, each, expected)


@cocotb.test()
async def what_is_behind_the_end_stays(dut: Dut) -> None:
    """Likewise the codes behind a beginning of any length: transfers end in each lane in which they can."""
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    words, codes = transfers(component(), rng, arrays)
    shape = component().i.payload.shape()
    await write(dut, 0, words, 0, rng)
    for turn in range(120):
        words, new = transfers(component(), rng, arrays)
        words = words[: 1 + turn % min(12, len(words))]
        count = sum(unpack(shape, word)["count"] for word in words)
        await write(dut, 0, words, 0, rng)
        codes = np.append(new[:count], codes[count:])
        await read(dut, 0, codes[: count + FC_LANES])


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    for _ in range(4):
        words, _ = transfers(component(), rng, arrays)
        await reset_sometime(dut, [write(dut, 0, words, 0.2, rng)], len(words) + 5, rng)
        await fill_and_read(dut, 2, 0.1, rng, arrays)
