"""The conv controller ends every image, in a known number of steps, and walks only along the brief's arrows.

Ranking function: the cycles that are left if nothing is waited for. It goes down by one in each cycle that does not
wait, stays where it was in one that does, and is zero in CONV_IDLE alone. So from every reachable state CONV_FINISH
follows, whatever back-pressure there is, as long as that ends; there is no state in which nothing can happen any
more. Started, it is the number of cycles that `fivebyfive.model.machine.cycles` has.

Surroundings (`Sweeps`): every n-th position of a layer is a sweep's last one; test_line_buffer.py proves that of the
line buffer. Kernels and positions are there or not, at will.
"""

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.conv import conv_controller
from fivebyfive.hw.conv.conv_controller import ConvState
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import conv_cycles, fill
from fivebyfive.model.shape import CONV_WORD, LeNetShape, ceil_div

from .lib.bits import Bits, all_of, choose, const, mux
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken

S = ConvState
LENET = LeNetShape(20, 50, (500, 10))
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


class Sweeps(wiring.Component):
    """The controller, and a line buffer's positions as they are numbered: 0 to ``positions`` - 1, again and again."""

    def __init__(self, controller: wiring.Component, positions: tuple[int, int]):
        self.controller = controller
        self.positions = positions
        super().__init__({"mode": In(1), "kernel_valid": In(1), "position_valid": In(1), "position": Out(10)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.controller
        last = Signal()
        m.d.comb += [
            last.eq(self.position == Mux(dut.layer, self.positions[1] - 1, self.positions[0] - 1)),
            dut.mode.eq(self.mode),
            dut.kernel_valid.eq(self.kernel_valid),
            dut.position_valid.eq(self.position_valid),
            dut.position_last.eq(last),
        ]
        with m.If(dut.go):
            m.d.sync += self.position.eq(Mux(last, 0, self.position + 1))
        return m


class Machine:
    """A controller of a network on a machine, what is known of its states, and how far from the end they are."""

    def __init__(self, shape: LeNetShape, config: Config, module=conv_controller.ConvController):
        outputs, inputs = (shape.conv1, shape.conv2), (1, shape.conv1)
        biases = (0, 1 + shape.conv1)
        layers = [conv_controller.ConvLayer(o, i, config.outputs, a)
                  for o, i, a in zip(outputs, inputs, biases, strict=True)]  # fmt: skip
        self.controller = module(layers, DEPTH, LATENCY, DRAIN)
        self.groups = [ceil_div(count, config.outputs) for count in outputs]
        self.inputs = inputs
        self.turns = [ceil_div(outputs[0], CONV_WORD), 2 * ceil_div(outputs[1], 2 * CONV_WORD)]
        self.positions = tuple(size**2 // config.windows for size in (shape.conv1_out, shape.conv2_out))
        self.sweeps = [self.groups[n] * inputs[n] * self.positions[n] for n in range(2)]
        self.layer_cycles = [self.turns[n] * (LATENCY + 2) + self.sweeps[n] + DRAIN + 1 for n in range(2)]
        self.netlist = netlist(Sweeps(self.controller, self.positions))

    def invariants(self, f: Frame) -> dict[str, Bits]:
        """What is known of every reachable state."""
        state, layer, timer = f["dut.state"], f["dut.layer"], f["dut.timer"]
        group, channel, position = f["dut.group"], f["dut.channel"], f["position"]
        groups, inputs = choose(layer, self.groups), choose(layer, self.inputs)
        sweeping = is_in(state, *SWEEPING)
        preparing = is_in(state, S.PREPARING, S.PREPARING_CONV2_BIAS0, S.PREPARING_CONV2_BIAS1)
        second = is_in(state, S.PREPARING_CONV2_BIAS1, S.LOAD_CONV2_BIAS1)
        first = is_in(state, S.PREPARING_CONV2_BIAS0, S.LOAD_CONV2_BIAS0)
        loading = preparing | is_in(state, S.LOAD_CONV1_BIAS, S.LOAD_CONV2_BIAS0, S.LOAD_CONV2_BIAS1)
        finishing = is_in(state, S.CONV1_FINISH, S.CONV_FINISH)
        index = f["dut.bias_index"]
        # The registers that say "at the last one" follow the layer a cycle later.
        settled = sweeping | finishing | (loading & ~(preparing & (timer == LATENCY)))
        return {
            "one of the states": state < len(S),
            "layer": mux(state == 0, const(0, 1), state >= S.PREPARING_CONV2_BIAS0.value) == layer,
            "load and sweeps": (f["dut.load"] == is_in(state, S.LOAD_CONV1_WEIGHT, S.LOAD_CONV2_WEIGHT))
            & (f["dut.sweeps"] == is_in(state, S.LOAD_CONV1_WRITE_DATA, S.LOAD_CONV2_WRITE_DATA)),
            "counters in range": (group < groups) & (channel < inputs) & (position < choose(layer, self.positions)),
            "counters at zero": sweeping | ((group == 0) & (channel == 0) & (position == 0)),
            "position": is_in(state, S.LOAD_CONV1_WEIGHT, S.LOAD_CONV2_WEIGHT).implies(position == 0),
            "position of a sweep": f["dut.sweeps"].implies(position != 0),
            "last ones": settled.implies(
                (f["dut.last_channel"] == (channel + 1 == inputs)) & (f["dut.last_group"] == (group + 1 == groups))
            ),
            "first": f["dut.first"] == (channel == 0),
            "timer": (timer <= DRAIN) & preparing.implies(timer <= LATENCY),
            "bias index": loading.implies(index < choose(layer, self.turns)),
            "bias pairs": (first.implies(~index[0])) & (second.implies(index[0] if index.width else const(1, 1))),
        }

    def rank(self, f: Frame) -> Bits:
        """Cycles that are left if kernels and positions are always there."""
        state, layer, timer = f["dut.state"], f["dut.layer"], f["dut.timer"]
        turns, swept = choose(layer, self.turns).zext(12), choose(layer, self.sweeps).zext(24)
        biases = (turns - (f["dut.bias_index"] + 1)).zext(24) * (LATENCY + 2)
        preparing = is_in(state, S.PREPARING, S.PREPARING_CONV2_BIAS0, S.PREPARING_CONV2_BIAS1)
        loading = is_in(state, S.LOAD_CONV1_BIAS, S.LOAD_CONV2_BIAS0, S.LOAD_CONV2_BIAS1)
        # Positions that have been swept: all of the groups before, all channels before, those of this channel.
        sweeps = f["dut.group"] * choose(layer, self.inputs) + f["dut.channel"]
        done = (sweeps * choose(layer, self.positions) + f["position"]).zext(24)
        following = mux(layer, 0, self.layer_cycles[1])
        rank = mux(preparing, biases + swept + timer + (2 + DRAIN + 1),
               mux(loading, biases + swept + (1 + DRAIN + 1),
               mux(is_in(state, *SWEEPING), (swept - done)[:24] + (DRAIN + 1), timer + 1)))  # fmt: skip
        return mux(state == 0, 0, rank + following)[:24]

    def waits(self, f: Frame) -> Bits:
        """Kernels or positions are waited for in this cycle."""
        position, kernel = f["position_valid"], f["kernel_valid"]
        at_weight = is_in(f["dut.state"], S.LOAD_CONV1_WEIGHT, S.LOAD_CONV2_WEIGHT)
        return is_in(f["dut.state"], *SWEEPING) & ~(position & (kernel | ~at_weight))


def is_in(state: Bits, *states: ConvState) -> Bits:
    return ~all_of(state != s.value for s in states)


def steps(machine: Machine, now: Frame, then: Frame) -> dict[str, Bits]:
    """What every cycle does."""
    idle, waits = now["dut.state"] == 0, machine.waits(now)
    before, after = machine.rank(now), machine.rank(then)
    total = sum(machine.layer_cycles)
    claims = {
        "a step nearer to the end": (~idle & ~waits).implies(after + 1 == before),
        "no step back": waits.implies(after == before),
        "zero in CONV_IDLE alone": (before == 0) == idle,
        "an image begins": idle.implies(after == mux(now["mode"], total, 0)),
        "done at the end": now["dut.done"] == ((before == 1) & (now["dut.state"] == S.CONV_FINISH.value)),
        "a position for each cycle of a sweep": now["dut.go"] == (is_in(now["dut.state"], *SWEEPING) & ~waits),
        "CONV_IDLE is left with CONV1 only": (idle & ~now["mode"]).implies(then["dut.state"] == 0),
    }
    for state, following in ARROWS.items():
        claims[f"arrows of {state.name}"] = (now["dut.state"] == state.value).implies(
            is_in(then["dut.state"], state, *following)
        )
    return claims


def prove_controller(shape: LeNetShape, config: Config, module=conv_controller.ConvController) -> Machine:
    machine = Machine(shape, config, module)
    holds_forever(machine.netlist, machine.invariants, step=lambda now, then: steps(machine, now, then))
    return machine


@pytest.mark.parametrize(
    ("shape", "config"),
    [
        (LENET, Config()),
        (LENET, Config(windows=4)),
        (LENET, Config(windows=2, outputs=25)),
        (LeNetShape(6, 16, (10,)), Config(windows=4, outputs=5)),
        (LeNetShape(30, 110, (10,)), Config()),
    ],
    ids=str,
)
def test_every_image_ends(shape: LeNetShape, config: Config) -> None:
    machine = prove_controller(shape, config)
    waiting = sum(fill(config, outputs) for outputs in (shape.conv1, shape.conv2))
    assert sum(machine.layer_cycles) == conv_cycles(shape.network, config)[0] - waiting


BUGS = {
    "done too early": ("m.d.sync += inner.timer.eq(self.drain)", "m.d.sync += inner.timer.eq(0)"),
    "timer stops": ("with m.If(inner.timer != 0):", "with m.If(inner.timer > 1):"),
    "a sweep too early": ("with m.If(self.last & inner.last_group):", "with m.If(self.last):"),
    "a kernel too few": ("m.d.sync += first.eq(last_channel)", "m.d.sync += first.eq(0)"),
    "waits for ever": ("with m.If(self.go):", "with m.If(self.go & ~inner.last_group):"),
    "an arrow that is not there": ("ConvState.LOAD_CONV1_BIAS: ConvState.PREPARING,",
                                   "ConvState.LOAD_CONV1_BIAS: ConvState.CONV_IDLE,"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    controller = broken("conv_controller", "ConvController", *BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        prove_controller(LeNetShape(30, 110, (10,)), Config(), controller)
