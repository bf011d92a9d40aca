"""Controller of conv1 and conv2: one kernel sweep after the other without a gap."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import counter
from fivebyfive.model.shape import CONV_WORD, ceil_div

from .sweep_list import SweepList

__all__ = ["ConvController", "ConvState", "Mode"]


class Mode(enum.Enum, shape=1):
    """Command to the controller."""

    IDLE = 0
    CONV1 = 1


class ConvState(enum.Enum, shape=4):
    """The controller's states, in the order of an image."""

    CONV_IDLE = 0
    PREPARING = 1
    LOAD_CONV1_BIAS = 2
    LOAD_CONV1_WEIGHT = 3
    LOAD_CONV1_WRITE_DATA = 4
    CONV1_FINISH = 5
    PREPARING_CONV2_BIAS0 = 6
    LOAD_CONV2_BIAS0 = 7
    PREPARING_CONV2_BIAS1 = 8
    LOAD_CONV2_BIAS1 = 9
    LOAD_CONV2_WEIGHT = 10
    LOAD_CONV2_WRITE_DATA = 11
    CONV_FINISH = 12


class ConvLayer:
    """A conv layer as the controller sees it.

    Parameters
    ----------
    outputs : int, at least 1
        Output channels.
    inputs : int, at least 1
        Input channels.
    parallel : int, at least 1
        Output channels computed at once, O.
    bias_address : int
        Address of its first bias word in the weight memory.
    sweeps : sequence of int
        Of conv2, the sweeps of each group of output channels where zeros are skipped; else empty: one per input
        channel.
    """

    def __init__(self, outputs: int, inputs: int, parallel: int, bias_address: int, sweeps: Sequence[int] = ()):
        self.groups = ceil_div(outputs, parallel)
        self.inputs = inputs
        self.bias_words = ceil_div(outputs, CONV_WORD)
        self.bias_address = bias_address
        self.sweeps = tuple(sweeps)


class InternalSignals:
    """What the controller's steps share.

    Attributes
    ----------
    timer : counts down to 0
        Cycles left to wait.
    sweeps : 1 bit
        The state is LOAD_..._WRITE_DATA; a register, as ``load`` is: the whole engine waits for it.
    swept : 1 bit
        The last position of a sweep enters the array.
    last_group : 1 bit
        The group of output channels is the layer's last.
    """

    def __init__(self, longest_wait: int):
        self.timer = Signal(range(longest_wait + 1))
        self.sweeps = Signal()
        self.swept = Signal()
        self.last_group = Signal()


