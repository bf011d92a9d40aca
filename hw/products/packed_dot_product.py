"""Two sums of products for the multipliers of one: two 8-bit products that share an operand, in one DSP block.

A pair of operands is one factor, f = high * 2**s + low, and p = f * shared has both products; 14 bits of each are
wanted. What else it takes depends on how large f may be.

25x18, s = 16: f has 25 bits. p[13:0] is the low product modulo 2**14; p[29:16] is the high one, less one where the low
one is negative. A product lies between -128 * 127 and 128 * 128, so adding 2**15 to p corrects that: (p + 2**15)[29:16]
is the high product modulo 2**14. The low part is then at most 2**15 + 2**14, and there is room below 2**16 for another
14 bits:

    p + {high sum, 1, 0, low sum}    14 + 1 + 1 + 14 bits, the 1 is 2**15

adds two sums to two products at once. A DSP48E1 has room for all of it: the sum f in its pre-adder, the product, the
sums in its adder, and the registers.

18x18, s = 10: f has 18 bits, and the products overlap. The low four bits of the high product, l, which LUTs compute,
tell them apart. Of low there are only the low seven bits in f, v, so that f needs no adder:

    v * shared = c * 2**10 + p[9:0]                     c is between -16 and 15
    p >> 10 = high * shared + c
    n = 1 where shared < 0 and v > 0, else 0            c + 16 n is between 0 and 15: c < 0 just where n = 1
    r = (p >> 10) + 16 n - l                            is high * shared - l, a multiple of 16, plus c + 16 n
    v * shared = {r[3:0], p[9:0]} modulo 2**14          as c + 16 n is c modulo 16
    high * shared = {r[13:4], l} modulo 2**14
    low * shared = v * shared - 2**7 * shared where low < 0, else v * shared

That holds for all operands. To part two products by low bits of one of them: Langhammer, Pasca, Baeckler, Gribok,
"Extracting INT8 Multipliers from INT18 Multipliers", FPL 2019. Here n takes the place of a fifth such bit.
"""

from functools import reduce
from itertools import combinations
from operator import and_, xor

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.types import ACC, CODE, NATURAL, codes
from fivebyfive.model.machine.config import DSP_SIZES
from fivebyfive.model.q26 import Q2_6

from .dot_product import DotProduct

__all__ = ["HIGH", "OVERLAPPED", "PackedDotProduct", "low_product"]

HIGH = 2 * Q2_6.bits  # where the high product begins; 15 is too few for -128 x -128, with 17 f has 26 bits
PRODUCT = HIGH + 2 * Q2_6.bits + 1  # bits of p
OVERLAPPED = 10  # where it begins in 18x18 bits; with 11 f has 19 bits
HIGH_AT = dict(zip(DSP_SIZES, (HIGH, OVERLAPPED), strict=True))
PARTED = Q2_6.acc_bits - OVERLAPPED  # bits of the low product above that, and of the high one that LUTs compute


def low_product(a: Value, b: Value, bits: int) -> Value:
    """``a * b`` modulo ``2**bits`` without a multiplier: bit j of the number of ones in a column of partial products is
    the parity of its subsets of 2**j that are all ones (Lucas's theorem)."""
    columns = [[a[i] & b[n - i] for i in range(n + 1)] for n in range(bits)]
    for n, column in enumerate(columns):
        for j in range(1, bits - n):
            subsets = [reduce(and_, ones) for ones in combinations(column, 2**j)]
            columns[n + j] += [reduce(xor, subsets)] if subsets else []
    return Cat(reduce(xor, column) for column in columns)


