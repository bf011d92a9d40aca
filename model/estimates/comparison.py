"""What there is to compare of checkpoints, and which of them no other beats: rows of what `compare` prints."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Compared", "front"]


@dataclass(frozen=True)
class Compared:
    """A checkpoint and the machine made for it.

    ``errors`` of ``images``, by the golden model. ``engines``: what was chosen for its weights; none are the dense
    ones. ``bytes``: of the packed file; ``huffman_bytes``: of one without the range coder. ``products``: what the
    engines multiply for an image, of ``macs``. Cycles: of the hardware's counters in a simulation of ``rtl_images``
    images, whose logits were the golden model's, or of the cycle model where there are none. ``ramb36`` and what
    follows it: by synthesis for the 7 series, None without; ``lut`` is logic, ``lutram`` comes on top. ``energy_pj``:
    an estimate (`energy`). ``images_per_s``: at ``clock_mhz``. ``other_errors``: by the name of each further test set.
    """

    name: str
    network: str
    sha256: str
    engines: tuple[str, ...]
    errors: int
    images: int
    parameters: int
    nonzero_weights: int
    bytes: int
    huffman_bytes: int
    macs: int
    products: int
    conv_cycles: int
    fc_cycles: int
    latency_cycles: int
    interval_cycles: float
    rtl_images: int
    multipliers: int
    ramb36: float | None
    conv_weights_ramb36: float | None
    fc_weights_ramb36: float | None
    dsp: int | None
    lut: int | None
    lutram: int | None
    ff: int | None
    energy_pj: float
    images_per_s: float
    clock_mhz: float
    other_errors: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def front(rows: Sequence[Compared], figure: str) -> list[Compared]:
    """Rows that no other beats in both errors and ``figure`` (a field; less is better), the fewest errors first; only
    rows that have that figure."""
    kept: list[Compared] = []
    known = [one for one in rows if getattr(one, figure) is not None]
    for one in sorted(known, key=lambda one: (one.errors, getattr(one, figure))):
        if not kept or getattr(one, figure) < getattr(kept[-1], figure):
            kept.append(one)
    return kept
