"""Bit-vector terms with Python's operators, and the question whether a claim holds for all their values.

The solver is Bitwuzla (Niemetz and Preiner, CAV 2023). Everything is a bit-vector; a truth value has one bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bitwuzla import Bitwuzla, Kind, Option, Options, Result, Term, TermManager

__all__ = ["Bits", "RefutedError", "all_of", "any_of", "bit", "choose", "const", "fresh", "mux", "prove", "satisfiable"]

TERMS = TermManager()
LIMIT_MS = 500_000  # of one question: a proof that does not end is no proof


class RefutedError(AssertionError):
    """A claim is wrong; the message names it, and has the values that `prove` was to show."""


class Bits:
    """An unsigned number of ``width`` bits.

    ``+`` and ``-`` have a bit more than the longer operand, so that sums never overflow; ``*`` has the bits of both.
    Comparisons are unsigned; a difference below zero is a large number. Integers are taken for operands.
    """

    __slots__ = ("term", "width")

    def __init__(self, term: Term, width: int):
        self.term = term
        self.width = width

    def _with(self, other: Bits | int, more: int = 0) -> tuple[Term, Term, int]:
        other = const(other, max(other.bit_length(), 1)) if isinstance(other, int) else other
        width = max(self.width, other.width) + more
        return self.zext(width).term, other.zext(width).term, width

    def _make(self, kind: Kind, other: Bits | int, more: int = 0) -> Bits:
        a, b, width = self._with(other, more)
        return Bits(TERMS.mk_term(kind, [a, b]), width)

    def _compare(self, kind: Kind, other: Bits | int) -> Bits:
        a, b, _ = self._with(other)
        return bit(TERMS.mk_term(kind, [a, b]))

    def __add__(self, other):
        return self._make(Kind.BV_ADD, other, 1)

    def __sub__(self, other):
        return self._make(Kind.BV_SUB, other, 1)

    def __and__(self, other):
        return self._make(Kind.BV_AND, other)

    def __or__(self, other):
        return self._make(Kind.BV_OR, other)

    def __xor__(self, other):
        return self._make(Kind.BV_XOR, other)

    def __invert__(self):
        return Bits(TERMS.mk_term(Kind.BV_NOT, [self.term]), self.width)

    def __eq__(self, other):
        return self._compare(Kind.EQUAL, other)

    def __ne__(self, other):
        return ~(self == other)

    def __lt__(self, other):
        return self._compare(Kind.BV_ULT, other)

    def __le__(self, other):
        return self._compare(Kind.BV_ULE, other)

    def __gt__(self, other):
        return self._compare(Kind.BV_UGT, other)

    def __ge__(self, other):
        return self._compare(Kind.BV_UGE, other)

    __radd__, __rand__, __ror__ = __add__, __and__, __or__
    __hash__ = None

    def __mul__(self, other: Bits | int) -> Bits:
        other = const(other, max(other.bit_length(), 1)) if isinstance(other, int) else other
        width = self.width + other.width
        return Bits(TERMS.mk_term(Kind.BV_MUL, [self.zext(width).term, other.zext(width).term]), width)

    def __bool__(self) -> bool:
        raise TypeError("a term is neither true nor false; use & | ~ and implies")

    def __getitem__(self, key: int | slice) -> Bits:
        start, stop, step = (key if isinstance(key, slice) else slice(key, key + 1)).indices(self.width)
        if step != 1 or stop <= start:
            raise IndexError(f"no bits {key} in {self.width}")
        return Bits(TERMS.mk_term(Kind.BV_EXTRACT, [self.term], [stop - 1, start]), stop - start)

    def zext(self, width: int) -> Bits:
        """Zeros in front, up to ``width`` bits."""
        if width == self.width:
            return self
        return Bits(TERMS.mk_term(Kind.BV_ZERO_EXTEND, [self.term], [width - self.width]), width)

    def sext(self, width: int) -> Bits:
        """The sign in front, up to ``width`` bits."""
        if width == self.width:
            return self
        return Bits(TERMS.mk_term(Kind.BV_SIGN_EXTEND, [self.term], [width - self.width]), width)

    def fit(self, width: int) -> Bits:
        """Modulo 2**width, in ``width`` bits."""
        return self[:width] if width <= self.width else self.zext(width)

    def implies(self, other: Bits) -> Bits:
        """Of truth values."""
        return ~self | other

    def any(self) -> Bits:
        """Whether a bit is one."""
        return self != 0

    def word(self, index: Bits | int, width: int) -> Bits:
        """Word number ``index`` of ``width`` bits; zero beyond the last."""
        if isinstance(index, int):
            return self[index * width : (index + 1) * width]
        shift = (index * width).zext(max(self.width, (index * width).width))
        value = self.zext(shift.width)
        return Bits(TERMS.mk_term(Kind.BV_SHR, [value.term, shift.term]), value.width)[:width]


def const(value: int, width: int) -> Bits:
    """A number. Raises ValueError where it does not fit."""
    if not 0 <= value < 1 << width:
        raise ValueError(f"{value} has no place in {width} bits")
    return Bits(TERMS.mk_bv_value(TERMS.mk_bv_sort(width), int(value)), width)


def fresh(name: str, width: int) -> Bits:
    """A number that nothing is known of."""
    return Bits(TERMS.mk_const(TERMS.mk_bv_sort(width), name), width)


def bit(condition: Term) -> Bits:
    """A Boolean term of the solver as one bit."""
    one = TERMS.mk_bv_sort(1)
    return Bits(TERMS.mk_term(Kind.ITE, [condition, TERMS.mk_bv_one(one), TERMS.mk_bv_zero(one)]), 1)


def mux(condition: Bits, yes: Bits | int, no: Bits | int) -> Bits:
    """One of two numbers, as wide as the longer."""
    width = max(x.bit_length() or 1 if isinstance(x, int) else x.width for x in (yes, no))
    yes, no = (const(x, width) if isinstance(x, int) else x.zext(width) for x in (yes, no))
    return Bits(TERMS.mk_term(Kind.ITE, [truth(condition), yes.term, no.term]), width)


def choose(index: Bits, values: Sequence[Bits | int]) -> Bits:
    """Value number ``index``; the last one beyond it."""
    chosen = values[-1]
    for number in reversed(range(len(values) - 1)):
        chosen = mux(index == number, values[number], chosen)
    return chosen if isinstance(chosen, Bits) else const(chosen, max(chosen.bit_length(), 1))


def all_of(conditions: Iterable[Bits]) -> Bits:
    """Whether all of them hold."""
    result = const(1, 1)
    for condition in conditions:
        result = result & condition
    return result


def any_of(conditions: Iterable[Bits]) -> Bits:
    """Whether one of them holds."""
    return ~all_of(~condition for condition in conditions)


def truth(condition: Bits) -> Term:
    """A bit as a Boolean term of the solver."""
    if condition.width != 1:
        raise ValueError(f"a condition has one bit, not {condition.width}")
    return TERMS.mk_term(Kind.EQUAL, [condition.term, TERMS.mk_bv_one(TERMS.mk_bv_sort(1))])


def _solver(assuming: Iterable[Bits]) -> Bitwuzla:
    options = Options()
    options.set(Option.PRODUCE_MODELS, True)
    options.set(Option.TIME_LIMIT_PER, LIMIT_MS)
    solver = Bitwuzla(TERMS, options)
    for condition in assuming:
        solver.assert_formula(truth(condition))
    return solver


def satisfiable(conditions: Iterable[Bits]) -> bool:
    """Whether there are values for which all conditions hold. Raises TimeoutError."""
    result = _solver(conditions).check_sat()
    if result == Result.UNKNOWN:
        raise TimeoutError(f"the solver found no answer within {LIMIT_MS / 1000:g} s")
    return result == Result.SAT


def prove(claims: Mapping[str, Bits], assuming: Iterable[Bits] = (), show: Mapping[str, Bits] | None = None) -> None:
    """All claims hold for all values for which the assumptions do.

    Raises RefutedError where one does not, with the names of those and the values of ``show``; TimeoutError where there
    is no answer.
    """
    solver = _solver(assuming)
    solver.assert_formula(truth(~all_of(claims.values())))
    result = solver.check_sat()
    if result == Result.UNKNOWN:
        raise TimeoutError(f"no answer within {LIMIT_MS / 1000:g} s on {', '.join(claims)}")
    if result == Result.SAT:
        wrong = [name for name, claim in claims.items() if solver.get_value(truth(claim)).is_false()]
        values = [f"  {name} = {int(solver.get_value(x.term).value(10))}" for name, x in (show or {}).items()]
        raise RefutedError("\n".join([f"not always so: {', '.join(wrong)}", *values]))
