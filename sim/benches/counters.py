"""`Counters` against time stamps kept in Python."""

import random

import cocotb
from cocotb.triggers import RisingEdge

from fivebyfive.hw.counters import Cycles
from fivebyfive.model.machine.cycles import COUNTER_BITS
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import unpack
from fivebyfive.sim.benchlib.testbench import cycle, cycles, limited, random_source, reset, start

IMAGES = 40


def bits() -> int:
    return parameters().get("bits", COUNTER_BITS)


def overtakes() -> bool:
    """Whether an image may be done with its inputs before the result of the image before is valid."""
    return parameters().get("overtakes", False)


def varies() -> bool:
    """Whether the conv engine's count follows its image."""
    return parameters().get("varies", False)


class Machine:
    """Images on their way through a machine of random pace; the order of its events is that of the real one."""

    def __init__(self, dut: Dut, rng: random.Random):
        self.dut, self.rng = dut, rng
        self.accepted: list[int] = []  # cycle of each image's last pixel
        self.released = self.converted = self.emptied = 0  # images
        self.conv: list[int] = []  # busy cycles of each image
        self.fc: list[int] = []
        self.results: list[int] = []  # cycle in which each result became valid
        self.taken: list[int] = []
        self.tasks: list = []

    async def pulse(self, name: str) -> None:
        signal = getattr(self.dut, name)
        signal.value = 1
        await RisingEdge(self.dut.clk)
        signal.value = 0

    async def pause(self, longest: int = 30) -> None:
        await cycles(self.dut, self.rng.randint(1, longest))

    async def pixels(self) -> None:
        for _ in range(IMAGES):
            await self.pause()
            while len(self.accepted) - self.released >= 2:  # the image buffer is full
                await RisingEdge(self.dut.clk)
            await self.pulse("accepted")
            self.accepted.append(cycle())

    async def convolve(self) -> None:
        """An image's buffer is released in the middle; the last busy cycle has ``conv_done``."""
        for image in range(IMAGES):
            while len(self.accepted) <= image or image - self.emptied >= 2:
                await RisingEdge(self.dut.clk)
            begin = cycle()
            self.dut.conv_busy.value = 1
            await self.pause()
            await self.pulse("released")
            self.released += 1
            await self.pause()
            await self.pulse("conv_done")
            self.dut.conv_busy.value = 0
            self.converted += 1
            self.conv.append(cycle() - begin)
            self.conv_end = cycle()
            await self.pause(3)

    async def connect(self) -> None:
        """Fully-connected layers: done with their inputs in the middle; the result is valid at the end."""
        for image in range(IMAGES):
            while self.converted <= image:
                await RisingEdge(self.dut.clk)
            begin = cycle()
            self.dut.fc_busy.value = 1
            await self.pause()
            await self.pulse("inputs_done")
            self.emptied += 1
            await self.pause()
            while len(self.taken) < image:  # the result before is still there
                await RisingEdge(self.dut.clk)
            await cycles(self.dut, (cycle() - begin) % (1 << bits()) == 0)  # such a period would not be shown
            self.dut.fc_busy.value = 0
            self.fc.append(cycle() - begin)
            self.tasks.append(classified := cocotb.start_soon(self.classify()))
            if not overtakes():
                await classified
            await self.pause(3)

    async def classify(self) -> None:
        """A result becomes valid, one cycle after the last logit or later."""
        await cycles(self.dut, self.rng.choice((1, self.rng.randint(1, 60))) if overtakes() else 1)
        self.dut.result.value = 1
        await RisingEdge(self.dut.clk)
        self.results.append(cycle())

    def start(self) -> list:
        """All parts at once; returns their tasks."""
        parts = (self.take, self.pixels, self.convolve, self.connect)
        self.tasks += [cocotb.start_soon(part()) for part in parts]
        return list(self.tasks)

    async def take(self) -> None:
        """Results are taken after a while; the counters are right from the cycle after the result on."""
        for image in range(IMAGES):
            while len(self.results) <= image or cycle() == self.results[image]:
                await RisingEdge(self.dut.clk)
            self.look(image)
            await self.pause(5)
            self.look(image)  # they stay until the next result
            await self.pulse("taken")
            self.dut.result.value = 0
            self.taken.append(image)

    def look(self, image: int) -> None:
        shown, most = unpack(Cycles(bits()), int(self.dut.cycles.value)), 1 << bits()
        assert shown["fc"] == self.fc[image] % most
        assert shown["latency"] == (self.results[image] - self.accepted[image]) % most
        if image:
            assert shown["interval"] == (self.results[image] - self.results[image - 1]) % most
        if varies():
            assert shown["conv"] == self.conv[image] % most
        elif len(self.conv) > image and cycle() >= self.conv_end + 2:  # it shows two cycles after the last busy one
            assert shown["conv"] == self.conv[-1] % most


async def check(dut: Dut, rng: random.Random) -> None:
    machine = Machine(dut, rng)
    for task in machine.start():
        await limited(task, 100_000, "an image")
    assert len(machine.taken) == IMAGES


@cocotb.test()
async def images(dut: Dut) -> None:
    await start(dut)
    await check(dut, random_source())


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    for _ in range(4):
        machine = Machine(dut, rng)
        machine.start()
        await cycles(dut, rng.randint(1, 400))
        for task in machine.tasks:
            task.cancel()
        for name in ("accepted", "released", "conv_busy", "conv_done", "inputs_done", "fc_busy", "result", "taken"):
            getattr(dut, name).value = 0
        await reset(dut, 1)
        await check(dut, rng)
