"""The conv PE, the dot product and the row of the fully-connected engine are what they say, for all operands.

From any state, with any operands in any cycle: registers and adders are unrolled over the latency, products are cut
out (products.py), and what is left, a tree of 14-bit adders against an exact sum, the solver's normal form of sums
decides. No reset is needed and no number of cycles is assumed; rows follow any number of words by one word's step.
"""

import pytest

from fivebyfive.hw.conv import conv_pe
from fivebyfive.hw.fc import fc_row, sparse_fc_engine
from fivebyfive.hw.products import dot_product, xnor_dot_product

from .lib.bits import Bits, all_of, const, fresh, mux, prove
from .lib.netlist import Frame, Netlist, netlist
from .lib.products import exact_sum, multiply, prove_multiplier
from .lib.seeded import broken

BUG = "not always so"


def run(design: Netlist, cycles: int) -> list[Frame]:
    """Cycles one after the other from any state, with any inputs, without reset."""
    frames = [design.frame("cycle 0", multiply=multiply)]
    for number in range(1, cycles + 1):
        frames.append(frames[-1].next(f"cycle {number}"))
    return frames


def words(value: Bits, count: int, first: int = 0) -> list[Bits]:
    """``count`` codes of a payload, from code number ``first`` on."""
    return [value.word(first + n, 8) for n in range(count)]


def prove_dot_product(terms: int, component=dot_product.DotProduct) -> None:
    dot = component(terms)
    frames = run(netlist(dot), dot.latency)
    payload, o = frames[0]["i__payload"], frames[-1]
    exact = exact_sum(const(0, 1), words(payload, terms), words(payload, terms, terms))
    prove({"sum": o["o__payload"] == exact[:14], "valid": o["o__valid"] == frames[0]["i__valid"]})


def prove_xnor(terms: int, component=xnor_dot_product.XnorDotProduct, shifts: tuple[int, ...] = (0, 3)) -> None:
    """With operands that are all -1 or 1, the sum of products, shifted as the layer is."""
    dot = component(terms, shifts)
    frames = run(netlist(dot), dot.latency)
    payload, o = frames[0]["i__payload"], frames[-1]
    operands = words(payload, 2 * terms)
    bits = all_of((operand == 1) | (operand == 255) for operand in operands)
    total = const(0, 14)
    for x, w in zip(operands[:terms], operands[terms:], strict=True):
        total = (total + (x.sext(14) * w.sext(14))[:14])[:14]
    for layer, shift in enumerate(shifts):
        there = bits & (o["layer"] == layer)
        prove({f"sum of layer {layer}": there.implies(o["o__payload"] == (total * (1 << shift))[:14])})
    prove({"valid": o["o__valid"] == frames[0]["i__valid"]})


def prove_conv_pe(component=conv_pe.ConvPE, kernel: int = 5) -> None:
    pe, terms = component(kernel=kernel), kernel**2
    frames = run(netlist(pe), pe.latency)
    payload, o = frames[0]["i__payload"], frames[-1]
    exact = exact_sum(frames[pe.base_latency]["base"], words(payload, terms), words(payload, terms, terms))
    prove({"partial sum": o["o__payload"] == exact[:14], "valid": o["o__valid"] == frames[0]["i__valid"]})


class Row:
    """A row, unrolled from any state; word 0 is the one that the claims are about."""

    def __init__(self, row):
        self.row = row
        self.at = row.latency  # the cycle in which the word is in the sum
        self.frames = run(netlist(row), self.at + 1)
        payload = self.frames[0]["i__payload"]
        self.x, self.w, self.bias = words(payload, 20), words(payload, 20, 20), words(payload, 1, 40)[0]
        self.first, self.last, self.valid = payload[328], payload[329], self.frames[0]["i__valid"]
        self.keep, self.output = (payload[330], payload[331:]) if row.kept else (const(0, 1), const(0, 1))

    def kept(self, cycle: int, output: Bits) -> Bits:
        """The partial sum in the memory, as a cycle finds it."""
        return self.frames[cycle].memory("sums", output)

    def dot(self) -> Bits:
        """The sum of the word's products, as it leaves the tree."""
        return self.frames[self.at - 1]["dot.o__payload"]

    def claims(self) -> dict[str, Bits]:
        """What becomes of the word, given that `dot` is right."""
        total = [frame["total"] for frame in self.frames]
        before = total[self.at - 1]
        if self.row.kept:
            before = mux(self.keep, self.kept(self.at - 2, self.output), before)
        base = mux(self.first, self.bias.zext(14) * 64, before)
        o = self.frames[self.at]
        claims = {
            "sum": total[self.at] == mux(self.valid, (base[:14] + self.dot())[:14], total[self.at - 1]),
            "code": o["o__payload"] == total[self.at][6:],
            "valid": o["o__valid"] == (self.valid & self.last),
        }
        if self.row.kept:
            other = fresh("other", self.output.width)
            written = self.valid & self.keep & (other == self.output)
            kept = self.kept(self.at + 1, other) == mux(written, total[self.at], self.kept(self.at, other))
            claims["kept"] = (other < self.row.kept).implies(kept)
        return claims


