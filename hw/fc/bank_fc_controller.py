"""Sequences the words of the bank-balanced engine."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import counter

from .fc_controller import FcState, drain_case, idle_case

__all__ = ["BankFcController"]


class BankFcController(wiring.Component):
    """One address per cycle, layer after layer. The words themselves mark the end of an output.

    It waits as `FcController` does: between layers until the last output is written, and before the last layer until
    ``room`` is asserted.

    Parameters
    ----------
    words : list of int
        Words of each layer, in the order of the weight memory.
    drain : int, cycles
        From the cycle after a layer's last word to the cycle of its last output.

    Ports
    -----
    available : 1 bit, in
        The activations of an image are complete. Sampled while idle.
    room : 1 bit, in
        The logits of an image can be accepted. Sampled before the last layer.
    address : range(words), out
        Word of the weight memory; valid with ``valid``.
    valid : 1 bit, out
        The word at ``address`` is to be read.
    layer : range(layers), out
        Current layer; changes only when nothing of it is in flight.
    inputs_done : 1 bit, out
        Asserted for one cycle when fc1 no longer needs its inputs.
    layer_done : 1 bit, out
        Asserted for one cycle when all outputs of the layer are written.
    busy : 1 bit, out
        Asserted while an image is computed.
    """

    early = False  # as in `FcController`

    def __init__(self, words: list[int], drain: int):
        self.words = list(words)
        self.drain = drain
        super().__init__(
            {
                "available": In(1),
                "room": In(1),
                "address": Out(range(sum(words))),
                "valid": Out(1),
                "layer": Out(range(len(words))),
                "inputs_done": Out(1),
                "layer_done": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        state = Signal(FcState)
        timer = Signal(range(self.drain + 1))
        last_layer = self.layer == len(self.words) - 1
        _, last_word = counter(m, self.words, self.valid, name="word", which=self.layer)
        m.d.comb += [self.busy.eq(state != FcState.FC_IDLE), self.valid.eq(state == FcState.LOAD_FC_WEIGHT)]
        with m.If(self.valid):
            m.d.sync += self.address.eq(Mux(last_word & last_layer, 0, self.address + 1))
        with m.Switch(state):
            idle_case(m, self, state)
            with m.Case(FcState.FC_PREPARING):
                with m.If(self.room | ~last_layer):
                    m.d.sync += state.eq(FcState.LOAD_FC_WEIGHT)
            with m.Case(FcState.LOAD_FC_WEIGHT):
                with m.If(last_word):
                    m.d.sync += [timer.eq(self.drain), state.eq(FcState.FC_DRAIN)]
            drain_case(m, self, state, timer, last_layer)
        return m
