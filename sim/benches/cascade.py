"""`Cascade` against its golden model: two networks drawn at random, and a margin at which some images go on."""

import random
from functools import cache

import cocotb
import numpy as np

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.cascade import Answer
from fivebyfive.model.cascade import answer
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import read_network
from fivebyfive.model.golden import classify
from fivebyfive.model.machine.sizing import sized
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import unpack
from fivebyfive.sim.benchlib.pixel_words import words_of
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, random_arrays, random_source, reset_sometime, start

from .accelerator import loads

IMAGES = 4

Pair = tuple[Checkpoint, Checkpoint]


@cache
def networks(offset: int = 0) -> Pair:
    """The two that the cascade was made from, or others of the same layers."""
    given = parameters()
    first, second = (read_network(given[name]) for name in ("first", "second"))
    seed = given["seed"] + offset
    return Checkpoint.random(first, seed), Checkpoint.random(second, seed + 1)


def transfers(images: np.ndarray) -> list[int]:
    return [word for image in images for word in words_of(image, parameters()["pixels"])]


def draw(count: int = IMAGES) -> np.ndarray:
    size = networks()[0].network.input
    return random_arrays().integers(0, 256, (count, *(size if size[0] > 1 else size[1:])), np.uint8)


async def check(dut: Dut, images: np.ndarray, pause: float, rng: random.Random, pair: Pair | None = None) -> np.ndarray:
    """Every image's answer, in order, with pauses on both sides; which of them the second network gave."""
    sender = cocotb.start_soon(StreamSource(dut, "i", pause=pause, rng=rng).send(transfers(images)))
    words = await StreamSink(dut, "o", pause=pause, rng=rng).receive(len(images))
    await sender
    classes = networks()[0].network.classes
    got = [unpack(Answer(classes), word) for word in words]
    expected = answer(*(pair or networks()), parameters()["margin"], images)
    assert [one["result"]["logits"] for one in got] == expected.logits.tolist()
    assert [one["result"]["index"] for one in got] == classify(expected.logits).tolist()
    assert [bool(one["second"]) for one in got] == expected.second.tolist()
    return expected.second


def watch(dut: Dut) -> None:
    for name in ("i", "o"):
        StreamMonitor(dut, name).start()


@cocotb.test()
async def at_any_pace(dut: Dut) -> None:
    """With and without pauses; the counters count all answers and those of the second."""
    await start(dut)
    watch(dut)
    rng, results, asked = random_source(), 0, 0
    for pause in (0.0, 0.3):
        images = draw(3 * IMAGES)
        second = await check(dut, images, pause, rng)
        assert 0 < second.sum() < len(images) or parameters()["one_sided"]
        results, asked = results + len(images), asked + int(second.sum())
        await cycles(dut, 2)
        assert (int(dut.images.value), int(dut.asked.value), int(dut.busy.value)) == (results, asked, 0)


@cocotb.test()
async def receiver_asleep(dut: Dut) -> None:
    """Nobody takes an answer: pixels are taken until every buffer is full, then none, and nothing is lost."""
    await start(dut)
    watch(dut)
    pixels = StreamMonitor(dut, "i").start()
    images = draw(12)
    sender = cocotb.start_soon(StreamSource(dut, "i").send(transfers(images)))
    await cycles(dut, parameters()["image_cycles"] * 12)
    assert not sender.done()
    assert len(pixels.words) % len(transfers(images[:1])) == 0, "it stopped in the middle of an image"
    assert dut.busy.value
    layout = Answer(networks()[0].network.classes)
    got = [unpack(layout, word)["result"]["logits"] for word in await StreamSink(dut, "o").receive(len(images))]
    assert got == answer(*networks(), parameters()["margin"], images).logits.tolist()


@cocotb.test()
async def frames_of_wrong_length(dut: Dut) -> None:
    """Such a frame is dropped and flagged, and the images before and behind it keep their own answers."""
    await start(dut)
    watch(dut)
    rng = random_source()
    whole = len(transfers(draw(1)))
    for length, flag in (
        (1, "short_frame"),
        (whole - 1, "short_frame"),
        (whole + 1, "long_frame"),
        (2 * whole, "long_frame"),
    ):
        words = transfers(draw(1))
        await StreamSource(dut, "i", pause=0.1, rng=rng).send(
            [words[n % (whole - 1)] for n in range(length - 1)] + words[-1:]
        )
        await cycles(dut, 2)
        assert getattr(dut, flag).value
        assert not dut.busy.value
        await check(dut, draw(), 0.1, rng)


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    watch(dut)
    rng = random_source()
    for _ in range(4):
        images = draw()
        work = StreamSource(dut, "i", pause=0.1, rng=rng).send(transfers(images))
        sink = StreamSink(dut, "o", pause=0.5, rng=rng).receive(IMAGES)
        await reset_sometime(dut, [work, sink], parameters()["image_cycles"] * 3, rng)
        assert not dut.busy.value
        assert not dut.images.value
        assert not dut.asked.value
        await check(dut, images[:2], 0.0, rng)


@cocotb.test()
async def other_weights(dut: Dut) -> None:
    """Weights loaded through the ports take the place of those in the .mem files; not while an image is inside."""
    await start(dut)
    watch(dut)
    rng = random_source()
    images = draw(2 * IMAGES)
    await check(dut, images, 0.0, rng)
    for port, network in zip(("load_first", "load_second"), networks(10), strict=True):
        await StreamSource(dut, port, pause=0.1, rng=rng).send(load_words(network, parameters()["pixels"]))
    await check(dut, images, 0.0, rng, networks(10))
    await StreamSource(dut, "i").send(transfers(images[:1]))
    await cycles(dut, 2)
    for port in ("load_first", "load_second"):
        getattr(dut, f"{port}__valid").value = 1
        await cycles(dut, 20)
        assert not getattr(dut, f"{port}__ready").value, "weights were taken while an image was inside"
        getattr(dut, f"{port}__valid").value = 0
    await StreamSink(dut, "o").receive(1)
    await check(dut, images, 0.0, rng, networks(10))


def load_words(network: Checkpoint, pixels: int) -> list[int]:
    """Both weight memories of a network as words of its load stream, in random order."""
    config = sized(network.network, pixels=pixels)
    return loads(network, Accelerator(network.network, config, tables=network.tables))
