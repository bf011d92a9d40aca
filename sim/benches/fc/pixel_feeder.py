"""`PixelFeeder`: every pixel of a frame becomes a code in its cycle; what ends a frame, and how, is checked, too."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, random_source, reset_sometime, start

AT_ONCE = parameters().get("at_once", 1)  # pixels in a transfer
LAST = 1 << 8 * AT_ONCE  # mark of an image's last transfer
PIXELS = parameters()["pixels"]
WHOLE = ceil_div(PIXELS, AT_ONCE)  # transfers of an image
LENGTHS = (WHOLE, 1, WHOLE, WHOLE, WHOLE - 1, WHOLE, WHOLE + 1, WHOLE, 2 * WHOLE, WHOLE // 2, WHOLE)
NAMES = ("o__valid", "done", "accepted", "drop")


def frame(length: int, rng: random.Random) -> list[int]:
    words = [rng.randrange(LAST) for _ in range(length)]
    return [*words[:-1], words[-1] | LAST]


class Judge:
    """What should be seen of the pixels that are taken."""

    def __init__(self, dut: Dut):
        self.dut = dut
        self.count = 0  # transfers of the frame so far
        self.short = self.long = False

    async def run(self) -> None:
        while True:
            await FallingEdge(self.dut.clk)  # inputs are driven behind the rising edge, and have settled here
            self.look()

    def look(self) -> None:
        seen = {name: int(getattr(self.dut, name).value) for name in NAMES}
        flags = bool(self.dut.short.value), bool(self.dut.long.value)
        assert flags == (self.short, self.long)
        assert int(self.dut.i__ready.value) == int(self.dut.grant.value)
        if not (self.dut.i__valid.value and self.dut.grant.value):
            assert not any(seen.values()), seen
            return
        word = int(self.dut.i__payload.value)
        self.count += 1
        last, whole = bool(word & LAST), self.count == WHOLE
        assert seen["o__valid"] == (self.count <= WHOLE)
        if seen["o__valid"]:
            count = min(AT_ONCE, PIXELS - AT_ONCE * (WHOLE - 1)) if last else AT_ONCE
            given = int(self.dut.o__payload.value)
            codes = [byte >> 1 for byte in (word % LAST).to_bytes(AT_ONCE, "little")]
            assert given >> 8 * AT_ONCE == count
            assert list(given.to_bytes(AT_ONCE + 1, "little")[:count]) == codes[:count]
        assert seen["done"] == seen["accepted"] == (last and whole)
        assert seen["drop"] == (last and not whole)
        if last:
            self.short |= self.count < WHOLE
            self.long |= self.count > WHOLE
            self.count = 0


async def change_grant(dut: Dut, rng: random.Random) -> None:
    while True:
        dut.grant.value = int(rng.random() < 0.9)
        await RisingEdge(dut.clk)


@cocotb.test()
async def frames(dut: Dut) -> None:
    """Good ones, short ones and long ones; then with pauses on both sides."""
    rng = random_source()
    await start(dut)
    await cycles(dut, 1)
    StreamMonitor(dut, "i").start()
    cocotb.start_soon(Judge(dut).run())
    dut.grant.value = 1
    for length in LENGTHS:
        await StreamSource(dut, "i").send(frame(length, rng))
    assert dut.short.value
    assert dut.long.value
    cocotb.start_soon(change_grant(dut, rng))
    for length in LENGTHS:
        await StreamSource(dut, "i", pause=0.1, rng=rng).send(frame(length, rng))
    await cycles(dut, 2)


@cocotb.test()
async def no_gap(dut: Dut) -> None:
    """Three images without a gap between them."""
    rng = random_source()
    await start(dut)
    await cycles(dut, 1)
    pixels = StreamMonitor(dut, "i").start()
    dut.grant.value = 1
    await StreamSource(dut, "i").send(word for _ in range(3) for word in frame(WHOLE, rng))
    await cycles(dut, 1)
    assert len(pixels.words) == 3 * WHOLE
    assert pixels.cycles[-1] - pixels.cycles[0] == 3 * WHOLE - 1


@cocotb.test()
async def resets(dut: Dut) -> None:
    """A reset anywhere in a frame: the next pixel begins one, and no flag is left."""
    rng = random_source()
    await start(dut)
    for length in (WHOLE, 2 * WHOLE, 9):
        dut.grant.value = 1
        work = StreamSource(dut, "i").send([*frame(length, rng), *frame(WHOLE, rng)])
        await reset_sometime(dut, [work], length, rng)
        await cycles(dut, 1)
        judge = cocotb.start_soon(Judge(dut).run())
        dut.grant.value = 1
        await StreamSource(dut, "i").send(frame(WHOLE, rng))
        await cycles(dut, 1)
        judge.cancel()
