"""The whole accelerator: images in, every layer and result out, into arrays that the caller compares.

The bench computes nothing: it drives pixels, takes results and writes down what the taps show. The caller made the
arrays (`fivebyfive.sim.simulate`), watches them fill up while this runs, and knows what should be in them.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge, ValueChange

from fivebyfive.hw.conv.conv_engine import ConvTap
from fivebyfive.hw.counters import Cycles
from fivebyfive.hw.fc.argmax import Result
from fivebyfive.hw.fc.fc_engine import FcTap
from fivebyfive.model.description import read_network
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.pixel_words import words_of
from fivebyfive.sim.benchlib.streams import StreamSource
from fivebyfive.sim.benchlib.testbench import cycle, limited, random_source, start
from fivebyfive.sim.simulator.speed import Stopwatch


def field(layout: Any, name: str, word: int) -> int:
    """Unsigned value of a field of a packed structure."""
    part = layout[name]
    return (word >> part.offset) & ((1 << part.width) - 1)


class Recorder:
    """Writes what comes out of the accelerator into the caller's arrays."""

    def __init__(self, given: dict):
        self.network = network = read_network(given["network"])
        self.config = config = Config(**given["config"])
        self.folder = folder = Path(given["folder"])
        self.limit_cycles = given["limit_cycles"]  # of any wait
        self.waves = given["waves"]
        names = (*network.names, "run-classes", "run-cycles", "run-done", "run-speed")
        names += tuple(f"{layer}-cycle" for layer in network.names if self.waves)
        self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in names}
        built = config.built(network)  # and where its outputs are among those of the network
        self.convs, self.fc = stages(built).convs, stages(built).fc
        self.places = {name: np.array(outputs) for name, outputs in config.computed(network).items()}
        self.groups = [config.groups(stage.width) for stage in self.convs]
        self.conv_images, self.shown_before = -1, (len(self.convs), 0, 0)
        self.fc_events = 0
        self.conv_layout = ConvTap(built, config) if self.convs else None
        self.fc_layout = FcTap(built, config) if self.fc else None
        self.result_layout, self.cycles_layout = Result(network.classes), Cycles(given["counter_bits"])
        self.fc_per_image = sum(ceil_div(stage.outputs, config.fc_outputs) for stage in self.fc)
        self.accepted: list[int] = []  # cycle in which each image's last pixel was taken
        self.valid: list[int] = []  # first cycle in which each result was valid

    def values(self, layout: Any, name: str, word: int) -> np.ndarray:
        """A field that is an array of codes."""
        size = layout[name].width // 8
        return np.frombuffer(field(layout, name, word).to_bytes(size, "little"), np.int8)

    def conv(self, word: int) -> None:
        """Pooled codes of a group of output channels at one cell, or also at those behind it that are not shown."""
        layer, number, cell = (field(self.conv_layout, name, word) for name in ("layer", "group", "cell"))
        if (layer, number, cell) <= self.shown_before:  # those of an image come in this order
            self.conv_images += 1
        self.shown_before = layer, number, cell
        stage, group = self.convs[layer], self.groups[layer][number]
        values = self.values(self.conv_layout, "values", word)[: len(group)]
        outputs = self.places[stage.name][group.start : group.stop]
        zero = self.config.skip_zeros and field(self.conv_layout, "zero", word)
        cells = np.arange(cell, stage.cells if zero else cell + 1)
        rows, columns = np.divmod(cells, stage.outputs[2])
        self.record(stage.name, (self.conv_images, outputs[:, np.newaxis], rows, columns), values[:, np.newaxis])

    def fc_tap(self, word: int) -> None:
        """A group of outputs of a fully-connected layer."""
        image = self.fc_events // self.fc_per_image
        self.fc_events += 1
        stage = self.fc[field(self.fc_layout, "layer", word)]
        first = field(self.fc_layout, "group", word) * self.config.fc_outputs
        values = self.values(self.fc_layout, "values", word)
        values = values[: stage.outputs - first]
        place = (image, self.places[stage.name][first : first + len(values)])
        shape = self.arrays[stage.name].shape
        self.record(stage.name, place if len(shape) == 2 else (*place, 0, 0), values)  # a convolution to 1x1

    def record(self, layer: str, place: tuple, values: np.ndarray) -> None:
        """Keep values of a layer and, where somebody will look at waves, the cycle in which the tap shows them."""
        self.arrays[layer][place] = values
        if self.waves:
            self.arrays[f"{layer}-cycle"][place] = cycle()

    def result(self, image: int, word: int, cycles: int) -> None:
        """The result's own logits are what the last layer's array keeps: the tap has been seen before."""
        last = self.arrays[self.network.names[-1]]
        last[image] = self.values(self.result_layout, "logits", word).reshape(last.shape[1:])
        self.arrays["run-classes"][image] = field(self.result_layout, "index", word)
        counted = [field(self.cycles_layout, name, cycles) for name in ("conv", "fc", "latency", "interval")]
        self.check_clocks(image, *counted[2:])
        self.arrays["run-cycles"][image] = counted
        self.arrays["run-done"][0] = image + 1

    def check_clocks(self, image: int, latency: int, interval: int) -> None:
        """The hardware's latency and interval against what was seen from outside."""
        seen = self.valid[image] - self.accepted[image]
        assert latency == seen, f"image {image}: latency counter says {latency} cycles, the bench saw {seen}"
        if image:
            seen = self.valid[image] - self.valid[image - 1]
            assert interval == seen, f"image {image}: interval counter says {interval} cycles, the bench saw {seen}"


