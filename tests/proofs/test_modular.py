"""The modular theorem: an accumulator of 14 bits gives the same code as an exact one, after any number of terms.

Over all integers (solver: Z3, linear integer arithmetic; nothing here has a width). E is the exact sum so far, of any
size, M what the accumulator holds, p the next product. By induction over the terms:

    base   M = E mod 2**14 for E = 64 bias, where M is the bias's byte in front of six zeros
    step   M = E mod 2**14  =>  (M + p mod 2**14) mod 2**14 = (E + p) mod 2**14, whether or not p was cut before
    code   M = E mod 2**14  =>  both have the same code, wrap8(floor(E / 64))

Base and step give M = E mod 2**14 after every number of terms, in any order or tree; with it the code is the same.
test_products.py proves of the RTL that it does just this step.
"""

import numpy as np
import pytest
import z3

from fivebyfive.model.q26 import Q2_6

WRAP = 1 << Q2_6.acc_bits


def code(acc, shift: int = Q2_6.frac_bits):
    """wrap8(floor(acc / 64)) of an integer; division and remainder of SMT-LIB are those of floor."""
    return (acc / (1 << shift) + 128) % 256 - 128


def prove(claim: z3.BoolRef, given: z3.BoolRef) -> None:
    solver = z3.Solver()
    solver.set("timeout", 60_000)
    solver.add(given, z3.Not(claim))
    result = solver.check()
    assert result == z3.unsat, f"not always so: {solver.model()}" if result == z3.sat else "no answer"


def prove_theorem(bits: int = Q2_6.acc_bits, step=lambda acc, product: acc + product, code_of=code) -> None:
    exact, held, product, byte = z3.Ints("exact held product byte")
    wrap = 1 << bits
    bias = z3.If(byte < 128, byte, byte - 256)
    prove(byte * 64 % wrap == bias * 64 % wrap, z3.And(byte >= 0, byte < 256))
    same = held == exact % wrap
    for cut in (product, product % wrap):
        prove(step(held, cut) % wrap == step(exact, product) % wrap, same)
    prove(code_of(held) == code_of(exact), same)


def test_theorem() -> None:
    prove_theorem()


def test_the_code_of_the_theorem_is_the_golden_model_s() -> None:
    acc = np.arange(-5 * WRAP, 5 * WRAP)
    acc = np.concatenate([acc, acc + (1 << 40), acc - (1 << 40)])
    assert (code_of_array(acc) == Q2_6.requantize(acc)).all()
    solver, one = z3.Solver(), z3.Int("one")
    for value in (-WRAP - 65, -64, -63, -1, 0, 63, 127 * 64 + 63, 128 * 64, 3 * WRAP + 777):
        solver.push()
        solver.add(one == value, code(one) == int(Q2_6.requantize(np.array([value]))[0]))
        assert solver.check() == z3.sat
        solver.pop()


def code_of_array(acc: np.ndarray) -> np.ndarray:
    """`code` in NumPy, whose // and % are those of floor too."""
    return (acc // 64 + 128) % 256 - 128


BUGS = {
    "13 bits": {"bits": Q2_6.acc_bits - 1},
    "saturates": {"step": lambda acc, product: z3.If(acc + product > WRAP, WRAP, acc + product)},
    "clamps the code": {"code_of": lambda acc: z3.If(acc / 64 > 127, 127, z3.If(acc / 64 < -128, -128, acc / 64))},
    "keeps a bit too high": {"code_of": lambda acc: code(acc, Q2_6.frac_bits + 1)},
}


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match="not always so"):
        prove_theorem(**BUGS[bug])
