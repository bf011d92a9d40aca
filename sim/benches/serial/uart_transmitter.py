"""`UartTransmitter`: what its line says to a receiver that looks at it by time alone."""

import cocotb
from cocotb.triggers import FallingEdge

from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.serial_line import SerialLine
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycle, cycles, random_source, reset_sometime, start


class Listener(SerialLine):
    """Only reads: a transmitter has no ``rx``."""

    def start(self) -> "Listener":
        cocotb.start_soon(self._listen())
        return self


async def check(dut: Dut, line: Listener, data: bytes, pause: float) -> None:
    """Bytes through the transmitter."""
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(data)
    await cycles(dut, 10 * parameters()["divisor"])
    assert line.take() == data
    assert line.broken == 0
    for _ in range(20):  # at rest, and ready at any time
        assert dut.tx.value == dut.i__ready.value == 1
        await cycles(dut, 1)


def some_bytes() -> bytes:
    """Every byte, or fewer of them where each takes long."""
    return bytes(range(0, 256, 1 if parameters()["divisor"] < 10 else 15))


@cocotb.test()
async def right_behind_each_other(dut: Dut) -> None:
    """10 bits each, and nothing between them."""
    await start(dut)
    line = Listener(dut, parameters()["divisor"]).start()
    i = StreamMonitor(dut, "i").start()
    await check(dut, line, some_bytes(), 0)
    assert {b - a for a, b in zip(i.cycles, i.cycles[1:], strict=False)} == {10 * parameters()["divisor"]}


@cocotb.test()
async def bits_are_as_long_as_they_should(dut: Dut) -> None:
    """The first bit begins in the cycle after the byte was taken, and 0x55 falls every second bit."""
    await start(dut)
    i = StreamMonitor(dut, "i").start()
    sender = cocotb.start_soon(StreamSource(dut, "i").send([0x55]))
    falls = []
    for _ in range(5):
        await FallingEdge(dut.tx)
        falls.append(cycle())
    await sender
    divisor = parameters()["divisor"]
    assert falls == [i.cycles[0] + 2 * divisor * n for n in range(5)]


@cocotb.test()
async def pauses_and_resets(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    line = Listener(dut, parameters()["divisor"]).start()
    for _ in range(8):
        work = StreamSource(dut, "i").send(rng.randbytes(5))
        await reset_sometime(dut, [work], 60 * parameters()["divisor"], rng)
        assert dut.tx.value == 1
        await cycles(dut, 12 * parameters()["divisor"])
        line.take()
        line.broken = 0
        await check(dut, line, rng.randbytes(6), 0.9)
