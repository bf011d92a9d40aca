"""The fully-connected engine: 20 lanes, one output after the other, layer after layer."""

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.config import Config
from fivebyfive.model.shape import FC_WORD, LeNetShape
from fivebyfive.model.weights import bank_sizes

from .activation_memory import ActivationMemory
from .argmax import Argmax, Result
from .fc_controller import FcController, FcLayer
from .fc_row import FcRow
from .pipeline import delay
from .types import CODE, codes
from .weight_memory import WeightMemory, WriteSignature

__all__ = ["FcEngine", "FcTap"]


class FcTap(data.StructLayout):
    """Every group of outputs as it is written: ``layer`` 0 for fc1, ``group`` of R outputs, their ``values``.

    ``toggle`` changes with each of them.
    """

    def __init__(self, shape: LeNetShape, config: Config):
        groups = max(-(-width // config.fc_rows) for width in shape.fc)
        super().__init__(
            {
                "toggle": 1,
                "layer": range(len(shape.fc)),
                "group": range(groups),
                "values": codes(config.fc_rows),
            }
        )


class FcEngine(wiring.Component):
    """All fully-connected layers of an image, R outputs at once, 20 products of each in a cycle.

    ``fivebyfive.model`` says what it computes. An image takes the sum of ceil(outputs / R) ceil(inputs / 20) over its
    layers, a cycle for each bias word, and a few more between layers. The next image's activations come in meanwhile.
    With ``early_fc`` fc1 begins while an image's activations still come in.

    Parameters
    ----------
    shape : widths of the network.
    config : W, O and R.
    words : contents of the FC weight memory (`fivebyfive.model.weights`).

    Members
    -------
    i : stream of {values, count}: the next ``count`` activations of an image, in the order of `Config.fc1_order`.
    commit : all activations of an image have been written (one cycle, after the last transfer).
    grant : there is room for another image's activations.
    o : stream of `Result`.
    load : replaces weight words; only while not ``busy``.
    inputs_done : the oldest image's activations are no longer needed (one cycle).
    busy : an image is being computed. Its result may still be waiting when this falls.
    tap : `FcTap`.
    """

    def __init__(self, shape: LeNetShape, config: Config, words: list[int]):
        self.shape = shape
        self.config = config
        self.words = words
        self.counts = tuple(len(group) for group in config.groups(shape.conv2))
        payload = data.StructLayout({"values": codes(config.outputs), "count": range(config.outputs + 1)})
        super().__init__(
            {
                "i": In(stream.Signature(payload)),
                "commit": In(1),
                "grant": Out(1),
                "o": Out(stream.Signature(Result(shape.classes))),
                "load": In(WriteSignature(len(words), FC_WORD * config.fc_rows)),
                "inputs_done": Out(1),
                "busy": Out(1),
                "tap": Out(FcTap(shape, config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows = self.config.fc_rows
        layers = [FcLayer(*sizes, rows) for sizes in zip(self.shape.fc, self.shape.fc_inputs, strict=True)]
        weights = m.submodules.weights = WeightMemory(self.words, FC_WORD * rows, bank_sizes(len(self.words)))
        inputs = m.submodules.inputs = ActivationMemory(
            self.shape.fc_inputs[0], self.config.outputs, self.counts, sets=2 if self.config.overlap else 1
        )
        # The layer may change in the cycle after its last output has come out; over 20 rows are written in two.
        drain = weights.latency + FcRow.latency - 1 + (rows - 1) // FC_WORD
        early = self.config.inputs_outside(self.shape, 0)
        controller = m.submodules.controller = FcController(layers, weights.depth, drain, early)
        argmax = m.submodules.argmax = Argmax(self.shape.classes, rows)
        wiring.connect(m, wiring.flipped(self.i), inputs.i)
        wiring.connect(m, wiring.flipped(self.load), weights.load)
        wiring.connect(m, argmax.o, wiring.flipped(self.o))
        self.share_inputs(m, inputs, controller)
        hidden = self.add_hidden(m, controller)
        command = Signal.like(controller.command)
        m.d.comb += [
            weights.address.eq(controller.address),
            command.eq(delay(m, controller.command, weights.latency, name="command")),
            controller.room.eq(argmax.i.ready),
            self.busy.eq(controller.busy),
        ]
        activations = self.read_activations(m, inputs, hidden, controller, weights.latency)
        results = self.add_rows(m, weights, activations, command, layers[0].groups if early else 0)
        self.deliver(m, results, layers, controller, hidden, argmax)
        return m

    def share_inputs(self, m: Module, inputs: ActivationMemory, controller: FcController):
        """With overlap two sets of activations: conv2 fills one while fc1 reads the other."""
        full = Signal(inputs.sets)
        w_set, r_set = (Signal(), Signal()) if inputs.sets == 2 else (Const(0, 1), Const(0, 1))
        available = full.bit_select(r_set, 1)
        if controller.early:  # a word is enough, of the set that is being written too
            available |= (w_set == r_set) & (inputs.written > controller.word)
        m.d.comb += [
            self.grant.eq(~full.bit_select(w_set, 1) & (self.config.overlap | ~controller.busy)),
            inputs.rewind.eq(self.commit),
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
        widths = self.shape.fc[:-1]
        if not widths:
            return None
        rows = self.config.fc_rows
        counts = {min(rows, width) for width in widths} | {width % rows or rows for width in widths}
        hidden = m.submodules.hidden = ActivationMemory(max(widths), rows, tuple(sorted(counts)))
        m.d.comb += [
            hidden.rewind.eq(controller.layer_done),
            hidden.w_set.eq(controller.layer[0] if len(self.shape.fc) > 1 else 0),
            hidden.r_set.eq(~hidden.w_set),
        ]
        return hidden

    def read_activations(self, m: Module, inputs, hidden, controller: FcController, latency: int):
        """Activations of the word whose weights come out of the weight memory in the same cycle."""
        word = Signal(codes(FC_WORD), reset_less=True)
        address = delay(m, controller.word, latency - 1 - inputs.latency, name="word_address")
        m.d.comb += inputs.address.eq(address)
        if hidden is None:
            m.d.sync += word.eq(inputs.data)
        else:
            m.d.comb += hidden.address.eq(address)
            # The layer changes only when all words of the one before have come out.
            m.d.sync += word.eq(Mux(controller.layer == 0, inputs.data.as_value(), hidden.data.as_value()))
        return word

    def add_rows(self, m: Module, weights: WeightMemory, activations, command, kept: int) -> list[FcRow]:
        """R rows of 20 lanes; each takes its part of the weight word and its bias."""
        rows = self.config.fc_rows
        bits = CODE.width * FC_WORD
        # A word of biases stays for 20 groups of outputs.
        biases, group = Signal(codes(FC_WORD * rows), reset_less=True), Signal(range(FC_WORD))
        with m.If(command.bias):
            m.d.sync += [biases.eq(weights.data), group.eq(0)]
        with m.Elif(command.valid & command.first):
            m.d.sync += group.eq(group + 1)
        present = biases.as_value().word_select(group, CODE.width * rows)
        parts = []
        for r in range(rows):
            m.submodules[f"row_{r}"] = row = FcRow(kept)
            m.d.comb += [
                row.i.valid.eq(command.valid),
                row.i.payload.x.eq(activations),
                row.i.payload.w.eq(weights.data.as_value()[bits * r :][:bits]),
                row.i.payload.bias.eq(present.word_select(r, CODE.width)),
                row.i.payload.first.eq(command.first),
                row.i.payload.last.eq(command.last),
            ]
            if kept:
                m.d.comb += [row.i.payload.keep.eq(command.keep), row.i.payload.output.eq(command.group)]
            parts.append(row)
        return parts

    def deliver(self, m: Module, rows: list, layers: list, controller: FcController, hidden, argmax: Argmax):
        """Finished outputs: through ReLU into the hidden activations, or as logits to the argmax; past the tap."""
        last_layer = controller.layer == len(layers) - 1
        valid = rows[0].o.valid
        group = Signal(range(max(layer.groups for layer in layers)))
        values = Signal(codes(len(rows)))
        for value, row in zip(values, rows, strict=True):
            code = row.o.payload
            m.d.comb += value.eq(Mux(last_layer | ~code[-1], code, 0))
        m.d.comb += [argmax.i.valid.eq(valid & last_layer), argmax.i.payload.eq(values)]
        last_group = Array(layer.groups - 1 for layer in layers)[controller.layer]
        if hidden is not None:
            rest = Array(layer.rest for layer in layers)[controller.layer]
            m.d.comb += [
                hidden.i.valid.eq(valid & ~last_layer),
                hidden.i.payload.values.eq(values),
                hidden.i.payload.count.eq(Mux(group == last_group, rest, len(rows))),
            ]
        with m.If(valid):
            m.d.sync += [
                group.eq(Mux(group == last_group, 0, group + 1)),
                self.tap.toggle.eq(~self.tap.toggle),
                self.tap.layer.eq(controller.layer),
                self.tap.group.eq(group),
                self.tap.values.eq(values),
            ]
