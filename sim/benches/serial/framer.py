"""`Framer` against `link.encode`."""

import random
from collections.abc import Callable

import cocotb

from fivebyfive.hw.serial.framer import Answer
from fivebyfive.model.protocol.link import ESCAPE, FLAG, Frame, encode
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import random_source, reset_sometime, start


def draw(rng: random.Random) -> Frame:
    most = parameters()["most"]
    length = rng.choice((0, 1, most, rng.randint(0, most)))
    payload = bytes(rng.choice((FLAG, ESCAPE, rng.randrange(256))) for _ in range(length))
    return Frame(rng.choice((FLAG, ESCAPE, rng.randrange(256))), rng.randrange(1 << 16), payload)


def word(frame: Frame) -> int:
    header = {"length": len(frame.payload), "kind": frame.kind, "sequence": frame.sequence}
    payload = int.from_bytes(frame.payload, "little")
    return pack(Answer(parameters()["most"]), {"header": header, "payload": payload})


def draw_escaped(rng: random.Random) -> Frame:
    """One whose CRC ends with a byte that is escaped."""
    return next(frame for frame in iter(lambda: draw(rng), None) if encode(frame)[-2] == ESCAPE)


async def check(
    dut: Dut,
    count: int,
    pauses: tuple[float, float],
    rng: random.Random,
    draw: Callable[[random.Random], Frame] = draw,
) -> None:
    frames = [draw(rng) for _ in range(count)]
    line = b"".join(encode(frame) for frame in frames)
    cocotb.start_soon(StreamSource(dut, "i", pause=pauses[0], rng=rng).send([word(frame) for frame in frames]))
    assert bytes(await StreamSink(dut, "o", pause=pauses[1], rng=rng).receive(len(line))) == line


@cocotb.test()
async def answers(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    for name in ("i", "o"):
        StreamMonitor(dut, name).start()
    for pauses in ((0, 0), (0.9, 0), (0, 0.7), (0.5, 0.5)):
        await check(dut, 30, pauses, rng)


@cocotb.test()
async def escapes_in_the_crc(dut: Dut) -> None:
    """With and without back pressure."""
    await start(dut)
    for pause in (0, 0.7):
        await check(dut, 4, (0, pause), random_source(), draw_escaped)


@cocotb.test()
async def the_first_byte_comes_in_the_next_cycle(dut: Dut) -> None:
    await start(dut)
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    await check(dut, 1, (0, 0), random_source())
    assert o.cycles[0] == i.cycles[0] + 1


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    for name in ("i", "o"):
        StreamMonitor(dut, name).start()
    for _ in range(8):
        words = [word(draw(rng)) for _ in range(3)]
        work = [StreamSource(dut, "i").send(words), StreamSink(dut, "o", pause=0.3, rng=rng).receive(99)]
        await reset_sometime(dut, work, 60, rng)
        await check(dut, 2, (0, 0.2), rng)
