"""`ConvController`: the brief's states in the brief's order, a sweep for each kernel, under any waiting."""

import random
from dataclasses import dataclass
from functools import cache
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from fivebyfive.hw.conv.conv_controller import ConvController, ConvLayer, ConvState, Mode
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.testbench import cycles, port_handles, random_source, reset, start

POSITIONS = (9, 4)  # of a sweep of conv1 and conv2 in this bench; the controller counts none
S: Any = ConvState  # Any: Amaranth's enumerations have no annotations
M: Any = Mode
STATES = {state.value: state for state in S}
CONV2_BIAS = (
    (S.PREPARING_CONV2_BIAS0, S.LOAD_CONV2_BIAS0),
    (S.PREPARING_CONV2_BIAS1, S.LOAD_CONV2_BIAS1),
)
PREPARING = (S.PREPARING, S.PREPARING_CONV2_BIAS0, S.PREPARING_CONV2_BIAS1)
ASKING = (*PREPARING, S.LOAD_CONV1_BIAS, S.LOAD_CONV2_BIAS0, S.LOAD_CONV2_BIAS1)  # for bias words


@cache
def component() -> ConvController:
    """The controller that the bench was given: two layers of (outputs, inputs, bias address)."""
    given = parameters()
    sweeps = (), given.get("sweeps", ())
    layers = [
        ConvLayer(outputs, inputs, given["parallel"], at, swept)
        for (outputs, inputs, at), swept in zip(given["layers"], sweeps, strict=True)
    ]
    return ConvController(layers, given["depth"], given["memory_latency"], given["drain"])


@dataclass
class Event:
    """A position that entered the array, a bias word handed over, or the start of a layer."""

    kind: str
    state: ConvState
    values: tuple


@cache
def expected(controller: ConvController) -> tuple[list[ConvState], list[Event]]:
    """States of one image in order, each once for as long as it lasts, and what happens in them."""
    states: list[ConvState] = []
    events: list[Event] = []
    for number, layer in enumerate(controller.layers):
        for word in range(controller.bias_turns[number]):
            preparing, load = [(S.PREPARING, S.LOAD_CONV1_BIAS), CONV2_BIAS[word % 2]][number]
            states += [preparing, load]
            if word < layer.bias_words:  # conv2's last pair may be half empty
                events.append(Event("bias", load, (word, layer.bias_address + word)))
            if word == controller.bias_turns[number] - 1:
                events.append(Event("start", load, (number,)))
        weight = (S.LOAD_CONV1_WEIGHT, S.LOAD_CONV2_WEIGHT)[number]
        write = (S.LOAD_CONV1_WRITE_DATA, S.LOAD_CONV2_WRITE_DATA)[number]
        for sweeps in layer.sweeps or [layer.inputs] * layer.groups:
            for channel in range(sweeps):
                states += [weight, write]
                flags = int(channel == 0), int(channel == sweeps - 1), number
                for position in range(POSITIONS[number]):
                    state = weight if position == 0 else write
                    events.append(Event("go", state, (int(position == 0), *flags)))
        states.append((S.CONV1_FINISH, S.CONV_FINISH)[number])
    return states, events


