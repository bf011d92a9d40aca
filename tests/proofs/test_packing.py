"""Two products in one multiplier: both sums of the packed dot product are exact for all operands.

The netlist multiplies f = (high << s) + low by the shared operand. First: that product is (high * shared << s) +
low * shared (sums distribute; the solver's normal form shows it for all of the 2**24 operands). With each of the two
cut out as an unknown function of its operands, of which only little is assumed that holds for products (their range; in
18x18 bits the sign of one, four bits of the other, and what a sign adds), the rest is sums.
"""

from collections.abc import Callable

import pytest

from fivebyfive.hw.common.types import CODE, NATURAL
from fivebyfive.hw.conv import packed_conv_pe
from fivebyfive.hw.fc import packed_fc_row
from fivebyfive.hw.products import packed_dot_product
from fivebyfive.hw.products.packed_dot_product import PRODUCT

from .lib.bits import Bits, const, fresh, mux, prove
from .lib.netlist import Frame, Netlist, netlist
from .lib.products import exact_sum, prove_multiplier, times
from .lib.seeded import broken

WIDE, SQUARE = "25x18", "18x18"
HIGH = {WIDE: 16, SQUARE: 10}  # where the high operand begins
RANGE = (-128 * 127, 128 * 128)  # of a product of two codes

sizes = pytest.mark.parametrize("dsp_size", [WIDE, SQUARE])
# Around the dot product both are the same.
mostly_wide = pytest.mark.parametrize("dsp_size", [WIDE, pytest.param(SQUARE, marks=pytest.mark.full)])


def shifted(value: Bits, bits: int, width: int) -> Bits:
    """``value << bits``, signed, cut to ``width`` bits."""
    return (value.sext(width) * (1 << bits))[:width]


def within(product: Bits, least: int, most: int) -> Bits:
    """Whether a product lies between two numbers."""
    around = (product + (1 << 15))[:16]  # unsigned, from 2**15 on
    return (around >= least + (1 << 15)) & (around <= most + (1 << 15))


def in_range(product: Bits) -> Bits:
    return within(product, *RANGE)


def sign_known(v: Bits, shared: Bits, product: Bits) -> Bits:
    """Of a product of seven bits: negative just where the shared code is, and the bits are not all zeros."""
    return mux(shared[7] & (v != 0), within(product, RANGE[0], -1), within(product, 0, 127 * 127))


def low_bits_known(x: Bits, shared: Bits, product: Bits) -> Bits:
    """The low four bits of a product are those of the low four bits of its operands."""
    return product[:4] == (x[:4] * shared[:4])[:4]


def without_sign(x: Bits, shared: Bits, product: Bits, of_seven: Bits) -> Bits:
    """A product is that of the low seven bits, less 128 times the shared code where the sign is set."""
    return product == (of_seven - mux(x[7], shifted(shared, 7, 16), const(0, 16)))[:16]


def multiply(dsp_size: str) -> Callable[[Bits, Bits], Bits]:
    """What takes the place of the multiplications, and returns both products."""
    at = HIGH[dsp_size]

    def both(a: Bits, b: Bits) -> Bits:
        """``a``: the packed pair, ``b``: what they share; extended by sign to the bits of the product."""
        width, shared = a.width, b[:8]
        low = a[:8] if dsp_size == WIDE else a[:7].zext(8)
        high = (a - low.sext(width))[at : at + 8]
        prove({"operands are codes": (b == shared.sext(width))
               & (a == (shifted(high, at, width) + low.sext(width))[:width])})  # fmt: skip
        return (shifted(times(high, shared), at, width) + times(low, shared).sext(width))[:width]

    return both


def known(low: Bits, high: Bits, shared: Bits, dsp_size: str) -> list[Bits]:
    """What is assumed of the products of a term."""
    if dsp_size == WIDE:
        return [in_range(times(low, shared)), in_range(times(high, shared))]
    v = low[:7].zext(8)
    of_seven, product = times(v, shared), times(high, shared)
    return [
        in_range(product), sign_known(v, shared, of_seven), low_bits_known(high, shared, product),
        without_sign(low, shared, times(low, shared), of_seven),
    ]  # fmt: skip


def prove_distributes(dsp_size: str, width: int) -> None:
    """f * shared is what `multiply` gives, were `times` the product: for all numbers of ``width`` bits, so for
    codes that are extended to them."""
    high, low, shared = (fresh(name, width) for name in ("high", "low", "shared"))
    at = HIGH[dsp_size]
    factor = (shifted(high, at, width) + low)[:width]
    products = [(x * shared)[:width] for x in (low, high)]
    prove({"distributes": (factor * shared)[:width] == (shifted(products[1], at, width) + products[0])[:width]})


