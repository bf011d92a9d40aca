"""`ConvEngine` against the golden model's convolutions: pixels in, pooled codes out, layers on the tap."""

import random
from copy import copy

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.conv.conv_engine import ConvTap
from fivebyfive.model.description import read_network
from fivebyfive.model.golden import forward
from fivebyfive.model.image_cycles import work_of
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import conv_image
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.random_images import with_zeros
from fivebyfive.sim.benchlib.random_networks import least, other_network, random_network
from fivebyfive.sim.benchlib.random_padding import pad_randomly
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.taps import TapMonitor
from fivebyfive.sim.benchlib.testbench import (
    cycles,
    limited,
    load_memory,
    random_arrays,
    random_source,
    reset,
    reset_sometime,
    start,
    until,
)

SPARE_CYCLES = 400  # in a wait for an image


class Setting:
    """Network, size and a limit of cycles for an image."""

    def __init__(self) -> None:
        given = parameters()
        self.kind = given.get("kind", "")
        network = random_network(read_network(given["network"]), given["seed"], self.kind)
        self.checkpoint, self.config = least(network, Config(**given["config"]))
        self.network = self.checkpoint.network
        self.layers = stages(self.network).convs
        self.groups = [self.config.groups(stage.width) for stage in self.layers]
        self.cycles = conv_image(self.network, self.config).busy  # at most

    @property
    def limit(self) -> int:
        return self.cycles + SPARE_CYCLES


def pixel_words(image: np.ndarray) -> list[int]:
    """Words of the pixel stream: the last one has the mark."""
    words = [int(pixel) for pixel in image.ravel()]
    return [*words[:-1], words[-1] | 256]


def golden(setting: Setting, image: np.ndarray) -> tuple[list, list]:
    """What the taps show, (layer, group, cell, codes), and what comes out, codes of a group at a cell."""
    outputs = forward(setting.checkpoint, image[np.newaxis]).outputs
    taps, out = [], []
    for layer, (stage, groups) in enumerate(zip(setting.layers, setting.groups, strict=True)):
        codes = outputs[stage.name][0]
        flat = codes.reshape(len(codes), -1)  # (channels, cells)
        for number, group in enumerate(groups):
            for cell in range(flat.shape[1]):
                values = flat[group.start : group.stop, cell].tolist()
                taps.append((layer, number, cell, values))
                if layer == len(setting.layers) - 1:
                    out.append(values)
    return taps, out


def with_seed(setting: Setting, seed: int) -> Setting:
    """The same machine for a network with other weights."""
    other = copy(setting)
    other.checkpoint = other_network(setting.checkpoint, seed, setting.kind)
    return other


class Watch(TapMonitor):
    """Everything that comes out of the engine."""

    def __init__(self, dut: Dut, setting: Setting) -> None:
        self.setting = setting
        self.out = StreamMonitor(dut, "o").start()
        self.done = 0
        super().__init__(dut, ConvTap(setting.network, setting.config))

    def at_edge(self) -> None:
        self.done += int(self.dut.done.value)

    def shown(self, tap: dict) -> tuple:
        count = len(self.setting.groups[tap["layer"]][tap["group"]])
        return tap["layer"], tap["group"], tap["cell"], tap["values"][:count], tap.get("zero", 0)

    def every_cell(self) -> list[tuple]:
        """What was seen, with the cells of zeros that are not shown."""
        found: list[tuple] = []
        zeros: list[int] = []
        place = 0, 0, -1  # of the cell before
        for layer, group, cell, values, zero in [*self.seen, (-1, -1, 0, [], 0)]:
            if (layer, group) != place[:2] or cell <= place[2]:
                found += [(*place[:2], n, zeros) for n in range(place[2] + 1, self.setting.layers[place[0]].cells)]
                place = layer, group, -1
            found += [(layer, group, n, zeros) for n in range(place[2] + 1, cell)]
            found.append((layer, group, cell, values))
            place, zeros = (layer, group, cell), values if zero else zeros
        return found[:-1]

    def values_out(self) -> list:
        layout_bits = 8 * self.setting.config.outputs
        values = []
        for word in self.out.words:
            count = word >> layout_bits
            codes = word.to_bytes(ceil_div(len(self.dut.o__payload), 8), "little")[:count]
            values.append(np.frombuffer(codes, np.int8).tolist())
        return values

    def clear(self) -> None:
        self.out.clear()
        self.seen.clear()
        self.done = 0


