"""The transforms and the PE of Winograd's convolution are what their matrices say, for all operands.

Everything is modulo 2**16. Transforms have no multipliers; each stage of adders is proved from any contents of the
registers in front of it, and the product of the stages' matrices is compared. In the PE each product of 16 x 16 bits is
cut out as an unknown function of its operands. That the matrices make a convolution is a matter of their numbers alone:
`tests/model/test_winograd.py`.
"""

from functools import reduce

import numpy as np
import pytest
from bitwuzla import Kind

from fivebyfive.hw.common.types import CODE
from fivebyfive.hw.conv import conv_pe
from fivebyfive.hw.products import matrix_transform
from fivebyfive.model.winograd import INPUT, OUTPUT, PRODUCTS

from .lib.bits import TERMS, Bits, const, prove
from .lib.netlist import Frame, Netlist, netlist
from .lib.seeded import broken

BUG = "not always so"
WIDTH = 16
_WORD, _LONG = TERMS.mk_bv_sort(WIDTH), TERMS.mk_bv_sort(2 * WIDTH)
_TIMES = TERMS.mk_const(TERMS.mk_fun_sort([_WORD, _WORD], _LONG), "times_16")


def times(x: Bits, w: Bits) -> Bits:
    """The product of two numbers of 16 bits, in 32."""
    return Bits(TERMS.mk_term(Kind.APPLY, [_TIMES, x.term, w.term]), 2 * WIDTH)


def multiply(a: Bits, b: Bits) -> Bits:
    """In place of a multiplication in a netlist, of two numbers of 16 bits that were extended with their signs."""
    prove({"operands have 16 bits": (a == a[:WIDTH].sext(a.width)) & (b == b[:WIDTH].sext(b.width))})
    return times(a[:WIDTH], b[:WIDTH])[: a.width]


def run(design: Netlist, cycles: int) -> list[Frame]:
    """Cycles one after the other from any state, with any inputs, without reset."""
    frames = [design.frame("cycle 0", multiply=multiply)]
    for number in range(1, cycles + 1):
        frames.append(frames[-1].next(f"cycle {number}"))
    return frames


def on_both_sides(stage, inner: list[list[Bits]]) -> list[list[Bits]]:
    """A matrix times another one times the transposed matrix, modulo 2**16."""

    def total(left, right) -> Bits:
        sum_ = const(0, WIDTH)
        for r, c in zip(*np.nonzero(np.outer(left, right)), strict=True):
            factor = left[r] * right[c]
            sum_ = (sum_ + inner[r][c] * factor if factor > 0 else sum_ - inner[r][c] * -factor)[:WIDTH]
        return sum_

    return [[total(left, right) for right in stage] for left in stage]


def prove_stages(frames: list[Frame], stages, matrix: np.ndarray, width: int, inside: str = "") -> None:
    """Each stage, from any contents of the registers in front of it, is its matrix; and these make ``matrix``."""
    now, then = frames[:2]

    def elements(frame: Frame, number: int) -> list[list[Bits]]:
        """What is in front of a stage, or behind the last one; in 16 bits."""
        size = len(stages[number][0]) if number < len(stages) else len(stages[-1])
        if 0 < number < len(stages):
            return [[frame[f"{inside}held_{number}_{r}_{c}"].sext(WIDTH) for c in range(size)] for r in range(size)]
        port, bits = ("o", WIDTH) if number else ("i", width)
        payload = frame[f"{inside}{port}__payload"]
        return [[payload.word(size * r + c, bits).sext(WIDTH) for c in range(size)] for r in range(size)]

    for number, stage in enumerate(stages):
        found = elements(then if number + 1 < len(stages) else now, number + 1)
        expected = on_both_sides(stage, elements(now, number))
        for r, row in enumerate(expected):
            prove({f"stage {number}, {r}, {c}": found[r][c] == one for c, one in enumerate(row)})
    assert np.array_equal(reduce(lambda product, stage: np.array(stage) @ product, stages, np.eye(6)), matrix), BUG


def prove_transform(component=matrix_transform.MatrixTransform) -> None:
    transform = component(conv_pe.INPUT_STAGES, CODE, WIDTH)
    frames = run(netlist(transform), transform.latency)
    prove_stages(frames, conv_pe.INPUT_STAGES, INPUT, CODE.width)
    prove({"valid": frames[-1]["o__valid"] == frames[0]["i__valid"]})


def prove_pe(component=conv_pe.WinogradPE, stages=conv_pe.OUTPUT_STAGES) -> None:
    """Products go through the transform, and what comes out is added to the base without its two lowest bits."""
    pe = component()
    frames = run(netlist(pe), pe.latency)
    prove_stages(frames, stages, OUTPUT, WIDTH, "transform.")
    payload, o, base = frames[0]["i__payload"], frames[-1]["o__payload"], frames[pe.base_latency]["base"]
    multiplied, transformed = frames[2]["transform.i__payload"], frames[pe.base_latency - 1]["transform.o__payload"]
    claims = {}
    for n in range(PRODUCTS):
        product = times(payload.word(n, WIDTH), payload.word(PRODUCTS + n, WIDTH))
        claims[f"product {n}"] = multiplied.word(n, WIDTH) == product[:WIDTH]
    for n in range(4):
        claims[f"sum {n}"] = o.word(n, 14) == (base.word(n, 14) + transformed.word(n, WIDTH)[2:])[:14]
    prove(claims | {"valid": frames[-1]["o__valid"] == frames[0]["i__valid"]})


def test_transform_of_tiles() -> None:
    prove_transform()


def test_pe() -> None:
    prove_pe()


TRANSFORM_BUGS = {
    "adds what is taken": ("reduce(sub, taken", "reduce(add, taken"),
    "a bit is lost": ("Shape(min(len(total), self.bits)", "Shape(min(len(total), self.bits - 1)"),
    "unsigned": ("self.bits), total.shape().signed)", "self.bits), False)"),
    "3 is 1": ("abs(factor) >> place & 1", "abs(factor) >> place == 1"),
    "transposed": ("self.o.payload[r][c].eq(value)", "self.o.payload[c][r].eq(value)"),
    "a register too few": ("delay(m, self.i.valid, self.latency,", "delay(m, self.i.valid, self.latency - 1,"),
}


@pytest.mark.parametrize("bug", TRANSFORM_BUGS)
def test_bugs_of_the_transform_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match=BUG):
        prove_transform(broken("matrix_transform", "MatrixTransform", *TRANSFORM_BUGS[bug]))


PE_BUGS = {
    "wrong pair": ("held.x[n] * held.w[n]", "held.x[n] * held.w[n - 1]"),
    "unsigned": ("held.x[n] * held.w[n]", "held.x[n].as_unsigned() * held.w[n]"),
    "three bits dropped": ("window[BITS - ACC.width :]", "window[3:]"),
    "another point": ("(1, 0, 2), (0, 1, -1)", "(1, 0, 2), (0, 1, -2)"),
    "base of another window": ("total.eq(base + part)", "total.eq(self.base[0] + part)"),
    "valid too early": ('transform.o.valid, 2, name="valid"', 'transform.o.valid, 1, name="valid"'),
}


@pytest.mark.parametrize("bug", PE_BUGS)
def test_bugs_of_the_pe_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match=BUG):
        prove_pe(broken("conv_pe", "WinogradPE", *PE_BUGS[bug]))
