"""Sequences the engine that skips activations of zero: finds the others, and addresses their weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from operator import or_

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import counter, delay, lowest
from fivebyfive.hw.common.types import CODE, FC_LANES, codes
from fivebyfive.model.machine.latency import SELECT
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import ceil_div

from .fc_controller import drain_case, idle_case

__all__ = ["SparseFcCommand", "SparseFcController", "SparseFcLayer", "SparseFcState"]

ONE = 1 << Q2_6.frac_bits  # the code of 1: times this, a bias is where sums have it


class SparseFcState(enum.Enum, shape=3):
    """The controller's states, in the order of a layer."""

    FC_IDLE = 0
    FC_PREPARING = 1
    LOAD_FC_BIAS = 2
    LOAD_FC_WEIGHT = 3
    FC_RESULT = 4
    FC_DRAIN = 5


class SparseFcCommand(data.StructLayout):
    """What becomes of the products of a word of weights and an activation.

    Parameters
    ----------
    groups : int
        Most groups of outputs of a layer.

    Fields
    ------
    valid : 1 bit
        There is such a word.
    first : 1 bit
        The products begin the sums of the group; else they are added. Valid with ``valid``.
    last : 1 bit
        The sums are complete. Valid with ``valid``.
    group : range(groups)
        Group of outputs; valid with ``valid``.
    """

    def __init__(self, groups: int):
        super().__init__({"valid": 1, "first": 1, "last": 1, "group": range(groups)})


@dataclass(frozen=True)
class SparseFcLayer:
    """A fully-connected layer as the controller sees it: its ``inputs``, and ``groups`` of outputs computed at once.

    In the weight memory it has a word of biases for each group, then a word of weights for each input and group.
    """

    inputs: int
    groups: int

    @property
    def words(self) -> int:
        """Words of activations."""
        return ceil_div(self.inputs, FC_LANES)

    @property
    def depth(self) -> int:
        """Words in the weight memory."""
        return self.groups * (1 + self.inputs)


