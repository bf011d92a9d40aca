"""Two sums of products for the multipliers of one: two 8-bit products that share an operand, in one 25x18 multiplier.

A pair of operands is one factor, f = high * 2**16 + low, of 25 bits, and p = f * shared has both products: p[13:0] is
the low one modulo 2**14; p[29:16] is the high one, less one where the low one is negative. A product lies between
-128 * 127 and 128 * 128, so adding 2**15 to p corrects that: (p + 2**15)[29:16] is the high product modulo 2**14. The
low part is then at most 2**15 + 2**14, and there is room below 2**16 for another 14 bits:

    p + {high sum, 1, 0, low sum}    14 + 1 + 1 + 14 bits, the 1 is 2**15

adds two sums to two products at once. A DSP48E1 has room for all of it: the sum f in its pre-adder, the product, the
sums in its adder, and the registers.
"""

from amaranth.hdl import Cat, Const, Module, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.q26 import Q2_6

from .dot_product import DotProduct
from .pipeline import delay
from .types import ACC, CODE, codes

__all__ = ["HIGH", "PackedDotProduct"]

HIGH = 2 * Q2_6.bits  # where the high product begins; 15 is too few for -128 x -128, with 17 f has 26 bits
PRODUCT = HIGH + 2 * Q2_6.bits + 1  # bits of p


class PackedDotProduct(wiring.Component):
    """Two sums of ``terms`` products of Q2.6 codes, modulo 2**14. The two products of a term share an operand.

    The first level of both adder trees is in the DSP blocks.

    Latency: max(3, 2 + ceil(log2(terms))) cycles, that of a `DotProduct` with at least two terms. Throughput: two sums
    per cycle.

    Parameters
    ----------
    terms : int, at least 1
        Products in each sum.
    pair : Shape
        Shape of the operands that are not shared: `CODE`, or `NATURAL` where none is negative (saves an adder per
        term).

    Ports
    -----
    i : stream of {pair, shared}, in, always ready
        ``pair``: two times ``terms`` operands; ``shared``: ``terms`` codes.
    o : stream of 2 `ACC`, out, always ready
        Both sums; valid `latency` cycles after their operands.

    Raises
    ------
    ValueError
        ``terms`` is less than 1.
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
        """`latency` of a packed dot product with this number of terms."""
        return max(3, DotProduct.cycles(terms))

    def elaborate(self, platform):
        m = Module()
        held = Signal.like(self.i.payload, name="held", reset_less=True)
        m.d.sync += held.eq(self.i.payload)
        sums = [self.first_level(m, held, first) for first in range(0, self.terms, 2)]
        for n in range(2):
            m.d.comb += self.o.payload[n].eq(DotProduct.tree(m, [both[n] for both in sums], f"sum_{n}"))
        m.d.comb += self.o.valid.eq(delay(m, self.i.valid, self.latency, name="valid"))
        return m

    def first_level(self, m: Module, held: data.View, term: int) -> tuple:
        """Low and high sum of a term's products and, if there is one, the next term's, two cycles later."""
        product = self.register(m, f"product_{term}", self.product(held, term))
        others = Const(1 << HIGH - 1, HIGH)
        if term + 1 < self.terms:
            other = self.register(m, f"product_{term + 1}", self.product(held, term + 1) + others)
            others = Cat(other[: Q2_6.acc_bits], Const(0b10, HIGH - Q2_6.acc_bits), other[HIGH:][: Q2_6.acc_bits])
        both = self.register(m, f"both_{term}", product + others)
        return both[: Q2_6.acc_bits], both[HIGH:][: Q2_6.acc_bits]

    @staticmethod
    def register(m: Module, name: str, value) -> Signal:
        """``value`` a cycle later. All bits are kept, so that the register is one of the DSP block."""
        result = Signal(signed(PRODUCT), name=name, reset_less=True)
        m.d.sync += result.eq(value)
        return result

    def product(self, held: data.View, term: int):
        """(high * 2**16 + low) * shared; side by side where neither is negative."""
        low, high = (operands[term] for operands in held.pair)
        factor = (high << HIGH) + low if self.pair.signed else Cat(low, Const(0, HIGH - self.pair.width), high)
        return factor * held.shared[term]
