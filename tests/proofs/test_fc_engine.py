"""The fully-connected engine: no logit ever comes while the argmax is not ready, and every image ends.

The rows cannot wait: the controller looks for room once, before the last layer, and all logits of an image must then
find it. The invariant counts them: those that the argmax has, those in the pipeline, and those that are still to be
issued, are together the logits of an image. Between layers nothing is in flight, as the controller's drain is just as
long as the pipeline.

Ranking function: words that are still to be issued and cycles of draining. It goes down in every cycle in which the
engine neither rests nor waits for room; so an image that was begun ends when its result finds room.
"""

import pytest

from fivebyfive.hw.fc import fc_engine
from fivebyfive.hw.fc.fc_row import FcRow
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.latency import bank_latency
from fivebyfive.model.machine.weights import bank_sizes, memory_depths
from fivebyfive.model.shape import LeNetShape, ceil_div

from . import test_argmax
from .lib.bits import Bits, all_of, choose, const, mux
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken
from .lib.streams import table

IDLE, PREPARING, BIAS, WEIGHT, DRAIN = range(5)
VALID, LAST = 1, 3  # bits of a command
SMALL = LeNetShape(6, 16, (40, 10))


class Proof:
    def __init__(self, shape: LeNetShape, config: Config, component=fc_engine.FcEngine):
        words = memory_depths(shape.network, config)["fc"]
        self.netlist = netlist(component(shape.network, config, [0] * words))
        self.argmax = test_argmax.Proof(shape.classes, config.fc_rows, self.netlist, "argmax.")
        self.memory = bank_latency(len(bank_sizes(words)))
        self.drain = self.memory + FcRow.latency - 1
        self.groups = [ceil_div(width, config.fc_rows) for width in shape.fc]
        self.words = [config.input_words(inputs) for inputs in shape.fc_inputs]
        self.code = self.netlist.register("row_0.o__valid", "row_0.dot.o__valid")

    def stages(self, f: Frame) -> list[Bits]:
        """Whether the word issued that many cycles ago was the last of its outputs; from 1 on."""
        commands = [f[f"command_{n}"] for n in range(1, self.memory + 1)]
        row = [f[f"row_0.dot.valid_{n}"] & f[f"row_0.flags_{n}"][1] for n in range(1, FcRow.latency)]
        return [command[VALID] & command[LAST] for command in commands] + row + [f[self.code]]

    def of_layer(self, f: Frame, values: list[int]) -> Bits:
        return table(f["controller.layer"], values, 12)

    def left(self, f: Frame) -> Bits:
        """Outputs (groups of them) of the layer that are still to be issued."""
        issuing = (f["controller.state"] == BIAS) | (f["controller.state"] == WEIGHT)
        return mux(issuing, (self.of_layer(f, self.groups) - f["controller.group"])[:12], 0)

    def invariants(self, f: Frame) -> dict[str, Bits]:
        state, layer, timer = f["controller.state"], f["controller.layer"], f["controller.timer"]
        group, word = f["controller.group"], f["controller.word"]
        issuing, draining = (state == BIAS) | (state == WEIGHT), state == DRAIN
        groups, words = self.of_layer(f, self.groups), self.of_layer(f, self.words)
        last_layer = layer == len(self.groups) - 1
        stages, count = self.stages(f), const(0, 12)
        for stage in stages:
            count = (count + stage)[:12]
        age = (const(self.drain + 1, 8) - timer)[:8]
        newest = all_of(
            draining.implies(((age == n).implies(stage)) & ((age > n).implies(~stage)))
            for n, stage in enumerate(stages, 1)
        )
        working = issuing | draining
        received = f["argmax.received"]
        return self.argmax.invariants(f) | {
            "states": (state <= DRAIN) & (layer < len(self.groups)) & (state == IDLE).implies(layer == 0),
            "counters": (group < groups) & (word < words),
            "counters at rest": issuing | ((group == 0) & (word == 0)),
            "last ones": issuing.implies((f["controller.last_group"] == (group + 1 == groups))
                                         & (f["controller.last_word"] == (word + 1 == words))),
            "first": f["controller.first"] == (word == 0),
            "timer": draining.implies(timer <= self.drain),
            "newest": newest,
            "nothing in flight": working | (count == 0),
            "logits": (last_layer & working).implies(
                received + count + self.left(f) == self.argmax.transfers),
            "none or all": (last_layer & working) | (received == 0) | (received == self.argmax.transfers),
            "room for every logit": f["argmax.i__valid"].implies(f["argmax.i__ready"]),
        }  # fmt: skip

    def rank(self, f: Frame) -> Bits:
        """Cycles to the end of the image, counting a bias word for every word: it may be fewer."""
        state, layer = f["controller.state"], f["controller.layer"]
        each = [2 * groups * words + self.drain + 4 for groups, words in zip(self.groups, self.words, strict=True)]
        after = choose(layer, [const(sum(each[n + 1 :]), 20) for n in range(len(each))])
        words = self.of_layer(f, self.words)
        left = (self.left(f) * words - f["controller.word"]).fit(20)
        issuing = (left * 2 + mux(state == BIAS, 1, 0) + (self.drain + 1)).fit(20)
        here = choose(state, [0, choose(layer, [const(n - 1, 20) for n in each]), issuing, issuing,
                              (f["controller.timer"] + 1).fit(20)])  # fmt: skip
        return mux(state == IDLE, 0, here + after).fit(21)

    def steps(self, now: Frame, then: Frame) -> dict[str, Bits]:
        waits = (now["controller.state"] == PREPARING) & ~now["argmax.i__ready"]
        idle = now["controller.state"] == IDLE
        before, after = self.rank(now), self.rank(then)
        return {
            "nearer to the end": (~idle & ~waits).implies(after < before),
            "no step back": waits.implies(after <= before),
            "the end is rest": (before == 0) == idle,
        }

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants, step=self.steps)


@pytest.mark.parametrize(
    ("shape", "config"),
    [
        (LeNetShape(20, 50, (500, 10)), Config()),
        pytest.param(LeNetShape(20, 50, (500, 10)), Config(windows=4, outputs=5, fc_rows=6), marks=pytest.mark.full),
        pytest.param(LeNetShape(6, 16, (120, 84, 10)), Config(), marks=pytest.mark.full),
        (SMALL, Config()),
    ],
    ids=str,
)
def test_logits_always_find_room(shape: LeNetShape, config: Config) -> None:
    Proof(shape, config).prove()


BUGS = {
    "does not ask for room": ("with m.If((self.room | ~last_layer | ~first) & ~waiting):", "with m.If(~waiting):"),
    "drains too briefly": ("timer.eq(self.drain), state.eq", "timer.eq(self.drain - 1), state.eq"),
    "never ends": ("Mux(last_layer, states.FC_IDLE, states.FC_PREPARING)", "states.FC_PREPARING"),
    "waits for ever": ("m.d.sync += timer.eq(timer - 1)", "m.d.sync += timer.eq(timer)"),
    "a group too many": ("with m.If(last_group & last_word):", "with m.If(self.command.group.all() & last_word):"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    engine = broken("fc_engine", "FcEngine", *BUGS[bug], within="fc_controller")
    with pytest.raises(AssertionError, match="not always so"):
        Proof(SMALL, Config(), engine).prove()