class SparseFcController(wiring.Component):
    """For every activation that is not zero a word of weights for each group of outputs, layer after layer.

    A layer begins with a word of biases for each group, which is multiplied by 1. Then the words of 20 activations
    follow one after the other: a word takes as many cycles as it has codes other than zero times groups, or one if it
    has none. At last the sums of each group are called for, with a multiplication by 0: ``rows`` cycles apart, or one
    in the last layer, whose outputs no other layer reads.

    It waits as `FcController` does: between layers until the last output is written, before the last layer until
    ``room`` is asserted, and for each word of activations of the first layer until it is ``available``.

    Latency: 2 cycles from the selection of an activation to ``command``. A word is selected from in the cycle after
    its ``data``.

    Parameters
    ----------
    layers : sequence of `SparseFcLayer`
        Layers, in the order of the weight memory.
    drain : int, cycles
        From the cycle after ``rows`` cycles of a layer's last group, or one of the last layer's, to the cycle in which
        that group is written.
    rows : int, at least 1
        Cycles that writing a group takes.
    early : bool
        ``available`` is of a word of activations, not of a whole image.

    Ports
    -----
    available : 1 bit, in
        The activations of an image are complete; with ``early``, those of ``word``. Ignored after the first layer.
    room : 1 bit, in
        The logits of an image can be accepted. Sampled before the last layer.
    word : range(words + 1), out
        Word of activations to read; beyond the last word of a layer nothing is read.
    data : 20 codes, in
        The word of activations; valid 1 cycle after ``word``. Those beyond the inputs of a layer are ignored.
    command : `SparseFcCommand`, out
        What becomes of the products.
    address : range(depth), out
        Word of the weight memory; valid with ``command.valid``. Don't-care with ``command.last``.
    x : code, out
        What its weights are multiplied by; valid with ``command.valid``.
    layer : range(layers), out
        Current layer; changes only when nothing of it is in flight.
    inputs_done : 1 bit, out
        Asserted for one cycle when the first layer no longer needs its inputs.
    layer_done : 1 bit, out
        Asserted for one cycle when all outputs of the layer are written.
    busy : 1 bit, out
        Asserted while an image is computed.
    """

    def __init__(self, layers: Sequence[SparseFcLayer], drain: int, rows: int = 1, early: bool = False):
        self.layers = tuple(layers)
        self.drain = drain
        self.rows = rows
        self.early = early
        self.depth = sum(layer.depth for layer in self.layers)
        super().__init__(
            {
                "available": In(1),
                "room": In(1),
                "word": Out(range(max(layer.words for layer in self.layers) + 1)),
                "data": In(codes(FC_LANES)),
                "command": Out(SparseFcCommand(max(layer.groups for layer in self.layers))),
                "address": Out(range(self.depth)),
                "x": Out(CODE),
                "layer": Out(range(len(self.layers))),
                "inputs_done": Out(1),
                "layer_done": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        state, timer = Signal(SparseFcState), Signal(range(self.drain + 1))
        bias, weight, result = (
            state == one for one in (SparseFcState.LOAD_FC_BIAS, SparseFcState.LOAD_FC_WEIGHT, SparseFcState.FC_RESULT)
        )
        last_layer = self.layer == len(self.layers) - 1
        step, issued = Signal(), Signal()
        group, last_group = counter(m, [one.groups for one in self.layers], step, name="group", which=self.layer)
        pace, paced = counter(m, [*[self.rows] * (len(self.layers) - 1), 1], result, name="pace", which=self.layer)
        left, chosen, ended, start, code = self.select(m, weight, last_group)
        m.d.comb += [
            self.busy.eq(state != SparseFcState.FC_IDLE),
            issued.eq(bias | left.any() | (result & (pace == 0))),
            step.eq(bias | left.any() | (result & paced)),
        ]
        with m.Switch(state):
            idle_case(m, self, state)
            with m.Case(SparseFcState.FC_PREPARING):
                with m.If(self.room | ~last_layer):
                    m.d.sync += state.eq(SparseFcState.LOAD_FC_BIAS)
            with m.Case(SparseFcState.LOAD_FC_BIAS):
                with m.If(last_group):
                    m.d.sync += state.eq(SparseFcState.LOAD_FC_WEIGHT)
            with m.Case(SparseFcState.LOAD_FC_WEIGHT):
                with m.If(ended):
                    m.d.sync += state.eq(SparseFcState.FC_RESULT)
            with m.Case(SparseFcState.FC_RESULT):
                with m.If(last_group & paced):
                    m.d.sync += [timer.eq(self.drain), state.eq(SparseFcState.FC_DRAIN)]
            drain_case(m, self, state, timer, last_layer)
        flags = Cat(issued, bias, result, group)  # fields of a command
        m.d.comb += self.command.as_value().eq(delay(m, flags, SELECT, name="command"))
        self.point(m, bias, start, group, chosen, code)
        return m

    def select(self, m: Module, weight: Value, last_group: Signal) -> tuple:
        """Go through the words of activations. Returns the lanes of the present word that are left, of these the one
        that is selected, whether the layer has none behind it, the address of the first lane's weights, and the code.
        """
        word, shown, left = Signal(self.word.shape()), Signal(), Signal(FC_LANES)
        values = Signal(codes(FC_LANES), name="values", reset_less=True)
        chosen, rest, free, take = Signal(FC_LANES), Signal(FC_LANES), Signal(), Signal()
        start, following = Signal(range(self.depth)), Signal(range(self.depth + FC_LANES * self.most_groups))
        all_taken = word == self.of_layer(one.words for one in self.layers)
        m.d.comb += [
            chosen.eq(lowest(left)),
            rest.eq(Mux(last_group, left & ~chosen, left)),
            free.eq(rest == 0),
            take.eq(weight & shown & free & ~all_taken),
            self.word.eq(Mux(take, word + 1, word)),
        ]
        m.d.sync += [
            left.eq(rest),
            word.eq(self.word),
            shown.eq(self.available | (self.layer != 0)),
        ]
        with m.If(take):
            m.d.sync += [
                values.eq(self.data),
                left.eq(Cat(code.any() for code in self.lanes()) & self.there(word)),
                start.eq(following),
                following.eq(following + self.of_layer(FC_LANES * one.groups for one in self.layers)),
            ]
        with m.If(~weight):
            m.d.sync += following.eq(self.of_layer(begin + one.groups for begin, one in self.begins()))
        with m.If(self.layer_done):
            m.d.sync += word.eq(0)
        code = reduce(or_, [values[n].as_unsigned() & chosen[n].replicate(CODE.width) for n in range(FC_LANES)])
        return left, chosen, weight & free & all_taken, start, code

    def lanes(self) -> list[Value]:
        """The bits of each activation."""
        return [self.data[n].as_unsigned() for n in range(FC_LANES)]

    def there(self, word: Signal) -> Value:
        """Lanes of a word that hold inputs of the layer: all but in its last word."""
        whole = (1 << FC_LANES) - 1
        last = [whole >> -one.inputs % FC_LANES for one in self.layers]
        if set(last) == {whole}:
            return whole
        end = word == self.of_layer(one.words - 1 for one in self.layers)
        return Mux(end, self.of_layer(last), whole)

    def point(self, m: Module, bias: Value, start: Value, group: Value, chosen: Value, code: Value):
        """The word of weights and what it is multiplied by, two cycles later: the word of the first lane of activations
        and of the group, then that of the lane."""
        base, offset, lane = Signal(range(self.depth)), Signal(range(FC_LANES * self.most_groups)), Signal(FC_LANES)
        begin, of_lane = Signal(range(self.depth)), [
            reduce(or_, [Mux(lane[n], n * one.groups, 0) for n in range(FC_LANES)]) for one in self.layers
        ]  # fmt: skip
        m.d.sync += [
            begin.eq(Mux(bias, self.of_layer(begin for begin, _ in self.begins()), start) + group),
            lane.eq(chosen),
            base.eq(begin),
            offset.eq(self.of_layer(of_lane)),
        ]
        m.d.comb += [
            self.address.eq(base + offset),
            self.x.eq(delay(m, code | Mux(bias, ONE, 0), SELECT, name="x", reset_less=True)),
        ]

    @property
    def most_groups(self) -> int:
        """Groups of outputs of the layer that has most."""
        return max(layer.groups for layer in self.layers)

    def begins(self) -> list[tuple[int, SparseFcLayer]]:
        """Each layer, behind the address of its first word."""
        return list(zip(accumulate((one.depth for one in self.layers), initial=0), self.layers, strict=False))

    def of_layer(self, values) -> Value:
        """What belongs to the current layer, of values for each."""
        values = [Value.cast(value) for value in values]
        return Array(values)[self.layer] if len(values) > 1 else values[0]
