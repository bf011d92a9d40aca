"""The conv controller ends every image, in a known number of steps, and walks only along the brief's arrows.

Ranking function: the cycles that are left if nothing is waited for. It goes down by one in each cycle that does not
wait, stays where it was in one that does, and is zero in CONV_IDLE alone. So from every reachable state CONV_FINISH
follows, whatever back-pressure there is, as long as that ends; there is no state in which nothing can happen any
more. Started, it is the number of cycles that `fivebyfive.model.machine.cycles` has.

A position of the last input channel takes as many cycles as the layer's pace says; so the ranking function counts it,
and cycles in which the controller rests are steps nearer to the end.

Surroundings (`Sweeps`): every n-th position of a layer is a sweep's last one; test_line_buffer.py proves that of the
line buffer. Kernels and positions are there or not, at will.
"""

from dataclasses import dataclass
from math import prod

import pytest
from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.conv import conv_controller
from fivebyfive.hw.conv.conv_controller import ConvState, conv_states
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import conv_sweeps
from fivebyfive.model.machine.latency import MAP_MEMORY, bank_latency
from fivebyfive.model.machine.stages import ConvStage, stages
from fivebyfive.model.network import Network
from fivebyfive.model.shape import LeNetShape, ceil_div

from .lib.bits import Bits, all_of, choose, const, mux
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken

S = ConvState
LENET = LeNetShape(20, 50, (500, 10))
WIDE = LeNetShape(30, 110, (10,))
DEPTH, LATENCY, DRAIN = 1023, 3, 12

SWEEPING = (S.LOAD_CONV1_WEIGHT, S.LOAD_CONV1_WRITE_DATA, S.LOAD_CONV2_WEIGHT, S.LOAD_CONV2_WRITE_DATA)
ARROWS = {
    S.CONV_IDLE: (S.PREPARING,),
    S.PREPARING: (S.LOAD_CONV1_BIAS,),
    S.LOAD_CONV1_BIAS: (S.PREPARING, S.LOAD_CONV1_WEIGHT),
    S.LOAD_CONV1_WEIGHT: (S.LOAD_CONV1_WRITE_DATA,),
    S.LOAD_CONV1_WRITE_DATA: (S.LOAD_CONV1_WEIGHT, S.CONV1_FINISH),
    S.CONV1_FINISH: (S.PREPARING_CONV2_BIAS0,),
    S.PREPARING_CONV2_BIAS0: (S.LOAD_CONV2_BIAS0,),
    S.LOAD_CONV2_BIAS0: (S.PREPARING_CONV2_BIAS1,),
    S.PREPARING_CONV2_BIAS1: (S.LOAD_CONV2_BIAS1,),
    S.LOAD_CONV2_BIAS1: (S.PREPARING_CONV2_BIAS0, S.LOAD_CONV2_WEIGHT),
    S.LOAD_CONV2_WEIGHT: (S.LOAD_CONV2_WRITE_DATA,),
    S.LOAD_CONV2_WRITE_DATA: (S.LOAD_CONV2_WEIGHT, S.CONV_FINISH),
    S.CONV_FINISH: (S.CONV_IDLE,),
}


@dataclass(frozen=True)
class Sizes:
    """A layer, of which a sweep has ``positions``."""

    outputs: int
    inputs: int
    positions: int
    pace: int = 1


def sizes(network: Network, windows: int) -> list[Sizes]:
    """The convolutions of a network."""
    return [Sizes(stage.width, stage.channels, prod(stage.positions(windows))) for stage in stages(network).convs]


def arrows(layers: list[Sizes]) -> dict[str, tuple[str, ...]]:
    """Each state of some layers, and those that may follow."""
    found: dict[str, tuple[str, ...]] = {"CONV_IDLE": ("PREPARING",)}
    for n, layer in enumerate(layers, 1):
        weight, write = f"LOAD_CONV{n}_WEIGHT", f"LOAD_CONV{n}_WRITE_DATA"
        if n == 1:
            found |= {"PREPARING": ("LOAD_CONV1_BIAS",), "LOAD_CONV1_BIAS": ("PREPARING", weight)}
        else:
            states = [f"{kind}_CONV{n}_BIAS{turn}" for turn in range(2) for kind in ("PREPARING", "LOAD")]
            found |= {states[0]: (states[1],), states[1]: (states[2],), states[2]: (states[3],)}
            found[states[3]] = (states[0], weight)
        finish = "CONV_FINISH" if n == len(layers) else f"CONV{n}_FINISH"
        found[weight] = (write,) if layer.positions > 1 else (weight, finish)
        found[write] = (weight, finish) if layer.positions > 1 else ()  # of a single position not reached
        found[finish] = ("CONV_IDLE",) if n == len(layers) else (f"PREPARING_CONV{n + 1}_BIAS0",)
    return found


