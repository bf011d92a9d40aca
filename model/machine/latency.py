"""Latencies of the pipeline, in cycles: the hardware is built with them, the cycle model counts with them."""

from collections.abc import Iterable

from fivebyfive.model.network import Pool
from fivebyfive.model.shape import ceil_div

__all__ = [
    "ACTIVATION_MEMORY", "BANK_GROUP", "DIVISION", "MAP_MEMORY", "POOLING", "SELECT", "TABLE_LOOKUP", "bank_latency",
    "dot_product_latency", "pooling_latency",
]  # fmt: skip

ACTIVATION_MEMORY = 1  # from the address of activations to their codes
MAP_MEMORY = 4  # from start to the first rows: address, memory, a register beside it, output register
POOLING = 2  # from the last code of a cell to its maximum: a register per comparison
DIVISION = 8  # of a sum: a register per bit of the quotient
TABLE_LOOKUP = 1  # from a code to that of a table
SELECT = 2  # from a selected activation to the address of its weights: its lane, its code
BANK_GROUP = 5  # banks joined at once; with the word of the group before, the six inputs of a LUT of the 7 series


def bank_latency(banks: int) -> int:
    """From an address to its word in a weight memory of this number of banks."""
    return 3 if banks == 1 else 5 + ceil_div(banks, BANK_GROUP)


def dot_product_latency(terms: int) -> int:
    """From the operands of a dot product to their sum: operand and product registers, and one per level of the adder
    tree."""
    return 2 + (terms - 1).bit_length()


def pooling_latency(pools: Iterable[Pool | None]) -> int:
    """From the last code of a window to its result, in a unit for these pools (None: no pool). Averages of other than a
    power of two are divided, and then all results go that way."""
    divided = any(pool and pool.kind == "average" and pool.size & (pool.size - 1) for pool in pools)
    return POOLING + DIVISION * divided
