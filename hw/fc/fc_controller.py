"""Sequences the words of the fully-connected layers."""

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import counter
from fivebyfive.model.shape import FC_WORD, ceil_div

__all__ = ["FcCommand", "FcController", "FcLayer", "FcState", "drain_case", "idle_case"]


class FcState(enum.Enum, shape=3):
    """The controller's states, in the order of a layer."""

    FC_IDLE = 0
    FC_PREPARING = 1
    LOAD_FC_BIAS = 2
    LOAD_FC_WEIGHT = 3
    FC_DRAIN = 4


class FcCommand(data.StructLayout):
    """What the word at the controller's address is for.

    Parameters
    ----------
    groups : int
        Most groups of outputs of a layer.

    Fields
    ------
    bias : 1 bit
        The word holds biases.
    valid : 1 bit
        The word holds weights.
    first : 1 bit
        The word is the first of its outputs; valid with ``valid``.
    last : 1 bit
        The word is the last of its outputs; valid with ``valid``.
    keep : 1 bit
        The words of an output do not follow each other: its partial sum is kept as that of ``group``.
    group : range(groups)
        Group of outputs; valid with ``valid``.
    """

    def __init__(self, groups: int):
        super().__init__({"bias": 1, "valid": 1, "first": 1, "last": 1, "keep": 1, "group": range(groups)})


class FcLayer:
    """A fully-connected layer as the controller sees it.

    Parameters
    ----------
    outputs : int, at least 1
        Outputs of the layer.
    inputs : int, at least 1
        Inputs of the layer.
    rows : int, at least 1
        Outputs computed at once.
    lanes : int, 20 or 10
        Inputs of each output in a word.
    """

    def __init__(self, outputs: int, inputs: int, rows: int, lanes: int = FC_WORD):
        self.lanes = lanes
        self.groups = ceil_div(outputs, rows)
        # Of an output: at least as many as the cycles that writing a group of outputs takes.
        self.words = max(ceil_div(inputs, lanes), ceil_div(rows, FC_WORD))
        self.bias_words = ceil_div(outputs, lanes * rows)
        self.rest = outputs - (self.groups - 1) * rows  # outputs of the last group


def idle_case(m: Module, controller: wiring.Component, state: Signal):
    """The case ``FC_IDLE`` of a controller: wait for the activations of an image."""
    states = state.shape()
    with m.Case(states.FC_IDLE):
        with m.If(controller.available):
            m.d.sync += state.eq(states.FC_PREPARING)


def drain_case(m: Module, controller: wiring.Component, state: Signal, timer: Signal, last_layer: Value):
    """The case ``FC_DRAIN`` of a controller: wait until the layer's last output is written, then go to the next layer
    or, after the last one, to ``FC_IDLE``."""
    states = state.shape()
    with m.Case(states.FC_DRAIN):
        m.d.sync += timer.eq(timer - 1)
        with m.If(timer == 0):
            m.d.comb += [controller.layer_done.eq(1), controller.inputs_done.eq(controller.layer == 0)]
            m.d.sync += [
                state.eq(Mux(last_layer, states.FC_IDLE, states.FC_PREPARING)),
                controller.layer.eq(Mux(last_layer, 0, controller.layer + 1)),
            ]