class Sweeps(wiring.Component):
    """The controller, and a line buffer's positions as they are numbered: 0 to ``positions`` - 1, again and again."""

    def __init__(self, controller: wiring.Component, positions: list[int]):
        self.controller = controller
        self.positions = positions
        super().__init__({"mode": In(1), "kernel_valid": In(1), "position_valid": In(1), "position": Out(10)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.controller
        last = Signal()
        m.d.comb += [
            last.eq(self.position == Array(count - 1 for count in self.positions)[dut.layer]),
            dut.mode.eq(self.mode),
            dut.kernel_valid.eq(self.kernel_valid),
            dut.position_valid.eq(self.position_valid),
            dut.position_last.eq(last),
        ]
        with m.If(dut.go):
            m.d.sync += self.position.eq(Mux(last, 0, self.position + 1))
        return m


class Machine:
    """A controller of some layers on a machine, what is known of its states, and how far from the end they are."""

    def __init__(self, layers: list[Sizes], parallel: int, kernel: int = 5, module=conv_controller.ConvController):
        self.sizes, self.arrows = layers, arrows(layers)
        self.numbers = {name: number for number, name in enumerate(self.arrows)}
        parts = [conv_controller.ConvLayer(one.outputs, one.inputs, parallel, 17 * n, width=kernel**2, pace=one.pace,
                                           single=one.positions == 1) for n, one in enumerate(layers)]  # fmt: skip
        self.controller = module(parts, DEPTH, LATENCY, DRAIN)
        self.groups = [ceil_div(layer.outputs, parallel) for layer in layers]
        self.inputs, self.paces, self.positions = ([getattr(layer, name) for layer in layers]
                                                   for name in ("inputs", "pace", "positions"))  # fmt: skip
        self.turns = [2 * ceil_div(layer.outputs, 2 * kernel**2) if n else ceil_div(layer.outputs, kernel**2)
                      for n, layer in enumerate(layers)]  # fmt: skip
        # Of a group, and of a layer but for the rest behind its last position.
        self.group = [(one.inputs - 1 + one.pace) * one.positions for one in layers]
        self.sweeps = [groups * each - (one.pace - 1)
                       for groups, each, one in zip(self.groups, self.group, layers, strict=True)]  # fmt: skip
        self.layer_cycles = [turns * (LATENCY + 2) + sweeps + DRAIN + 1
                             for turns, sweeps in zip(self.turns, self.sweeps, strict=True)]  # fmt: skip
        self.netlist = netlist(Sweeps(self.controller, self.positions))
        self.netlist.ghost("owed", 8, self.next_owed)

    def next_owed(self, f: Frame) -> Bits:
        """Cycles in which no position may enter."""
        going = mux(f["owed"] == 0, 0, (f["owed"] - 1)[:8])
        return mux(f["dut.go"] & f["dut.last"], choose(self.layer(f), [pace - 1 for pace in self.paces]), going)[:8]

    def layer(self, f: Frame) -> Bits:
        """Of one layer the number has no bits."""
        return f["dut.layer"] if len(self.sizes) > 1 else const(0, 1)

    def state(self, f: Frame, *parts: str) -> Bits:
        """Whether the state's name begins or ends with one of these."""
        found = [n for name, n in self.numbers.items() if any(name.startswith(p) or name.endswith(p) for p in parts)]
        return is_in(f["dut.state"], *found)

    def rest(self, f: Frame) -> Bits:
        return f["dut.rest"] if max(self.paces) > 1 else const(0, 1)

    def invariants(self, f: Frame) -> dict[str, Bits]:
        """What is known of every reachable state."""
        state, layer, timer = f["dut.state"], self.layer(f), f["dut.timer"]
        group, channel, position = f["dut.group"], f["dut.channel"], f["position"]
        groups, inputs = choose(layer, self.groups), choose(layer, self.inputs)
        weight, write, finishing = (self.state(f, end) for end in ("_WEIGHT", "_WRITE_DATA", "_FINISH"))
        sweeping, preparing = weight | write, self.state(f, "PREPARING")
        loading = self.state(f, "PREPARING", "_BIAS", "_BIAS0", "_BIAS1")
        begins = [self.numbers[f"PREPARING_CONV{n}_BIAS0"] for n in range(2, len(self.sizes) + 1)]
        present = sum(((state >= number).zext(4) for number in begins), const(0, 4))
        single = choose(layer, [int(count == 1) for count in self.positions])
        index = f["dut.bias_index"]
        # The registers that say "at the last one" follow the layer a cycle later, if layers differ.
        settled = sweeping | finishing | (loading & ~(preparing & (timer == LATENCY)))
        last_channel = f["dut.last_channel"] == (channel + 1 == inputs)
        last_group = f["dut.last_group"] == (group + 1 == groups)
        return {
            "one of the states": state < len(self.numbers),
            "layer": (layer < len(self.sizes)) & (present == layer),
            "load and sweeps": (f["dut.load"] == weight) & (f["dut.sweeps"] == write),
            "counters in range": (group < groups) & (channel < inputs) & (position < choose(layer, self.positions)),
            "counters at zero": sweeping | ((group == 0) & (channel == 0) & (position == 0)),
            "position": weight.implies(position == 0),
            "position of a sweep": write.implies(position != 0),
            "sweeps of one position": write.implies(single == 0),
            "last channel": last_channel if len(set(self.inputs)) == 1 else settled.implies(last_channel),
            "last group": last_group if len(set(self.groups)) == 1 else settled.implies(last_group),
            "first": f["dut.first"] == (channel == 0),
            "timer": (timer <= DRAIN) & preparing.implies(timer <= LATENCY),
            "rest": (f["owed"] == self.rest(f)) & (self.rest(f) < choose(layer, self.paces))
            & mux(finishing, f["owed"] <= timer, sweeping | (f["owed"] == 0)),
            "bias index": loading.implies(index < choose(layer, self.turns)),
            "bias pairs": self.state(f, "_BIAS0").implies(~index[0])
            & self.state(f, "_BIAS1").implies(index[0] if index.width else const(1, 1)),
        }  # fmt: skip

    def rank(self, f: Frame) -> Bits:
        """Cycles that are left if kernels and positions are always there."""
        layer, timer, channel = self.layer(f), f["dut.timer"], f["dut.channel"]
        turns, swept = choose(layer, self.turns).zext(12), choose(layer, self.sweeps).zext(24)
        biases = (turns - (f["dut.bias_index"] + 1)).zext(24) * (LATENCY + 2)
        # Positions that have been swept: all of the groups before, all channels before, those of this channel.
        before = (f["dut.group"] * choose(layer, self.group)).zext(24)
        before = (before + channel * choose(layer, self.positions))[:24]
        last = channel + 1 == choose(layer, self.inputs)
        done = (before + f["position"] * mux(last, choose(layer, self.paces), 1))[:24]
        following = choose(layer, [sum(self.layer_cycles[n + 1 :]) for n in range(len(self.sizes))])
        rank = mux(self.state(f, "PREPARING"), biases + swept + timer + (2 + DRAIN + 1),
               mux(self.state(f, "_BIAS", "_BIAS0", "_BIAS1"), biases + swept + (1 + DRAIN + 1),
               mux(self.state(f, "_WEIGHT", "_WRITE_DATA"), (swept + self.rest(f) - done)[:24] + (DRAIN + 1),
                   timer + 1)))  # fmt: skip
        return mux(f["dut.state"] == 0, 0, rank + following)[:24]

    def waits(self, f: Frame) -> Bits:
        """Kernels or positions are waited for in this cycle."""
        position, kernel = f["position_valid"], f["kernel_valid"]
        there = position & (kernel | ~self.state(f, "_WEIGHT"))
        return self.state(f, "_WEIGHT", "_WRITE_DATA") & (self.rest(f) == 0) & ~there


def is_in(state: Bits, *numbers: int) -> Bits:
    return ~all_of(state != number for number in numbers)


def steps(machine: Machine, now: Frame, then: Frame) -> dict[str, Bits]:
    """What every cycle does."""
    state, waits = now["dut.state"], machine.waits(now)
    before, after = machine.rank(now), machine.rank(then)
    idle, total = state == 0, sum(machine.layer_cycles)
    sweeping, rests = machine.state(now, "_WEIGHT", "_WRITE_DATA"), now["owed"] != 0
    released = machine.numbers["CONV1_FINISH" if len(machine.sizes) > 1 else "CONV_FINISH"]
    claims = {
        "a step nearer to the end": (~idle & ~waits).implies(after + 1 == before),
        "no step back": waits.implies(after == before),
        "zero in CONV_IDLE alone": (before == 0) == idle,
        "an image begins": idle.implies(after == mux(now["mode"], total, 0)),
        "done at the end": now["dut.done"] == ((before == 1) & (state == machine.numbers["CONV_FINISH"])),
        "conv1 is done": now["dut.conv1_done"] == ((state == released) & (now["dut.timer"] == 0)),
        "a position for each cycle of a sweep": now["dut.go"] == (sweeping & ~waits & ~rests),
        "CONV_IDLE is left with CONV1 only": (idle & ~now["mode"]).implies(then["dut.state"] == 0),
    }
    for name, following in machine.arrows.items():
        numbers = [machine.numbers[one] for one in (name, *following)]
        claims[f"arrows of {name}"] = (state == numbers[0]).implies(is_in(then["dut.state"], *numbers))
    return claims


def prove_controller(machine: Machine) -> Machine:
    holds_forever(machine.netlist, machine.invariants, step=lambda now, then: steps(machine, now, then))
    return machine


def machine_of(network: Network, config: Config) -> Machine:
    return Machine(sizes(network, config.windows), config.outputs)


def first_position(stage: ConvStage, config: Config) -> int:
    """Cycles from a layer's last bias to its first position: its first kernels are fetched, its first rows come."""
    kernels = min(config.outputs, stage.width) + bank_latency(1)
    transfers, _ = stage.transfers(config.kernel, config.windows)
    return max(kernels, MAP_MEMORY + transfers)


@pytest.mark.parametrize(
    ("shape", "config"),
    [
        (LENET, Config()),
        (LENET, Config(windows=4)),
        (LENET, Config(windows=2, outputs=25)),
        (LeNetShape(6, 16, (10,)), Config(windows=4, outputs=5)),
        (WIDE, Config()),
    ],
    ids=str,
)
def test_every_image_ends(shape: LeNetShape, config: Config) -> None:
    network = shape.network
    machine = prove_controller(machine_of(network, config))
    waiting = sum(first_position(stage, config) for stage in stages(network).convs)
    assert sum(machine.layer_cycles) == conv_sweeps(network, config)[0] - waiting


OTHERS = {
    "one layer": ([Sizes(20, 3, 6, pace=2)], 2, 3),
    "one position": ([Sizes(40, 1, 1), Sizes(30, 40, 1, pace=3), Sizes(10, 30, 9)], 3, 5),
    "five layers": ([Sizes(8, 3, 256), Sizes(8, 8, 64, pace=4), Sizes(19, 8, 49), Sizes(20, 19, 2), Sizes(60, 20, 1)],
                    4, 3),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_every_image_of_any_layers_ends(name: str) -> None:
    prove_controller(Machine(*OTHERS[name]))


def test_states_of_any_number_of_layers() -> None:
    brief = {name: tuple(S[one] for one in following) for name, following in arrows(sizes(LENET.network, 1)).items()}
    assert {S[name]: following for name, following in brief.items()} == ARROWS
    for count in range(1, 9):
        states = conv_states(count)
        assert [state.name for state in states] == list(arrows([Sizes(1, 1, 2)] * count))
        assert [state.value for state in states] == list(range(len(states)))


BUGS = {
    "done too early": ("m.d.sync += inner.timer.eq(self.drain)", "m.d.sync += inner.timer.eq(0)"),
    "timer stops": ("with m.If(inner.timer != 0):", "with m.If(inner.timer > 1):"),
    "a sweep too early": ("with m.If(self.last & inner.last_group):", "with m.If(self.last):"),
    "a kernel too few": ("m.d.sync += first.eq(last_channel)", "m.d.sync += first.eq(0)"),
    "waits for ever": ("with m.If(self.go):\n                self.enter",
                       "with m.If(self.go & ~inner.last_group):\n                self.enter"),
    "an arrow that is not there": ("following = [*states.biases[1:], states.biases[0]]", "following = states.biases"),
    "the image is kept too long": ("                if layer == 0:", "                if layer == 1:"),
    "a layer is left out": ("inner, layer + 1)", "inner, len(self.layers) - 1)"),
    "a single position goes on": ("if self.layers[layer].single:", "if not layer:"),
    "never ends with a first position": ("ends = self.go if any", "ends = self.go & inner.sweeps if any"),
    "too fast": ("Array(pace - 1 for", "Array(pace // 2 for"),
    "rests in every sweep": ("with m.If(self.go & self.last):", "with m.If(self.go):"),
}  # fmt: skip
OF_OTHERS = (
    "a layer is left out",
    "a single position goes on",
    "never ends with a first position",
    "too fast",
    "rests in every sweep",
)


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    controller = broken("conv_controller", "ConvController", *BUGS[bug])
    layers = OTHERS["one position"] if bug in OF_OTHERS else (sizes(WIDE.network, 1), 1)
    with pytest.raises(AssertionError, match="not always so"):
        prove_controller(Machine(*layers, module=controller))
