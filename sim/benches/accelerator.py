"""`Accelerator` when things go wrong or change: resets, frames of the wrong length, slow receivers, other weights."""

import random
from functools import cache
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.accelerator import Accelerator, Load, Status, Target
from fivebyfive.hw.counters import Cycles
from fivebyfive.hw.fc.argmax import Result
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import read_network
from fivebyfive.model.golden import classify, predict
from fivebyfive.model.image_cycles import cycles_of_images
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import counter_bits
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.weights import pack as pack_weights
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack, unpack
from fivebyfive.sim.benchlib.pixel_words import words_of
from fivebyfive.sim.benchlib.random_images import with_zeros
from fivebyfive.sim.benchlib.random_networks import other_network, random_network
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import cycle, cycles, random_arrays, random_source, reset_sometime, start, until

IMAGES = 3
COUNTED = 12  # cycles from a result until the counters show it, at most


@cache
def checkpoint(offset: int = 0) -> Checkpoint:
    """The checkpoint that the accelerator was generated from, or another one of the same layers."""
    given = parameters()
    kind = given.get("kind", "")
    network = random_network(read_network(given["network"]), given["seed"], kind)
    return other_network(network, given["seed"] + offset, kind) if offset else network


def transfers(image: np.ndarray) -> list[int]:
    """An image as words of the input stream."""
    return words_of(image, Config(**parameters()["config"]).pixels)


def frame() -> int:
    """Transfers of an image."""
    return ceil_div(checkpoint().network.pixels, Config(**parameters()["config"]).pixels)


def draw_images(count: int = IMAGES) -> np.ndarray:
    size, arrays = checkpoint().network.input, random_arrays()
    images = arrays.integers(0, 256, (count, *(size if size[0] > 1 else size[1:])), np.uint8)
    return with_zeros(images, arrays) if Config(**parameters()["config"]).skip_zeros else images


async def check(dut: Dut, images: np.ndarray, network: Checkpoint, pause: float, rng: random.Random) -> None:
    """Every image's result, in order, with pauses on both sides."""
    source = StreamSource(dut, "i", pause=pause, rng=rng)
    sink = StreamSink(dut, "o", pause=pause, rng=rng, limit_cycles=100_000 + 10 * parameters()["image_cycles"])
    sender = cocotb.start_soon(source.send([word for image in images for word in transfers(image)]))
    results = [unpack(Result(network.network.classes), word) for word in await sink.receive(len(images))]
    await sender
    logits = predict(network, images)
    assert [result["logits"] for result in results] == logits.tolist()
    assert [result["index"] for result in results] == classify(logits).tolist()


def watch(dut: Dut) -> None:
    """Stream rules at every edge."""
    for name in ("i", "o", "load"):
        StreamMonitor(dut, name).start()


def cycles_layout() -> Cycles:
    """Of the counters, whose width is what the machine needs."""
    return Cycles(counter_bits(checkpoint().network, Config(**parameters()["config"])))


def status(dut: Dut) -> dict:
    return unpack(Status(len(stages(checkpoint().network).convs)), int(dut.status.value))


@cocotb.test()
async def pauses(dut: Dut) -> None:
    await start(dut)
    watch(dut)
    await check(dut, draw_images(), checkpoint(), 0.3, random_source())


@cocotb.test()
async def receiver_asleep(dut: Dut) -> None:
    """Nobody takes a result: pixels are taken until every buffer is full, then none, and nothing is lost."""
    await start(dut)
    watch(dut)
    pixels = StreamMonitor(dut, "i").start()
    images = draw_images(8)
    sender = cocotb.start_soon(StreamSource(dut, "i").send([w for image in images for w in transfers(image)]))
    await cycles(dut, parameters()["image_cycles"] * 8)
    assert not sender.done()
    assert len(pixels.words) % frame() == 0, "the accelerator stopped in the middle of an image"
    results = await StreamSink(dut, "o").receive(len(images))
    layout = Result(checkpoint().network.classes)
    assert [unpack(layout, word)["logits"] for word in results] == predict(checkpoint(), images).tolist()


@cocotb.test()
async def resets(dut: Dut) -> None:
    """A reset at any cycle returns to a working idle: one while pixels come in, and in every phase of an image."""
    await start(dut)
    watch(dut)
    rng = random_source()
    for _ in range(parameters()["resets"]):
        images = draw_images()
        work = StreamSource(dut, "i", pause=0.1, rng=rng).send([w for image in images for w in transfers(image)])
        sink = StreamSink(dut, "o", pause=0.5, rng=rng).receive(IMAGES)
        await reset_sometime(dut, [work, sink], parameters()["image_cycles"] * 2 + frame(), rng)
        assert status(dut) == {"busy": 0, "short_frame": 0, "long_frame": 0, "state": 0}
        await check(dut, images[:2], checkpoint(), 0.0, rng)


