"""Two products in one multiplier: both sums of the packed dot product are exact for all operands.

The netlist multiplies f = (high << 16) + low by the shared operand. First: that product is (high * shared << 16) +
low * shared (sums distribute; the solver's normal form shows it for all of the 2**24 operands). With each of the two
cut out as an unknown function of its operands, of which only the range of a product is known, the rest is sums.
"""

import pytest

from fivebyfive.hw.common import packed_dot_product
from fivebyfive.hw.common.packed_dot_product import PRODUCT
from fivebyfive.hw.common.types import CODE, NATURAL
from fivebyfive.hw.conv import packed_conv_pe
from fivebyfive.hw.fc import packed_fc_row

from .lib.bits import Bits, const, fresh, mux, prove
from .lib.netlist import Frame, Netlist, netlist
from .lib.products import exact_sum, prove_multiplier, times
from .lib.seeded import broken

HIGH = 16  # where the high operand begins
RANGE = (-128 * 127, 128 * 128)  # of a product of two codes


def shifted(value: Bits, bits: int, width: int) -> Bits:
    """``value << bits``, signed, cut to ``width`` bits."""
    return (value.sext(width) * (1 << bits))[:width]


class Packed:
    """Takes the place of the multiplications: `multiply` returns both products, and remembers what is to be assumed."""

    def __init__(self):
        self.ranges: list[Bits] = []

    def multiply(self, a: Bits, b: Bits) -> Bits:
        """``a``: the packed pair, ``b``: what they share; extended by sign to the bits of the product."""
        width = a.width
        low, shared = a[:8], b[:8]
        high = (a - low.sext(width))[HIGH : HIGH + 8]
        prove({"operands are codes": (b == shared.sext(width))
               & (a == (shifted(high, HIGH, width) + low.sext(width))[:width])})  # fmt: skip
        products = [times(x, shared) for x in (low, high)]
        for product in products:  # as unsigned numbers from 2**15 on
            around = (product + (1 << 15))[:16]
            self.ranges.append((around >= RANGE[0] + (1 << 15)) & (around <= RANGE[1] + (1 << 15)))
        return (shifted(products[1], HIGH, width) + products[0].sext(width))[:width]


def prove_distributes(width: int = 33) -> None:
    """f * shared is what `Packed.multiply` returns, were `times` the product; and products are in their range."""
    high, low, shared = (fresh(name, 8) for name in ("high", "low", "shared"))
    factor = (shifted(high, HIGH, width) + low.sext(width))[:width]
    wide = [(x.sext(width) * shared.sext(width))[:width] for x in (low, high)]
    prove({"distributes": (factor * shared.sext(width))[:width] == (shifted(wide[1], HIGH, width) + wide[0])[:width]})
    product = (low.sext(16) * shared.sext(16))[:16]
    around = (product + (1 << 15))[:16]
    prove({"range": (around >= RANGE[0] + (1 << 15)) & (around <= RANGE[1] + (1 << 15))})


def run(design: Netlist, cycles: int) -> tuple[list[Frame], list[Bits]]:
    """Cycles from any state; what may be assumed of the products in them."""
    packed = Packed()
    frames = [design.frame("cycle 0", multiply=packed.multiply)]
    for number in range(1, cycles + 1):
        frames.append(frames[-1].next(f"cycle {number}"))
    return frames, packed.ranges


def operands(payload: Bits, pair, terms: int) -> tuple[list[list[Bits]], list[Bits]]:
    """Two lists of codes that are not shared, and the shared ones."""
    width = pair.width
    unshared = [[payload[(n * terms + t) * width :][:width] for t in range(terms)] for n in range(2)]
    unshared = [[x.sext(8) if pair.signed else x.zext(8) for x in xs] for xs in unshared]
    shared = payload[2 * terms * width :]
    return unshared, [shared[8 * t : 8 * t + 8] for t in range(terms)]