async def check(dut: Dut, watch: Watch, images: np.ndarray, pause: float, rng: random.Random) -> None:
    """Images one behind the other."""
    setting = watch.setting
    watch.clear()
    dut.grant.value = 1
    words = [word for image in images for word in pixel_words(image)]
    source = StreamSource(dut, "i", pause=pause, rng=rng, limit_cycles=3 * setting.limit)
    sender = cocotb.start_soon(source.send(words))
    pixel_cycles = setting.network.pixels * (4 if pause else 1)
    await limited(finished(dut, watch, len(images)), len(images) * (setting.limit + pixel_cycles), "images")
    await sender
    await cycles(dut, 2)
    expected = [golden(setting, image) for image in images]
    assert watch.every_cell() == [tap for taps, _ in expected for tap in taps]
    assert watch.values_out() == [values for _, out in expected for values in out]
    assert watch.done == len(images)
    assert not dut.busy.value


async def finished(dut: Dut, watch: Watch, count: int) -> None:
    while watch.done < count:
        await RisingEdge(dut.clk)


def draw(count: int) -> np.ndarray:
    setting, arrays = Setting(), random_arrays()
    size = setting.network.input
    images = arrays.integers(0, 256, (count, *(size if size[0] > 1 else size[1:])), np.uint8)
    return with_zeros(images, arrays) if setting.config.skip_zeros else images


@cocotb.test()
async def image_behind_image(dut: Dut) -> None:
    await start(dut)
    await check(dut, Watch(dut, Setting()), draw(3), 0, random_source())


@cocotb.test()
async def slow_pixels(dut: Dut) -> None:
    await start(dut)
    await check(dut, Watch(dut, Setting()), draw(2), 0.5, random_source())


@cocotb.test()
async def busy_cycles(dut: Dut) -> None:
    """An image takes the cycles that the model says."""
    await start(dut)
    setting = Setting()
    dut.grant.value = 1
    images = draw(1 + 4 * setting.config.skip_zeros)
    for image, work in zip(images, work_of(setting.checkpoint, setting.config, images), strict=True):
        await StreamSource(dut, "i").send(pixel_words(image))
        await until(dut, dut.busy, 1, 20)
        busy = 1 + await until(dut, dut.busy, 0, setting.limit)
        assert busy == conv_image(setting.network, setting.config, work.visits).busy


@cocotb.test()
async def waits_for_its_grant(dut: Dut) -> None:
    """No image is begun while the receiver has no room, and nothing is lost meanwhile."""
    await start(dut)
    watch = Watch(dut, Setting())
    image = draw(1)
    await StreamSource(dut, "i").send(pixel_words(image[0]))
    await cycles(dut, 50)
    assert dut.available.value
    assert not dut.busy.value
    dut.grant.value = 1
    await limited(finished(dut, watch, 1), watch.setting.limit, "the image")
    assert watch.values_out() == golden(watch.setting, image[0])[1]


@cocotb.test()
async def wrong_frames(dut: Dut) -> None:
    """They are dropped and flagged as what they are; the image behind them is right."""
    await start(dut)
    watch = Watch(dut, Setting())
    pixels = watch.setting.network.pixels
    for length, flags in ((pixels + 5, (0, 1)), (pixels - 5, (1, 0))):
        await reset(dut)
        await StreamSource(dut, "i").send([7] * (length - 1) + [7 | 256])
        await cycles(dut, 2)
        assert (dut.short.value, dut.long.value) == flags
        assert not dut.available.value
        await check(dut, watch, draw(1), 0, random_source())


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    watch, rng = Watch(dut, Setting()), random_source()
    images = draw(3)
    for _ in range(4):
        dut.grant.value = 1
        words = [word for image in images for word in pixel_words(image)]
        longest = 2 * watch.setting.limit + watch.setting.network.pixels
        await reset_sometime(dut, [StreamSource(dut, "i", limit_cycles=10**6).send(words)], longest, rng)
        assert not dut.busy.value
        await check(dut, watch, images[:1], 0, rng)


@cocotb.test()
async def other_weights(dut: Dut) -> None:
    """What is loaded through the port takes the place of the words from the start; every bit of them counts."""
    await start(dut)
    watch, rng, images = Watch(dut, Setting()), random_source(), draw(1)
    built = watch.setting
    seed = parameters()["seed"]
    for setting in (with_seed(built, seed + 1), with_seed(built, seed + 2), built):
        packed = pack(setting.checkpoint, setting.config)
        image = pad_randomly(packed, setting.network, setting.config, rng.getrandbits(32))
        await load_memory(dut, image.conv, rng)
        watch.setting = setting
        await check(dut, watch, images, 0, rng)