def prove_assumptions() -> None:
    """What is `known` of `times` holds for the product."""
    x, shared = fresh("x", 8), fresh("shared", 8)
    v = x[:7].zext(8)
    product, of_seven = ((one.sext(16) * shared.sext(16))[:16] for one in (x, v))
    prove({"range": in_range(product)})
    prove({"sign": sign_known(v, shared, of_seven)})
    prove({"low bits": low_bits_known(x, shared, product)})
    y, s = fresh("y", 16), fresh("s", 16)  # any numbers, so also a code's seven bits and a code
    for sign in (0, 1):
        prove({"value": (v + (sign << 7))[:8].sext(16) == (v.zext(16) - (sign << 7))[:16]})
        product = ((y - (sign << 7))[:16] * s)[:16]
        prove({"without sign": without_sign(const(sign << 7, 8), s, product, (y * s)[:16])})


def run(design: Netlist, cycles: int, dsp_size: str) -> list[Frame]:
    """Cycles from any state."""
    frames = [design.frame("cycle 0", multiply=multiply(dsp_size))]
    for number in range(1, cycles + 1):
        frames.append(frames[-1].next(f"cycle {number}"))
    return frames


def operands(payload: Bits, pair, terms: int) -> tuple[list[list[Bits]], list[Bits]]:
    """Two lists of codes that are not shared, and the shared ones."""
    width = pair.width
    unshared = [[payload[(n * terms + t) * width :][:width] for t in range(terms)] for n in range(2)]
    unshared = [[x.sext(8) if pair.signed else x.zext(8) for x in xs] for xs in unshared]
    shared = payload[2 * terms * width :]
    return unshared, [shared[8 * t : 8 * t + 8] for t in range(terms)]


def first_sum(frame: Frame, name: str, first: int, n: int, dsp_size: str) -> Bits:
    """What the registers of the first level hold for sum ``n`` of products ``first`` and the next."""
    if dsp_size == SQUARE:
        return frame[f"{name}first_{first}_{n}"]
    return frame[f"{name}both_{first}"][n * HIGH[WIDE] :][:14]


def prove_first_level(design: Netlist, name: str, terms: int, pair, dsp_size: str) -> None:
    """Three cycles after the operands, the registers of the first level have exact sums of products n and n + 1."""
    frames = run(design, 3, dsp_size)
    unshared, shared = operands(frames[0]["i__payload"], pair, terms)
    for first in range(0, terms, 2):
        two = slice(first, first + 2)
        each = zip(unshared[0][two], unshared[1][two], shared[two], strict=True)
        assumed = [one for term in each for one in known(*term, dsp_size)]
        for n in range(2):
            exact = exact_sum(const(0, 1), unshared[n][two], shared[two])
            sums = first_sum(frames[3], name, first, n, dsp_size)
            prove({f"products from {first}, sum {n}": sums == exact[:14]}, assumed)


def first_level(frame: Frame, name: str, terms: int, n: int, dsp_size: str) -> list[Bits]:
    """What those registers hold for sum ``n``."""
    return [first_sum(frame, name, first, n, dsp_size) for first in range(0, terms, 2)]


def total(values: list[Bits], base: Bits) -> Bits:
    """A base and sums, modulo 2**14."""
    result = base.zext(14)
    for value in values:
        result = (result + value)[:14]
    return result


def prove_packed(terms: int, pair, dsp_size: str = WIDE, component=packed_dot_product.PackedDotProduct) -> None:
    """In two parts, with the first level's registers between them, as nothing else of the operands goes on."""
    dot = component(terms, pair, dsp_size)
    design = netlist(dot)
    prove_first_level(design, "", terms, pair, dsp_size)
    rest = run(design, dot.latency - 3, dsp_size)
    for n in range(2):
        sums = total(first_level(rest[0], "", terms, n, dsp_size), const(0, 1))
        prove({f"sum {n}": rest[-1]["o__payload"].word(n, 14) == sums})
    frames = run(design, dot.latency, dsp_size)
    prove({"valid": frames[-1]["o__valid"] == frames[0]["i__valid"]})


def prove_packed_pe(pair, dsp_size: str = WIDE, component=packed_conv_pe.PackedConvPE, kernel: int = 5) -> None:
    pe, terms = component(pair, kernel, dsp_size), kernel**2
    design = netlist(pe)
    prove_first_level(design, "dot.", terms, pair, dsp_size)
    rest = run(design, pe.latency - 3, dsp_size)
    base = rest[pe.base_latency - 3]["base"]
    for n in range(2):
        sums = total(first_level(rest[0], "dot.", terms, n, dsp_size), base.word(n, 14))
        prove({f"partial sum {n}": rest[-1]["o__payload"].word(n, 14) == sums})
    frames = run(design, pe.latency, dsp_size)
    prove({"valid": frames[-1]["o__valid"] == frames[0]["i__valid"]})


