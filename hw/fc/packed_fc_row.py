"""Two rows of the fully-connected engine with the multipliers of one: two outputs share each activation."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.types import ACC, CODE, codes
from fivebyfive.hw.products.packed_dot_product import PackedDotProduct
from fivebyfive.model.machine.config import DSP_SIZES
from fivebyfive.model.q26 import Q2_6

from .fc_row import RowWord, keep_sums

__all__ = ["PackedFcRow"]


class PackedFcRow(wiring.Component):
    """Two outputs of a fully-connected layer from their words of ``lanes`` activations and weights: two `FcRow` in one.

    Latency: `latency` cycles from the last word of the outputs to their codes. Throughput: a word per cycle.

    Parameters
    ----------
    lanes : int, at least 1
        Activations in a word; multipliers of the row.
    kept : int, at least 0
        Pairs of outputs whose partial sums can be kept; 0 omits the memory.
    dsp_size : str
        Bits of a multiplier (`PackedDotProduct`).

    Ports
    -----
    i : stream of `RowWord`, in, always ready
        ``lanes`` activations, two times ``lanes`` weights and two biases.
    o : stream of 2 codes, out, always ready
        The outputs before ReLU; valid `latency` cycles after the word with ``last``.
    """

    def __init__(self, lanes: int, kept: int = 0, dsp_size: str = DSP_SIZES[0]):
        self.lanes = lanes
        self.kept = kept
        self.dsp_size = dsp_size
        payload = RowWord(codes(lanes), data.ArrayLayout(codes(lanes), 2), codes(2), kept)
        super().__init__(
            {
                "i": In(stream.Signature(payload, always_ready=True)),
                "o": Out(stream.Signature(codes(2), always_ready=True)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from an output's last word to its code."""
        return self.cycles(self.lanes)

    @staticmethod
    def cycles(lanes: int) -> int:
        """`latency` of a row with this number of lanes."""
        return PackedDotProduct.cycles(lanes) + 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.dot = dot = PackedDotProduct(self.lanes, CODE, self.dsp_size)
        payload = self.i.payload
        m.d.comb += [
            dot.i.valid.eq(self.i.valid),
            dot.i.payload.pair.eq(payload.w),
            dot.i.payload.shared.eq(payload.x),
        ]
        flags = delay(m, Cat(payload.first, payload.last, payload.bias), dot.latency, name="flags")
        first, last, biases = flags[0], flags[1], flags[2:]
        total = Signal(2 * ACC.width, reset_less=True)
        before = keep_sums(m, self, total, dot) if self.kept else total
        for n, part in enumerate(dot.o.payload):
            base = Cat(Const(0, Q2_6.frac_bits), biases.word_select(n, CODE.width))
            with m.If(dot.o.valid):
                summed = Mux(first, base, before.word_select(n, ACC.width)) + part
                m.d.sync += total.word_select(n, ACC.width).eq(summed)
            m.d.comb += self.o.payload[n].eq(total.word_select(n, ACC.width)[Q2_6.frac_bits :].as_signed())
        m.d.sync += self.o.valid.eq(dot.o.valid & last)
        return m
