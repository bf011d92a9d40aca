"""`ConvController`: the brief's states in the brief's order, a sweep for each kernel, under any waiting."""

import random
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from fivebyfive.hw.conv.conv_controller import ConvController, ConvLayer, Mode
from fivebyfive.sim.benchlib.given import Dut, parameters, ports
from fivebyfive.sim.benchlib.testbench import cycles, port_handles, random_source, reset, start

M: Any = Mode  # Any: Amaranth's enumerations have no annotations


@cache
def component() -> ConvController:
    given = parameters()
    layers = [
        ConvLayer(
            layer["outputs"],
            layer["inputs"],
            given["parallel"],
            layer["bias_address"],
            layer.get("sweeps", ()),
            given.get("width", 25),
            layer.get("pace", 1),
            single=layer["positions"] == 1,
        )
        for layer in given["layers"]
    ]
    return ConvController(layers, given["depth"], given["memory_latency"], given["drain"])


@dataclass(frozen=True)
class Event:
    """A position that entered the array, a bias word handed over, or the start of a layer."""

    kind: str
    state: str
    values: tuple


Stay = tuple[str, int]  # a state, and for how many cycles


def joined(stays: list[Stay]) -> list[Stay]:
    """Stays in the same state one after the other as one."""
    return [(state, sum(length for _, length in some)) for state, some in groupby(stays, lambda stay: stay[0])]