async def feed(dut: Dut, recorder: Recorder, images: np.ndarray, pause: float, rng: random.Random) -> None:
    """Every pixel of every image, with pauses of probability ``pause``."""
    source = StreamSource(dut, "i", pause=pause, rng=rng, limit_cycles=recorder.limit_cycles)
    for image in images:
        await source.send(words_of(image, recorder.config.pixels))
        recorder.accepted.append(cycle() - 1)  # the cycle that this edge ended


async def watch(tap: Any, record: Callable[[int], None]) -> None:
    """Each word of a tap: its toggle makes every one a change, or, bit by bit on Icarus, several in one step."""
    in_parts = cocotb.SIM_NAME.startswith("Icarus")
    while True:
        await ValueChange(tap)
        if in_parts:
            await ReadOnly()
        record(int(tap.value))


@cocotb.test()
async def images(dut: Dut) -> None:
    """All images, one behind the other, with the pauses the caller asks for."""
    stopwatch = Stopwatch()
    given = parameters()
    recorder = Recorder(given)
    rng = random_source()
    await start(dut)
    if given["layers"]:
        if recorder.convs:
            cocotb.start_soon(watch(dut.conv_tap, recorder.conv))
        if recorder.fc:
            cocotb.start_soon(watch(dut.fc_tap, recorder.fc_tap))
    pixels = np.load(recorder.folder / "run-pixels.npy")
    feeder = cocotb.start_soon(feed(dut, recorder, pixels, given["pause"], rng))
    for image in range(len(pixels)):
        taken = take(dut, recorder, image, given["pause"], rng)
        await limited(taken, recorder.limit_cycles, f"the result of image {image}")
    await feeder
    speed = stopwatch.stop(cycle())
    recorder.arrays["run-speed"][:] = speed.cycles, speed.seconds, speed.python_seconds


async def take(dut: Dut, recorder: Recorder, image: int, pause: float, rng: random.Random) -> None:
    """Wait for a result and take it at once or, with pauses, let it wait a while in its turn."""
    dut.o__ready.value = 0 if pause else 1
    if not dut.o__valid.value:
        await RisingEdge(dut.o__valid)
    recorder.valid.append(cycle())
    await FallingEdge(dut.clk)
    word = int(dut.o__payload.value)
    await RisingEdge(dut.clk)
    if pause:
        while rng.random() < pause:
            await RisingEdge(dut.clk)
        dut.o__ready.value = 1
        await RisingEdge(dut.clk)
        dut.o__ready.value = 0
    await RisingEdge(dut.clk)  # the counters of a result follow it by two cycles
    await FallingEdge(dut.clk)
    recorder.result(image, word, int(dut.cycles.value))
