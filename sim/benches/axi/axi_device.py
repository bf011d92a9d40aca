"""`AxiCore` under the orders of another process (`fivebyfive.sim.devices.axi_device`), AXI's rules checked."""

from collections.abc import Callable
from multiprocessing.connection import Client

import cocotb
from cocotbext.axi import AxiResp

from fivebyfive.sim.benchlib.axi import Core
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.testbench import random_source

SLICE_CYCLES = 500  # that one look at a channel of the DMA lasts, unless it becomes idle


class Device:
    """Does one order at a time; results are taken only while a transfer waits for one."""

    def __init__(self, core: Core):
        self.core = core
        core.results.pause = True

    async def read(self, offset: int) -> tuple[int, bool]:
        value, response = await self.core.access(offset)
        return value, response == AxiResp.OKAY

    async def write(self, offset: int, value: int) -> bool:
        _, response = await self.core.access(offset, value)
        return response == AxiResp.OKAY

    async def send(self, data: bytes) -> None:
        self.core.pixels.send_nowait(data)

    async def sent(self) -> bool:
        return await self.wait(self.core.pixels.idle)

    async def arm(self) -> None:
        self.core.results.pause = False

    async def received(self) -> bytes | None:
        if not await self.wait(lambda: not self.core.results.empty()):
            return None
        self.core.results.pause = True
        return bytes(self.core.results.recv_nowait().tdata)

    async def reset_dma(self) -> None:
        """Frames that wait are not sent; the one under way ends, as the core takes pixels."""
        self.core.pixels.clear()
        self.core.results.pause = True
        await self.core.cycles(2)
        while self.core.dut.s_axis_tvalid.value:
            await self.core.cycles(1)

    async def wait(self, done: Callable[[], bool]) -> bool:
        """Let time pass until ``done``, or for a slice of it."""
        for _ in range(SLICE_CYCLES):
            if done():
                return True
            await self.core.cycles(1)
        return done()


@cocotb.test()
async def serve(dut: Dut) -> None:
    core = Core(dut, parameters()["classes"], random_source())
    await core.reset()
    device = Device(core)
    with Client(parameters()["socket"]) as connection:
        while True:
            order, *arguments = connection.recv()
            if order == "close":
                connection.send(None)
                return
            connection.send(await getattr(device, order.replace(" ", "_"))(*arguments))
