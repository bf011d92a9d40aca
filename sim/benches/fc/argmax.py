"""`Argmax` against the golden model's `classify`."""

import random
from functools import cache

import cocotb
import numpy as np

from fivebyfive.hw.fc.argmax import Argmax, Result
from fivebyfive.model.golden import classify
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack_codes, unpack
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, random_arrays, random_source, reset_sometime, start

VECTORS = 120


@cache
def component() -> Argmax:
    return Argmax(**parameters())


def draw(arrays: np.random.Generator) -> np.ndarray:
    """Logits, int8 (VECTORS, classes): some with few values, so that there are ties."""
    wide = arrays.integers(-128, 128, (VECTORS // 2, parameters()["classes"]), np.int8)
    narrow = arrays.integers(-128, -126, (VECTORS // 2, parameters()["classes"]), np.int8)
    return arrays.permutation(np.concatenate([wide, narrow]))


def transfers(logits: np.ndarray) -> list[int]:
    """Words of ``rows`` logits each; a short last one is filled with the largest code."""
    rows = parameters()["rows"]
    padded = np.full((len(logits), ceil_div(logits.shape[1], rows) * rows), 127, np.int8)
    padded[:, : logits.shape[1]] = logits
    return [pack_codes(part) for part in padded.reshape(-1, rows)]


async def check(
    dut: Dut, pauses: tuple[float, float], rng: random.Random, arrays: np.random.Generator
) -> StreamMonitor:
    """Vectors one behind the other; the monitor of the results."""
    logits = draw(arrays)
    for_results = StreamMonitor(dut, "o").start()
    source = StreamSource(dut, "i", pause=pauses[0], rng=rng)
    cocotb.start_soon(source.send(transfers(logits)))
    words = await StreamSink(dut, "o", pause=pauses[1], rng=rng).receive(len(logits))
    results = [unpack(Result(parameters()["classes"]), word) for word in words]
    assert [result["logits"] for result in results] == logits.tolist()
    assert [result["index"] for result in results] == classify(logits).tolist()
    return for_results


@cocotb.test()
async def at_full_speed(dut: Dut) -> None:
    """The result is there ``classes + 2`` cycles after the first transfer, or three after the last if that is later."""
    await start(dut)
    i = StreamMonitor(dut, "i").start()
    o = await check(dut, (0, 0), random_source(), random_arrays())
    classes, rows = component().classes, component().rows
    step = ceil_div(classes, rows)
    firsts, lasts = i.cycles[::step], i.cycles[step - 1 :: step]
    for first, last, given in zip(firsts, lasts, o.cycles, strict=True):
        assert given == max(first + classes + 2, last + 3)


@cocotb.test()
async def slow_sides(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    for pauses in ((0.7, 0), (0, 0.9), (0.5, 0.5)):
        await check(dut, pauses, rng, random_arrays())


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    rng, arrays = random_source(), random_arrays()
    for _ in range(5):
        words = transfers(draw(arrays))
        work = [StreamSource(dut, "i").send(words), StreamSink(dut, "o", pause=0.5, rng=rng).receive(VECTORS)]
        await reset_sometime(dut, work, 10 * component().classes, rng)
        await cycles(dut, rng.randint(0, 3))
        await check(dut, (0, 0.1), rng, arrays)
