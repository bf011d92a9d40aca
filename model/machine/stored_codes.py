"""Which bits of the codes of a layer a memory holds: those that are neither constant nor copies of another bit.

A table (`fivebyfive.model.network.Layer.then`) says which codes a layer can have. Of -1 and 1 a single bit differs, as
all others follow its sign or are one: activations of one bit take one bit; those of 0 to 15 take four.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fivebyfive.model.golden import apply_steps
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.q26 import Q2_6

from .stages import stages

__all__ = ["WHOLE", "StoredCodes", "output_codes", "reads_bits", "stored_codes", "stored_outputs"]


@dataclass(frozen=True)
class StoredCodes:
    """``kept``: the bits of a code that are stored, ascending. ``sources``: of each bit of a code, the lowest first,
    the index into ``kept`` of a bit that equals it, or the constant that it is, 0 or 1, as -1 or -2."""

    kept: tuple[int, ...]
    sources: tuple[int, ...]

    @property
    def bits(self) -> int:
        """Bits of a stored code."""
        return len(self.kept)


WHOLE = StoredCodes(tuple(range(Q2_6.bits)), tuple(range(Q2_6.bits)))


def stored_codes(values: Iterable[int]) -> StoredCodes:
    """What a memory holds of these codes: at least one bit."""
    columns = [tuple(code >> bit & 1 for code in sorted(values)) for bit in range(Q2_6.bits)]
    varying = [bit for bit in WHOLE.kept if len(set(columns[bit])) > 1]
    kept = [bit for bit in varying if columns.index(columns[bit]) == bit] or [0]
    sources = [
        kept.index(columns.index(column)) if bit in varying or bit in kept else -1 - column[0]
        for bit, column in enumerate(columns)
    ]
    return StoredCodes(tuple(kept), tuple(sources))


def output_codes(layer: Layer, table: np.ndarray | None) -> set[int] | None:
    """The codes that a layer can have behind ``then``; None where it has no ``table``."""
    if table is None:
        return None
    codes = np.arange(Q2_6.min, Q2_6.max + 1)
    for step in layer.then:
        if not isinstance(step, Pool):
            codes = np.unique(apply_steps(codes.astype(np.int8), [step], table)).astype(int)
        elif step.kind == "average":  # of codes between the least and the largest
            codes = np.arange(codes.min(), codes.max() + 1)
    return set(codes.tolist())


def stored_outputs(layers: Iterable[Layer], tables: Mapping[str, np.ndarray]) -> StoredCodes:
    """What a memory holds of the outputs of these layers: all bits where one of them has no table."""
    found = [output_codes(layer, tables.get(f"{layer.name}.table")) for layer in layers]
    return WHOLE if None in found else stored_codes({code for codes in found for code in codes or ()})


def reads_bits(network: Network, tables: Mapping[str, np.ndarray]) -> bool:
    """Whether all that the FC engine reads are codes of -1 and 1."""
    parts = stages(network)
    read = [*(stage.layer for stage in parts.convs[-1:]), *(stage.layer for stage in parts.fc[:-1])]
    found = [output_codes(layer, tables.get(f"{layer.name}.table")) for layer in read]
    return bool(parts.convs) and all(codes == {-1, 1} for codes in found)