class PackedDotProduct(wiring.Component):
    """Two sums of ``terms`` products of Q2.6 codes, modulo 2**14. The two products of a term share an operand.

    In 25x18 bits the first level of both adder trees is in the DSP blocks.

    Latency: max(3, 2 + ceil(log2(terms))) cycles, that of a `DotProduct` with at least two terms. Throughput: two sums
    per cycle.

    Parameters
    ----------
    terms : int, at least 1
        Products in each sum.
    pair : Shape
        Shape of the operands that are not shared: `CODE`, or `NATURAL` where none is negative (saves an adder per
        term).
    dsp_size : str, of `DSP_SIZES`
        Bits of a multiplier: "25x18", or "18x18".

    Ports
    -----
    i : stream of {pair, shared}, in, always ready
        ``pair``: two times ``terms`` operands; ``shared``: ``terms`` codes.
    o : stream of 2 `ACC`, out, always ready
        Both sums; valid `latency` cycles after their operands.

    Raises
    ------
    ValueError
        ``terms`` is less than 1; there is no such ``dsp_size``.
    """

    def __init__(self, terms: int, pair: Shape = CODE, dsp_size: str = DSP_SIZES[0]):
        if terms < 1:
            raise ValueError(f"a dot product needs at least one term, not {terms}")
        if dsp_size not in DSP_SIZES:
            raise ValueError(f"dsp_size must be {' or '.join(DSP_SIZES)}, not {dsp_size!r}")
        self.terms = terms
        self.pair = pair
        self.dsp_size = dsp_size
        self.high_at = HIGH_AT[dsp_size]
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
        return (self.add_inside if self.high_at == HIGH else self.add_outside)(m, held, term)

    def add_inside(self, m: Module, held: data.View, term: int) -> tuple:
        """`first_level` in the DSP block, both sums in one register."""
        product = self.register(m, f"product_{term}", self.product(held, term))
        others = Const(1 << HIGH - 1, HIGH)
        if term + 1 < self.terms:
            other = self.register(m, f"product_{term + 1}", self.product(held, term + 1) + others)
            others = Cat(other[: Q2_6.acc_bits], Const(0b10, HIGH - Q2_6.acc_bits), other[HIGH:][: Q2_6.acc_bits])
        both = self.register(m, f"both_{term}", product + others)
        return both[: Q2_6.acc_bits], both[HIGH:][: Q2_6.acc_bits]

    def add_outside(self, m: Module, held: data.View, term: int) -> tuple:
        """`first_level` behind the multipliers."""
        parted = [self.part(m, held, one) for one in range(term, min(term + 2, self.terms))]
        return tuple(DotProduct.add(m, [both[n] for both in parted], f"first_{term}_{n}") for n in range(2))

    def part(self, m: Module, held: data.View, term: int) -> tuple:
        """Low and high product of a term a cycle later, from a multiplier in which they overlap."""
        low, high = (operands[term] for operands in held.pair)
        shared = held.shared[term]
        product = Signal(OVERLAPPED + Q2_6.acc_bits, name=f"product_{term}", reset_less=True)
        known = Signal(signed(PARTED + 1), name=f"known_{term}", reset_less=True)  # l - 16 n
        negative = shared[-1] & low[: NATURAL.width].any()
        m.d.sync += product.eq(self.product(held, term))
        m.d.sync += known.eq(Cat(low_product(high, shared, PARTED), negative))
        rest = Signal(ACC, name=f"rest_{term}")
        m.d.comb += rest.eq(product[OVERLAPPED:] - known)
        low_sum = Cat(product[:OVERLAPPED], rest[:PARTED])
        if self.pair.signed:
            sign = Signal(Q2_6.acc_bits - NATURAL.width, name=f"sign_{term}", reset_less=True)
            m.d.sync += sign.eq(Mux(low[-1], shared, 0))
            low_sum = Cat(low_sum[: NATURAL.width], (low_sum[NATURAL.width :] - sign)[: len(sign)])
        return low_sum, Cat(known[:PARTED], rest[PARTED:])

    @staticmethod
    def register(m: Module, name: str, value) -> Signal:
        """``value`` a cycle later. All bits are kept, so that the register is one of the DSP block."""
        result = Signal(signed(PRODUCT), name=name, reset_less=True)
        m.d.sync += result.eq(value)
        return result

    def product(self, held: data.View, term: int):
        """(high * 2**16 + low) * shared; side by side where low is not negative, or its sign is left out."""
        low, high = (operands[term] for operands in held.pair)
        beside = Cat(low[: NATURAL.width], Const(0, self.high_at - NATURAL.width), high)
        if self.pair.signed:
            factor = (high << HIGH) + low if self.high_at == HIGH else beside.as_signed()
        else:
            factor = beside
        return factor * held.shared[term]
