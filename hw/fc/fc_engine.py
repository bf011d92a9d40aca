"""Fully-connected engine: 20 lanes, one group of outputs after the other, layer after layer."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from types import MappingProxyType

import numpy as np
from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.narrow_weight_memory import NarrowWeightMemory
from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.table_lookup import TableLookup
from fivebyfive.hw.common.types import CODE, codes
from fivebyfive.hw.common.weight_memory import WeightMemory, WriteSignature
from fivebyfive.model.machine.config import Config, paired
from fivebyfive.model.machine.stages import function_codes, stages
from fivebyfive.model.machine.stored_codes import WHOLE, StoredCodes, stored_outputs
from fivebyfive.model.machine.weights import fc_banks
from fivebyfive.model.network import Network
from fivebyfive.model.shape import FC_WORD, ceil_div

from .activation_memory import ActivationMemory
from .argmax import Argmax, Result
from .fc_controller import FcController, FcLayer
from .fc_row import FcRow
from .packed_fc_row import PackedFcRow

__all__ = ["FcEngine", "FcTap"]


def transfer_sizes(network: Network, config: Config) -> tuple[int, ...]:
    """Numbers of pixels that transfers have: the last one of an image may have fewer."""
    rest = network.pixels % config.pixels
    return (config.pixels, rest) if rest else (config.pixels,)


class FcTap(data.StructLayout):
    """Every group of outputs (those computed at once) as it is written, for observation.

    Fields
    ------
    toggle : 1 bit
        Changes with each write.
    layer : range(layers)
        0 for fc1.
    group : range(groups)
        Group of outputs.
    values : codes
        Outputs of the group; undefined beyond the last output.
    """

    def __init__(self, network: Network, config: Config):
        layers = stages(network).fc
        groups = max(ceil_div(layer.outputs, config.fc_outputs) for layer in layers)
        super().__init__(
            {
                "toggle": 1,
                "layer": range(len(layers)),
                "group": range(groups),
                "values": codes(config.fc_outputs),
            }
        )


class FcEngine(wiring.Component):
    """All fully-connected layers of an image: R outputs at once, 20 products of each per cycle.

    ``fivebyfive.model.golden`` defines the result. An image takes ceil(outputs / R) ceil(inputs / 20) cycles per layer,
    one per word of biases, and a few between layers (`fivebyfive.model.machine.cycles`); the activations of the next
    image are received meanwhile. With ``early_fc`` fc1 begins while an image's activations are received. With
    ``packed`` rows compute in pairs; where they are split (`Config.fc_outputs`), 2 R outputs at once, 10 products of
    each per cycle.

    Parameters
    ----------
    network : Network
        The network, which has fully-connected layers.
    config : Config
        Size of the machine; O (the activations per transfer) and R are used here.
    words : list of int
        Contents of the FC weight memory (`fivebyfive.model.machine.weights`), code 0 in the lowest bits.
    tables : mapping
        Tables of the layers that have one, int8 (256,), by name such as f6.table.

    Ports
    -----
    i : stream of {values, count}, in
        The next ``count`` activations of an image, in the order of `Config.fc1_order`. An image
        begins only while ``grant`` is asserted.
    commit : 1 bit, in
        Asserted for one cycle when all activations of an image are written: with the last transfer or after it.
    drop : 1 bit, in
        Asserted for one cycle to discard the activations written so far; the next transfer begins an image. Only
        without convolutions.
    grant : 1 bit, out
        There is room for all activations of another image.
    o : stream of `Result`, out
        Logits and class.
    load : `WriteSignature`, in
        Replaces a word of weights; only while ``busy`` is not asserted.
    inputs_done : 1 bit, out
        Asserted for one cycle when the activations of the oldest image are no longer needed.
    busy : 1 bit, out
        Asserted while an image is computed. Its result may still be pending on ``o`` when it is deasserted.
    tap : `FcTap`, out
        Outputs of all layers, one cycle after they leave the rows.
    """

    def __init__(
        self,
        network: Network,
        config: Config,
        words: list[int],
        tables: Mapping[str, np.ndarray] = MappingProxyType({}),
    ):
        self.network = network
        self.config = config
        self.words = words
        self.tables = tables
        self.stages = stages(network).fc
        convs = stages(network).convs
        self.counts = (
            tuple(len(group) for group in config.groups(convs[-1].width)) if convs else transfer_sizes(network, config)
        )
        payload = data.StructLayout({"values": codes(config.at_once), "count": range(config.at_once + 1)})
        pixels = {} if convs else {"drop": In(1)}
        super().__init__(
            {
                "i": In(stream.Signature(payload)),
                "commit": In(1),
                **pixels,
                "grant": Out(1),
                "o": Out(stream.Signature(Result(network.classes))),
                "load": In(WriteSignature(len(words), config.fc_word_bytes)),
                "inputs_done": Out(1),
                "busy": Out(1),
                "tap": Out(FcTap(network, config)),
            }
        )

    @property
    def functions(self) -> list:
        """What happens to the codes of each layer: `TableLookup`'s functions."""
        return [function_codes(stage, stage.after, self.tables) for stage in self.stages]

    @property
    def stored_inputs(self) -> StoredCodes:
        """What is held of the codes of the last convolution; all of pixels."""
        convs = stages(self.network).convs
        return stored_outputs([convs[-1].layer], self.tables) if convs else WHOLE

    @property
    def lookup_latency(self) -> int:
        """Cycles that a table takes, where some layer has one."""
        return TableLookup.latency if any(isinstance(function, tuple) for function in self.functions) else 0

    def elaborate(self, platform):
        m = Module()
        rows, lanes = self.config.fc_outputs, self.config.fc_lanes
        layers = [FcLayer(stage.outputs, stage.inputs, rows, lanes) for stage in self.stages]
        weights = m.submodules.weights = self.weight_memory(layers)
        inputs = m.submodules.inputs = self.activations(
            self.stages[0].inputs, self.config.at_once, self.counts, 2 if self.config.overlap else 1, self.stored_inputs
        )
        controller = self.add_controller(m, layers, weights, inputs)
        argmax = m.submodules.argmax = Argmax(self.network.classes, rows)
        wiring.connect(m, wiring.flipped(self.i), inputs.i)
        wiring.connect(m, wiring.flipped(self.load), weights.load)
        wiring.connect(m, argmax.o, wiring.flipped(self.o))
        self.share_inputs(m, inputs, controller)
        hidden = self.add_hidden(m, controller)
        m.d.comb += [
            weights.address.eq(controller.address),
            controller.room.eq(argmax.i.ready),
            self.busy.eq(controller.busy),
        ]
        results = self.compute(m, layers, weights, inputs, hidden, controller)
        self.deliver(m, results, layers, controller, hidden, argmax)
        return m

    # An engine for other words of weights (`BankFcEngine`) overrides the next four methods.

    def weight_memory(self, layers: list[FcLayer]) -> WeightMemory | NarrowWeightMemory:
        """The memory that fits how weights are stored."""
        width, banks, form = FC_WORD * self.config.fc_rows, fc_banks(self.network, self.config), self.config.engines.fc
        if not form.narrow:
            return WeightMemory(self.words, width, banks)
        return NarrowWeightMemory(self.words, width, sum(layer.bias_words for layer in layers), form, banks)

    def activations(
        self, inputs: int, writers: int, counts: tuple[int, ...], sets: int, stored: StoredCodes
    ) -> ActivationMemory:
        """A memory of activations."""
        return ActivationMemory(inputs, writers, counts, sets, stored)

    def add_controller(self, m: Module, layers: list[FcLayer], weights, inputs: ActivationMemory) -> FcController:
        """The controller, which waits between layers until the last output has left this pipeline."""
        # The layer may change in the cycle after its last output leaves the rows. The outputs of more than 20 rows are
        # written in several cycles, those of the last layer, which no other layer reads, in one.
        row_latency = PackedFcRow.cycles(self.config.fc_lanes) if self.config.packed else FcRow.latency
        drain = weights.latency + row_latency - 1 + self.lookup_latency
        writing = (self.config.fc_outputs - 1) // FC_WORD
        early = self.config.inputs_outside(self.network, 0)
        narrow = self.config.engines.fc.narrow
        m.submodules.controller = controller = FcController(layers, weights.depth, drain, early, narrow, writing)
        if narrow:
            m.d.comb += weights.layer.eq(controller.layer)
        return controller

    def compute(self, m: Module, layers: list[FcLayer], weights, inputs, hidden, controller) -> list:
        """Rows and their operands; returns the rows' streams."""
        command = Signal.like(controller.command)
        m.d.comb += command.eq(delay(m, controller.command, weights.latency, name="command"))
        activations = self.read_activations(m, inputs, hidden, controller, weights.latency)
        return self.add_rows(
            m, weights, activations, command, layers[0].groups if controller.early else 0, controller.layer
        )

    def share_inputs(self, m: Module, inputs: ActivationMemory, controller: FcController):
        """With overlap two sets of activations: conv2 fills one while fc1 reads the other."""
        full = Signal(inputs.sets)
        w_set, r_set = (Signal(), Signal()) if inputs.sets == 2 else (Const(0, 1), Const(0, 1))
        available = full.bit_select(r_set, 1)
        if controller.early:  # a complete word is enough, also of the set that is being written
            available |= (w_set == r_set) & (inputs.written > self.split(controller.word)[0])
        m.d.comb += [
            self.grant.eq(~full.bit_select(w_set, 1) & (self.config.overlap | ~controller.busy)),
            inputs.rewind.eq(self.commit | self.drop if hasattr(self, "drop") else self.commit),
            inputs.w_set.eq(w_set),
            inputs.r_set.eq(r_set),
            controller.available.eq(available),
            self.inputs_done.eq(controller.inputs_done),
        ]
        with m.If(self.commit):
            m.d.sync += full.bit_select(w_set, 1).eq(1)
        with m.If(controller.inputs_done):
            m.d.sync += full.bit_select(r_set, 1).eq(0)
        if inputs.sets == 2:
            m.d.sync += [w_set.eq(w_set ^ self.commit), r_set.eq(r_set ^ controller.inputs_done)]

    def add_hidden(self, m: Module, controller: FcController):
        """Activations between fully-connected layers; None where there is a single layer."""
        widths = [stage.outputs for stage in self.stages[:-1]]
        if not widths:
            return None
        rows = self.config.fc_outputs
        counts = {min(rows, width) for width in widths} | {width % rows or rows for width in widths}
        stored = stored_outputs([stage.layer for stage in self.stages[:-1]], self.tables)
        hidden = m.submodules.hidden = self.activations(
            max(widths), rows, tuple(sorted(counts)), min(len(widths), 2), stored
        )
        m.d.comb += [
            hidden.rewind.eq(controller.layer_done),
            hidden.w_set.eq(controller.layer[0]),
            hidden.r_set.eq(~hidden.w_set),
        ]
        return hidden

    def read_activations(self, m: Module, inputs, hidden, controller: FcController, latency: int):
        """Activations of the word whose weights leave the weight memory in the same cycle."""
        word = Signal(codes(self.config.fc_lanes), reset_less=True)
        address, part = self.split(delay(m, controller.word, latency - 1 - inputs.latency, name="word_address"))
        if part is not None:
            part = delay(m, part, inputs.latency, name="part")
        m.d.comb += inputs.address.eq(address)
        if hidden is None:
            m.d.sync += word.eq(self.part(inputs, part))
        else:
            m.d.comb += hidden.address.eq(address)
            # The layer changes only when no word of the one before is in flight.
            m.d.sync += word.eq(Mux(controller.layer == 0, self.part(inputs, part), self.part(hidden, part)))
        return word

    def split(self, word) -> tuple:
        """Which word of 20 activations, and which half of it (None: all of it), belongs to a word of weights."""
        return (word, None) if self.config.fc_lanes == FC_WORD else (word[1:], word[:1])

    def part(self, memory: ActivationMemory, part):
        """The activations of a part of the word that is read."""
        word = memory.data.as_value()
        return word if part is None else word.word_select(part, CODE.width * self.config.fc_lanes)

    def add_rows(self, m: Module, weights: WeightMemory, activations, command, kept: int, layer) -> list:
        """Rows, each with its part of the weight word and its bias; a packed row has those of two outputs, zeros for a
        missing one. Returns their streams."""
        outputs = self.config.fc_outputs
        bits = CODE.width * self.config.fc_lanes
        # A word of biases serves 20 (or 10) groups of outputs.
        biases = Signal(codes(self.config.fc_lanes * outputs), reset_less=True)
        group = Signal(range(self.config.fc_lanes))
        with m.If(command.bias):
            m.d.sync += [biases.eq(weights.data), group.eq(0)]
        with m.Elif(command.valid & command.first):
            m.d.sync += group.eq(group + 1)
        present = biases.as_value().word_select(group, CODE.width * outputs)
        streams = []
        config, at_once = self.config, 2 if self.config.packed else 1
        form = self.config.engines.fc
        for r in range(ceil_div(outputs, at_once)):
            if config.packed and at_once * r < paired(outputs, config.dsp_size):
                row = PackedFcRow(config.fc_lanes, kept, config.dsp_size)
            else:
                row = FcRow(kept, form)
            m.submodules[f"row_{r}"] = row
            if form.scaled:
                m.d.comb += row.layer.eq(layer)
            m.d.comb += [
                row.i.valid.eq(command.valid),
                row.i.payload.x.eq(activations),
                row.i.payload.w.eq(weights.data.as_value()[bits * at_once * r :][: bits * at_once]),
                row.i.payload.bias.eq(present.word_select(r, CODE.width * at_once)),
                row.i.payload.first.eq(command.first),
                row.i.payload.last.eq(command.last),
            ]
            if kept:
                m.d.comb += [row.i.payload.keep.eq(command.keep), row.i.payload.output.eq(command.group)]
            streams.append(row.o)
        return streams

    def deliver(self, m: Module, rows: list, layers: list, controller: FcController, hidden, argmax: Argmax):
        """Finished outputs: through ReLU or a table into the hidden activations, or as logits to the argmax; past the
        tap."""
        last_layer = controller.layer == len(layers) - 1
        valid = rows[0].valid
        codes_of = (row.payload if isinstance(row.payload, data.View) else [row.payload] for row in rows)
        outputs = [code for pair in codes_of for code in pair]
        group = Signal(range(max(layer.groups for layer in layers)))
        values = Signal(codes(self.config.fc_outputs))
        # The last packed row may have an unused output.
        valid = self.apply_functions(m, valid, outputs[: len(values)], controller.layer, values)
        m.d.comb += [argmax.i.valid.eq(valid & last_layer), argmax.i.payload.eq(values)]
        last_group = Array(layer.groups - 1 for layer in layers)[controller.layer]
        if hidden is not None:
            rest = Array(layer.rest for layer in layers)[controller.layer]
            m.d.comb += [
                hidden.i.valid.eq(valid & ~last_layer),
                hidden.i.payload.values.eq(values),
                hidden.i.payload.count.eq(Mux(group == last_group, rest, len(values))),
            ]
        with m.If(valid):
            m.d.sync += [
                group.eq(Mux(group == last_group, 0, group + 1)),
                self.tap.toggle.eq(~self.tap.toggle),
                self.tap.layer.eq(controller.layer),
                self.tap.group.eq(group),
                self.tap.values.eq(values),
            ]

    def apply_functions(self, m: Module, valid, outputs: list, layer: Signal, values: Signal):
        """Assign ``values`` what the layer's function makes of ``outputs``; when they are valid."""
        functions = self.functions
        if self.lookup_latency:
            m.submodules.functions = lookup = TableLookup(len(outputs), functions)
            m.d.comb += [lookup.i.valid.eq(valid), lookup.which.eq(layer), values.eq(lookup.o.payload)]
            m.d.comb += [lookup.i.payload[n].eq(code) for n, code in enumerate(outputs)]
            return lookup.o.valid
        whole = [layer == n for n, function in enumerate(functions) if function is None]  # without ReLU
        for value, code in zip(values, outputs, strict=True):
            m.d.comb += value.eq(Mux(reduce(or_, [*whole, ~code[-1]]), code, 0))
        return valid
