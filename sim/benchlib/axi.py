"""The AXI core on a bench: bus models of cocotbext-axi on all ports, stalls, and the rules checked at every edge.

cocotbext-axi is written by others, so that what we think of AXI is not all that is tested. It works with cocotb 2,
with warnings of what cocotb will drop one day.
"""

import random
import warnings
from collections.abc import Iterator

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from fivebyfive.model.shape import ceil_div

from .given import Dut

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiProt, AxiResp, AxiStreamBus, AxiStreamSink, AxiStreamSource

from fivebyfive.model.protocol.registers import register

from .testbench import cycle, limited, start_clock

__all__ = ["CHANNELS", "Core", "Rules", "parse_result", "pauses"]

RESET_CYCLES = 3
LIMIT_CYCLES = 200_000  # of one wait, unless a bench has another limit

# Each channel's valid and what must hold still beside it; ready is the valid's name with another ending.
CHANNELS = {
    "s_axis_tvalid": ("s_axis_tdata", "s_axis_tkeep", "s_axis_tlast"),
    "m_axis_tvalid": ("m_axis_tdata", "m_axis_tkeep", "m_axis_tlast"),
    "s_axi_awvalid": ("s_axi_awaddr",),
    "s_axi_wvalid": ("s_axi_wdata", "s_axi_wstrb"),
    "s_axi_bvalid": ("s_axi_bresp",),
    "s_axi_arvalid": ("s_axi_araddr",),
    "s_axi_rvalid": ("s_axi_rdata", "s_axi_rresp"),
}


def pauses(probability: float, rng: random.Random) -> Iterator[bool]:
    """For each cycle whether a channel stalls."""
    while True:
        yield rng.random() < probability


def parse_result(data: bytes, classes: int) -> tuple[int, int, list[int]]:
    """Frame number, class and logits of a result's bytes; AssertionError where its unused bytes are not 0."""
    size = 4 + ceil_div(classes, 4) * 4
    assert len(data) == size, f"a result has {len(data)} bytes, not {size}"
    assert data[1] == 0, "reserved byte"
    assert not any(data[4 + classes :]), "filling"
    logits = np.frombuffer(data[4 : 4 + classes], np.int8).tolist()
    return int.from_bytes(data[2:4], "little"), data[0], logits


class Rules:
    """Looks at every channel at every edge; a rule that is broken fails the test.

    Once valid, a channel stays valid and its payload the same until it is taken, a reset apart; valid is low in the
    cycle after a reset; m_axis has its last mark on every ``words``-th word and on no other. ``stalls`` counts the
    cycles of each channel in which it was valid and not ready, ``moved`` those in which something was taken.
    """

    def __init__(self, dut: Dut, words: int):
        self.dut, self.words = dut, words
        self.stalls = dict.fromkeys(CHANNELS, 0)
        self.moved = dict.fromkeys(CHANNELS, 0)
        self.word = 0  # of the present result
        self.parts = {
            valid: [getattr(dut, name) for name in payload if hasattr(dut, name)] for valid, payload in CHANNELS.items()
        }
        cocotb.start_soon(self.watch())

    async def watch(self) -> None:
        dut, edge = self.dut, RisingEdge(self.dut.aclk)
        valids = {name: getattr(dut, name) for name in CHANNELS}
        readies = {name: getattr(dut, name.replace("valid", "ready")) for name in CHANNELS}
        waiting: dict[str, list[int] | None] = dict.fromkeys(CHANNELS)
        was_reset = True
        while True:
            await edge
            if not dut.aresetn.value:
                waiting, was_reset, self.word = dict.fromkeys(CHANNELS), True, 0
                continue
            for name, valid in valids.items():
                if not valid.value:
                    assert waiting[name] is None, f"{name} fell in cycle {cycle()} before it was taken"
                    continue
                assert not was_reset, f"{name} is high in the first cycle after a reset"
                payload = [int(part.value) for part in self.parts[name]]
                assert waiting[name] in (None, payload), f"{name}: payload changed in cycle {cycle()}"
                if readies[name].value:
                    waiting[name] = None
                    self.moved[name] += 1
                    if name == "m_axis_tvalid":
                        self.check_last()
                else:
                    waiting[name] = payload
                    self.stalls[name] += 1
            was_reset = False

    def check_last(self) -> None:
        """The word that is being taken is marked if it is the last of its result, and only then."""
        self.word = (self.word + 1) % self.words
        assert bool(self.dut.m_axis_tlast.value) == (self.word == 0), f"m_axis_tlast wrong in cycle {cycle()}"


class Core:
    """Bus models on the core's ports; registers by name. A wait of over ``limit_cycles`` is an AssertionError."""

    def __init__(self, dut: Dut, classes: int, rng: random.Random, limit_cycles: int = LIMIT_CYCLES):
        self.dut, self.classes, self.rng, self.limit_cycles = dut, classes, rng, limit_cycles
        quiet(dut)
        start_clock(dut.aclk)
        reset = {"reset": dut.aresetn, "reset_active_level": False}
        self.pixels = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, **reset)
        self.results = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, **reset)
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, **reset)
        for model in (self.pixels, self.results, self.lite.write_if, self.lite.read_if):
            model.log.setLevel("WARNING")
        self.rules = Rules(dut, 1 + ceil_div(classes, 4))

    async def cycles(self, count: int) -> None:
        for _ in range(count):
            await RisingEdge(self.dut.aclk)

    async def reset(self, length: int = RESET_CYCLES) -> None:
        """aresetn low for ``length`` cycles."""
        self.dut.aresetn.value = 0
        await self.cycles(length)
        self.dut.aresetn.value = 1
        await FallingEdge(self.dut.aclk)

    def stall(self, probability: float) -> None:
        """Random stalls on all seven channels; none if 0."""
        write, read = self.lite.write_if, self.lite.read_if
        channels = (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel)
        for model in (self.pixels, self.results, *channels):
            model.set_pause_generator(pauses(probability, self.rng) if probability else None)
            model.pause = False

    async def access(self, address: int, value: int | None = None, strobes: range = range(4)) -> tuple[int, AxiResp]:
        """Read a word's bytes ``strobes``, or write those of ``value``; what was read and the response.

        AxPROT is random and the address that of the first byte: the core ignores both."""
        first, prot = strobes.start, AxiProt(self.rng.randrange(8))
        if value is None:
            read = self.lite.read(address + first, strobes.stop - first, prot)
            answer = await limited(read, self.limit_cycles, f"a read of {address:#x}")
            return int.from_bytes(answer.data, "little") << 8 * first, answer.resp
        write = self.lite.write(address + first, value.to_bytes(4, "little")[first : strobes.stop], prot)
        return 0, (await limited(write, self.limit_cycles, f"a write of {address:#x}")).resp

    async def read(self, name: str) -> int:
        value, response = await self.access(register(name).offset)
        assert response == AxiResp.OKAY, name
        return value

    async def write(self, name: str, value: int) -> None:
        _, response = await self.access(register(name).offset, value)
        assert response == AxiResp.OKAY, name

    async def receive(self) -> tuple[int, int, list[int]]:
        """The next result (`parse_result`)."""
        frame = await limited(self.results.recv(), self.limit_cycles, "a result")
        return parse_result(bytes(frame.tdata), self.classes)


def quiet(dut: Dut) -> None:
    """Inputs that no model drives before its first reset."""
    dut.aresetn.value = 0
    dut.s_axi_awprot.value = 0
    dut.s_axi_arprot.value = 0