@cocotb.test()
async def frames_of_wrong_length(dut: Dut) -> None:
    """A frame that is too short or too long is dropped and flagged; the next good one is right."""
    await start(dut)
    watch(dut)
    rng = random_source()
    images = draw_images(4)
    source, whole = StreamSource(dut, "i", pause=0.1, rng=rng), frame()
    assert not status(dut)["short_frame"]
    for length in (1, min(28, whole - 1), rng.randint(2, whole - 2), whole - 1):
        words = transfers(images[0])
        await source.send([*words[: length - 1], words[-1]])
        await cycles(dut, 2)
        assert status(dut)["short_frame"]
        assert not status(dut)["busy"]
    await check(dut, images[1:2], checkpoint(), 0.1, rng)
    assert not status(dut)["long_frame"]
    for length in (whole + 1, whole + rng.randint(2, 2000), 2 * whole):
        words = transfers(images[0])
        await source.send([words[n % (whole - 1)] for n in range(length - 1)] + [words[-1]])
        await cycles(dut, 2)
        assert status(dut)["long_frame"]
        assert not status(dut)["busy"]
    await check(dut, images[2:], checkpoint(), 0.1, rng)


@cocotb.test()
async def counters(dut: Dut) -> None:
    """They say what can be seen from outside, and what the model of the cycles says; of images alone and in a row."""
    await start(dut)
    network, rng = checkpoint(), random_source()
    config, images = Config(**parameters()["config"]), [draw_images(count) for count in (1, 1, 6, 1, 4)]
    models = [one for some in images for one in cycles_of_images(network, config, some)]
    pixels = StreamMonitor(dut, "i").start()
    results: list[tuple[int, dict]] = []
    cocotb.start_soon(note_counters(dut, results))
    for some in images[:-1]:
        await check(dut, some, network, 0, rng)
        await cycles(dut, COUNTED + rng.randint(0, 1000))
    await take_late(dut, images[-1], rng)
    there, shown = zip(*results, strict=True)
    whole = frame()
    last_pixels = pixels.cycles[whole - 1 :: whole]
    assert [one["latency"] for one in shown] == list(np.subtract(there, last_pixels))
    assert [one["interval"] for one in shown[1:]] == list(np.diff(there))
    assert [(one["conv"], one["fc"]) for one in shown] == [(model.conv, model.fc) for model in models]
    assert shown[0]["latency"] == models[0].latency


async def take_late(dut: Dut, images: np.ndarray, rng: random.Random) -> None:
    """Results are there for a while before they are taken."""
    sender = cocotb.start_soon(StreamSource(dut, "i").send([word for image in images for word in transfers(image)]))
    for _ in images:
        await until(dut, dut.o__valid, 1, 4 * (parameters()["image_cycles"] + frame()))
        await cycles(dut, rng.randint(COUNTED + 2, 500))
        await StreamSink(dut, "o").receive(1)
    await sender


async def note_counters(dut: Dut, results: list[tuple[int, dict]]) -> None:
    """The cycle in which each result is there first, and what the counters show soon after."""
    before = 0
    while True:
        await RisingEdge(dut.clk)
        if dut.o__valid.value and not before:
            cocotb.start_soon(note_one(dut, results, cycle()))
        before = int(dut.o__valid.value) and not int(dut.o__ready.value)


async def note_one(dut: Dut, results: list[tuple[int, dict]], there: int) -> None:
    await cycles(dut, COUNTED)
    results.append((there, unpack(cycles_layout(), int(dut.cycles.value))))


@cocotb.test()
async def other_weights(dut: Dut) -> None:
    """Weights loaded through the port take the place of those in the .mem files; not while an image is inside."""
    await start(dut)
    watch(dut)
    rng = random_source()
    images = draw_images()
    await check(dut, images, checkpoint(), 0.0, rng)
    other = checkpoint(1)
    source = StreamSource(dut, "load", pause=0.1, rng=rng)
    await source.send(load_words(other))
    await check(dut, images, other, 0.0, rng)
    await StreamSource(dut, "i").send(transfers(images[0]))
    await cycles(dut, 2)
    sender = cocotb.start_soon(source.send(load_words(checkpoint())))
    for _ in range(200):
        await RisingEdge(dut.clk)
        assert not dut.load__ready.value, "weights were taken while an image was inside"
    (word,) = await StreamSink(dut, "o").receive(1)
    assert unpack(Result(other.network.classes), word)["logits"] == predict(other, images[:1])[0].tolist()
    await sender
    await check(dut, images, checkpoint(), 0.0, rng)


def load_words(network: Checkpoint) -> list[int]:
    """Both weight memories as words of the load stream, in random order."""
    config = Config(**parameters()["config"])
    return loads(network, Accelerator(network.network, config, tables=network.tables))


def loads(network: Checkpoint, machine: Accelerator) -> list[int]:
    """The same of a machine."""
    image = pack_weights(network, machine.config)
    targets: Any = Target  # Any: Amaranth's enumerations have no annotations
    layout = Load(max(machine.depths.values()), max(image.conv.shape[1], image.fc.shape[1]))
    words = [
        pack(layout, {"target": target.value, "address": address, "data": dict(enumerate(map(int, word)))})
        for target, memory in ((targets.CONV, image.conv), (targets.FC, image.fc))
        for address, word in enumerate(memory)
    ]
    random_source().shuffle(words)
    return words
