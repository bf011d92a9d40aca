"""Controller of the conv layers: one kernel sweep after the other without a gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import new_class

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import counter
from fivebyfive.model.shape import ceil_div

from .sweep_list import SweepList

__all__ = ["ConvController", "ConvLayer", "ConvState", "Mode", "conv_states"]


class Mode(enum.Enum, shape=1):
    """Command to the controller."""

    IDLE = 0
    CONV1 = 1


@dataclass(frozen=True)
class LayerStates:
    """Names of a layer's states, in their order.

    Attributes
    ----------
    biases : tuple of (str, str)
        The states that wait for a bias word and that write it. Where there are two such pairs they take turns.
    weight, write_data : str
        The states of a sweep.
    finish : str
        The state that waits until the last code is written.
    """

    biases: tuple[tuple[str, str], ...]
    weight: str
    write_data: str
    finish: str

    @classmethod
    def of(cls, number: int, convs: int) -> "LayerStates":
        """Of layer ``number`` of ``convs``, from 1 on."""
        conv = f"CONV{number}"
        biases = [(f"PREPARING_{conv}_BIAS{n}", f"LOAD_{conv}_BIAS{n}") for n in range(2)]
        return cls(
            biases=(("PREPARING", "LOAD_CONV1_BIAS"),) if number == 1 else tuple(biases),
            weight=f"LOAD_{conv}_WEIGHT",
            write_data=f"LOAD_{conv}_WRITE_DATA",
            finish="CONV_FINISH" if number == convs else f"{conv}_FINISH",
        )

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [*(name for pair in self.biases for name in pair), self.weight, self.write_data, self.finish]


@cache
def conv_states(convs: int) -> type[enum.Enum]:
    """The states of a controller of ``convs`` convolutions, in the order of an image."""
    names = ["CONV_IDLE", *(name for n in range(convs) for name in LayerStates.of(n + 1, convs).names)]
    shape = max(4, (len(names) - 1).bit_length())
    members = {name: value for value, name in enumerate(names)}
    return new_class("ConvState", (enum.Enum,), {"shape": shape}, lambda body: body.update(members))


ConvState = conv_states(2)  # those of the brief


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
        The sweeps of each group of output channels, where these do not sweep all input channels; else empty: one per
        input channel.
    width : int
        Biases in a word.
    pace : int, at least 1
        Cycles from a position of the last input channel to the next position, at least.
    single : bool
        Each sweep has a single position.
    """

    def __init__(
        self,
        outputs: int,
        inputs: int,
        parallel: int,
        bias_address: int,
        sweeps: Sequence[int] = (),
        width: int = 25,
        pace: int = 1,
        single: bool = False,
    ):
        self.groups = ceil_div(outputs, parallel)
        self.inputs = inputs
        self.bias_words = ceil_div(outputs, width)
        self.bias_address = bias_address
        self.sweeps = tuple(sweeps)
        self.pace = pace
        self.single = single


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
    """Sequences the conv layers of an image.

    ``CONV_IDLE`` is left when ``mode`` is CONV1. ``PREPARING...`` states wait for a bias word from the weight memory;
    ``LOAD_..._BIAS`` states write it to the array. They repeat for every bias word; conv2 and the layers behind it load
    them in pairs, and the second of the last pair may be missing. ``LOAD_CONVx_WEIGHT`` is the first position of a
    sweep, in which the array latches its kernels; ``LOAD_CONVx_WRITE_DATA`` covers the rest of the sweep, if there is
    any. ``CONVx_FINISH`` and, of the last layer, ``CONV_FINISH`` wait until the last code is written.

    Throughput: a sweep of n positions takes n cycles while ``kernel_valid`` and ``position_valid`` stay asserted, n
    times the layer's ``pace`` with the last input channel.

    Parameters
    ----------
    layers : list of 1 to 8 `ConvLayer`
        conv1, conv2, ...
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
    state : `conv_states(layers)`, out
        Current state; `ConvState` of two layers.
    layer : range(layers), out
        0 in conv1 (and when idle), 1 in conv2, and so on.
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
        Asserted for one cycle when conv1 no longer needs the image; of a single layer with ``done``.
    done : 1 bit, out
        Asserted for one cycle when the image's last code is written.
    """

    def __init__(self, layers: list[ConvLayer], depth: int, memory_latency: int, drain: int):
        self.layers = layers
        self.depth = depth
        self.memory_latency = memory_latency
        self.drain = drain
        self.states = conv_states(len(layers))
        self.layer_states = [LayerStates.of(number + 1, len(layers)) for number in range(len(layers))]
        # Turns of the states that load biases: where there are pairs of them, their number is even.
        self.bias_turns = [
            len(states.biases) * ceil_div(layer.bias_words, len(states.biases))
            for layer, states in zip(layers, self.layer_states, strict=True)
        ]
        super().__init__(
            {
                "mode": In(Mode),
                "state": Out(self.states),
                "layer": Out(range(len(layers))),
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

    @property
    def counts_channels(self) -> bool:
        """Whether a layer without a list has several sweeps a group."""
        return any(layer.inputs > 1 and not layer.sweeps for layer in self.layers)

    def elaborate(self, platform):
        m = Module()
        inner = InternalSignals(max(self.drain, self.memory_latency))
        enters = self.position_valid & (inner.sweeps | (self.load & self.kernel_valid))
        # Only a sweep of a single position ends with its first one.
        ends = self.go if any(layer.single for layer in self.layers) else inner.sweeps & self.go
        m.d.comb += [
            self.go.eq(enters & ~self.resting(m) if any(layer.pace > 1 for layer in self.layers) else enters),
            inner.swept.eq(ends & self.position_last),
        ]
        self.count(m, inner)
        with m.If(inner.timer != 0):
            m.d.sync += inner.timer.eq(inner.timer - 1)
        with m.Switch(self.state):
            with m.Case(self.states.CONV_IDLE):
                with m.If(self.mode == Mode.CONV1):
                    self.prepare_biases(m, inner, 0)
            for layer in range(len(self.layers)):
                self.bias_states(m, inner, layer)
                self.sweep_states(m, inner, layer)
                self.finish_state(m, inner, layer)
        return m

    def count(self, m: Module, inner: InternalSignals):
        """Count the input channels of a group of output channels, and the groups."""
        inputs, groups = [layer.inputs for layer in self.layers], [layer.groups for layer in self.layers]
        if self.counts_channels:  # in a layer with listed sweeps the counter stays at zero, for the layers behind it
            inputs = [1 if layer.sweeps else layer.inputs for layer in self.layers]
        _, last_channel = counter(m, inputs, inner.swept, name="channel", which=self.layer)
        if any(layer.sweeps for layer in self.layers):
            last_channel = self.listed(m, inner.swept, last_channel)
        first, group_end = Signal(init=1), inner.swept & last_channel
        _, last_group = counter(m, groups, group_end, name="group", which=self.layer)
        m.d.comb += [self.first.eq(first), self.last.eq(last_channel), inner.last_group.eq(last_group)]
        with m.If(inner.swept):
            m.d.sync += first.eq(last_channel)

    def listed(self, m: Module, swept: Signal, last_channel: Signal):
        """Whether a sweep is the last of its group, where the groups of a layer differ in the number of sweeps."""
        lasts = [int(n == sweeps - 1) for layer in self.layers for sweeps in layer.sweeps for n in range(sweeps)]
        m.submodules.lasts = lasts = SweepList(lasts, 1)
        which = [n for n, layer in enumerate(self.layers) if layer.sweeps]
        # Of two layers conv2 is the one that is not 0.
        is_listed = self.layer if len(self.layers) == 2 and which == [1] else self.layer.matches(*which)
        m.d.comb += lasts.step.eq(swept & is_listed)
        return Mux(is_listed, lasts.entry, last_channel) if self.counts_channels else ~is_listed | lasts.entry

    def resting(self, m: Module):
        """Whether the position before was one of the last input channel, fewer cycles ago than the layer's pace."""
        paces = [layer.pace for layer in self.layers]
        rest = Signal(range(max(paces)))
        with m.If(self.go & self.last):
            m.d.sync += rest.eq(Array(pace - 1 for pace in paces)[self.layer])
        with m.Elif(rest != 0):
            m.d.sync += rest.eq(rest - 1)
        return rest != 0

    def enter(self, m: Module, inner: InternalSignals, state: str):
        """Go to a state; sets the registers that decode it."""
        weight = any(state == states.weight for states in self.layer_states)
        write_data = any(state == states.write_data for states in self.layer_states)
        m.d.sync += [self.state.eq(self.states[state]), self.load.eq(weight), inner.sweeps.eq(write_data)]

    def prepare_biases(self, m: Module, inner: InternalSignals, layer: int):
        """Go to the first bias word of a layer."""
        self.enter(m, inner, self.layer_states[layer].biases[0][0])
        m.d.sync += [
            self.layer.eq(layer),
            self.bias_index.eq(0),
            self.bias_address.eq(self.layers[layer].bias_address),
            inner.timer.eq(self.memory_latency),
        ]

    def bias_states(self, m: Module, inner: InternalSignals, layer: int):
        """Wait for a bias word, write it to the array, and go on to the next word or to the first kernel."""
        states = self.layer_states[layer]
        following = [*states.biases[1:], states.biases[0]]
        for (preparing, load), (again, _) in zip(states.biases, following, strict=True):
            with m.Case(self.states[preparing]):
                m.d.comb += self.bias_request.eq(1)
                with m.If(inner.timer == 0):
                    self.enter(m, inner, load)
            with m.Case(self.states[load]):
                m.d.comb += [self.bias_request.eq(1), self.bias_en.eq(self.bias_index < self.layers[layer].bias_words)]
                self.enter(m, inner, again)
                m.d.sync += [
                    self.bias_index.eq(self.bias_index + 1),
                    self.bias_address.eq(self.bias_address + 1),
                    inner.timer.eq(self.memory_latency),
                ]
                # Two words per turn: kernels follow the second one only.
                if (preparing, load) == states.biases[-1]:
                    with m.If(self.bias_index == self.bias_turns[layer] - 1):
                        m.d.comb += self.start.eq(1)
                        self.enter(m, inner, states.weight)

    def sweep_states(self, m: Module, inner: InternalSignals, layer: int):
        """Send every position of every kernel into the array."""
        states = self.layer_states[layer]
        if self.layers[layer].single:
            with m.Case(self.states[states.weight]):
                with m.If(self.go):
                    self.end_sweep(m, inner, layer)
            return
        with m.Case(self.states[states.weight]):
            with m.If(self.go):
                self.enter(m, inner, states.write_data)
        with m.Case(self.states[states.write_data]):
            with m.If(inner.swept):
                self.end_sweep(m, inner, layer)

    def end_sweep(self, m: Module, inner: InternalSignals, layer: int):
        """Go to the next sweep, or to the end of the layer."""
        self.enter(m, inner, self.layer_states[layer].weight)
        with m.If(self.last & inner.last_group):
            self.enter(m, inner, self.layer_states[layer].finish)
            m.d.sync += inner.timer.eq(self.drain)

    def finish_state(self, m: Module, inner: InternalSignals, layer: int):
        """Wait for the last code; go on to the next layer, or end the image."""
        with m.Case(self.states[self.layer_states[layer].finish]):
            with m.If(inner.timer == 0):
                if layer == 0:
                    m.d.comb += self.conv1_done.eq(1)
                if layer < len(self.layers) - 1:
                    self.prepare_biases(m, inner, layer + 1)
                else:
                    m.d.comb += self.done.eq(1)
                    self.enter(m, inner, "CONV_IDLE")
                    m.d.sync += self.layer.eq(0)