class Surroundings:
    """Line buffer, kernel fetcher and weight memory, as the controller sees them; notes what it does."""

    def __init__(self, dut: Dut, wait: float, rng: random.Random):
        self.dut, self.wait, self.rng = port_handles(dut), wait, rng
        self.states: list[ConvState] = []
        self.events: list[Event] = []
        self.requests: list[int | None] = []  # of bias words, by cycle: their address
        self.counts = {"conv1_done": 0, "done": 0}
        self.durations: dict[ConvState, list[int]] = {state: [] for state in S}

    async def live(self) -> None:
        """Answer and note, at every edge, until cancelled."""
        dut, position = self.dut, 0
        layer = 0
        offered = False
        while True:
            # A position that is offered stays until it is taken; so does a kernel.
            offered = offered or self.rng.random() >= self.wait
            dut.position_valid.value = offered
            dut.position_last.value = position == POSITIONS[layer] - 1
            kernel = bool(dut.kernel_valid.value) or self.rng.random() >= self.wait
            dut.kernel_valid.value = kernel
            await RisingEdge(dut.clk)
            self.note()
            if dut.go.value:
                position, offered = (position + 1) % POSITIONS[layer], False
                if dut.load.value:
                    dut.kernel_valid.value = 0
            layer = int(dut.layer.value)

    def note(self) -> None:
        dut = self.dut
        state = STATES[int(dut.state.value)]
        if not self.states or self.states[-1] != state:
            self.states.append(state)
            self.durations[state].append(0)
        self.durations[state][-1] += 1
        asked = bool(dut.bias_request.value)
        assert asked == (state in ASKING), "kernels and biases share the weight memory"
        self.requests.append(int(dut.bias_address.value) if asked else None)
        if dut.bias_en.value:
            address = int(dut.bias_address.value)
            since = self.requests[-component().memory_latency - 1 :]
            assert set(since) == {address}, "the bias word has not come out of the memory yet"
            self.events.append(Event("bias", state, (int(dut.bias_index.value), address)))
        if dut.go.value:
            assert dut.position_valid.value, "a position that is not there"
            assert dut.kernel_valid.value or not dut.load.value, "a kernel that is not there"
            values = tuple(int(getattr(dut, name).value) for name in ("load", "first", "last", "layer"))
            self.events.append(Event("go", state, values))
        if dut.start.value:
            self.events.append(Event("start", state, (int(dut.layer.value),)))
        for name in self.counts:
            self.counts[name] += int(getattr(dut, name).value)


async def image(dut: Dut, wait: float, rng: random.Random) -> Surroundings:
    """One image from CONV_IDLE to CONV_IDLE, checked."""
    controller = component()
    around = Surroundings(dut, wait, rng)
    task = cocotb.start_soon(around.live())
    await cycles(dut, 5)
    assert around.states == [S.CONV_IDLE], "CONV_IDLE is left without mode CONV1"
    dut.mode.value = M.CONV1.value
    for _ in range(100_000):
        await RisingEdge(dut.clk)
        if around.counts["conv1_done"]:
            dut.mode.value = M.IDLE.value
        if around.counts["done"]:
            break
    await cycles(dut, 5)
    task.cancel()
    states, events = expected(controller)
    assert around.states == [S.CONV_IDLE, *states, S.CONV_IDLE]
    assert around.events == events
    assert around.counts == {"conv1_done": 1, "done": 1}
    return around


@cocotb.test()
async def nothing_waits(dut: Dut) -> None:
    """Without waiting a sweep of n positions takes n cycles; each state lasts as long as it must."""
    await start(dut)
    controller = component()
    durations = (await image(dut, 0, random_source())).durations
    assert set(durations[S.LOAD_CONV1_WEIGHT]) == {1}
    assert set(durations[S.LOAD_CONV1_WRITE_DATA]) == {POSITIONS[0] - 1}
    assert set(durations[S.LOAD_CONV2_WEIGHT]) == {1}
    assert set(durations[S.LOAD_CONV2_WRITE_DATA]) == {POSITIONS[1] - 1}
    for state in PREPARING:  # conv2 has a pair of words at least
        assert set(durations[state]) == {controller.memory_latency + 1}
    assert durations[S.CONV1_FINISH] == durations[S.CONV_FINISH] == [controller.drain + 1]


@cocotb.test()
async def everything_waits(dut: Dut) -> None:
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
    assert around.states == [S.CONV_IDLE]
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
        await cycles(dut, rng.randint(1, 3 * len(expected(component())[1])))
        task.cancel()
        dut.mode.value = M.IDLE.value
        dut.kernel_valid.value = 0
        await reset(dut, 1)
        await image(dut, 0.2, rng)
