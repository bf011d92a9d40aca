"""The whole accelerator: what is proved of its parts holds inside of it, in its own netlist.

The result: once valid it stays as it is until it is taken; its logits are those that the rows delivered, and its
class is right. And what cannot wait always finds room: activations, biases, feature maps.
"""

import pytest

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.conv.conv_controller import ConvState as S
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.latency import POOLING, dot_product_latency
from fivebyfive.model.network import Network
from fivebyfive.model.shape import CONV_WORD, LeNetShape

from . import test_argmax
from .lib.bits import Bits, all_of, any_of
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken
from .test_conv_controller import SWEEPING

LENET = LeNetShape(20, 50, (500, 10)).network
SMALL = LeNetShape(6, 16, (40, 10)).network


def prove_result(accelerator, config: Config) -> None:
    test_argmax.Proof(LENET.classes, config.fc_outputs, netlist(accelerator), "fc.argmax.").prove()


LARGE = Config(windows=4, outputs=5, fc_rows=6)


@pytest.mark.parametrize("config", [Config(), pytest.param(LARGE, marks=pytest.mark.full)], ids=["45", "620"])
def test_the_result_stays_and_is_right(config: Config) -> None:
    prove_result(Accelerator(LENET, config), config)


def test_a_bug_is_refuted() -> None:
    bug = "self.i.ready.eq(received != transfers)", "self.i.ready.eq(~self.o.valid)"
    accelerator = broken("accelerator", "Accelerator", *bug, within="argmax")
    with pytest.raises(AssertionError, match="not always so"):
        prove_result(accelerator(LENET, Config()), Config())


class Pipeline:
    """The conv engine's pipeline inside of the accelerator, from the position to the activation memory.

    Nothing in it can wait. So the controller's drain has to be as long as it is, biases may change only while it is
    empty, and the receiver of the activations must have room for all of an image before that is begun.
    """

    def __init__(self, accelerator, config: Config):
        self.netlist = netlist(accelerator)
        self.first_of_pool = "half_valid_1" if config.windows > 1 else "pair_valid_1"
        self.latency = dot_product_latency(CONV_WORD) + 1  # of a PE
        self.drain = 1 + self.latency + POOLING + 1

    def stages(self, f: Frame) -> list[Bits]:
        """Whether a position that entered that many cycles ago is there; from 1 on."""
        array = [f["conv.array.position.valid"], *(f[f"conv.array.flags_{n}"][2] for n in range(1, self.latency))]
        pool = [f[f"conv.pooling.{self.first_of_pool}"], f["conv.pooling.cell_valid_1"]]
        return [*array, f["conv.array.done_1"].any(), *pool]

    def state(self, f: Frame, *states: S) -> Bits:
        return any_of(f["conv.controller.state"] == state.value for state in states)

    def invariants(self, f: Frame) -> dict[str, Bits]:
        state, timer = f["conv.controller.state"], f["conv.controller.timer"]
        stages, finishing = self.stages(f), self.state(f, S.CONV1_FINISH, S.CONV_FINISH)
        sweeping = [self.state(f, *SWEEPING[n : n + 2]) for n in (0, 2)]
        empty = ~any_of(stages)
        left = all_of((timer + n <= self.drain).implies(~stage) for n, stage in enumerate(stages, 1))
        full = f["fc.full"].word(f["fc.inputs.w_set"], 1)
        activation, map_code = f["fc.inputs.i__valid"], f["conv.features.i__valid"]
        ends = f["conv.controller.conv1_done"] | f["conv.controller.done"]
        return {
            "states": (state < len(S)) & (f["conv.controller.layer"] == (state >= S.PREPARING_CONV2_BIAS0.value)),
            "load and sweeps": (f["conv.controller.load"] == self.state(f, SWEEPING[0], SWEEPING[2]))
            & (f["conv.controller.sweeps"] == self.state(f, SWEEPING[1], SWEEPING[3])),
            "drains": finishing.implies((timer <= self.drain) & left),
            "empty elsewhere": empty | finishing | sweeping[0] | sweeping[1],
            "biases change in an empty pipeline": f["conv.array.bias__en"].implies(empty),
            "a layer ends with an empty pipeline": ends.implies(empty),
            "room for an image that was begun": (state != S.CONV_IDLE.value).implies(~full),
            "room for every activation": activation.implies(~full & f["fc.inputs.i__ready"]),
            "activations in conv2 only": activation.implies(sweeping[1] | (state == S.CONV_FINISH.value)),
            "feature maps in conv1 only": map_code.implies(sweeping[0] | (state == S.CONV1_FINISH.value)),
            "no activation as the set ends": f["fc.inputs.rewind"].implies(~activation),
            "conv1 is written before it is read": f["conv.features.start"].implies(empty & ~map_code),
        }  # fmt: skip

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants)


@pytest.mark.parametrize(
    ("network", "config"),
    [(LENET, Config()), pytest.param(LENET, LARGE, marks=pytest.mark.full), (SMALL, Config())],
    ids=["45", "620", "small"],
)
def test_what_cannot_wait_finds_room(network: Network, config: Config) -> None:
    Pipeline(Accelerator(network, config), config).prove()


ROOM_BUGS = {
    "drains too briefly": ("m.d.sync += inner.timer.eq(self.drain)", "m.d.sync += inner.timer.eq(self.drain - 1)",
                           "conv_controller"),
    "begins without room": ("Mux(image.available & self.grant,", "Mux(image.available,", "conv_engine"),
    "gives room too early": ("self.grant.eq(~full.bit_select(w_set, 1) &", "self.grant.eq(~full.all() &", "fc_engine"),
}  # fmt: skip


@pytest.mark.parametrize("bug", ROOM_BUGS)
def test_bugs_of_room_are_refuted(bug: str) -> None:
    old, new, within = ROOM_BUGS[bug]
    accelerator = broken("accelerator", "Accelerator", old, new, within=within)
    with pytest.raises(AssertionError, match="not always so"):
        Pipeline(accelerator(SMALL, Config()), Config()).prove()
