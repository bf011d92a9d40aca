"""`WiredBoard` behind a pseudo-terminal: a program that opens it talks to the simulated board as to a real one.

The clock runs while there is anything to do: bytes from the terminal, an answer on the line, an image in the machine.
Otherwise the simulation stands still and waits. It ends when the file ``stop`` appears, when the process that started
it is gone, or when nobody has sent anything for a long time.
"""

import os
import random
import select
import time
import tty
from pathlib import Path

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack
from fivebyfive.sim.benchlib.streams import StreamSource
from fivebyfive.sim.benchlib.testbench import PERIOD_NS, start
from fivebyfive.sim.devices.wired_board import MOST_BYTES, Bytes

BYTE_BITS = 10
QUIET_BYTES = 6  # so long nothing on the line, and there is no answer to come
WAIT_S = 0.05


class Terminal:
    """A pseudo-terminal, its name in the file ``port``."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.master, self.slave = os.openpty()  # the slave stays open, or a host that leaves would end the master
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        new = folder / "port.new"
        new.write_text(os.ttyname(self.slave))
        new.rename(folder / "port")
        self.parent = os.getppid()

    def read(self, wait_s: float) -> bytes:
        ready, _, _ = select.select([self.master], [], [], wait_s)
        return os.read(self.master, MOST_BYTES) if ready else b""

    def write(self, data: bytes) -> None:
        """What nobody reads is lost when the terminal is full, as on a real line."""
        try:
            os.write(self.master, data)
        except BlockingIOError:
            pass

    @property
    def ended(self) -> bool:
        return (self.folder / "stop").exists() or os.getppid() != self.parent


def damaged(data: bytes, rate: float, rng: random.Random) -> bytes:
    """Bytes, each replaced by another one with probability ``rate``."""
    return bytes(byte ^ rng.randint(1, 255) if rng.random() < rate else byte for byte in data)


async def listen(dut: Dut, received: bytearray) -> None:
    """Each byte that the board sends."""
    while True:
        await RisingEdge(dut.o_valid)
        await FallingEdge(dut.clk)
        received.append(int(dut.o.value))


@cocotb.test()
async def board(dut: Dut) -> None:
    given = parameters()
    await start(dut)
    received = bytearray()
    cocotb.start_soon(listen(dut, received))
    source = StreamSource(dut, "i")
    rng = random.Random(given["seed"])
    terminal = Terminal(Path.cwd())
    byte = Timer(BYTE_BITS * given["divisor"] * PERIOD_NS, "ns")
    quiet, heard = QUIET_BYTES, time.monotonic()
    while not terminal.ended:
        resting = quiet >= QUIET_BYTES and not dut.busy.value
        data = terminal.read(WAIT_S if resting else 0)
        if data:
            quiet, heard = 0, time.monotonic()
            await RisingEdge(dut.clk)  # the source drives behind an edge
            await source.send([word_of(damaged(data, given["corrupt"], rng))])
        elif not resting:
            await byte
            quiet = 0 if dut.busy.value else quiet + 1
        assert time.monotonic() - heard < given["idle_s"], "nobody talks to the board any more"
        if received:
            quiet = 0
            terminal.write(damaged(bytes(received), given["corrupt"], rng))
            received.clear()


def word_of(data: bytes) -> int:
    return pack(Bytes(), {"bytes": int.from_bytes(data, "little"), "count": len(data)})
