"""The area model: LUTs, flip-flops, DSPs and block RAM of a machine at once, instead of after minutes of synthesis.

The number of DSPs is exact. Each other figure is a sum of features of the network and the size (`features`), weighted
by the coefficients in area.json, which were fitted to synthesized designs. ``make fit-area`` synthesizes and fits them
again: after a change of the hardware that moves its area. docs/measuring.md tells how far off it is.
"""

import json
from functools import cache
from math import gcd, prod
from pathlib import Path

from fivebyfive.model.machine.config import Config, paired
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.weights import fc_banks, memory_depths
from fivebyfive.model.network import Network
from fivebyfive.model.shape import FC_WORD, ceil_div
from fivebyfive.support.errors import UserError

__all__ = ["MODELLED", "TABLE", "estimate_area", "features"]

TABLE = Path(__file__).parent / "area.json"
BLOCK_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))  # words, bits: RAMB18E1, DP16KD
BLOCK = {"xc7": 0.5, "ecp5": 1}  # of one of those, in RAMB36E1 and in DP16KD
MODELLED = tuple(BLOCK)  # device families
SHALLOW = 64  # a map memory with at most that many words becomes distributed RAM
SUM_BITS = 14  # of a partial sum
BYTE = 8  # bits of a code, the part of a word that is written by itself


@cache
def table() -> dict:
    return json.loads(TABLE.read_text())


def estimate_area(network: Network, config: Config, family: str) -> dict[str, float]:
    """lut, lutram, ff, dsp and bram, as synthesis would count them. Raises UserError for a family that is not
    `MODELLED`."""
    if family not in MODELLED:
        raise UserError(f"the area model knows {' and '.join(MODELLED)}, not {family}; measure counts by Yosys")
    given = features(network, config, family)
    area: dict[str, float] = {"dsp": config.dsps}
    for what, weights in table()[family]["coefficients"].items():
        value = sum(weight * given[name] for name, weight in weights.items())
        area[what] = round(2 * value) / 2 if what == "bram" else round(value)
    return area