def prove_first_level(design: Netlist, name: str, terms: int, pair) -> None:
    """Three cycles after the operands, register ``name + "both_n"`` has the exact sums of products n and n + 1."""
    frames, ranges = run(design, 3)
    unshared, shared = operands(frames[0]["i__payload"], pair, terms)
    for first in range(0, terms, 2):
        both = frames[3][f"{name}both_{first}"]
        terms_of_pair = slice(first, first + 2)
        for n, sums in enumerate((both[:14], both[HIGH : HIGH + 14])):
            exact = exact_sum(const(0, 1), unshared[n][terms_of_pair], shared[terms_of_pair])
            prove({f"both_{first}, sum {n}": sums == exact[:14]}, ranges)


def first_level(frame: Frame, name: str, terms: int, n: int) -> list[Bits]:
    """What those registers hold for sum ``n``."""
    boths = [frame[f"{name}both_{first}"] for first in range(0, terms, 2)]
    return [both[:14] if n == 0 else both[HIGH : HIGH + 14] for both in boths]


def total(values: list[Bits], base: Bits) -> Bits:
    """A base and sums, modulo 2**14."""
    result = base.zext(14)
    for value in values:
        result = (result + value)[:14]
    return result


def prove_packed(terms: int, pair, component=packed_dot_product.PackedDotProduct) -> None:
    """In two parts, with the first level's registers between them, as nothing else of the operands goes on."""
    dot = component(terms, pair)
    design = netlist(dot)
    prove_first_level(design, "", terms, pair)
    rest, _ = run(design, dot.latency - 3)
    for n in range(2):
        sums = total(first_level(rest[0], "", terms, n), const(0, 1))
        prove({f"sum {n}": rest[-1]["o__payload"].word(n, 14) == sums})
    frames, _ = run(design, dot.latency)
    prove({"valid": frames[-1]["o__valid"] == frames[0]["i__valid"]})


def prove_packed_pe(pair, component=packed_conv_pe.PackedConvPE, kernel: int = 5) -> None:
    pe, terms = component(pair, kernel), kernel**2
    design = netlist(pe)
    prove_first_level(design, "dot.", terms, pair)
    rest, _ = run(design, pe.latency - 3)
    base = rest[pe.base_latency - 3]["base"]
    for n in range(2):
        sums = total(first_level(rest[0], "dot.", terms, n), base.word(n, 14))
        prove({f"partial sum {n}": rest[-1]["o__payload"].word(n, 14) == sums})
    frames, _ = run(design, pe.latency)
    prove({"valid": frames[-1]["o__valid"] == frames[0]["i__valid"]})


class Row:
    """A packed row, unrolled from any state from the cycle on in which a word's first level is in its registers."""

    def __init__(self, row):
        self.row, self.lanes = row, row.lanes
        self.design = netlist(row)
        self.frames, _ = run(self.design, row.latency + 1)
        payload = self.frames[0]["i__payload"]
        rest = payload[3 * 8 * self.lanes :]
        self.bias, self.first, self.last, self.valid = rest[:16], rest[16], rest[17], self.frames[0]["i__valid"]
        self.keep, self.output = (rest[18], rest[19:]) if row.kept else (const(0, 1), const(0, 1))

    def kept(self, cycle: int, output: Bits) -> Bits:
        """Both partial sums in the memory, as a cycle finds them."""
        return self.frames[cycle].memory("sums", output)

    def prove(self) -> None:
        """As of a row in test_products.py, for both outputs; the dot product is proved by itself."""
        at = self.row.latency
        total, dot = [frame["total"] for frame in self.frames], self.frames[at - 1]["dot.o__payload"]
        before = mux(self.keep, self.kept(at - 2, self.output), total[at - 1]) if self.row.kept else total[at - 1]
        o = self.frames[at]
        for n in range(2):
            base = mux(self.first, self.bias.word(n, 8).zext(14) * 64, before.word(n, 14))
            summed = mux(self.valid, (base[:14] + dot.word(n, 14))[:14], total[at - 1].word(n, 14))
            code = o["o__payload"].word(n, 8) == total[at].word(n, 14)[6:]
            prove({f"sum {n}": total[at].word(n, 14) == summed, f"code {n}": code})
        prove({"valid": o["o__valid"] == (self.valid & self.last)})
        if self.row.kept:
            other = fresh("other", self.output.width)
            written = self.valid & self.keep & (other == self.output)
            kept = self.kept(at + 1, other) == mux(written, total[at], self.kept(at, other))
            prove({"kept": (other < self.row.kept).implies(kept)})

    def prove_dot(self) -> None:
        """The dot product inside the row has the word's activations and weights."""
        x, w = 8 * self.lanes, 8 * self.lanes
        payload = self.frames[0]["i__payload"]
        fed = self.frames[0]["dot.i__payload"]
        order = {"pair": fed[: 2 * w] == payload[x : x + 2 * w], "shared": fed[2 * w :] == payload[:x]}
        prove(order | {"valid": self.frames[0]["dot.i__valid"] == self.frames[0]["i__valid"]})


