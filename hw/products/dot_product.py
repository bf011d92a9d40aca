"""Sum of products of both engines: a row of multipliers and a pipelined adder tree, modulo 2**14."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.types import ACC, codes
from fivebyfive.model.machine.latency import dot_product_latency
from fivebyfive.model.q26 import Q2_6

__all__ = ["DotProduct"]


class DotProduct(wiring.Component):
    """Sum of ``terms`` products of Q2.6 codes, modulo 2**14.

    Only the low 14 bits of an accumulator reach a code (see `fivebyfive.model.q26`), so each product is cut to 14 bits
    and every adder of the tree is 14 bits wide.

    Latency: 2 + ceil(log2(terms)) cycles: operand registers, product registers, and one register per level of the tree.
    (A multiplier takes most of a cycle, and its operands come from far away.) Throughput: a sum per cycle.

    Parameters
    ----------
    terms : int, at least 1
        Products in a sum.

    Ports
    -----
    i : stream of {x, w}, in, always ready
        Operands: ``terms`` codes each.
    o : stream of `ACC`, out, always ready
        The sum; valid `latency` cycles after its operands.

    Raises
    ------
    ValueError
        ``terms`` is less than 1.
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
        """`latency` of a dot product with this number of terms."""
        return dot_product_latency(terms)

    def elaborate(self, platform):
        m = Module()
        held = Signal.like(self.i.payload, name="held", reset_less=True)
        m.d.sync += held.eq(self.i.payload)
        level = [self.product(m, held.x[term], held.w[term], term) for term in range(self.terms)]
        m.d.comb += [
            self.o.payload.eq(self.tree(m, level, "sum")),
            self.o.valid.eq(delay(m, self.i.valid, self.latency, name="valid")),
        ]
        return m

    def product(self, m: Module, x, w, term: int):
        """The low 14 bits of a product, a cycle after its operands."""
        # All 16 bits are registered, as in a DSP block.
        product = Signal(2 * Q2_6.bits, name=f"product_{term}", reset_less=True)
        m.d.sync += product.eq(x * w)
        return product[: Q2_6.acc_bits]

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
