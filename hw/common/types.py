"""Shapes that the components share: a code, an accumulator, the words of the memories."""

from amaranth.hdl import Cat, Const, Shape, Value, signed, unsigned
from amaranth.lib import data

from fivebyfive.model.machine.stored_codes import WHOLE, StoredCodes
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import FC_WORD

__all__ = [
    "ACC",
    "CODE",
    "FC_LANES",
    "NATURAL",
    "NO_COLLISIONS",
    "codes",
    "memory_kind",
    "narrowed",
    "stored_shape",
    "widened",
]

CODE = signed(Q2_6.bits)  # a Q2.6 weight, bias or activation
NATURAL = unsigned(Q2_6.bits - 1)  # a code that is never negative: of a pixel, or after ReLU
ACC = unsigned(Q2_6.acc_bits)  # an accumulator modulo 2**14: the bits that can reach a code
FC_LANES = FC_WORD  # codes of an FC or activation word

# Attribute of a memory in which no word is read in the cycle of its write, or the word read then is not used. Without
# it Yosys adds an address comparator and a register to every block RAM that has no such mode.
NO_COLLISIONS = {"no_rw_check": 1}
FEW_WORDS = 64  # of a memory in LUT RAM; deeper ones are block RAM


def memory_kind(words: int) -> dict[str, str | int]:
    """Attributes of a memory of ``words`` words that is written by the machine: of LUT RAM, or of block RAM without
    collisions."""
    return {"ram_style": "distributed"} if words <= FEW_WORDS else NO_COLLISIONS


def codes(count: int) -> data.ArrayLayout:
    """``count`` codes side by side, code 0 in the lowest bits."""
    return data.ArrayLayout(CODE, count)


def stored_shape(stored: StoredCodes) -> Shape:
    """Shape of a code in a memory."""
    return CODE if stored == WHOLE else unsigned(stored.bits)


def narrowed(code: Value, stored: StoredCodes) -> Value:
    """What a memory holds of a code."""
    return code if stored == WHOLE else Cat(code[bit] for bit in stored.kept)


def widened(held: Value, stored: StoredCodes) -> Value:
    """The code of which a memory holds ``held``."""
    if stored == WHOLE:
        return held
    return Cat(held[source] if source >= 0 else Const(-1 - source, 1) for source in stored.sources)
