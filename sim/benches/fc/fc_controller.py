"""`FcController`: every word of every layer once, in its order, under any waiting."""

import random
from dataclasses import dataclass
from functools import cache

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from fivebyfive.hw.fc.fc_controller import FcController, FcLayer
from fivebyfive.model.shape import FC_WORD
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import unpack
from fivebyfive.sim.benchlib.testbench import cycles, level, limited, random_source, reset, start


@cache
def component() -> FcController:
    given = parameters()
    layers = [FcLayer(outputs, inputs, given["rows"]) for outputs, inputs in given["layers"]]
    first, writing = given.get("biases_first", False), given.get("writing", 0)
    return FcController(layers, given["depth"], given["drain"], given["early"], first, writing)


@dataclass
class Word:
    """A word that was asked for: biases, or weights and the activations that belong to them."""

    layer: int
    address: int
    bias: bool
    word: int = 0
    group: int = 0
    first: bool = False
    last: bool = False
    keep: bool = False


def expected(controller: FcController) -> list[Word]:
    """All words of an image in order."""
    words: list[Word] = []
    address, weight = 0, sum(layer.bias_words for layer in controller.layers)
    for number, layer in enumerate(controller.layers):
        keep = controller.early and number == 0
        weight = weight if controller.biases_first else address + layer.bias_words
        order = [(group, word) for group in range(layer.groups) for word in range(layer.words)]
        if keep:
            order.sort(key=lambda pair: pair[::-1])
        for group, word in order:
            if word == 0 and group % FC_WORD == 0:
                words.append(Word(number, address + group // FC_WORD, bias=True))
            last = word == layer.words - 1
            words.append(Word(number, weight, False, word, group, word == 0, last, keep))
            weight += 1
        address = address + layer.bias_words if controller.biases_first else weight
    return words


class Surroundings:
    """Activations and argmax as the controller sees them; notes what it asks for."""

    def __init__(self, dut: Dut, wait: float, rng: random.Random):
        self.dut, self.wait, self.rng = dut, wait, rng
        self.words: list[Word] = []
        self.at: list[int] = []  # cycles of the words
        self.done: dict[str, list[int]] = {"inputs_done": [], "layer_done": []}  # cycles
        self.cycle = 0

    async def live(self) -> None:
        """Answer and note, at every edge, until cancelled."""
        dut, controller = self.dut, component()
        ready = 0  # words of fc1's inputs that are there
        layout = controller.command.shape()
        while True:
            if self.rng.random() >= self.wait:
                ready = min(ready + 1, controller.layers[0].words)
            whole = ready == controller.layers[0].words
            dut.room.value = self.rng.random() >= self.wait
            await FallingEdge(dut.clk)
            self.settle(ready, whole)
            await RisingEdge(dut.clk)
            self.cycle += 1
            layer, word = level(dut, "layer"), level(dut, "word")
            command = unpack(layout, int(dut.command.value))
            if command["bias"]:
                self.note(Word(layer, int(dut.address.value), True))
            if command["valid"]:
                assert not command["bias"]
                assert layer or word < ready, "fc1 reads what has not been written"
                flags = bool(command["first"]), bool(command["last"]), bool(command["keep"])
                self.note(Word(layer, int(dut.address.value), False, word, command["group"], *flags))
            for name, noted in self.done.items():
                if getattr(dut, name).value:
                    noted.append(self.cycle)

    def settle(self, ready: int, whole: bool) -> None:
        """``available`` follows, within the cycle, the word that the controller points at."""
        early = component().early
        there = ready > level(self.dut, "word") if early else whole
        self.dut.available.value = there and not self.done["inputs_done"]

    def note(self, word: Word) -> None:
        self.words.append(word)
        self.at.append(self.cycle)


async def image(dut: Dut, wait: float, rng: random.Random) -> Surroundings:
    """One image, checked."""
    controller = component()
    around = Surroundings(dut, wait, rng)
    task = cocotb.start_soon(around.live())
    words = expected(controller)
    await limited(finished(around, len(controller.layers)), 50 * len(words) + 20_000, "layers")
    # Inputs are gone once fc1 is done with them; nothing else may begin.
    task.cancel()
    dut.available.value = 0
    await cycles(dut, 5)
    assert around.words == words
    ends = [at for n, at in enumerate(around.at) if words[n + 1 : n + 2] == [] or words[n + 1].layer > words[n].layer]
    done = around.done
    written = [controller.writing] * (len(ends) - 1) + [0]
    assert done["layer_done"] == [end + controller.drain + late + 1 for end, late in zip(ends, written, strict=True)]
    assert done["inputs_done"] == done["layer_done"][:1]
    return around


async def finished(around: Surroundings, layers: int) -> None:
    while len(around.done["layer_done"]) < layers:
        await RisingEdge(around.dut.clk)


@cocotb.test()
async def nothing_waits(dut: Dut) -> None:
    """A word a cycle within a layer; with words outside a cycle more for each."""
    await start(dut)
    around = await image(dut, 0, random_source())
    for number, layer in enumerate(component().layers):
        at = [cycle for cycle, word in zip(around.at, around.words, strict=True) if word.layer == number]
        extra = layer.words - 1 if component().early and number == 0 else 0
        assert at[-1] - at[0] == len(at) - 1 + extra


@cocotb.test()
async def everything_waits(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    for wait in (0.3, 0.95, 0.6):
        await image(dut, wait, rng)


@cocotb.test()
async def last_layer_waits_for_room(dut: Dut) -> None:
    await start(dut)
    around = Surroundings(dut, 1, random_source())
    dut.room.value = 0
    dut.available.value = 1
    for _ in range(50 * len(expected(component()))):
        await RisingEdge(dut.clk)
        command = unpack(component().command.shape(), int(dut.command.value))
        if level(dut, "layer") == len(component().layers) - 1:
            assert not command["bias"]
            assert not command["valid"]
    assert level(dut, "layer") == len(component().layers) - 1
    assert dut.busy.value
    assert not around.words


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    for _ in range(5):
        task = cocotb.start_soon(Surroundings(dut, 0.2, rng).live())
        await cycles(dut, rng.randint(1, 2 * len(expected(component()))))
        task.cancel()
        dut.available.value = 0
        await reset(dut, 1)
        assert not dut.busy.value
        await image(dut, 0.1, rng)
