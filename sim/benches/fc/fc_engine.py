"""`FcEngine` against the golden model's fully-connected layers: activations in, logits and class out."""

import random
from copy import copy, deepcopy
from typing import Any

import cocotb
import numpy as np
from amaranth.lib import data
from cocotb.triggers import RisingEdge

from fivebyfive.hw.common.types import codes
from fivebyfive.hw.fc.argmax import Result
from fivebyfive.hw.fc.fc_engine import FcTap
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import read_network
from fivebyfive.model.golden import accumulate, apply_steps
from fivebyfive.model.image_cycles import not_zero
from fivebyfive.model.machine.banks import fullest_lanes
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import behind, fc_words
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.weights import pack as pack_weights
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import FC_WORD, ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack, unpack
from fivebyfive.sim.benchlib.random_networks import least, other_network, random_network
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.taps import TapMonitor
from fivebyfive.sim.benchlib.testbench import (
    cycles,
    limited,
    load_memory,
    random_arrays,
    random_source,
    reset_sometime,
    start,
    until,
)

WAITING = 4  # images inside at most: a result, one in front of the last layer, two sets of inputs
LAYER_CYCLES = 40  # of a layer, beyond its words: preparing, pipeline, drain


class Setting:
    """Network, size, and how many cycles an image takes at least and at most."""

    def __init__(self) -> None:
        given = parameters()
        self.kind = given.get("kind", "")
        network = random_network(read_network(given["network"]), given["seed"], self.kind)
        self.checkpoint, self.config = least(network, Config(**given["config"]))
        self.network = self.checkpoint.network
        self.last_conv, self.stages = stages(self.network).convs[-1], stages(self.network).fc
        rows, lanes = self.config.fc_outputs, self.config.fc_lanes
        self.word_cycles = sum(map(sum, fc_words(self.network, self.config)))
        biases = sum(
            ceil_div(stage.outputs, lanes * rows) for stage in self.stages
        )  # in cycles of their own only in the dense engine
        self.limit = self.word_cycles + biases + LAYER_CYCLES * len(self.stages)
        if self.config.fc_skips_zeros:  # results come one by one
            self.limit += biases * self.config.fc_rows
        if self.config.inputs_outside(self.network, 0):  # it may wait for each word, and takes a cycle to look
            cells = self.last_conv.cells * len(self.config.groups(self.last_conv.width))
            self.limit += cells + self.stages[0].inputs

    def draw(self, count: int, arrays: np.random.Generator) -> np.ndarray:
        """Activations of the last convolution, int8 (count, inputs), in PyTorch's order; not negative after ReLU."""
        least = 0 if self.last_conv.after[-1:] == ("relu",) else -128
        drawn = arrays.integers(least, 128, (count, self.stages[0].inputs), np.int8)
        if self.config.fc_skips_zeros:  # all of them, many, some, few, no zeros
            shares = arrays.choice((0, 0.05, 0.3, 0.9, 1), (count, 1))
            drawn[arrays.random(drawn.shape) >= shares] = 0
        return drawn

    def layers(self, activations: np.ndarray) -> list[list[int]]:
        """Every layer's codes for activations (inputs,)."""
        x, result = activations, []
        arrays = self.checkpoint.arrays
        for stage in self.stages:
            weight, bias = (arrays[f"{stage.name}.{kind}"] for kind in ("weight", "bias"))
            x = Q2_6.requantize(accumulate(x[np.newaxis], weight.reshape(stage.outputs, -1), bias))[0]
            x = apply_steps(x, stage.after, arrays.get(f"{stage.name}.table"))
            result.append(x.tolist())
        return result

    def inputs(self, activations: np.ndarray) -> list[np.ndarray]:
        """Every layer's inputs, int8 (inputs,), in the order in which they are stored, for activations (inputs,)."""
        hidden = self.layers(activations)[:-1]
        return [activations[self.config.fc1_order(self.network)], *(np.array(codes, np.int8) for codes in hidden)]

    def words(self, activations: np.ndarray) -> int:
        """Words of weights that are read for activations (inputs,), at least."""
        if not self.config.fc_skips_zeros:
            return self.word_cycles
        each = zip(self.stages, self.inputs(activations), strict=True)
        return sum(ceil_div(stage.outputs, self.config.fc_outputs) * int(np.count_nonzero(x)) for stage, x in each)

    def cycles(self, activations: np.ndarray) -> int:
        """For how many cycles activations (inputs,) make the engine busy, if all of them are there when it begins."""
        counts = tuple(tuple(not_zero(x[np.newaxis])[0].tolist()) for x in self.inputs(activations))
        return behind(self.network, self.config)(0, [], 0, inputs=counts).cycles

    def transfers(self, dut_shape: Any, activations: np.ndarray, rng: random.Random) -> list[int]:
        """Words of one image's activations, as the conv engine gives them: a group's channels at one cell."""
        ordered = activations[self.config.fc1_order(self.network)]
        words, at = [], 0
        for group in self.config.groups(self.last_conv.width):
            for _ in range(self.last_conv.cells):
                values = ordered[at : at + len(group)].tolist()
                at += len(group)
                junk = [rng.randint(-128, 127) for _ in range(self.config.outputs - len(group))]
                words.append(pack(dut_shape, {"values": values + junk, "count": len(group)}))
        return words