@cache
def expected() -> tuple[list[Stay], list[Event]]:
    """States of one image in order, with their cycles if nothing waits, and what happens in them."""
    given = parameters()
    layers, wait, words_in_one = given["layers"], given["memory_latency"] + 1, given.get("width", 25)
    stays: list[Stay] = []
    events: list[Event] = []
    for number, layer in enumerate(layers):
        conv = f"CONV{number + 1}"
        turns = words = -(-layer["outputs"] // words_in_one)
        if number:
            turns += turns % 2
        for word in range(turns):
            preparing, load = f"PREPARING_{conv}_BIAS{word % 2}", f"LOAD_{conv}_BIAS{word % 2}"
            if number == 0:
                preparing, load = "PREPARING", "LOAD_CONV1_BIAS"
            stays += [(preparing, wait), (load, 1)]
            if word < words:  # the last pair may be half empty
                events.append(Event("bias", load, (word, layer["bias_address"] + word)))
            if word == turns - 1:
                events.append(Event("start", load, (number,)))
        weight, write, rest = f"LOAD_{conv}_WEIGHT", f"LOAD_{conv}_WRITE_DATA", 0
        groups = -(-layer["outputs"] // given["parallel"])
        for sweeps in layer.get("sweeps") or [layer["inputs"]] * groups:
            for sweep in range(sweeps):
                last = sweep == sweeps - 1
                pace = layer.get("pace", 1) if last else 1
                stays.append((weight, 1 + rest))
                rest = pace - 1  # before the next sweep
                if layer["positions"] > 1:
                    stays.append((write, (layer["positions"] - 1) * pace))
                for position in range(layer["positions"]):
                    flags = int(position == 0), int(sweep == 0), int(last), number
                    events.append(Event("go", write if position else weight, flags))
        stays.append(("CONV_FINISH" if layer is layers[-1] else f"{conv}_FINISH", given["drain"] + 1))
    return joined(stays), events


class Surroundings:
    """Line buffer, kernel fetcher and weight memory, as the controller sees them; notes what it does."""

    def __init__(self, dut: Dut, wait: float, rng: random.Random):
        self.dut, self.wait, self.rng = port_handles(dut), wait, rng
        self.clock = dut.clk
        self.layers = parameters()["layers"]
        self.names = [state.name for state in component().states]
        self.stays: list[Stay] = []
        self.events: list[Event] = []
        self.requests: list[int | None] = []  # of bias words, by cycle: their address
        self.counts = {"conv1_done": 0, "done": 0}
        self.since_last = 1000  # cycles since a position of the last input channel

    def level(self, name: str) -> int:
        """What is on a port; 0 where it has no bits."""
        return int(getattr(self.dut, name).value) if name in ports() else 0

    async def live(self) -> None:
        """Answer and note, at every edge, until cancelled."""
        dut, position, layer = self.dut, 0, 0
        offered = kernel = False
        while True:
            # A position that is offered stays until it is taken; so does a kernel.
            offered = offered or self.rng.random() >= self.wait
            kernel = kernel or self.rng.random() >= self.wait
            end = position == self.layers[layer]["positions"] - 1
            dut.position_valid.value, dut.kernel_valid.value = offered, kernel
            dut.position_last.value = end if offered else self.rng.getrandbits(1)
            await RisingEdge(self.clock)
            self.note()
            if dut.go.value:
                position, offered = 0 if end else position + 1, False
                kernel = kernel and not dut.load.value
            layer = self.level("layer")

    def note(self) -> None:
        dut = self.dut
        state, layer = self.names[int(dut.state.value)], self.level("layer")
        self.stays = [*self.stays[:-1], *joined([*self.stays[-1:], (state, 1)])]
        asked = bool(dut.bias_request.value)
        assert asked == (state.startswith("PREPARING") or "_BIAS" in state), (
            "kernels and biases share the weight memory"
        )
        self.requests.append(int(dut.bias_address.value) if asked else None)
        if dut.bias_en.value:
            address = int(dut.bias_address.value)
            since = self.requests[-component().memory_latency - 1 :]
            assert set(since) == {address}, "the bias word has not come out of the memory yet"
            self.events.append(Event("bias", state, (self.level("bias_index"), address)))
        self.since_last += 1
        if dut.go.value:
            assert dut.position_valid.value, "a position that is not there"
            assert dut.kernel_valid.value or not dut.load.value, "a kernel that is not there"
            assert self.since_last >= self.layers[layer].get("pace", 1), "faster than the layer's pace"
            flags = tuple(self.level(name) for name in ("load", "first", "last"))
            self.events.append(Event("go", state, (*flags, layer)))
            if dut.last.value:
                self.since_last = 0
        if dut.start.value:
            self.events.append(Event("start", state, (layer,)))
        for name in self.counts:
            self.counts[name] += self.level(name)


async def image(dut: Dut, wait: float, rng: random.Random) -> list[Stay]:
    """One image from CONV_IDLE to CONV_IDLE, checked; returns its states, each with the cycles it lasted."""
    around = Surroundings(dut, wait, rng)
    task = cocotb.start_soon(around.live())
    await cycles(dut, 5)
    assert [state for state, _ in around.stays] == ["CONV_IDLE"], "CONV_IDLE is left without mode CONV1"
    dut.mode.value = M.CONV1.value
    for _ in range(100_000):
        await RisingEdge(dut.clk)
        if dut.conv1_done.value:
            dut.mode.value = M.IDLE.value
        if dut.done.value:
            break
    await cycles(dut, 5)
    task.cancel()
    stays, events = expected()
    assert [state for state, _ in around.stays] == ["CONV_IDLE", *(state for state, _ in stays), "CONV_IDLE"]
    assert around.events == events
    assert around.counts == {"conv1_done": 1, "done": 1}
    return around.stays[1:-1]


@cocotb.test()
async def nothing_waits(dut: Dut) -> None:
    """Without waiting a sweep of n positions takes n cycles; each state lasts as long as it must."""
    await start(dut)
    for _ in range(2):
        assert await image(dut, 0, random_source()) == expected()[0]


@cocotb.test()
async def everything_waits(dut: Dut) -> None:
    """Kernels too: they may come long after the sweep before has ended."""
    await start(dut)
    rng = random_source()
    for wait in (0.2, 0.8, 0.5):
        await image(dut, wait, rng)


@cocotb.test()
async def stays_idle(dut: Dut) -> None:
    """Kernels and positions alone start nothing."""
    await start(dut)
    around = Surroundings(dut, 0.5, random_source())
    task = cocotb.start_soon(around.live())
    await cycles(dut, 200)
    task.cancel()
    assert [state for state, _ in around.stays] == ["CONV_IDLE"]
    assert not around.events


@cocotb.test()
async def resets(dut: Dut) -> None:
    """A reset in any state returns to CONV_IDLE, and the next image is whole."""
    await start(dut)
    rng = random_source()
    for _ in range(8):
        around = Surroundings(dut, 0.2, rng)
        task = cocotb.start_soon(around.live())
        dut.mode.value = M.CONV1.value
        await cycles(dut, rng.randint(1, 3 * len(expected()[1])))
        task.cancel()
        dut.mode.value = M.IDLE.value
        dut.kernel_valid.value = 0
        await reset(dut, 1)
        await image(dut, 0.2, rng)