def prove_row(kept: int, component=fc_row.FcRow) -> None:
    """A word's products and its base become the sum and, marked ``last``, its code. Where sums are kept: the base is
    what the memory holds in cycle 6 of a word, and its sum is there from cycle 9 on, unchanged until another word of
    the output; so words of an output three cycles apart are added to each other."""
    row = Row(component(kept))
    prove({"dot": row.dot() == exact_sum(const(0, 1), row.x, row.w)[:14]})
    prove(row.claims())


def prove_sparse_row(groups: int, component=sparse_fc_engine.SparseFcRow) -> None:
    """A word's products are added to the sums that the memory holds in cycle 2 of the word, where words of the same
    group in the cycles before are already in; the new sums are there from cycle 3 on, and those of no other group
    change. With ``last`` they come out as codes."""
    row = component(groups)
    frames = run(netlist(row), row.latency)
    payload, valid, (now, then) = frames[0]["i__payload"], frames[0]["i__valid"], frames[-2:]
    x, w, first, last, group = payload[:8], words(payload, 20, 1), payload[168], payload[169], payload[170:]
    there = group < groups
    total, kept = then["total"], now.memory("sums", group)
    other = fresh("other", group.width)
    changed = mux(valid & (other == group), total, now.memory("sums", other))
    claims = {
        "other sums": (there & (other < groups)).implies(then.memory("sums", other) == changed),
        "valid": then["o__valid"] == (valid & last),
    }
    for lane in range(20):
        exact = exact_sum(mux(first, const(0, 14), kept.word(lane, 14)), [x], [w[lane]])[:14]
        sums = mux(valid, exact, now["total"].word(lane, 14))
        claims[f"sum {lane}"] = there.implies(total.word(lane, 14) == sums)
        claims[f"code {lane}"] = then["o__payload"].word(lane, 8) == total.word(lane, 14)[6:]
    prove(claims)


def test_multiplier() -> None:
    prove_multiplier()


@pytest.mark.parametrize("terms", [1, 2, 3, 10, 20, 25])
def test_dot_product(terms: int) -> None:
    prove_dot_product(terms)


@pytest.mark.parametrize("terms", [1, 5, 20])
def test_xnor(terms: int) -> None:
    prove_xnor(terms)


@pytest.mark.parametrize("kernel", [3, pytest.param(4, marks=pytest.mark.full), 5, 6, 7])
def test_conv_pe(kernel: int) -> None:
    prove_conv_pe(kernel=kernel)


@pytest.mark.parametrize("kept", [0, 25, 500])
def test_row(kept: int) -> None:
    prove_row(kept)


def test_words_of_a_kept_output_must_be_three_cycles_apart() -> None:
    row = Row(fc_row.FcRow(500))
    assert row.at - 2 + 3 == row.at + 1


TREE_BUGS = {
    "a term is lost": ("range(0, len(level), 2)]", "range(0, len(level) - len(level) % 2, 2)] or level[:1]"),
    "13 bits": ("return product[: Q2_6.acc_bits]", "return product[: Q2_6.acc_bits - 1]"),
    "wrong pair": ("held.w[term], term)", "held.w[term - 1], term)"),
    "unsigned": ("product.eq(x * w)", "product.eq(x.as_unsigned() * w)"),
    "a stage too few": ("self.latency, name", "self.latency - 1, name"),
    "lower bit": ("product[: Q2_6.acc_bits]", "(product | 1)[: Q2_6.acc_bits]"),
}