def prove_packed_row(lanes: int, kept: int, component=packed_fc_row.PackedFcRow) -> None:
    row = Row(component(lanes, kept))
    row.prove_dot()
    row.prove()


def test_products_distribute() -> None:
    prove_multiplier()
    prove_distributes(PRODUCT)


@pytest.mark.parametrize("pair", [CODE, NATURAL], ids=["codes", "natural"])
@pytest.mark.parametrize(
    "terms", [1, 2, 3, *(pytest.param(terms, marks=pytest.mark.full) for terms in (4, 10, 20, 25))]
)
def test_packed_dot_product(terms: int, pair) -> None:
    prove_packed(terms, pair)


@pytest.mark.parametrize("pair", [CODE, NATURAL], ids=["codes", "natural"])
@pytest.mark.parametrize(
    "kernel", [3, pytest.param(5, marks=pytest.mark.full), pytest.param(7, marks=pytest.mark.full)]
)
def test_packed_conv_pe(pair, kernel: int) -> None:
    prove_packed_pe(pair, kernel=kernel)


@pytest.mark.parametrize(("lanes", "kept"), [(10, 0), pytest.param(20, 0, marks=pytest.mark.full), (10, 250)])
def test_packed_row(lanes: int, kept: int) -> None:
    prove_packed(lanes, CODE)
    prove_packed_row(lanes, kept)


ROW_BUGS = {
    "one bias for both": ("biases.word_select(n, CODE.width)", "biases.word_select(0, CODE.width)"),
    "one sum for both": ("before.word_select(n, ACC.width)) + part", "before.word_select(0, ACC.width)) + part"),
    "the wrong activations": ("dot.i.payload.shared.eq(payload.x)", "dot.i.payload.shared.eq(payload.w[0])"),
}


@pytest.mark.parametrize("bug", ROW_BUGS)
def test_bugs_of_the_row_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match="not always so"):
        prove_packed_row(10, 250, broken("packed_fc_row", "PackedFcRow", *ROW_BUGS[bug]))


BUGS = {
    "no correction": ("others = Const(1 << HIGH - 1, HIGH)", "others = Const(0, HIGH)"),
    "correction once": ("Const(0b10, HIGH - Q2_6.acc_bits)", "Const(0b00, HIGH - Q2_6.acc_bits)"),
    "15 bits apart": ("factor = (high << HIGH) + low", "factor = (high << HIGH - 1) + low"),
    "signs lost": ("(high << HIGH) + low if", "Cat(low, Const(0, 8), high).as_signed() if"),
    "sums of one bit less": ("other[HIGH:][: Q2_6.acc_bits])", "other[HIGH:][: Q2_6.acc_bits - 1])"),
    "wrong partner": ("self.product(held, term + 1) + others", "self.product(held, term) + others"),
    "high from a bit too low": ("both[HIGH:][: Q2_6.acc_bits]", "both[HIGH - 1:][: Q2_6.acc_bits]"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match="not always so"):
        prove_packed(4, CODE, broken("packed_dot_product", "PackedDotProduct", *BUGS[bug]))


def test_a_bug_of_the_pe_is_refuted() -> None:
    bug = "total.eq(base + part)", "total.eq(base - part)"
    with pytest.raises(AssertionError, match="not always so"):
        prove_packed_pe(NATURAL, broken("packed_conv_pe", "PackedConvPE", *bug))