class FcController(wiring.Component):
    """Addresses and commands, a word per cycle: for every ``lanes`` groups of outputs a word of biases, then their
    weights.

    Between layers it waits until the last output is written, and before the last layer until ``room`` is asserted. With
    ``early`` the words of inputs are fc1's outer loop: for each of them, as soon as it is ``available``, the weights of
    all outputs follow. This takes one cycle more per word of inputs.

    Parameters
    ----------
    layers : list of `FcLayer`
        Layers in the order of the weight memory, all with the same ``lanes``.
    depth : int
        Words of the weight memory.
    drain : int, cycles
        From the cycle after a layer's last word to the cycle of its last output.
    early : bool
        fc1 has its words of inputs in the outer loop; it then has at least two groups of outputs.
    biases_first : bool
        In the memory the biases of all layers precede all weights.
    writing : int, cycles
        How much later the last output is written, where another layer follows.

    Ports
    -----
    available : 1 bit, in
        The activations of an image are complete; with ``early``, those of ``word``. Sampled while idle and, with
        ``early``, before each word of fc1's inputs.
    room : 1 bit, in
        The logits of an image can be accepted. Sampled before the last layer.
    address : range(depth), out
        Word of the weight memory; valid with ``command.bias`` or ``command.valid``.
    command : `FcCommand`, out
        What that word holds.
    word : range(words), out
        Word of activations that belongs to it; valid with ``command.valid``.
    layer : range(layers), out
        Current layer; changes only when nothing of it is in flight.
    inputs_done : 1 bit, out
        Asserted for one cycle when fc1 no longer needs its inputs.
    layer_done : 1 bit, out
        Asserted for one cycle when all outputs of the layer are written.
    busy : 1 bit, out
        Asserted while an image is computed.
    """

    def __init__(
        self,
        layers: list[FcLayer],
        depth: int,
        drain: int,
        early: bool = False,
        biases_first: bool = False,
        writing: int = 0,
    ):
        self.layers = layers
        self.depth = depth
        self.early = early
        self.biases_first = biases_first
        self.drain = drain
        self.writing = writing
        super().__init__(
            {
                "available": In(1),
                "room": In(1),
                "address": Out(range(depth)),
                "command": Out(FcCommand(max(layer.groups for layer in layers))),
                "word": Out(range(max(layer.words for layer in layers))),
                "layer": Out(range(len(layers))),
                "inputs_done": Out(1),
                "layer_done": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        state = Signal(FcState)
        timer = Signal(range(self.drain + self.writing + 1))
        last_group = Signal()
        last_layer = self.layer == len(self.layers) - 1
        m.d.comb += self.busy.eq(state != FcState.FC_IDLE)
        with m.Switch(state):
            idle_case(m, self, state)
            with m.Case(FcState.FC_PREPARING):
                first = self.command.first
                waiting = (self.layer == 0) & ~self.available & self.early
                with m.If((self.room | ~last_layer | ~first) & ~waiting):
                    m.d.sync += state.eq(Mux(first, FcState.LOAD_FC_BIAS, FcState.LOAD_FC_WEIGHT))
            with m.Case(FcState.LOAD_FC_BIAS, FcState.LOAD_FC_WEIGHT):
                self.issue(m, state, timer, last_group)
            drain_case(m, self, state, timer, last_layer)
        self.point(m, state)
        self.count(m, state, last_group)
        return m

    def count(self, m: Module, state: Signal, last_group: Signal):
        """Count words of inputs of a group of outputs, and groups; with words outside, groups of a word of inputs."""
        outside = (self.layer == 0) & self.early
        next_word, next_group, first = Signal(), Signal(), Signal(init=1)
        word, last_word = counter(m, [x.words for x in self.layers], next_word, name="word", which=self.layer)
        group, group_end = counter(m, [x.groups for x in self.layers], next_group, name="group", which=self.layer)
        weights = state == FcState.LOAD_FC_WEIGHT
        m.d.comb += [
            next_word.eq(weights & (~outside | group_end)),
            next_group.eq(weights & (outside | last_word)),
            self.word.eq(word),
            last_group.eq(group_end),
            self.command.first.eq(first),
            self.command.last.eq(last_word),
            self.command.group.eq(group),
        ]
        with m.If(next_word):
            m.d.sync += first.eq(last_word)

    def issue(self, m: Module, state: Signal, timer: Signal, last_group: Signal):
        """Issue one word of biases or weights; select what follows."""
        lanes = self.layers[0].lanes
        block = Signal(range(lanes))  # groups served by the current word of biases
        first_word, last_word = self.command.first, self.command.last
        outside = (self.layer == 0) & self.early
        m.d.comb += [
            self.command.bias.eq(state == FcState.LOAD_FC_BIAS),
            self.command.valid.eq(state == FcState.LOAD_FC_WEIGHT),
            self.command.keep.eq(outside),
        ]
        with m.If(state == FcState.LOAD_FC_BIAS):
            m.d.sync += state.eq(FcState.LOAD_FC_WEIGHT)
        with m.Else():
            # A new word of biases after every ``lanes`` groups; with words outside, only with the first word.
            with m.If((outside & first_word) | (~outside & last_word)):
                m.d.sync += block.eq(block + 1)
                with m.If(block == lanes - 1):
                    m.d.sync += [block.eq(0), state.eq(FcState.LOAD_FC_BIAS)]
            with m.If(outside & last_group):
                m.d.sync += [block.eq(0), state.eq(FcState.FC_PREPARING)]
            with m.If(last_group & last_word):
                writing = self.writing and Mux(self.layer == len(self.layers) - 1, 0, self.writing)
                m.d.sync += [block.eq(0), timer.eq(self.drain + writing), state.eq(FcState.FC_DRAIN)]

    def point(self, m: Module, state: Signal):
        """Biases and weights are read in order. In the memory the biases of each layer precede its weights; with
        ``biases_first`` all biases precede all weights.
        """
        bias_words = [layer.bias_words for layer in self.layers]
        begin = sum(bias_words) if self.biases_first else bias_words[0]
        bias, weight = Signal(range(self.depth)), Signal(range(self.depth + 1), init=begin)
        m.d.comb += self.address.eq(Mux(state == FcState.LOAD_FC_BIAS, bias, weight))
        with m.If(state == FcState.LOAD_FC_BIAS):
            m.d.sync += bias.eq(bias + 1)
        with m.If(state == FcState.LOAD_FC_WEIGHT):
            m.d.sync += weight.eq(weight + 1)
        with m.If(self.layer_done):
            if not self.biases_first:
                following = Array([*bias_words[1:], 0])[self.layer]
                m.d.sync += [bias.eq(weight), weight.eq(weight + following)]
            with m.If(self.layer == len(self.layers) - 1):
                m.d.sync += [bias.eq(0), weight.eq(begin)]