class Row:
    """A packed row, unrolled from any state from the cycle on in which a word's first level is in its registers."""

    def __init__(self, row):
        self.row, self.lanes = row, row.lanes
        self.design = netlist(row)
        self.frames = run(self.design, row.latency + 1, row.dsp_size)
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


def prove_packed_row(lanes: int, kept: int, dsp_size: str = WIDE, component=packed_fc_row.PackedFcRow) -> None:
    row = Row(component(lanes, kept, dsp_size))
    row.prove_dot()
    row.prove()


def test_products_distribute() -> None:
    prove_multiplier()
    prove_assumptions()
    prove_distributes(WIDE, PRODUCT)
    prove_distributes(SQUARE, 26)


@sizes
@pytest.mark.parametrize("pair", [CODE, NATURAL], ids=["codes", "natural"])
@pytest.mark.parametrize(
    "terms", [1, 3, 10, *(pytest.param(terms, marks=pytest.mark.full) for terms in (2, 4, 20, 25))]
)
def test_packed_dot_product(terms: int, pair, dsp_size: str) -> None:
    prove_packed(terms, pair, dsp_size)


@pytest.mark.parametrize("pair", [CODE, NATURAL], ids=["codes", "natural"])
@pytest.mark.parametrize(
    ("kernel", "dsp_size"),
    [
        (3, WIDE),
        *(pytest.param(*one, marks=pytest.mark.full) for one in ((3, SQUARE), (5, WIDE), (5, SQUARE), (7, WIDE))),
    ],
)
def test_packed_conv_pe(pair, kernel: int, dsp_size: str) -> None:
    prove_packed_pe(pair, dsp_size, kernel=kernel)


@mostly_wide
@pytest.mark.parametrize(("lanes", "kept"), [(10, 0), pytest.param(20, 0, marks=pytest.mark.full), (10, 250)])
def test_packed_row(lanes: int, kept: int, dsp_size: str) -> None:
    """The dot product of ten or twenty terms is proved above."""
    prove_packed_row(lanes, kept, dsp_size)


ROW_BUGS = {
    "one bias for both": ("biases.word_select(n, CODE.width)", "biases.word_select(0, CODE.width)"),
    "one sum for both": ("before.word_select(n, ACC.width)) + part", "before.word_select(0, ACC.width)) + part"),
    "the wrong activations": ("dot.i.payload.shared.eq(payload.x)", "dot.i.payload.shared.eq(payload.w[0])"),
}


@pytest.mark.parametrize("bug", ROW_BUGS)
def test_bugs_of_the_row_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match="not always so"):
        prove_packed_row(10, 250, component=broken("packed_fc_row", "PackedFcRow", *ROW_BUGS[bug]))


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
        prove_packed(4, CODE, component=broken("packed_dot_product", "PackedDotProduct", *BUGS[bug]))


PARTING_BUGS = {
    "three bits of the high product": ("low_product(high, shared, PARTED)", "low_product(high, shared, PARTED - 1)"),
    "carries of pairs only": ("combinations(column, 2**j)", "combinations(column[:2], 2**j)"),
    "n of the shared operand alone": ("negative = shared[-1] & low[: NATURAL.width].any()", "negative = shared[-1]"),
    "n of the low operand's sign": ("shared[-1] & low[: NATURAL.width]", "shared[-1] & low"),
    "n never": ("low_product(high, shared, PARTED), negative)", "low_product(high, shared, PARTED), Const(0))"),
    "the sign lost": ("Mux(low[-1], shared, 0)", "Const(0, 7)"),
    "the sign a bit too low": ("(low_sum[NATURAL.width :] - sign)", "(low_sum[NATURAL.width :] - sign[1:])"),
    "high product without l": ("Cat(known[:PARTED], rest[PARTED:])", "Cat(rest[:PARTED], rest[PARTED:])"),
    "9 bits apart": ("OVERLAPPED = 10", "OVERLAPPED = 9"),
}


@pytest.mark.parametrize("bug", PARTING_BUGS)
def test_bugs_of_parting_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match="not always so"):
        prove_packed(2, CODE, SQUARE, broken("packed_dot_product", "PackedDotProduct", *PARTING_BUGS[bug]))


def test_a_bug_of_the_pe_is_refuted() -> None:
    bug = "total.eq(base + part)", "total.eq(base - part)"
    with pytest.raises(AssertionError, match="not always so"):
        prove_packed_pe(NATURAL, component=broken("packed_conv_pe", "PackedConvPE", *bug))
