"""The area model: LUTs, flip-flops, DSPs and block RAM of a machine at once, instead of after minutes of synthesis.

Each figure is a sum of features of the network and the size (`features`), weighted by the coefficients in area.json,
which were fitted to synthesized designs. ``python -m fivebyfive.sim.fit_area`` (``make fit-area``) synthesizes and fits
them again: after a change of the hardware that moves its area. docs/measuring.md tells how far off it is.
"""

import json
from functools import cache
from math import ceil, gcd
from pathlib import Path

from .config import Config
from .shape import CONV_WORD, FC_WORD, IMAGE, LeNetShape

__all__ = ["TABLE", "estimate_area", "features"]

TABLE = Path(__file__).parent / "area.json"
SIZES = {"xc7": (1024, 36), "ecp5": (1024, 18)}  # words and bits of a RAMB36E1 and of a DP16KD
LUTRAM = {"xc7": (64, 3, 4), "ecp5": (16, 4, 6)}  # words and bits of a piece of distributed RAM, and its LUTs
SUM_BITS = 14  # of a partial sum


@cache
def table() -> dict:
    return json.loads(TABLE.read_text())


def estimate_area(shape: LeNetShape, config: Config, family: str) -> dict[str, float]:
    """lut, lutram, ff, dsp and bram, as synthesis would count them."""
    given = features(shape, config, family)
    area = {
        what: max(0, round(sum(weight * given[name] for name, weight in weights.items())))
        for what, weights in table()[family]["coefficients"].items()
    }
    return area


def features(shape: LeNetShape, config: Config, family: str) -> dict[str, float]:
    """What the area depends on, by name: counts of units, and the pieces that memories are cut into."""
    pes, rows = config.windows * config.outputs, config.fc_rows
    packed = pes + rows if getattr(config, "packed", False) else 0
    two_rows = 2 if config.windows == 4 else 1
    banks = min(config.outputs, shape.conv1) * two_rows
    early = rows * len(range(0, shape.fc[0], rows)) if config.inputs_outside(shape, 0) else 0
    return {
        "machine": 1,
        "windows": config.windows,
        "outputs": config.outputs,
        "pes": pes,
        "rows": rows,
        "early_rows": rows if early else 0,
        "packed_pes": pes if packed else 0,
        "packed_rows": rows if packed else 0,
        "banks": banks,
        "starts": lane_starts(config.outputs, shape.conv2) + lane_starts(rows, *shape.fc[:-1]),
        "weight_blocks": weight_blocks(shape, config, family),
        "map_blocks": map_blocks(shape, config, family, banks, two_rows),
        "lutram_pieces": lutram_pieces(shape, config, family, early),
    }


def lane_starts(parallel: int, *widths: int) -> int:
    """Lanes of a word at which ``parallel`` activations can begin: the inputs of a multiplexer at each lane."""
    return FC_WORD // gcd(FC_WORD, *(min(parallel, width) for width in widths), *(w % parallel for w in widths))


def weight_blocks(shape: LeNetShape, config: Config, family: str) -> int:
    """Block RAMs of both weight memories."""
    kernels = shape.conv1 + shape.conv2 * shape.conv1
    conv = kernels + ceil(shape.conv1 / CONV_WORD) + ceil(shape.conv2 / CONV_WORD)
    fc = sum(
        ceil(outputs / config.fc_rows) * ceil(inputs / FC_WORD) + ceil(outputs / (FC_WORD * config.fc_rows))
        for outputs, inputs in zip(shape.fc, shape.fc_inputs, strict=True)
    )
    return blocks(conv, 8 * CONV_WORD, family) + blocks(fc, 8 * FC_WORD * config.fc_rows, family)


def map_blocks(shape: LeNetShape, config: Config, family: str, banks: int, two_rows: int) -> int:
    """Block RAMs of the image buffer and of conv1's feature maps, a bank of rows each."""
    words = ceil(shape.conv1 / config.outputs) * shape.pool1_out // two_rows
    image = blocks(2 * IMAGE // two_rows, 8 * IMAGE, family) * two_rows
    return image + banks * blocks(words, 8 * shape.pool1_out, family)


def lutram_pieces(shape: LeNetShape, config: Config, family: str, early: int) -> int:
    """LUTs of the distributed RAMs: activations, partial sums of convolutions and of early fc1, rows being pooled."""
    memories = [(2 * ceil(shape.fc_inputs[0] / FC_WORD), 8 * FC_WORD)]
    memories += [(2 * ceil(max(shape.fc[:-1]) / FC_WORD), 8 * FC_WORD)] if len(shape.fc) > 1 else []
    memories += [(shape.conv2_out**2 // config.windows, SUM_BITS)] * (config.windows * config.outputs)
    memories += [(shape.pool1_out, 8 * config.outputs)]
    memories += [(early // config.fc_rows, SUM_BITS)] * config.fc_rows if early else []
    deep, wide, luts = LUTRAM[family]
    return sum(ceil(words / deep) * ceil(bits / wide) * luts for words, bits in memories)


def blocks(words: int, bits: int, family: str) -> int:
    """Block RAMs of a memory, in the narrowest shape that is deep enough, or several one above the other."""
    deep, wide = SIZES[family]
    shapes = [(deep >> 1, 2 * wide)] + [(deep << n, max(1, wide >> n)) for n in range(4)]
    return min(ceil(words / depth) * ceil(bits / width) for depth, width in shapes)
