"""Shapes that the components share: a code, an accumulator, the words of the memories."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import FC_WORD

__all__ = ["ACC", "CODE", "FC_LANES", "NATURAL", "NO_COLLISIONS", "codes", "memory_kind"]

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
