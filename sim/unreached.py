"""Why a bench never sees some blocks run and some bits toggle: what was looked at and found to be no hole.

`fivebyfive.verify_coverage` asks for the reason of each block and signal that `coverage` found never seen. What sits in
a part that has a bench of its own is that bench's business: inside a larger machine a part sees one size, one set of
weights and what its neighbours can do.
"""

import re

__all__ = ["of_another_bench", "reason"]

# Modules inside a component that have benches of their own, under the component's name.
PARTS = re.compile(
    r"(?:conv_pe|packed_conv_pe|conv_array|conv_engine|fc_row|packed_fc_row|fc_engine|image_buffer|accelerator|lenet)_\w+"
    r"|axi_core_accelerator\w*|serial_accelerator_(?:lenet|deframer|framer|receiver|transmitter)\w*"
)

REASONS: tuple[tuple[str, str], ...] = ()


def of_another_bench(module: str) -> bool:
    """Whether a module is a part that has a bench of its own."""
    return PARTS.fullmatch(module) is not None


def reason(what: str) -> str | None:
    """Why ``what`` (``module.signal[bits]``, or ``module:line kind: text``) was never seen; None if nobody knows."""
    if (found := re.search(r"\[([\d, ]+)\]$", what)) and all(int(bit) % 8 == 7 for bit in found[1].split(",")):
        return "the sign of codes that are never negative: pixels, and what ReLU has made"
    return next((why for pattern, why in REASONS if re.match(pattern, what)), None)
