"""`ImageBuffer`: pixels in, rows of codes out, two images at once, frames of the wrong length dropped."""

import random
from functools import cache

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.conv.map_memory import StoredMaps
from fivebyfive.model.golden import pixels_to_codes
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters, ports
from fivebyfive.sim.benchlib.payload import unpack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import (
    cycles,
    limited,
    random_arrays,
    random_source,
    reset_sometime,
    start,
    until,
)


@cache
def stored() -> StoredMaps:
    return StoredMaps(**parameters()["image"])


AT_ONCE = parameters().get("at_once", 1)  # pixels in a transfer


@cache
def whole() -> int:
    """Transfers of an image."""
    return ceil_div(stored().channels * stored().rows * stored().columns, AT_ONCE)


def draw(count: int, arrays: np.random.Generator) -> np.ndarray:
    return arrays.integers(0, 256, (count, stored().channels, stored().rows, stored().columns), np.uint8)


def frame(image: np.ndarray, length: int | None = None) -> list[int]:
    """Words of a frame of ``length`` transfers, or as many as an image has; the last one marked. What the last one has
    too many is anything."""
    pixels = image.ravel() if length is None else np.resize(image, length * AT_ONCE)
    pixels = np.append(pixels, np.full(-len(pixels) % AT_ONCE, 0xA5, np.uint8))
    words = [int.from_bytes(one.tobytes(), "little") for one in pixels.reshape(-1, AT_ONCE)]
    return [*words[:-1], words[-1] | 1 << 8 * AT_ONCE]


def transfers(image: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Transfers of an image, int16 (transfers, rows_out, columns), where a half without a row is 999; fill codes."""
    one, rows_out = stored(), parameters()["rows_out"]
    before = one.top % rows_out
    space = (0, 0), (before, -(before + one.rows) % rows_out), (0, 0)
    padded = np.pad(pixels_to_codes(image).astype(np.int16), space, constant_values=999)
    each = padded.reshape(one.channels, -1, rows_out, one.columns)[:, : one.transfers]
    channels = list(one.order) or [*range(one.channels)] * one.repeats
    fill = np.resize(one.fill or [0], one.channels)
    return each[channels].reshape(-1, rows_out, one.columns), list(np.repeat(fill[channels], each.shape[1]))


async def watch_fill(dut: Dut, codes: list[int]) -> None:
    """The fill code beside each transfer."""
    while "fill" in ports():
        await RisingEdge(dut.clk)
        if dut.o__valid.value and dut.o__ready.value:
            codes.append(dut.fill.value.to_signed())


async def take(dut: Dut, image: np.ndarray, pause: float, rng: random.Random) -> None:
    """Wait for an image, stream it, compare, release it."""
    while not dut.available.value:
        await RisingEdge(dut.clk)
    dut.start.value = 1
    await cycles(dut, 1)
    dut.start.value = 0
    expected, fill = transfers(image)
    codes: list[int] = []
    watching = cocotb.start_soon(watch_fill(dut, codes))
    words = await StreamSink(dut, "o", pause=pause, rng=rng).receive(len(expected))
    got = np.stack([unpack_codes(word, *expected.shape[1:]) for word in words]).astype(np.int16)
    np.testing.assert_array_equal(np.where(expected == 999, 999, got), expected)
    await cycles(dut, rng.randint(0, 3))
    dut.release_.value = 1  # "release" is a word of Verilog's
    await cycles(dut, 1)
    dut.release_.value = 0
    await cycles(dut, 1)
    watching.cancel()  # only now: it wakes behind the sink
    assert codes == (fill if "fill" in ports() else [])


async def check(
    dut: Dut, count: int, pauses: tuple[float, float], rng: random.Random, arrays: np.random.Generator
) -> None:
    """Images one behind the other, which raise no flag and lower none."""
    images, raised = draw(count, arrays), flags(dut)
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
    assert flags(dut) == raised


def flags(dut: Dut) -> tuple[bool, bool]:
    """That frames were too short, and too long."""
    return bool(dut.short.value), bool(dut.long.value)


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
    taken = StreamMonitor(dut, "i").start()
    words = [word for image in draw(3, random_arrays()) for word in frame(image)]
    cocotb.start_soon(StreamSource(dut, "i").send(words))
    await cycles(dut, 3 * whole())
    assert len(taken.words) == 2 * whole()
    assert taken.cycles[-1] - taken.cycles[0] == 2 * whole() - 1


@cocotb.test()
async def wrong_frames(dut: Dut) -> None:
    """Each is dropped and flagged; the good ones between them come out whole."""
    await start(dut)
    watch(dut)
    rng, arrays = random_source(), random_arrays()
    for length in (1, whole() - 1, rng.randint(1, whole() - 1)):
        await StreamSource(dut, "i", pause=0.1, rng=rng).send(frame(draw(1, arrays)[0], length))
        await cycles(dut, 1)
        assert flags(dut) == (True, False)
        assert not dut.available.value
        await check(dut, 1, (0, 0), rng, arrays)
    for length in (whole() + 1, 2 * whole(), whole() + rng.randint(2, 900)):
        await StreamSource(dut, "i", pause=0.1, rng=rng).send(frame(draw(1, arrays)[0], length))
        await cycles(dut, 1)
        assert flags(dut) == (True, True)
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
        await reset_sometime(dut, work, 3 * whole(), rng)
        await check_from_reset(dut, rng, arrays)


@cocotb.test()
async def resets_of_rows(dut: Dut) -> None:
    """A reset in each quarter of an image's rows; the next image begins with its first row again."""
    await start(dut)
    watch(dut)
    rng, arrays = random_source(), random_arrays()
    for quarter in range(4):
        image = draw(1, arrays)[0]
        count = len(transfers(image)[0])
        await StreamSource(dut, "i").send(frame(image))
        await until(dut, dut.available, 1, 10)
        dut.start.value = 1
        dut.o__ready.value = 1
        await cycles(dut, 1)
        dut.start.value = 0
        await cycles(dut, quarter * count // 4)
        await reset_sometime(dut, [], ceil_div(count, 4), rng)
        await check_from_reset(dut, rng, arrays)


async def check_from_reset(dut: Dut, rng: random.Random, arrays: np.random.Generator) -> None:
    assert flags(dut) == (False, False)
    assert not dut.available.value
    await check(dut, 2, (0, 0.1), rng, arrays)