def features(network: Network, config: Config, family: str) -> dict[str, float]:
    """What the area depends on, by name: counts of units, and the pieces that memories are cut into."""
    network = config.built(network)
    pes, rows = config.windows * config.outputs, config.fc_rows
    packed_pes = paired(pes, config.dsp_size) if config.packed else 0
    packed_rows = rows - config.fc_outputs + paired(config.fc_outputs, config.dsp_size) if config.packed else 0
    parts = stages(network)
    early = config.inputs_outside(network, 0)
    maps = map_memories(network, config)
    shallow = [memory for memory in maps if memory[0] <= SHALLOW]
    deep = [memory for memory in maps if memory[0] > SHALLOW]
    weights = weight_memories(network, config)
    banks = weights[1:] if parts.convs else weights
    return {
        "machine": 1,
        "windows": config.windows,
        "outputs": config.outputs,
        "pes": pes - packed_pes,
        "rows": rows - packed_rows,
        "early_rows": rows if early else 0,
        "packed_pes": packed_pes,
        "packed_signed_pes": packed_pes if config.windows == 1 else 0,  # pairs are kernels then
        "packed_rows": packed_rows,
        "crossbar": crossbars(network, config),
        "map_banks": len(maps),
        "weight_banks": sum(bits for _, bits in banks) / 1000 if len(banks) > 1 else 0,  # a register each
        "weight_blocks": sum(blocks(*memory, family) for memory in weights),
        "map_blocks": sum(blocks(words, 9 * bits // BYTE, family) for words, bits in deep),
        "lutram_pieces": sum(pieces(*memory, family) for memory in [*lane_memories(network, config), *shallow]),
    }


def crossbars(network: Network, config: Config) -> float:
    """Choices of lanes in front of the activations of the first fully-connected layer, and of the others."""
    parts = stages(network)
    if not parts.fc:
        return 0
    written = parts.convs[-1].width if parts.convs else 0
    return lane_choices(config.at_once, written) + lane_choices(config.fc_rows, *(one.outputs for one in parts.fc[:-1]))


def lane_choices(parallel: int, *widths: int) -> float:
    """Of ``parallel`` activations that come at once, how many can fall on the same lane of a word, less the first."""
    counts = (*(min(parallel, width) for width in widths), *(width % parallel for width in widths))
    starts = FC_WORD // gcd(FC_WORD, *counts)  # lanes at which they can begin
    return min(parallel, FC_WORD) * starts / FC_WORD - 1


def weight_memories(network: Network, config: Config) -> list[tuple[int, int]]:
    """Words and bits of the weight memory of the convolutions, and of the banks of the fully-connected layers'."""
    engines, parts = config.engines, stages(network)
    place_bits = (max((one.inputs for one in parts.fc), default=0) // FC_WORD).bit_length()
    bits = config.fc_multipliers * (BYTE + place_bits) + 1 if engines.words else config.fc_multipliers * engines.fc.bits
    banks = [(count, bits) for count in fc_banks(network, config)]
    conv = memory_depths(network, config)["conv"], config.conv_word_bytes * engines.conv.bits
    return [conv, *banks] if parts.convs else banks


def map_memories(network: Network, config: Config) -> list[tuple[int, int]]:
    """Words and bits of the memories of the image buffer and of the feature maps, banks of rows. Maps go from layer to
    layer through two memories in turn; what 1x1 kernels read is in memories of words of channels."""
    convs = stages(network).convs
    if not convs:
        return []
    halves = 2 if config.windows == 4 else 1
    channels, rows, columns = network.input
    memories = [(2 * power_of_two(channels * ceil_div(rows, halves)), BYTE * columns)] * halves
    for turn in range(2):
        readers = range(turn + 1, len(convs), 2)
        over = [layer for layer in readers if config.channels_at_once(network, layer) > 1]
        if over:
            words = max(config.channel_sets(network, layer) * prod(convs[layer].positions(1)) for layer in over)
            memories += [(words, BYTE * config.channels_at_once(network, over[0]))]
        held = [convs[layer - 1].outputs for layer in readers if layer not in over]
        if held:
            banks = max(min(config.outputs, channels) for channels, _, _ in held)
            words = max(ceil_div(channels, config.outputs) * rows // halves for channels, rows, _ in held)
            memories += [(words, BYTE * max(columns for _, _, columns in held))] * (banks * halves)
    return memories


def lane_memories(network: Network, config: Config) -> list[tuple[int, int]]:
    """Words and bits of the distributed RAMs: activations, partial sums, rows being pooled."""
    parts, depths = stages(network), []
    if parts.fc:
        hidden = [stage.outputs for stage in parts.fc[:-1]]
        depths += [(2 if config.overlap else 1) * ceil_div(parts.fc[0].inputs, FC_WORD)]
        depths += [min(len(hidden), 2) * ceil_div(max(hidden), FC_WORD)] if hidden else []
    memories = [(depth, BYTE) for depth in depths for _ in range(FC_WORD)]
    if parts.convs:
        summed = [
            prod(stage.positions(config.windows))
            for layer, stage in enumerate(parts.convs)
            if config.channel_sets(network, layer) > 1
        ]
        memories += [(max(summed, default=1), SUM_BITS)] * (config.windows * config.outputs)
        memories += [(max(stage.outputs[2] for stage in parts.convs), BYTE * config.outputs)]
    if config.inputs_outside(network, 0):
        memories += [(ceil_div(parts.fc[0].outputs, config.fc_rows), SUM_BITS)] * config.fc_rows
    return memories


def power_of_two(value: int) -> int:
    """The next power of two that is not smaller."""
    return 1 << (value - 1).bit_length()


def pieces(words: int, bits: int, family: str) -> int:
    """LUTs of a distributed RAM; words of whole bytes are written byte by byte, each in pieces of its own."""
    lanes = [BYTE] * (bits // BYTE) if bits % BYTE == 0 else [bits]
    if family == "ecp5":
        return sum(6 * ceil_div(words, 16) * ceil_div(lane, 4) for lane in lanes)
    if words <= 32:
        return sum(4 * ceil_div(lane, 6) for lane in lanes)
    return sum(4 * ceil_div(words, 64) * ceil_div(lane, 3) for lane in lanes)


def blocks(words: int, bits: int, family: str) -> float:
    """Block RAMs of a memory, in the shape of which fewest are needed."""
    return BLOCK[family] * min(ceil_div(words, depth) * ceil_div(bits, width) for depth, width in BLOCK_SHAPES)
