"""`Deframer` against `link.Decoder`: whole frames, and lines on which everything happens."""

import random

import cocotb
from cocotb.triggers import RisingEdge

from fivebyfive.model.protocol.link import ESCAPE, FLAG, LARGEST, Decoder, Frame, encode
from fivebyfive.sim.benchlib.given import Dut
from fivebyfive.sim.benchlib.testbench import cycles, random_source, reset_sometime, start

BYTE_CYCLES = 15  # faster than any line: the fifth byte of the next frame comes when the longest payload was read


class Frames:
    """Takes each frame that the design gives, payload included, and counts the bad ones."""

    def __init__(self, dut: Dut):
        self.dut, self.bad = dut, 0
        self.frames: list[Frame] = []
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            self.bad += int(self.dut.bad.value)
            if self.dut.valid.value:
                header = int(self.dut.header.value)
                payload = bytearray()
                for address in range(header & 0xFF):
                    self.dut.address.value = address
                    await RisingEdge(self.dut.clk)
                    assert not self.dut.valid.value
                    payload.append(int(self.dut.payload.value))
                self.frames.append(Frame(header >> 8 & 0xFF, header >> 16, bytes(payload)))


async def send(dut: Dut, line: bytes, rng: random.Random) -> None:
    """Bytes as a receiver gives them."""
    for byte in line:
        dut.i.value, dut.i_valid.value = byte, 1
        await RisingEdge(dut.clk)
        dut.i.value, dut.i_valid.value = rng.randrange(256), 0
        await cycles(dut, BYTE_CYCLES - 1)


def draw(rng: random.Random) -> Frame:
    """A frame, often full of bytes that need an escape."""
    few = bytes([FLAG, ESCAPE, 0x5E, 0x5D, 0])
    length = rng.choice((0, 1, 2, LARGEST - 1, LARGEST, rng.randint(0, LARGEST)))
    payload = bytes(rng.choice(few) for _ in range(length)) if rng.random() < 0.5 else rng.randbytes(length)
    return Frame(rng.choice((rng.randrange(256), FLAG, ESCAPE)), rng.choice((rng.randrange(1 << 16), 0x7D7E)), payload)


@cocotb.test()
async def frames(dut: Dut) -> None:
    """Right behind each other, each is given, and none is bad."""
    await start(dut)
    rng = random_source()
    seen = Frames(dut)
    given = [draw(rng) for _ in range(25)]
    for frame in given:
        await send(dut, encode(frame), rng)
    await cycles(dut, 100)
    assert seen.frames == given
    assert seen.bad == 0


@cocotb.test()
async def given_in_the_cycle_after_the_last_byte(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    for _ in range(5):
        *line, last = encode(draw(rng))
        await send(dut, bytes(line), rng)
        dut.i.value, dut.i_valid.value = last, 1
        await RisingEdge(dut.clk)
        dut.i_valid.value = 0
        for expected in (1, 0):
            await RisingEdge(dut.clk)
            assert dut.valid.value == expected
        await cycles(dut, BYTE_CYCLES)


def damaged(line: bytearray, rng: random.Random) -> bytearray:
    """A line on which bytes were changed, lost and added."""
    rate = rng.choice((0.002, 0.02, 0.1))
    out = bytearray()
    for byte in line:
        chance = rng.random()
        if chance < rate:
            other = bytes([byte ^ 1 << rng.randrange(8)])
            out += rng.choice((b"", other, bytes([rng.randrange(256)]), bytes([byte, FLAG])))
        else:
            out.append(byte)
    return out


@cocotb.test()
async def a_bad_line(dut: Dut) -> None:
    """What the golden decoder finds in it, and no more: of longer frames than a board takes nothing."""
    await start(dut)
    rng = random_source()
    total = 0
    for _ in range(8):
        seen = Frames(dut)
        line = bytearray(rng.randbytes(rng.randint(0, 100)))
        given = [draw(rng) for _ in range(12)]
        for frame in given:
            line += encode(frame)
        line = damaged(line, rng)
        line += encode(Frame(1, 2))  # so that all begin alike
        await send(dut, bytes(line), rng)
        await cycles(dut, 100)
        expected = [frame for frame in Decoder().feed(bytes(line)) if len(frame.payload) <= LARGEST]
        assert seen.frames == expected
        assert all(frame in [*given, Frame(1, 2)] for frame in seen.frames)
        total += seen.bad
    assert total > 0


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    for _ in range(5):
        line = encode(draw(rng))
        await reset_sometime(dut, [send(dut, line, rng)], BYTE_CYCLES * len(line), rng)
        seen, frame = Frames(dut), draw(rng)
        await send(dut, encode(frame), rng)
        await cycles(dut, 100)
        assert seen.frames == [frame]
        assert seen.bad == 0
