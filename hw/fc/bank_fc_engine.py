"""The fully-connected engine that stores and multiplies only nonzero weights: bank-balanced sparsity."""

from amaranth.hdl import Module, Mux, Signal

from fivebyfive.hw.common.pipeline import counter, delay
from fivebyfive.hw.common.types import CODE
from fivebyfive.model.machine.stored_codes import StoredCodes
from fivebyfive.model.machine.weights import fc_banks
from fivebyfive.model.shape import FC_WORD, ceil_div

from .bank_activation_memory import BankActivationMemory
from .bank_fc_controller import BankFcController
from .bank_weight_memory import BankWeightMemory
from .fc_controller import FcLayer
from .fc_engine import FcEngine
from .fc_row import FcRow

__all__ = ["BankFcEngine"]


class BankFcEngine(FcEngine):
    """An `FcEngine` for sparse weights: R outputs at once, 20 products of each per cycle, one from each lane.

    A word has for each lane a weight and the place of its activation (`BankWord`). An image takes a cycle per word, as
    many as `Config.engines` has, and a few more per layer; no lane waits for another. Cao et al. 2019, Efficient and
    effective sparse LSTM on FPGA with bank-balanced sparsity (FPGA).

    Parameters
    ----------
    network : Network
        As of `FcEngine`.
    config : Config
        As of `FcEngine`; with `Engines.words`.
    words : list of int
        Contents of the weight memory (`fivebyfive.model.machine.banks`): biases first.
    tables : mapping
        As of `FcEngine`.

    Ports
    -----
    i : stream of {values, count}, in
        As of `FcEngine`.
    commit : 1 bit, in
        As of `FcEngine`.
    drop : 1 bit, in
        As of `FcEngine`. Only without convolutions.
    grant : 1 bit, out
        As of `FcEngine`.
    o : stream of `Result`, out
        As of `FcEngine`.
    load : `WriteSignature`, in
        As of `FcEngine`.
    inputs_done : 1 bit, out
        As of `FcEngine`.
    busy : 1 bit, out
        As of `FcEngine`.
    tap : `FcTap`, out
        As of `FcEngine`.
    """

    def weight_memory(self, layers: list[FcLayer]) -> BankWeightMemory:
        places = ceil_div(max(stage.inputs for stage in self.stages), FC_WORD)
        biases = sum(layer.groups for layer in layers)
        return BankWeightMemory(self.words, self.config.fc_rows, places, biases, fc_banks(self.network, self.config))

    def activations(
        self, inputs: int, writers: int, counts: tuple[int, ...], sets: int, stored: StoredCodes
    ) -> BankActivationMemory:
        return BankActivationMemory(inputs, writers, counts, sets, self.config.fc_rows, stored)

    def add_controller(self, m: Module, layers: list[FcLayer], weights: BankWeightMemory, inputs) -> BankFcController:
        words = [sum(layer) for layer in self.config.engines.words]
        drain = weights.latency + self.reading(inputs) + FcRow.latency - 1 + self.lookup_latency
        controller = m.submodules.controller = BankFcController(words, drain)
        return controller

    @staticmethod
    def reading(inputs: BankActivationMemory) -> int:
        """Cycles from a word of weights to its activations, which pass a register."""
        return inputs.latency + 1

    def compute(self, m: Module, layers: list[FcLayer], weights, inputs, hidden, controller) -> list:
        valid = delay(m, controller.valid, weights.latency, name="valid")
        first = self.follow_outputs(m, weights, valid, sum(layer.groups for layer in layers))
        activations = self.look_up(m, inputs, hidden, weights, controller)
        return self.add_sparse_rows(m, weights, activations, valid, first, self.reading(inputs))

    def follow_outputs(self, m: Module, weights: BankWeightMemory, valid, groups: int) -> Signal:
        """Whether a word is its outputs' first one; their biases are looked up with it."""
        first = Signal(init=1)
        ends = valid & weights.data.last
        group, _ = counter(m, groups, ends, name="group")
        with m.If(valid):
            m.d.sync += first.eq(weights.data.last)
        m.d.comb += weights.bias_address.eq(group)
        return first

    def look_up(self, m: Module, inputs, hidden, weights: BankWeightMemory, controller: BankFcController) -> Signal:
        """The activations of each row and lane, two cycles after the word."""
        word = Signal.like(inputs.data.as_value(), name="activations", reset_less=True)
        for memory in (inputs, hidden) if hidden is not None else (inputs,):
            for lane, place in enumerate(weights.data.place):
                m.d.comb += memory.address[lane].eq(place)
        if hidden is None:
            m.d.sync += word.eq(inputs.data.as_value())
        else:  # the layer changes only when no word of the one before is in flight
            m.d.sync += word.eq(Mux(controller.layer == 0, inputs.data.as_value(), hidden.data.as_value()))
        return word

    def add_sparse_rows(self, m: Module, weights, activations, valid, first, reading: int) -> list:
        """Rows; each takes its part of the word, and its bias. Their streams."""
        word = {"valid": valid, "first": first, "last": weights.data.last, "w": weights.data.w.as_value()}
        late = {name: delay(m, value, reading, name=f"row_{name}") for name, value in word.items()}
        bias = delay(m, weights.bias.as_value(), reading - 1, name="row_bias")
        bits = CODE.width * FC_WORD
        streams = []
        for r in range(self.config.fc_rows):
            m.submodules[f"row_{r}"] = row = FcRow()
            m.d.comb += [
                row.i.valid.eq(late["valid"]),
                row.i.payload.x.eq(activations.word_select(r, bits)),
                row.i.payload.w.eq(late["w"].word_select(r, bits)),
                row.i.payload.bias.eq(bias.word_select(r, CODE.width)),
                row.i.payload.first.eq(late["first"]),
                row.i.payload.last.eq(late["last"]),
            ]
            streams.append(row.o)
        return streams
