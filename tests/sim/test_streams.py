"""The stream drivers and the monitor: what they let through and what they catch."""

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.sim.benchlib.payload import pack, unpack
from fivebyfive.sim.simulator.runner import SimulationFailed, build, run

BENCH = """
import random
import cocotb
from cocotb.triggers import RisingEdge
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import cycle, cycles, limited, random_source, reset_sometime, start, until

WORDS = [(37 * n + 11) % 65536 for n in range(300)]

async def transfer(dut, pauses, words=WORDS):
    rng = random_source()
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    cocotb.start_soon(StreamSource(dut, "i", pause=pauses[0], rng=rng).send(words))
    assert await StreamSink(dut, "o", pause=pauses[1], rng=rng).receive(len(words)) == words
    await cycles(dut, 3)
    assert i.words == o.words == words
    return i.cycles, o.cycles

@cocotb.test()
async def full_speed(dut):
    await start(dut)
    taken, given = await transfer(dut, (0, 0))
    assert taken == list(range(taken[0], taken[0] + len(WORDS)))
    assert {b - a for a, b in zip(taken, given)} == {1}

@cocotb.test()
async def all_kinds_of_pauses(dut):
    await start(dut)
    for pauses in ((0.9, 0), (0, 0.9), (0.5, 0.5), (0.1, 0.8)):
        await transfer(dut, pauses)

@cocotb.test()
async def reset(dut):
    await start(dut)
    StreamMonitor(dut, "o").start()
    for _ in range(5):
        rng = random_source()
        work = [StreamSource(dut, "i").send(WORDS), StreamSink(dut, "o", pause=0.5, rng=rng).receive(300)]
        await reset_sometime(dut, work, 100, rng)
        await transfer(dut, (0.2, 0.2))

@cocotb.test()
async def monitors_only(dut):
    await start(dut)
    await transfer(dut, (0.3, 0.6))

@cocotb.test()
async def nobody_takes(dut):
    await start(dut)
    await StreamSource(dut, "i", limit_cycles=50).send(WORDS)

@cocotb.test()
async def nobody_gives(dut):
    await start(dut)
    await StreamSink(dut, "o", limit_cycles=50).receive(1)

@cocotb.test()
async def waits_have_limits(dut):
    await start(dut)
    before = cycle()
    assert await until(dut, dut.o__valid, 0, 10) == 0
    await limited(RisingEdge(dut.o__valid), 20, "a word")
"""


class Register(wiring.Component):
    """A stream register; ``fault`` breaks one of the stream rules now and then."""

    def __init__(self, fault=None):
        self.fault = fault
        super().__init__({"i": In(stream.Signature(16)), "o": Out(stream.Signature(16))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        stalled = Signal(3)
        with m.If(self.o.valid & ~self.o.ready):
            m.d.sync += stalled.eq(stalled + 1)
            with m.If(stalled == 7):
                if self.fault == "valid":
                    m.d.sync += self.o.valid.eq(0)
                if self.fault == "payload":
                    m.d.sync += self.o.payload.eq(self.o.payload + 1)
        return m


@pytest.fixture
def start(simulator, tmp_path, monkeypatch):
    (tmp_path / "stream_bench.py").write_text(BENCH)
    monkeypatch.syspath_prepend(tmp_path)

    def run_tests(*tests, fault=None):
        design = to_verilog(Register(fault), "register")
        return run(build(design, simulator), "stream_bench", tmp_path, tests=tests, timeout_s=120)

    return run_tests


def test_good_stream(start):
    assert len(start("full_speed", "all_kinds_of_pauses", "reset").tests) == 3


@pytest.mark.parametrize(("fault", "message"), [("valid", "valid fell"), ("payload", "payload changed")])
def test_broken_rules_are_caught(start, fault, message):
    with pytest.raises(SimulationFailed, match=f"o: {message} in cycle"):
        start("monitors_only", fault=fault)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody_takes", "i does not take word 1: nothing for 50 cycles"),
        ("nobody_gives", "o does not give word 0: nothing for 50 cycles"),
        ("waits_have_limits", "a word: nothing for 20 cycles"),
    ],
)
def test_every_wait_ends(start, name, message):
    with pytest.raises(SimulationFailed, match=message):
        start(name)


class Color(enum.Enum, shape=2):
    RED = 0
    BLUE = 2


LAYOUT = data.StructLayout(
    {"last": 1, "code": signed(8), "color": Color, "row": data.ArrayLayout(data.ArrayLayout(signed(4), 2), 3)}
)
VALUE = {"last": 1, "code": -128, "color": 2, "row": [[-8, 7], [0, -1], [3, 4]]}


def test_payloads():
    word = pack(LAYOUT, VALUE)
    assert unpack(LAYOUT, word) == VALUE
    assert word == LAYOUT.const(VALUE | {"color": Color.BLUE}).as_value().value
    assert unpack(signed(5), 0b1_10000) == -16
    assert pack(LAYOUT, {"code": 1}) == 2


@pytest.mark.parametrize("value", [{"code": 128}, {"last": 2}, {"last": -1}, {"lost": 0}, {"row": [[1, 8]]}])
def test_payloads_that_do_not_fit(value):
    with pytest.raises(ValueError, match=r"does not fit|no field"):
        pack(LAYOUT, value)