class ConvController(wiring.Component):
    """Sequences both conv layers of an image.

    ``CONV_IDLE`` is left when ``mode`` is CONV1. ``PREPARING...`` states wait for a bias word from the weight memory;
    ``LOAD_..._BIAS`` states write it to the array. They repeat for every bias word; conv2 loads them in pairs, and the
    second of the last pair may be missing. ``LOAD_CONVx_WEIGHT`` is the first position of a sweep, in which the array
    latches its kernels; ``LOAD_CONVx_WRITE_DATA`` covers the rest of the sweep. ``CONV1_FINISH`` and ``CONV_FINISH``
    wait until the last code is written.

    Throughput: a sweep of n positions takes n cycles while ``kernel_valid`` and ``position_valid`` stay asserted.

    Parameters
    ----------
    layers : list of two `ConvLayer`
        conv1 and conv2.
    depth : int
        Words of the weight memory.
    memory_latency : int, cycles
        From the weight memory's address to its data.
    drain : int, cycles
        From the last position of a layer until its last code can be read.

    Ports
    -----
    mode : `Mode`, in
        Sampled in ``CONV_IDLE``; CONV1 starts an image.
    state : `ConvState`, out
        Current state.
    layer : 1 bit, out
        0 in conv1 (and when idle), 1 in conv2.
    start : 1 bit, out
        Asserted for one cycle when a layer begins: its maps and kernels are to be streamed.
    bias_address : range(depth), out
        Word of the weight memory; valid with ``bias_request``.
    bias_index : range(bias words), out
        Place of that word in the array's biases.
    bias_request : 1 bit, out
        Asserted while the weight memory must read ``bias_address``.
    bias_en : 1 bit, out
        Asserted for one cycle when the weight memory's data is bias word ``bias_index``.
    kernel_valid : 1 bit, in
        The kernels of the next sweep are available.
    position_valid : 1 bit, in
        A position is available.
    position_last : 1 bit, in
        The position is the last of its sweep; valid with ``position_valid``.
    go : 1 bit, out
        Asserted in the cycle in which a position enters the array; combinational from ``kernel_valid`` and
        ``position_valid``.
    load : 1 bit, out
        The next position is the first of its sweep (`conv_array.Sweep.load`).
    first : 1 bit, out
        The sweep is of the first input channel; valid with ``go``.
    last : 1 bit, out
        The sweep is of the last input channel; valid with ``go``.
    conv1_done : 1 bit, out
        Asserted for one cycle when conv1 no longer needs the image.
    done : 1 bit, out
        Asserted for one cycle when the image's last code is written.
    """

    def __init__(self, layers: list[ConvLayer], depth: int, memory_latency: int, drain: int):
        self.layers = layers
        self.depth = depth
        self.memory_latency = memory_latency
        self.drain = drain
        # conv2 loads words of biases in pairs
        self.bias_turns = [layers[0].bias_words, layers[1].bias_words + layers[1].bias_words % 2]
        super().__init__(
            {
                "mode": In(Mode),
                "state": Out(ConvState),
                "layer": Out(1),
                "start": Out(1),
                "bias_address": Out(range(depth)),
                "bias_index": Out(range(max(self.bias_turns))),
                "bias_request": Out(1),
                "bias_en": Out(1),
                "kernel_valid": In(1),
                "position_valid": In(1),
                "position_last": In(1),
                "go": Out(1),
                "load": Out(1),
                "first": Out(1),
                "last": Out(1),
                "conv1_done": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        inner = InternalSignals(max(self.drain, self.memory_latency))
        m.d.comb += [
            self.go.eq(self.position_valid & (inner.sweeps | (self.load & self.kernel_valid))),
            inner.swept.eq(inner.sweeps & self.go & self.position_last),
        ]
        self.count(m, inner)
        with m.If(inner.timer != 0):
            m.d.sync += inner.timer.eq(inner.timer - 1)
        with m.Switch(self.state):
            with m.Case(ConvState.CONV_IDLE):
                with m.If(self.mode == Mode.CONV1):
                    self.prepare_biases(m, inner, 0, ConvState.PREPARING)
            self.bias_states(m, inner, 0, ConvState.PREPARING, ConvState.LOAD_CONV1_BIAS)
            self.sweep_states(m, inner, 0, ConvState.LOAD_CONV1_WEIGHT, ConvState.LOAD_CONV1_WRITE_DATA)
            with m.Case(ConvState.CONV1_FINISH):
                with m.If(inner.timer == 0):
                    m.d.comb += self.conv1_done.eq(1)
                    self.prepare_biases(m, inner, 1, ConvState.PREPARING_CONV2_BIAS0)
            self.bias_states(m, inner, 1, ConvState.PREPARING_CONV2_BIAS0, ConvState.LOAD_CONV2_BIAS0)
            self.bias_states(m, inner, 1, ConvState.PREPARING_CONV2_BIAS1, ConvState.LOAD_CONV2_BIAS1)
            self.sweep_states(m, inner, 1, ConvState.LOAD_CONV2_WEIGHT, ConvState.LOAD_CONV2_WRITE_DATA)
            with m.Case(ConvState.CONV_FINISH):
                with m.If(inner.timer == 0):
                    m.d.comb += self.done.eq(1)
                    self.enter(m, inner, ConvState.CONV_IDLE)
                    m.d.sync += self.layer.eq(0)
        return m

    def count(self, m: Module, inner: InternalSignals):
        """Count the input channels of a group of output channels, and the groups."""
        inputs, groups = [layer.inputs for layer in self.layers], [layer.groups for layer in self.layers]
        _, last_channel = counter(m, inputs, inner.swept, name="channel", which=self.layer)
        if self.layers[1].sweeps:
            last_channel = self.listed(m, inner.swept)
        first, group_end = Signal(init=1), inner.swept & last_channel
        _, last_group = counter(m, groups, group_end, name="group", which=self.layer)
        m.d.comb += [self.first.eq(first), self.last.eq(last_channel), inner.last_group.eq(last_group)]
        with m.If(inner.swept):
            m.d.sync += first.eq(last_channel)

    def listed(self, m: Module, swept: Signal):
        """Whether a sweep is the last of its group, where the groups of conv2 differ in the number of sweeps."""
        lasts = [int(n == sweeps - 1) for sweeps in self.layers[1].sweeps for n in range(sweeps)]
        m.submodules.lasts = lasts = SweepList(lasts, 1)
        m.d.comb += lasts.step.eq(swept & self.layer)
        return ~self.layer | lasts.entry  # conv1 has a single input channel

    def enter(self, m: Module, inner: InternalSignals, state: ConvState):
        """Go to a state; sets the registers that decode it."""
        weight = state in (ConvState.LOAD_CONV1_WEIGHT, ConvState.LOAD_CONV2_WEIGHT)
        write_data = state in (ConvState.LOAD_CONV1_WRITE_DATA, ConvState.LOAD_CONV2_WRITE_DATA)
        m.d.sync += [self.state.eq(state), self.load.eq(weight), inner.sweeps.eq(write_data)]

    def prepare_biases(self, m: Module, inner: InternalSignals, layer: int, state: ConvState):
        """Go to the first bias word of a layer."""
        self.enter(m, inner, state)
        m.d.sync += [
            self.layer.eq(layer),
            self.bias_index.eq(0),
            self.bias_address.eq(self.layers[layer].bias_address),
            inner.timer.eq(self.memory_latency),
        ]

    def bias_states(self, m: Module, inner: InternalSignals, layer: int, preparing: ConvState, load: ConvState):
        """Wait for a bias word, write it to the array, and go on to the next word or to the first kernel."""
        again = {
            ConvState.LOAD_CONV1_BIAS: ConvState.PREPARING,
            ConvState.LOAD_CONV2_BIAS0: ConvState.PREPARING_CONV2_BIAS1,
            ConvState.LOAD_CONV2_BIAS1: ConvState.PREPARING_CONV2_BIAS0,
        }[load]
        with m.Case(preparing):
            m.d.comb += self.bias_request.eq(1)
            with m.If(inner.timer == 0):
                self.enter(m, inner, load)
        with m.Case(load):
            m.d.comb += [self.bias_request.eq(1), self.bias_en.eq(self.bias_index < self.layers[layer].bias_words)]
            self.enter(m, inner, again)
            m.d.sync += [
                self.bias_index.eq(self.bias_index + 1),
                self.bias_address.eq(self.bias_address + 1),
                inner.timer.eq(self.memory_latency),
            ]
            # Two words per turn: conv2's kernels follow BIAS1 only.
            if load != ConvState.LOAD_CONV2_BIAS0:
                with m.If(self.bias_index == self.bias_turns[layer] - 1):
                    m.d.comb += self.start.eq(1)
                    self.enter(m, inner, ConvState.LOAD_CONV2_WEIGHT if layer else ConvState.LOAD_CONV1_WEIGHT)

    def sweep_states(self, m: Module, inner: InternalSignals, layer: int, weight: ConvState, write_data: ConvState):
        """Send every position of every kernel into the array."""
        with m.Case(weight):
            with m.If(self.go):
                self.enter(m, inner, write_data)
        with m.Case(write_data):
            with m.If(inner.swept):
                self.enter(m, inner, weight)
                with m.If(self.last & inner.last_group):
                    self.enter(m, inner, ConvState.CONV_FINISH if layer else ConvState.CONV1_FINISH)
                    m.d.sync += inner.timer.eq(self.drain)