def payload_shape(setting: Setting) -> Any:
    """Of the stream of activations."""
    outputs = setting.config.outputs
    return data.StructLayout({"values": codes(outputs), "count": range(outputs + 1)})


async def send(dut: Dut, setting: Setting, images: np.ndarray, pause: float, rng: random.Random) -> None:
    """Each image's activations when there is room, then a commit."""
    source = StreamSource(dut, "i", pause=pause, rng=rng)
    for activations in images:
        while not dut.grant.value:
            await RisingEdge(dut.clk)
        await source.send(setting.transfers(payload_shape(setting), activations, rng))
        await cycles(dut, 1 + (setting.config.outputs - 1) // FC_WORD + rng.randint(0, 2 if pause else 0))
        dut.commit.value = 1
        await cycles(dut, 1)
        dut.commit.value = 0
        await cycles(dut, 1)  # until grant knows


class Taps(TapMonitor):
    """What the tap shows: (layer, group, values)."""

    def __init__(self, dut: Dut, setting: Setting) -> None:
        self.setting = setting
        super().__init__(dut, FcTap(setting.network, setting.config))

    def shown(self, tap: dict) -> tuple:
        rows = self.setting.config.fc_outputs
        count = min(rows, self.setting.stages[tap["layer"]].outputs - tap["group"] * rows)
        return tap["layer"], tap["group"], tap["values"][:count]

    def expected(self, layers: list[list[int]]) -> list[tuple]:
        rows = self.setting.config.fc_outputs
        return [
            (layer, at // rows, values[at : at + rows])
            for layer, values in enumerate(layers)
            for at in range(0, len(values), rows)
        ]


async def check(
    dut: Dut,
    setting: Setting,
    taps: Taps,
    count: int,
    pauses: tuple[float, float],
    rng: random.Random,
    arrays: np.random.Generator,
) -> None:
    """Images one behind the other: every layer, the logits, the class."""
    taps.seen.clear()
    images = setting.draw(count, arrays)
    sender = cocotb.start_soon(send(dut, setting, images, pauses[0], rng))
    sink = StreamSink(dut, "o", pause=pauses[1], rng=rng, limit_cycles=10 * setting.limit + 100_000)
    results = [unpack(Result(setting.network.classes), word) for word in await sink.receive(count)]
    await sender
    await cycles(dut, 2)
    layers = [setting.layers(activations) for activations in images]
    assert [result["logits"] for result in results] == [layer[-1] for layer in layers]
    assert [result["index"] for result in results] == [int(np.argmax(layer[-1])) for layer in layers]
    assert taps.seen == [tap for layer in layers for tap in taps.expected(layer)]


async def begin(dut: Dut) -> tuple[Setting, Taps]:
    await start(dut)
    for name in ("i", "o"):
        StreamMonitor(dut, name).start()
    setting = Setting()
    return setting, Taps(dut, setting)


@cocotb.test()
async def image_behind_image(dut: Dut) -> None:
    setting, taps = await begin(dut)
    await check(dut, setting, taps, 4, (0, 0), random_source(), random_arrays())


@cocotb.test()
async def gaps_and_back_pressure(dut: Dut) -> None:
    setting, taps = await begin(dut)
    await check(dut, setting, taps, 3, (0.6, 0.9), random_source(), random_arrays())
    await check(dut, setting, taps, 3, (0.1, 0.999), random_source(), random_arrays())


@cocotb.test()
async def busy_cycles(dut: Dut) -> None:
    """An image takes the cycles that the cycle model says; where fc1 begins early, at most LAYER_CYCLES for each layer
    more than its words."""
    setting, _ = await begin(dut)
    rng, arrays = random_source(), random_arrays()
    sink = StreamSink(dut, "o")
    for activations in setting.draw(8, arrays):
        sender = cocotb.start_soon(send(dut, setting, activations[np.newaxis], 0, rng))
        await until(dut, dut.busy, 1, 5000)
        busy = 1 + await until(dut, dut.busy, 0, setting.limit)
        await sender
        dut._log.info(f"{busy} cycles busy, {busy - setting.words(activations)} beyond the weight words")
        if setting.config.early_fc:
            assert setting.words(activations) < busy <= setting.limit
        else:
            assert busy == setting.cycles(activations)
        await sink.receive(1)


@cocotb.test()
async def result_waits(dut: Dut) -> None:
    """Nobody takes the first result: the engine stops before it would overwrite it, and nothing is lost."""
    setting, _ = await begin(dut)
    rng, arrays = random_source(), random_arrays()
    images = setting.draw(WAITING + 1, arrays)
    sender = cocotb.start_soon(send(dut, setting, images, 0, rng))
    await cycles(dut, (WAITING + 2) * setting.limit + 2000)
    assert not sender.done(), f"room for {WAITING + 1} images, though no result was taken"
    sink = StreamSink(dut, "o", limit_cycles=10 * setting.limit)
    results = [unpack(Result(setting.network.classes), word) for word in await sink.receive(len(images))]
    assert [r["logits"] for r in results] == [setting.layers(activations)[-1] for activations in images]


@cocotb.test()
async def resets(dut: Dut) -> None:
    setting, taps = await begin(dut)
    rng, arrays = random_source(), random_arrays()
    for _ in range(5):
        work = [send(dut, setting, setting.draw(3, arrays), 0.1, rng), StreamSink(dut, "o").receive(3)]
        await reset_sometime(dut, work, 3 * setting.limit, rng)
        assert not dut.busy.value
        again = check(dut, setting, taps, 2, (0, 0.2), rng, arrays)
        await limited(again, 20 * setting.limit + 10_000, "images after a reset")


def order(network: Checkpoint, config: Config, layer: int) -> list[int]:
    """Index of each input of a layer in the order in which they are stored."""
    return config.fc1_order(network.network) if layer == 0 else list(range(stages(network.network).fc[layer].inputs))


def crowded(network: Checkpoint, config: Config, arrays: np.random.Generator) -> Checkpoint:
    """A network with a weight in every lane of every word of a machine that skips zeros, at other places than those
    of ``network``; the machine that skips none has them already."""
    result = deepcopy(network)
    for layer, words in enumerate(config.engines.words):
        weights = result.arrays[f"{stages(network.network).fc[layer].name}.weight"]
        known, stored = weights[weights != 0], np.zeros_like(weights)
        for output, row in enumerate(stored):
            for lane in range(FC_WORD):
                inputs = arrays.permutation(np.arange(lane, len(row), FC_WORD))[: words[output // config.fc_rows]]
                row[inputs] = arrays.choice(known, len(inputs))
        weights[:, order(network, config, layer)] = stored
    return result


def close(network: Checkpoint, config: Config, above: int) -> Checkpoint:
    """A network whose logits are the same but for ``above``, by which each second one is larger."""
    result = deepcopy(network)
    fc = stages(network.network).fc
    last = len(fc) - 1
    weights, biases = (result.arrays[f"{fc[last].name}.{kind}"] for kind in ("weight", "bias"))
    weights[:] = weights[np.argmin(fullest_lanes(weights[:, order(network, config, last)], 1))]  # fits everywhere
    biases[:] = min(biases[0], 127 - above)
    biases[1::2] += above
    return result


def negative(network: Checkpoint, arrays: np.random.Generator) -> Checkpoint:
    """A network whose logits are all below zero, whatever comes."""
    result = deepcopy(network)
    last = stages(network.network).fc[-1].name
    result.arrays[f"{last}.weight"][:] = 0
    biases = result.arrays[f"{last}.bias"]
    biases[:] = arrays.integers(-128, 0, len(biases), np.int8)
    return result


@cocotb.test()
async def other_weights(dut: Dut) -> None:
    """What is loaded through the port takes the place of the words from the start; every bit of them counts, and so
    does the smallest difference of two logits."""
    setting, taps = await begin(dut)
    rng, arrays, seed = random_source(), random_arrays(), parameters()["seed"]
    first, second = (other_network(setting.checkpoint, seed + n, setting.kind) for n in (1, 2))
    full = crowded(second, setting.config, arrays)
    few = 40 if setting.config.fc_skips_zeros else 1  # images, as sums are kept: a wrong low bit seldom shows
    networks = [(first, few), (second, few), (full, 6)]
    networks += [(close(first, setting.config, above), 4) for above in (0, 1)] + [(setting.checkpoint, few)]
    waiting = [(network, images, 0.0) for network, images in networks]
    if setting.config.engines.fc.kind == "codes":  # weights of zero can be loaded
        waiting.append((negative(first, arrays), 6, 0.95))
    for network, images, pause in waiting:
        other = copy(setting)
        other.checkpoint = network
        await load_memory(dut, pack_weights(network, other.config).fc, rng)
        await check(dut, other, taps, images, (0, pause), rng, arrays)
