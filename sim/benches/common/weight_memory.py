"""`WeightMemory` against a list of words."""

from pathlib import Path

import cocotb
from cocotb.triggers import RisingEdge

from fivebyfive.model.machine.latency import BANK_GROUP, bank_latency
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.testbench import cycles, drive, random_source, reset, start

READS = 500


def contents() -> list[int]:
    """What the memory holds at the start: what its .mem files say."""
    banks = range(len(parameters()["banks"]))
    names = [f"bank_{number}" for number in banks] if len(banks) > 1 else ["words"]
    lines = [line for name in names for line in Path(f"weight_memory_{name}.mem").read_text().split()]
    return [int(line, 16) for line in lines]


async def read_and_load(dut: Dut, words: list[int], count: int, load: float) -> None:
    """A random read a cycle, and with probability ``load`` a random write; a word that is read about the time of its
    write is undefined."""
    rng = random_source()
    latency = bank_latency(len(parameters()["banks"]))
    about = 1 + ceil_div(len(parameters()["banks"]), BANK_GROUP)
    asked: list[int] = []
    expected: list[int | None] = []
    written = None
    for step in range(count):
        address = rng.randrange(len(words))
        drive(dut, "address", address)
        target = rng.choice([address, rng.randrange(len(words))])  # often the word that is being read
        asked.append(address)
        expected.append(None if written == address else words[address])
        word = rng.getrandbits(8 * parameters()["width"])
        writes = rng.random() < load
        dut.load__en.value, dut.load__data.value = writes, word
        drive(dut, "load__address", target)
        await RisingEdge(dut.clk)
        # The edge took in `address` and the write; what it brings out was asked for `latency` edges ago.
        if step >= latency:
            due = expected[step - latency]
            assert due is None or int(dut.data.value) == due, f"read {step - latency}"
        written = target if writes else None
        if writes:
            words[target] = word
            for recent in range(max(0, step + 1 - about), step + 1):
                expected[recent] = None if asked[recent] == target else expected[recent]
    dut.load__en.value = 0


@cocotb.test()
async def initial_contents(dut: Dut) -> None:
    """Every word, in order."""
    await start(dut)
    words = contents()
    assert words == [int(word, 16) for word in parameters()["words"]]
    latency = bank_latency(len(parameters()["banks"]))
    for address in range(len(words) + latency):
        drive(dut, "address", min(address, len(words) - 1))
        await RisingEdge(dut.clk)
        if address >= latency:
            assert int(dut.data.value) == words[address - latency]


@cocotb.test()
async def loads_and_resets(dut: Dut) -> None:
    """Words that were loaded are read; a reset loses none of them."""
    await start(dut)
    words = contents()
    await read_and_load(dut, words, READS, load=0.5)
    await reset(dut, 2)
    await read_and_load(dut, words, READS, load=0)
    await cycles(dut, 1)
