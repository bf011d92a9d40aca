"""The sum of products behind both engines: a row of multipliers and a pipelined adder tree, modulo 2**14."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.q26 import Q2_6

from .pipeline import delay
from .types import ACC, codes

__all__ = ["DotProduct"]


class DotProduct(wiring.Component):
    """Sum of ``terms`` products of Q2.6 codes, modulo 2**14.

    Only the low 14 bits of an accumulator reach a code (see `fivebyfive.model.q26`), so products are cut to 14 bits
    and every adder of the tree has 14. A new sum starts each cycle; `latency` cycles later it comes out: one for the
    operands (a multiplier takes most of a cycle, and where its operands come from is far), one for the products, one
    for each level of the tree.

    Parameters
    ----------
    terms : products summed, at least 1.

    Members
    -------
    i : stream of {x, w}, ``terms`` codes each; always ready.
    o : stream of the sum, 14 bits; always ready.
    """

    def __init__(self, terms: int):
        if terms < 1:
            raise ValueError(f"a dot product needs at least one term, not {terms}")
        self.terms = terms
        operands = data.StructLayout({"x": codes(terms), "w": codes(terms)})
        super().__init__(
            {
                "i": In(stream.Signature(operands, always_ready=True)),
                "o": Out(stream.Signature(ACC, always_ready=True)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from operands to their sum."""
        return self.cycles(self.terms)

    @staticmethod
    def cycles(terms: int) -> int:
        """`latency` of a dot product of that many terms."""
        return 2 + (terms - 1).bit_length()

    def elaborate(self, platform):
        m = Module()
        held = Signal.like(self.i.payload, name="held", reset_less=True)
        m.d.sync += held.eq(self.i.payload)
        level = []
        for term in range(self.terms):
            # The product register has all 16 bits, as a DSP block's has; the cut to 14 is the tree's.
            product = Signal(2 * Q2_6.bits, name=f"product_{term}", reset_less=True)
            m.d.sync += product.eq(held.x[term] * held.w[term])
            level.append(product[: Q2_6.acc_bits])
        m.d.comb += [
            self.o.payload.eq(self.tree(m, level, "sum")),
            self.o.valid.eq(delay(m, self.i.valid, self.latency, name="valid")),
        ]
        return m

    @classmethod
    def tree(cls, m: Module, level: list, name: str):
        """The sum of operands, modulo 2**14: pairs are added and registered until one is left."""
        depth = 0
        while len(level) > 1:
            depth += 1
            level = [cls.add(m, level[n : n + 2], f"{name}_{depth}_{n // 2}") for n in range(0, len(level), 2)]
        return level[0]

    @staticmethod
    def add(m: Module, operands: list, name: str) -> Signal:
        """A register that holds the sum of one or two operands, modulo 2**14."""
        result = Signal(ACC, name=name, reset_less=True)
        m.d.sync += result.eq(sum(operands[1:], operands[0]))
        return result
