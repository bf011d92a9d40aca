"""`KernelFetcher`: sets of kernels in the order of the weight memory, whatever the array's pace."""

import random
from functools import cache

import cocotb
from cocotb.triggers import RisingEdge

from fivebyfive.hw.conv.kernel_fetcher import KernelFetcher, KernelPlan
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink
from fivebyfive.sim.benchlib.testbench import cycle, cycles, drive, limited, random_source, reset, start


@cache
def component() -> KernelFetcher:
    given = parameters()
    plans = [KernelPlan(address, outputs, inputs, given["outputs"]) for address, outputs, inputs in given["plans"]]
    return KernelFetcher(plans, given["outputs"], given["depth"], given["memory_latency"], given.get("width", 25))


@cache
def word_bits() -> int:
    return 8 * component().width


async def memory(dut: Dut, words: list[int]) -> None:
    """A weight memory: the word of an address `memory_latency` cycles later."""
    latency = component().memory_latency
    pipeline = [0] * latency
    while True:
        await RisingEdge(dut.clk)
        pipeline = [words[int(dut.address.value)], *pipeline[:-1]]
        dut.data.value = pipeline[-1]


def expected(layer: int, words: list[int]) -> list[list[int]]:
    """Kernels of each set of a layer."""
    address, outputs, inputs = parameters()["plans"][layer]
    size = parameters()["outputs"]
    sets = []
    for first in range(0, outputs, size):
        for _ in range(inputs):
            count = min(size, outputs - first)
            sets.append(words[address : address + count])
            address += count
    return sets


def kernels(word: int, count: int) -> list[int]:
    bits = word_bits()
    return [word >> bits * n & (1 << bits) - 1 for n in range(count)]


async def check(dut: Dut, words: list[int], pause: float, rng: random.Random) -> None:
    """Every set of every layer, taken at a random pace; without one, each set `latency` after the one before."""
    fetcher = component()
    for layer in range(len(fetcher.plans)):
        monitor = StreamMonitor(dut, "o").start()
        drive(dut, "layer", layer)
        dut.start.value = 1
        await cycles(dut, 1)
        begin = cycle()
        dut.start.value = 0
        sets = expected(layer, words)
        receive = StreamSink(dut, "o", pause=pause, rng=rng).receive(len(sets))
        got = await limited(receive, 100 * len(sets) * fetcher.outputs + 100, "kernels")
        # Kernels beyond a short group's are undefined.
        assert [kernels(one, len(kept)) for one, kept in zip(got, sets, strict=True)] == sets
        await cycles(dut, 3 * fetcher.latency)
        assert len(monitor.words) == len(sets), "more sets than the layer has"
        if not pause:
            steps = [b - a for a, b in zip([begin, *monitor.cycles], monitor.cycles, strict=False)]
            assert steps == [fetcher.latency - fetcher.outputs + len(kept) for kept in sets]


def draw(rng: random.Random) -> list[int]:
    return [rng.getrandbits(word_bits()) for _ in range(component().depth)]


@cocotb.test()
async def at_once(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    words = draw(rng)
    cocotb.start_soon(memory(dut, words))
    await check(dut, words, 0, rng)


@cocotb.test()
async def at_any_pace(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    words = draw(rng)
    cocotb.start_soon(memory(dut, words))
    for pause in (0.3, 0.9):
        await check(dut, words, pause, rng)


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    words = draw(rng)
    cocotb.start_soon(memory(dut, words))
    for _ in range(6):
        running = cocotb.start_soon(check(dut, words, 0.3, rng))
        await cycles(dut, rng.randint(1, 60))
        running.cancel()
        dut.o__ready.value = dut.start.value = 0
        await reset(dut, 1)
        assert not dut.o__valid.value
        await cycles(dut, component().latency)
        await check(dut, words, 0.3, rng)
