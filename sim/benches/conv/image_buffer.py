"""`ImageBuffer`: pixels in, rows of codes out, two images at once, frames of the wrong length dropped."""

import random

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.model.golden import pixels_to_codes
from fivebyfive.model.shape import IMAGE, PIXELS
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, limited, random_arrays, random_source, reset_sometime, start


def draw(count: int, arrays: np.random.Generator) -> np.ndarray:
    return arrays.integers(0, 256, (count, IMAGE, IMAGE), np.uint8)


def frame(pixels: np.ndarray, length: int = PIXELS) -> list[int]:
    """Words of a frame of ``length`` pixels, the last one marked."""
    words = [int(pixel) for pixel in np.resize(pixels, length)]
    return [*words[:-1], words[-1] | 256]


def rows(image: np.ndarray) -> list[int]:
    """Transfers of an image's rows, ``repeats`` times."""
    given = parameters()
    once = [pack_codes(part) for part in pixels_to_codes(image).reshape(-1, given["rows_out"], IMAGE)]
    return once * given["repeats"]


async def take(dut: Dut, image: np.ndarray, pause: float, rng: random.Random) -> None:
    """Wait for an image, stream it, compare, release it."""
    while not dut.available.value:
        await RisingEdge(dut.clk)
    dut.start.value = 1
    await cycles(dut, 1)
    dut.start.value = 0
    expected = rows(image)
    assert await StreamSink(dut, "o", pause=pause, rng=rng).receive(len(expected)) == expected
    await cycles(dut, rng.randint(0, 3))
    dut.release_.value = 1  # "release" is a word of Verilog's
    await cycles(dut, 1)
    dut.release_.value = 0
    await cycles(dut, 1)


async def check(
    dut: Dut, count: int, pauses: tuple[float, float], rng: random.Random, arrays: np.random.Generator
) -> None:
    """Images one behind the other."""
    images = draw(count, arrays)
    accepted = cocotb.start_soon(count_accepted(dut))
    source = StreamSource(dut, "i", pause=pauses[0], rng=rng, limit_cycles=10**6)
    sender = cocotb.start_soon(source.send(word for image in images for word in frame(image)))
    for image in images:
        await limited(take(dut, image, pauses[1], rng), 10**6, "an image")
    await sender
    await cycles(dut, 2)
    assert not dut.available.value
    accepted.cancel()
    assert counts["accepted"] == count


counts = {"accepted": 0}


async def count_accepted(dut: Dut) -> None:
    counts["accepted"] = 0
    while True:
        await RisingEdge(dut.clk)
        counts["accepted"] += int(dut.accepted.value)


def watch(dut: Dut) -> None:
    for name in ("i", "o"):
        StreamMonitor(dut, name).start()


@cocotb.test()
async def images(dut: Dut) -> None:
    await start(dut)
    watch(dut)
    await check(dut, 4, (0, 0), random_source(), random_arrays())
    await check(dut, 3, (0.3, 0.5), random_source(), random_arrays())


@cocotb.test()
async def two_images_fit(dut: Dut) -> None:
    """Pixels are taken without a gap until two images wait; then none."""
    await start(dut)
    watch(dut)
    pixels = StreamMonitor(dut, "i").start()
    words = [word for image in draw(3, random_arrays()) for word in frame(image)]
    cocotb.start_soon(StreamSource(dut, "i").send(words))
    await cycles(dut, 3 * PIXELS)
    assert len(pixels.words) == 2 * PIXELS
    assert pixels.cycles[-1] - pixels.cycles[0] == 2 * PIXELS - 1


@cocotb.test()
async def wrong_frames(dut: Dut) -> None:
    """Each is dropped and flagged; the good ones between them come out whole."""
    await start(dut)
    watch(dut)
    rng, arrays = random_source(), random_arrays()
    for length in (1, PIXELS - 1, rng.randint(2, PIXELS - 2)):
        await StreamSource(dut, "i", pause=0.1, rng=rng).send(frame(draw(1, arrays)[0], length))
        await cycles(dut, 1)
        assert dut.short.value
        assert not dut.long.value
        assert not dut.available.value
        await check(dut, 1, (0, 0), rng, arrays)
    for length in (PIXELS + 1, 2 * PIXELS, PIXELS + rng.randint(2, 900)):
        await StreamSource(dut, "i", pause=0.1, rng=rng).send(frame(draw(1, arrays)[0], length))
        await cycles(dut, 1)
        assert dut.long.value
        assert not dut.available.value
        await check(dut, 2, (0.1, 0), rng, arrays)


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    watch(dut)
    rng, arrays = random_source(), random_arrays()
    for _ in range(4):
        batch = draw(3, arrays)
        words = [word for image in batch for word in frame(image)]
        work = [StreamSource(dut, "i", limit_cycles=10**6).send(words), take(dut, batch[0], 0.2, rng)]
        await reset_sometime(dut, work, 3 * PIXELS, rng)
        assert not dut.short.value
        assert not dut.long.value
        assert not dut.available.value
        await check(dut, 2, (0, 0.1), rng, arrays)
