"""Walks through the words of the fully-connected layers."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import counter
from fivebyfive.model.shape import FC_WORD, ceil_div

__all__ = ["FcCommand", "FcController", "FcLayer", "FcState"]


class FcState(enum.Enum, shape=3):
    """The controller's states, in the order of a layer."""

    FC_IDLE = 0
    FC_PREPARING = 1
    LOAD_FC_BIAS = 2
    LOAD_FC_WEIGHT = 3
    FC_DRAIN = 4


class FcCommand(data.StructLayout):
    """What to do with the word that is read: it holds biases, or weights (``valid``), which may be an output's
    ``first`` or ``last``. ``keep``: the outputs' words do not follow each other; it is for those of group ``group``."""

    def __init__(self, groups: int):
        super().__init__({"bias": 1, "valid": 1, "first": 1, "last": 1, "keep": 1, "group": range(groups)})


class FcLayer:
    """Words of one fully-connected layer with ``rows`` outputs at once, ``lanes`` inputs of each in a word."""

    def __init__(self, outputs: int, inputs: int, rows: int, lanes: int = FC_WORD):
        self.lanes = lanes
        self.groups = ceil_div(outputs, rows)
        # Of an output: at least as many as it takes cycles to write the outputs of a group.
        self.words = max(ceil_div(inputs, lanes), ceil_div(rows, FC_WORD))
        self.bias_words = ceil_div(outputs, lanes * rows)
        self.rest = outputs - (self.groups - 1) * rows  # outputs of the last group


class FcController(wiring.Component):
    """Addresses and commands, a word a cycle: of every 20 (``lanes``) groups of outputs the biases, then the weights.

    Between layers it waits until the last output has been written, and in front of the last layer until there is
    ``room`` for its logits. With ``early`` fc1's words of inputs are the outer loop: for each of them, as soon as it is
    ``available``, the weights of all outputs. It takes one cycle more for each of them.

    Parameters
    ----------
    layers : `FcLayer` of each layer, in the order in which they lie in the weight memory; all of the same ``lanes``.
    depth : words of the weight memory.
    biases_first : in the memory the biases of all layers come before all weights.
    early : fc1 has its words of inputs outside; it then has at least two groups of outputs.
    drain : cycles from the one after a layer's last word to the one in which its last output comes out.

    Members
    -------
    available : the activations of an image are there; with ``early``, those of ``word``.
    room : the logits of an image can be taken.
    address : word of the weight memory. command : what it holds.
    word : the activations that belong to it.
    layer : present layer; changes only when nothing of it is in flight.
    inputs_done : fc1 no longer needs its inputs. layer_done : all outputs of the layer are written (one cycle each).
    busy : an image is being computed.
    """

    def __init__(self, layers: list[FcLayer], depth: int, drain: int, early: bool = False, biases_first: bool = False):
        self.layers = layers
        self.depth = depth
        self.early = early
        self.biases_first = biases_first
        self.drain = drain
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
        timer = Signal(range(self.drain + 1))
        self.last_group = Signal()
        last_layer = self.layer == len(self.layers) - 1
        m.d.comb += self.busy.eq(state != FcState.FC_IDLE)
        with m.Switch(state):
            with m.Case(FcState.FC_IDLE):
                with m.If(self.available):
                    m.d.sync += state.eq(FcState.FC_PREPARING)
            with m.Case(FcState.FC_PREPARING):
                first = self.command.first
                waiting = (self.layer == 0) & ~self.available & self.early
                with m.If((self.room | ~last_layer | ~first) & ~waiting):
                    m.d.sync += state.eq(Mux(first, FcState.LOAD_FC_BIAS, FcState.LOAD_FC_WEIGHT))
            with m.Case(FcState.LOAD_FC_BIAS, FcState.LOAD_FC_WEIGHT):
                self.issue(m, state, timer)
            with m.Case(FcState.FC_DRAIN):
                m.d.sync += timer.eq(timer - 1)
                with m.If(timer == 0):
                    m.d.comb += [self.layer_done.eq(1), self.inputs_done.eq(self.layer == 0)]
                    m.d.sync += [
                        state.eq(Mux(last_layer, FcState.FC_IDLE, FcState.FC_PREPARING)),
                        self.layer.eq(Mux(last_layer, 0, self.layer + 1)),
                    ]
        self.point(m, state)
        self.count(m, state)
        return m

    def count(self, m: Module, state: Signal):
        """Words of inputs of a group of outputs, and groups; with words outside, groups of a word of inputs."""
        outside = (self.layer == 0) & self.early
        next_word, next_group, first = Signal(), Signal(), Signal(init=1)
        word, last_word = counter(m, [x.words for x in self.layers], next_word, name="word", which=self.layer)
        group, last_group = counter(m, [x.groups for x in self.layers], next_group, name="group", which=self.layer)
        weights = state == FcState.LOAD_FC_WEIGHT
        m.d.comb += [
            next_word.eq(weights & (~outside | last_group)),
            next_group.eq(weights & (outside | last_word)),
            self.word.eq(word),
            self.last_group.eq(last_group),
            self.command.first.eq(first),
            self.command.last.eq(last_word),
            self.command.group.eq(group),
        ]
        with m.If(next_word):
            m.d.sync += first.eq(last_word)

    def issue(self, m: Module, state: Signal, timer: Signal):
        """One bias or weight word; then what comes next."""
        lanes = self.layers[0].lanes
        block = Signal(range(lanes))  # groups that the present bias word has served
        first_word, last_word, last_group = self.command.first, self.command.last, self.last_group
        outside = (self.layer == 0) & self.early
        m.d.comb += [
            self.command.bias.eq(state == FcState.LOAD_FC_BIAS),
            self.command.valid.eq(state == FcState.LOAD_FC_WEIGHT),
            self.command.keep.eq(outside),
        ]
        with m.If(state == FcState.LOAD_FC_BIAS):
            m.d.sync += state.eq(FcState.LOAD_FC_WEIGHT)
        with m.Else():
            # The next group needs a bias word after every 20th (``lanes``) one; with words outside, only at the first.
            with m.If((outside & first_word) | (~outside & last_word)):
                m.d.sync += block.eq(block + 1)
                with m.If(block == lanes - 1):
                    m.d.sync += [block.eq(0), state.eq(FcState.LOAD_FC_BIAS)]
            with m.If(outside & last_group):
                m.d.sync += [block.eq(0), state.eq(FcState.FC_PREPARING)]
            with m.If(last_group & last_word):
                m.d.sync += [block.eq(0), timer.eq(self.drain), state.eq(FcState.FC_DRAIN)]

    def point(self, m: Module, state: Signal):
        """Biases and weights are read in order; a layer's weights follow its biases, the next layer's biases them; or
        all weights all biases."""
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
