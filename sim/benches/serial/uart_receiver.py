"""`UartReceiver` against bits that are put on its line by time alone."""

import cocotb
from cocotb.triggers import RisingEdge

from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.serial_line import SerialLine
from fivebyfive.sim.benchlib.testbench import cycle, cycles, random_source, reset_sometime, start


class Ends(SerialLine):
    """Only writes: a receiver has no ``tx``."""

    def __init__(self, dut: Dut, stretch: float = 1.0):
        super().__init__(dut, parameters()["divisor"], stretch)
        self.bytes: list[tuple[int, int]] = []  # cycle, byte

    def start(self) -> "Ends":
        self.dut.rx.value = 1
        cocotb.start_soon(self._watch())
        return self

    async def _watch(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            if self.dut.o_valid.value:
                self.bytes.append((cycle(), int(self.dut.o.value)))

    @property
    def data(self) -> bytes:
        return bytes(byte for _, byte in self.bytes)


async def begin(dut: Dut, stretch: float = 1.0) -> Ends:
    await start(dut)
    line = Ends(dut, stretch).start()
    await cycles(dut, 3 * parameters()["divisor"])
    return line


def some_bytes() -> bytes:
    """Every byte, or fewer of them where each takes long."""
    return bytes(range(0, 256, 1 if parameters()["divisor"] < 10 else 15))


@cocotb.test()
async def right_behind_each_other(dut: Dut) -> None:
    """Each is there three cycles after the middle of its stop bit."""
    line = await begin(dut)
    first = cycle()
    await line.send(some_bytes())
    await cycles(dut, 5)
    assert line.data == some_bytes()
    divisor = parameters()["divisor"]
    for number, (when, _) in enumerate(line.bytes):
        middle = first + (10 * number + 9) * divisor + divisor // 2
        assert when - middle == 3, f"byte {number} came {when - middle} cycles after the middle of its stop bit"


@cocotb.test()
async def another_clock(dut: Dut) -> None:
    """The sender's bits are 4 % shorter or longer; where a bit has few cycles, there is that much less room."""
    rng = random_source()
    for stretch in (0.96, 1.04) if parameters()["divisor"] >= 16 else (0.99, 1.01):
        line = await begin(dut, stretch)
        data = rng.randbytes(60)
        for byte in data:
            await line.send(bytes([byte]))
            await line.send_bits([1] * rng.randint(0, 3))
        await cycles(dut, 2 * parameters()["divisor"])
        assert line.data == data


@cocotb.test()
async def no_stop_bit(dut: Dut) -> None:
    """Such a byte is dropped; the next one behind a line that is high is right."""
    line = await begin(dut)
    rng = random_source()
    for _ in range(20):
        byte = rng.randrange(256)
        await line.send_bits([0, *(rng.randrange(2) for _ in range(8)), 0])
        await line.send_bits([0] * rng.randint(0, 30) + [1])
        await line.send(bytes([byte]))
        await cycles(dut, 5)
        assert line.data == bytes([byte])
        line.bytes.clear()


@cocotb.test()
async def resets(dut: Dut) -> None:
    line = await begin(dut)
    rng = random_source()
    for _ in range(10):
        await reset_sometime(dut, [line.send(rng.randbytes(10))], 90 * parameters()["divisor"], rng)
        dut.rx.value = 1
        await cycles(dut, 12 * parameters()["divisor"])
        line.bytes.clear()
        data = rng.randbytes(3)
        await line.send(data)
        await cycles(dut, 5)
        assert line.data == data


@cocotb.test()
async def reset_as_a_byte_comes(dut: Dut) -> None:
    """In whichever cycle around a byte's end a reset is: behind it nothing comes."""
    line = await begin(dut)
    divisor = parameters()["divisor"]
    for early in range(-2, 6):
        sender = cocotb.start_soon(line.send(b"\x5a"))
        await cycles(dut, 9 * divisor + divisor // 2 + early)
        dut.rst.value = 1
        await cycles(dut, 1)
        line.bytes.clear()  # it was there before the reset took it
        dut.rst.value = 0
        await sender
        await cycles(dut, 2 * divisor)
        came = line.data
        line.bytes.clear()
        assert came == b"", f"a byte came out of a reset {early} cycles after the middle of its stop bit"