@pytest.mark.parametrize("bug", TREE_BUGS)
def test_bugs_of_the_dot_product_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match=BUG):
        prove_dot_product(25, broken("dot_product", "DotProduct", *TREE_BUGS[bug]))


XNOR_BUGS = {
    "nor": ("differ.eq(x ^ w)", "differ.eq(x | w)"),
    "a bit too few": ("range(count + 1)", "range(count)"),
    "halved": ("<< 1)", "<< 0)"),
    "a term is lost": ("sum(pair[1:], pair[0])", "pair[0]"),
    "lower bit of an operand": ("code[-1] for code in self.i.payload.w", "code[0] for code in self.i.payload.w"),
    "one layer's shift": ("shifted[self.layer]", "shifted[0]"),
    "a stage too many": ("self.latency, name", "self.latency + 1, name"),
}


@pytest.mark.parametrize("bug", XNOR_BUGS)
def test_bugs_of_exclusive_nors_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match=BUG):
        prove_xnor(5, broken("xnor_dot_product", "XnorDotProduct", *XNOR_BUGS[bug]))


@pytest.mark.parametrize("bug", TREE_BUGS)
def test_bugs_inside_the_conv_pe_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match=BUG):
        prove_conv_pe(broken("conv_pe", "ConvPE", *TREE_BUGS[bug], within="dot_product"))


def test_a_bug_of_the_conv_pe_is_refuted() -> None:
    with pytest.raises(AssertionError, match=BUG):
        prove_conv_pe(broken("conv_pe", "ConvPE", "self.base + dot.o.payload", "self.base | dot.o.payload"))


ROW_BUGS = {
    "bias at the wrong place": ("Cat(Const(0, Q2_6.frac_bits), bias), before", "Cat(Const(0, 5), bias), before"),
    "bias of the word after": ('dot.latency, name="flags"', 'dot.latency - 1, name="flags"'),
    "adds without a word": ("with m.If(dot.o.valid):", "with m.If(dot.o.valid | last):"),
    "rounds": ("total[Q2_6.frac_bits :]", "(total + 32)[Q2_6.frac_bits :][:8]"),
    "kept too late": ('early, 2, name="output_written"', 'early, 3, name="output_written"'),
    "keeps without a word": ("written[0] & delay(", "written[0] | delay("),
    "base of the wrong output": ("read.addr.eq(early[1:])", "read.addr.eq(early[1:] ^ 1)"),
}


@pytest.mark.parametrize("bug", ROW_BUGS)
def test_bugs_of_the_row_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match=BUG):
        prove_row(25, broken("fc_row", "FcRow", *ROW_BUGS[bug]))


@pytest.mark.parametrize(
    "groups", [pytest.param(2, marks=pytest.mark.full), 25, pytest.param(205, marks=pytest.mark.full)]
)
def test_sparse_row(groups: int) -> None:
    prove_sparse_row(groups)


SPARSE_ROW_BUGS = {
    "the word before is not seen": ("again.eq(valid & (held.group == group))", "again.eq(0)"),
    "the word before of another group": ("again.eq(valid & (held.group == group))", "again.eq(valid)"),
    "of a word that is none": ("again.eq(valid & (held.group == group))", "again.eq(held.group == group)"),
    "never begins": ("Mux(first, 0, before) + product", "before + product"),
    "writes without a word": ("write.en.eq(valid)", "write.en.eq(1)"),
    "reads another group": ("read.addr.eq(held.group)", "read.addr.eq(held.group ^ 1)"),
    "another lane's weight": ("held.x * held.w[lane]", "held.x * held.w[lane - 1]"),
    "13 bits": ("product[: ACC.width]", "product[: ACC.width - 1]"),
    "rounds": ("total[lane][Q2_6.frac_bits :]", "(total[lane] + 32)[Q2_6.frac_bits :][:8]"),
    "all results come out": ("self.o.valid.eq(valid & last)", "self.o.valid.eq(valid)"),
}


@pytest.mark.parametrize("bug", SPARSE_ROW_BUGS)
def test_bugs_of_the_sparse_row_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match=BUG):
        prove_sparse_row(25, broken("sparse_fc_engine", "SparseFcRow", *SPARSE_ROW_BUGS[bug]))
