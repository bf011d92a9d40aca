"""One row of the fully-connected engine: 20 multipliers, an adder tree and an accumulator."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.q26 import Q2_6

from .dot_product import DotProduct
from .pipeline import delay
from .types import ACC, CODE, FC_LANES, codes

__all__ = ["FcRow"]


class FcRow(wiring.Component):
    """One output of a fully-connected layer from its words of 20 activations and weights, one a cycle.

    The word marked ``first`` brings the bias; `latency` cycles after the one marked ``last`` the output's code comes.
    The sum is kept modulo 2**14.

    Members
    -------
    i : stream of {x, w: 20 codes each; bias: code; first, last}; always ready.
    o : stream of codes, before ReLU; always ready.
    """

    latency = DotProduct.cycles(FC_LANES) + 1

    def __init__(self):
        payload = data.StructLayout(
            {"x": codes(FC_LANES), "w": codes(FC_LANES), "bias": CODE, "first": 1, "last": 1}
        )
        super().__init__(
            {
                "i": In(stream.Signature(payload, always_ready=True)),
                "o": Out(stream.Signature(CODE, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.dot = dot = DotProduct(FC_LANES)
        m.d.comb += [
            dot.i.valid.eq(self.i.valid),
            dot.i.payload.x.eq(self.i.payload.x),
            dot.i.payload.w.eq(self.i.payload.w),
        ]
        flags = Cat(self.i.payload.first, self.i.payload.last, self.i.payload.bias)
        flags = delay(m, flags, dot.latency, name="flags")
        first, last, bias = flags[0], flags[1], flags[2:]
        total = Signal(ACC, reset_less=True)
        with m.If(dot.o.valid):
            m.d.sync += total.eq(Mux(first, Cat(Const(0, Q2_6.frac_bits), bias), total) + dot.o.payload)
        m.d.sync += self.o.valid.eq(dot.o.valid & last)
        m.d.comb += self.o.payload.eq(total[Q2_6.frac_bits :].as_signed())
        return m
