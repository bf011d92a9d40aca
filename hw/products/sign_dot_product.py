"""Sum of products with weights -s, 0 and s: adders, no multipliers."""

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.types import ACC, CODE, codes

from .dot_product import DotProduct

__all__ = ["SignDotProduct"]


class SignDotProduct(wiring.Component):
    """A `DotProduct` for weights that are -1, 0 or 1 times a power of two of their layer, modulo 2**14.

    Each operand is added, subtracted or left out; the sum is shifted. After BinaryConnect (Courbariaux 2015,
    arXiv:1511.00363) and ternary weight networks (Li 2016, arXiv:1605.04711).

    Latency and throughput are those of `DotProduct`.

    Parameters
    ----------
    terms : int, at least 1
        Products in a sum.
    shifts : tuple of int, 0 to 7
        Of each layer, the exponent of its power of two; at least one layer.

    Ports
    -----
    i : stream of {x, w}, in, always ready
        Operands: ``terms`` codes each; every w is -1, 0 or 1.
    layer : range(layers), in
        Layer of the sum on ``o`` in the same cycle: index into ``shifts``.
    o : stream of `ACC`, out, always ready
        The sum; valid `latency` cycles after its operands.

    Raises
    ------
    ValueError
        ``terms`` is less than 1.
    """

    def __init__(self, terms: int, shifts: tuple[int, ...]):
        if terms < 1:
            raise ValueError(f"a dot product needs at least one term, not {terms}")
        self.terms = terms
        self.shifts = tuple(shifts)
        operands = data.StructLayout({"x": codes(terms), "w": codes(terms)})
        super().__init__(
            {
                "i": In(stream.Signature(operands, always_ready=True)),
                "layer": In(range(len(self.shifts))),
                "o": Out(stream.Signature(ACC, always_ready=True)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from operands to their sum, as with multipliers."""
        return DotProduct.cycles(self.terms)

    def elaborate(self, platform):
        m = Module()
        held = Signal.like(self.i.payload, name="held", reset_less=True)
        m.d.sync += held.eq(self.i.payload)
        level = []
        for n in range(self.terms):
            term = Signal(signed(CODE.width + 1), name=f"term_{n}", reset_less=True)
            x, w = held.x[n], held.w[n]
            m.d.sync += term.eq(Mux(w[0], Mux(w[-1], -x, x), 0))
            level.append(term)
        total = DotProduct.tree(m, level, "sum")
        shifted = Array(total << shift for shift in self.shifts)
        m.d.comb += [
            self.o.payload.eq(shifted[self.layer]),
            self.o.valid.eq(delay(m, self.i.valid, self.latency, name="valid")),
        ]
        return m
