"""The sum of products with weights -s, 0 and s: adders, and no multiplier."""

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .dot_product import DotProduct
from .pipeline import delay
from .types import ACC, CODE, codes

__all__ = ["SignDotProduct", "dot_product"]


class SignDotProduct(wiring.Component):
    """As `DotProduct`, for weights that are -1, 0 or 1 times a power of two of the layer, modulo 2**14.

    An operand is added, subtracted or left out; the sum is shifted. After BinaryConnect (Courbariaux 2015,
    arXiv:1511.00363) and ternary weight networks (Li 2016, arXiv:1605.04711).

    Parameters
    ----------
    terms : products summed, at least 1.
    shifts : of each layer, the exponent of its power of two.

    Members
    -------
    i : stream of {x, w}, ``terms`` codes each, w -1, 0 or 1; always ready.
    layer : whose sums come out.
    o : stream of the sum, 14 bits; always ready.
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
        """Cycles from operands to their sum: as many as with multipliers."""
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


def dot_product(m: Module, unit: wiring.Component, terms: int) -> DotProduct | SignDotProduct:
    """The dot product that a unit with ``shifts`` and ``layer``, or without, is built around."""
    if not unit.shifts:
        return DotProduct(terms)
    dot = SignDotProduct(terms, unit.shifts)
    m.d.comb += dot.layer.eq(unit.layer)
    return dot
