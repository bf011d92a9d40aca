"""Multipliers cut out of a proof: both sides call the same unknown function, so that only operands and sums are left.

A proof about an adder tree needs nothing of a product but that equal operands give equal ones. In the netlist each
multiplication is replaced by `times`, an uninterpreted function, and the specification uses the same function. What
holds for all functions holds for the true product. `prove_multiplier` shows that the netlist's multiplication is that.
"""

from bitwuzla import Kind

from .bits import TERMS, Bits, fresh, prove

__all__ = ["exact_sum", "prove_multiplier", "times"]

_BYTE, _WORD = TERMS.mk_bv_sort(8), TERMS.mk_bv_sort(16)
_TIMES = TERMS.mk_const(TERMS.mk_fun_sort([_BYTE, _BYTE], _WORD), "times")
EXACT = 40  # bits in which no sum of the proofs overflows


def times(x: Bits, w: Bits) -> Bits:
    """The product of two codes of 8 bits, a signed number of 16 bits."""
    return Bits(TERMS.mk_term(Kind.APPLY, [_TIMES, x.term, w.term]), 16)


def multiply(a: Bits, b: Bits) -> Bits:
    """In place of a multiplication in a netlist, of two codes that were extended to 16 bits with their signs.

    That they are so extended is proved on the spot; only their low 8 bits are passed on.
    """
    prove({"operands are codes": (a == a[:8].sext(a.width)) & (b == b[:8].sext(b.width))})
    if a.width != 16:
        raise AssertionError(f"a product of two codes has 16 bits, not {a.width}")
    return times(a[:8], b[:8])


def exact_sum(base: Bits, xs: list[Bits], ws: list[Bits]) -> Bits:
    """``base`` (unsigned) and the products of codes, without overflow."""
    total = base.zext(EXACT)
    for x, w in zip(xs, ws, strict=True):
        total = (total + times(x, w).sext(EXACT))[:EXACT]
    return total


def prove_multiplier() -> None:
    """Sign-extended operands multiplied modulo 2**16 are the exact product, for all 65,536 pairs of codes."""
    x, w = fresh("x", 8), fresh("w", 8)
    product = (x.sext(16) * w.sext(16))[:16]
    prove({"exact": product.sext(32) == (x.sext(32) * w.sext(32))[:32]})
