"""Two sums of products for the multipliers of one: two 8-bit products that share an operand, in one 25x18 multiplier.

The pair becomes one factor, f = high * 2**16 + low, of 25 bits, and p = f * shared holds both products: p[13:0] is the
low one modulo 2**14, and p[29:16] the high one, less one where the low one is negative. A low product has 16 bits, so
that it is negative where p[15] is set, and p[29:16] + p[15] is the high product: adding 2**15 to p makes that addition.
A DSP48E1 has room for all of it: the sum f in its pre-adder, the product, the 2**15 in its adder, and their registers.
"""

from amaranth.hdl import Cat, Const, Module, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.q26 import Q2_6

from .dot_product import DotProduct
from .pipeline import delay
from .types import ACC, CODE, codes

__all__ = ["PACKED", "PackedDotProduct"]

PACKED = 2 * Q2_6.bits  # bits from the low product to the high one; 15 are too few for -128 x -128, 17 too many for f
FACTOR = PACKED + Q2_6.bits + 1  # bits of f


class PackedDotProduct(wiring.Component):
    """Two sums of ``terms`` products of Q2.6 codes, modulo 2**14; the products of a term share an operand.

    New sums start each cycle; `latency` cycles later they come out: two for the products, one for each level of the
    adder trees.

    Parameters
    ----------
    terms : products of each sum, at least 1.
    pair : shape of the operands that are not shared: `CODE`, or `NATURAL` where none is negative; those need no adder.

    Members
    -------
    i : stream of {pair: two times ``terms`` operands, shared: ``terms`` codes}; always ready.
    o : stream of two sums, 14 bits each; always ready.
    """

    def __init__(self, terms: int, pair: Shape = CODE):
        if terms < 1:
            raise ValueError(f"a dot product needs at least one term, not {terms}")
        self.terms = terms
        self.pair = pair
        pairs = data.ArrayLayout(data.ArrayLayout(pair, terms), 2)
        operands = data.StructLayout({"pair": pairs, "shared": codes(terms)})
        super().__init__(
            {
                "i": In(stream.Signature(operands, always_ready=True)),
                "o": Out(stream.Signature(data.ArrayLayout(ACC, 2), always_ready=True)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from operands to their sums."""
        return self.cycles(self.terms)

    @staticmethod
    def cycles(terms: int) -> int:
        """`latency` of a packed dot product of so many terms."""
        return 1 + DotProduct.cycles(terms)

    def elaborate(self, platform):
        m = Module()
        products = [self.multiply(m, term) for term in range(self.terms)]
        for n in range(2):
            m.d.comb += self.o.payload[n].eq(DotProduct.tree(m, [product[n] for product in products], f"sum{n}"))
        m.d.comb += self.o.valid.eq(delay(m, self.i.valid, self.latency, name="valid"))
        return m

    def multiply(self, m: Module, term: int) -> tuple:
        """Both products of a term, modulo 2**14, two cycles later."""
        low, high = (self.i.payload.pair[n][term] for n in range(2))
        # All bits are kept, so that the registers are those of the DSP block.
        product = Signal(signed(FACTOR + Q2_6.bits), name=f"product_{term}", reset_less=True)
        corrected = Signal.like(product, name=f"corrected_{term}")
        m.d.sync += [
            product.eq(self.factor(low, high) * self.i.payload.shared[term]),
            corrected.eq(product + (1 << PACKED - 1)),
        ]
        return corrected[: Q2_6.acc_bits], corrected[PACKED:][: Q2_6.acc_bits]

    def factor(self, low, high):
        """high * 2**16 + low: side by side where neither is negative."""
        if self.pair.signed:
            return (high << PACKED) + low
        return Cat(low, Const(0, PACKED - self.pair.width), high)
