"""The weight image: which byte of a checkpoint lies in which word of the two weight memories.

Conv memory, K^2 bytes a word, 25 in the brief's network (byte 0 in the lowest bits): for each convolution its biases,
K^2 a word, then its kernels, row-major, in the order in which the array takes them: group of output channels, input
channel, output channel. A kernel smaller than K lies at the top left, with zeros around it. Where a 1x1 kernel is a dot
product over channels (`Config.channels_at_once`), a word has those of as many input channels, and zeros behind them:
ceil(I / channels at once) words an output channel in place of I. Where a group does not
sweep all input channels (groups of channels, kernels of zeros) it has O kernels for each that it does; those that
belong to no output channel of the group, or to one that does not read the channel, are zeros.

FC memory, 20 R bytes a word for R rows: for each layer its biases, 20 R a word, then its weights: group of R outputs,
word of 20 inputs (with ``early_fc``, in fc1, word of inputs, then group of outputs); bytes 20 r to 20 r + 19 belong to
output r of the group. Whatever does not fill a word is zero. Where rows are split (`Config.fc_outputs`), a group has
2 R outputs and a word 10 inputs: bytes 10 r to 10 r + 9 belong to output r. Where activations of zero are skipped
(`Config.fc_skips_zeros`), a group has 20 R outputs and a word one input: input, then group; byte r belongs to output r.
fc1's inputs are in the order of `Config.fc1_order`. Engines that are made for certain weights (`engines`) change this:

* zero-skipping: a convolution has only the kernels of the input channels that a group sweeps, as above;
* weights that are stored as numbers of values: a byte of a weight word is that number; all biases come first;
* bank-balanced: FC words have places beside the codes (`banks`); all biases come first, a word for each group of R.

With Winograd's PEs (`Config.winograd`) a conv word has 72 bytes: a transformed kernel of 36 numbers of 16 bits,
row-major, the low byte first, or 72 biases.

Without convolutions the conv memory has no words.

The FC memory is built of banks (`fc_banks`), each with a .mem file of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.network import Network
from fivebyfive.model.shape import KERNEL, ceil_div
from fivebyfive.model.winograd import TILE, original, transformed

from .banks import to_weights, to_words
from .config import Config
from .stages import ConvStage, FcStage, stages
from .unused import built
from .weight_form import DENSE

__all__ = [
    "BANK_WORDS", "Region", "WeightImage", "bank_sizes", "fc_banks", "memory_depths", "memory_map", "pack", "unpack",
]  # fmt: skip

KINDS = ("bias", "weight")
BANK_WORDS = 2048  # of 9 bits are one ECP5 block RAM and half of a 7-series one: nothing but it before a register
THIN_WORDS = 4096  # of 4 bits are the same: for words of so few bits that less is left over
THIN_BITS = 20
WIDE_WORDS = 512  # of 36 bits, likewise: for the few wide words of the bank-balanced engine


@dataclass(frozen=True)
class Region:
    """``words`` consecutive words from ``address`` that hold the array ``name``: the biases or weights (``kind``) of a
    layer of ``memory``, "conv" or "fc", whose layers count from 0; ``stage`` is its name in the network."""

    memory: str
    layer: int
    stage: str
    kind: str
    address: int
    words: int

    @property
    def name(self) -> str:
        return f"{self.stage}.{self.kind}"

    @property
    def plain(self) -> dict[str, str | int]:
        """As manifests have it."""
        return {"memory": self.memory, "name": self.name, "address": self.address, "words": self.words}

    @property
    def is_weight(self) -> bool:
        return self.kind == "weight"

    @property
    def end(self) -> int:
        return self.address + self.words


@dataclass(frozen=True)
class WeightImage:
    """Contents of the two weight memories, int8: words of `Config.conv_word_bytes` and of `Config.fc_word_bytes`."""

    conv: np.ndarray
    fc: np.ndarray


def memory_map(network: Network, config: Config) -> list[Region]:
    """Regions of both memories in order of address: a bias and a weight region for each layer."""
    network = config.built(network)
    regions: list[Region] = []
    engines: list[tuple[str, Sequence[ConvStage | FcStage]]] = [
        ("conv", stages(network).convs), ("fc", stages(network).fc),
    ]  # fmt: skip
    for memory, layers in engines:
        parts = [
            (layer, stage.name, kind, count)
            for layer, stage in enumerate(layers)
            for kind, count in zip(KINDS, _words(network, stage, layer, config), strict=True)
        ]
        if config.biases_first(memory):
            parts = parts[::2] + parts[1::2]
        address = 0
        for layer, name, kind, count in parts:
            regions.append(Region(memory, layer, name, kind, address, count))
            address += count
    return regions


def _words(network: Network, stage: ConvStage | FcStage, layer: int, config: Config) -> tuple[int, int]:
    """Words of biases and of weights of a layer."""
    if isinstance(stage, ConvStage):
        dense = config.sweeps_all(network, layer)
        swept = sum(map(len, config.sweeps(network, layer))) * min(config.outputs, stage.width)
        every = stage.width * config.channel_sets(network, layer)
        return ceil_div(stage.width, config.conv_word_bytes), every if dense else swept
    rows, lanes = config.fc_outputs, config.fc_lanes
    if config.engines.words:
        return ceil_div(stage.outputs, rows), sum(config.engines.words[layer])
    return ceil_div(stage.outputs, rows * lanes), ceil_div(stage.outputs, rows) * config.input_words(stage.inputs)


def memory_depths(network: Network, config: Config) -> dict[str, int]:
    """Words of each memory, by its name."""
    regions = memory_map(network, config)
    return {"conv": 0, "fc": 0} | {region.memory: region.end for region in regions}  # the last region's


def bank_sizes(words: int, bank: int = BANK_WORDS) -> list[int]:
    """Words of each bank of a memory of ``words``; each begins at a multiple of its size's next power of two."""
    whole, rest = divmod(words, bank)
    if whole and bank // 2 < rest <= bank * 3 // 4:  # two blocks of fewer words waste fewer of them
        parts = [bank // 2, rest - bank // 2]
    else:
        parts = [rest] if rest else []
    return [bank] * whole + parts


def fc_banks(network: Network, config: Config) -> list[int]:
    """Words of each bank of the FC weight memory, without biases that have a memory of their own."""
    if config.engines.words:
        return bank_sizes(sum(map(sum, config.engines.words)), WIDE_WORDS)
    thin = config.fc_multipliers * config.engines.fc.bits <= THIN_BITS
    return bank_sizes(memory_depths(network, config)["fc"], THIN_WORDS if thin else BANK_WORDS)


def pack(checkpoint: Checkpoint, config: Config) -> WeightImage:
    """The weight image of a checkpoint for a machine of this size. Raises ValueError where the machine was made for
    certain weights and these are others."""
    checkpoint = built(checkpoint, config)
    network = checkpoint.network
    parts = {
        "conv": [np.empty((0, config.conv_word_bytes), np.int8)], "fc": [np.empty((0, config.fc_word_bytes), np.int8)],
    }  # fmt: skip
    for region in memory_map(network, config):
        array = checkpoint.arrays[region.name]
        if _is_banked(region, config):
            ordered = array.reshape(len(array), -1)[:, _order(region, network, config)]
            words = to_words(ordered, config.fc_rows, config.engines.words[region.layer])
        else:
            padded = np.append(array.ravel(), np.int8(0))  # position -1 is padding
            words = padded[_positions(region, network, config)]
            values = _values(region, config)
            words = numbers(words, values, region.name) if values else words
            words = to_winograd(words) if _is_transformed(region, config) else words
        parts[region.memory].append(words)
    image = WeightImage(np.concatenate(parts["conv"]), np.concatenate(parts["fc"]))
    if config.engines != DENSE and unpack(image, network, config, checkpoint.tables).digest != checkpoint.digest:
        raise ValueError("weights are not zero where this machine skips them; generate it again")
    return image


def numbers(words: np.ndarray, values: tuple[int, ...], name: str) -> np.ndarray:
    """Each weight's number among the values of its layer; 0, as padding has it, may be none of them."""
    found = np.searchsorted(values, words).clip(0, len(values) - 1)
    if not ((np.array(values)[found] == words) | (words == 0)).all():  # `unpack` finds a 0 that is a weight
        raise ValueError(f"{name} has values that this machine does not know; generate it again")
    return found.astype(np.uint8).view(np.int8)


def to_winograd(words: np.ndarray) -> np.ndarray:
    """Words (count, 25) of kernels as words (count, 72) of transformed ones."""
    kernels = transformed(words.reshape(-1, KERNEL, KERNEL))
    return kernels.astype("<i2").view(np.int8).reshape(len(words), -1)


def from_winograd(words: np.ndarray) -> np.ndarray:
    """The inverse of `to_winograd`."""
    kernels = np.ascontiguousarray(words).view("<i2").reshape(-1, TILE, TILE)
    return original(kernels).reshape(len(words), -1)


def _is_transformed(region: Region, config: Config) -> bool:
    return config.winograd and region.memory == "conv" and region.is_weight


def _values(region: Region, config: Config) -> tuple[int, ...]:
    """Values of the weights of a region, where it holds their numbers."""
    form = config.engines.conv if region.memory == "conv" else config.engines.fc
    return form.values[region.layer] if region.is_weight and form.narrow else ()


def _is_banked(region: Region, config: Config) -> bool:
    return region.memory == "fc" and region.is_weight and bool(config.engines.words)


def _order(region: Region, network: Network, config: Config) -> np.ndarray:
    """Of a fully-connected layer: index of each input in the order in which activations are stored."""
    return (
        np.array(config.fc1_order(network)) if not region.layer else np.arange(stages(network).fc[region.layer].inputs)
    )


def unpack(
    image: WeightImage, network: Network, config: Config, tables: Mapping[str, np.ndarray] = MappingProxyType({})
) -> Checkpoint:
    """The checkpoint whose weight image this is: the inverse of `pack`, less what the machine leaves out (`unused`).
    ``tables`` (`Checkpoint.tables`) are no part of the image."""
    arrays = dict(tables)
    network = config.built(network)
    for region in memory_map(network, config):
        words = (image.conv if region.memory == "conv" else image.fc)[region.address : region.end]
        shape = network.arrays[region.name]
        if _is_banked(region, config):
            order = _order(region, network, config)
            weights = np.zeros((shape[0], len(order)), np.int8)
            weights[:, order] = to_weights(words, config.fc_rows, *weights.shape)
            arrays[region.name] = weights.reshape(shape)
            continue
        if values := _values(region, config):
            words = np.array(values, np.int8)[words.view(np.uint8)]
        words = from_winograd(words) if _is_transformed(region, config) else words
        positions = _positions(region, network, config)
        flat = np.zeros(int(np.prod(shape)), np.int8)
        used = positions >= 0
        flat[positions[used]] = words[used]
        arrays[region.name] = flat.reshape(shape)
    return Checkpoint(network, {name: arrays[name] for name in network.arrays})


def _positions(region: Region, network: Network, config: Config) -> np.ndarray:
    """For each byte of a region's words, (words, bytes), its index in the flattened array; -1 for padding."""
    conv = region.memory == "conv"
    width = config.conv_word_bytes if conv else config.fc_word_bytes
    biases = np.arange(network.arrays[region.name][0])
    if not region.is_weight and config.engines.words and not conv:
        positions = np.full((region.words, width), -1)
        positions[:, : config.fc_rows] = _fill(biases, (region.words, config.fc_rows))
        return positions
    if not region.is_weight:
        return _fill(biases, (region.words, width))
    if conv:
        return _kernels(region.layer, network, config)
    stage, order = stages(network).fc[region.layer], _order(region, network, config)
    outputs, inputs = stage.outputs, stage.inputs
    rows, lanes = config.fc_outputs, config.fc_lanes
    index = np.full((ceil_div(outputs, rows) * rows, config.input_words(inputs) * lanes), -1)
    index[:outputs, :inputs] = np.arange(outputs)[:, np.newaxis] * inputs + order
    grouped = index.reshape(-1, rows, index.shape[1] // lanes, lanes)  # (group, row, word, lane)
    inputs_outside = config.inputs_outside(network, region.layer)
    axes = (2, 0, 1, 3) if inputs_outside else (0, 2, 1, 3)
    return grouped.transpose(axes).reshape(region.words, width)


def _kernels(layer: int, network: Network, config: Config) -> np.ndarray:
    """Positions (words, K^2) of the kernels of a convolution, in the order in which they are swept; of 1x1 kernels over
    channels, those of a set of channels side by side."""
    stage = stages(network).convs[layer]
    size, groups = stage.layer.kernel, stage.layer.groups
    each, at_once = stage.channels // groups, config.channels_at_once(network, layer)
    sets = config.channel_sets(network, layer)
    side = config.kernel if at_once == 1 else 1
    every = np.full((stage.width, sets * at_once, side, side), -1)  # -1 where a channel is not read
    index = np.arange(stage.width * each * size**2).reshape(groups, stage.width // groups, each, size, size)
    for number, kernels in enumerate(index):
        outputs = slice(number * len(kernels), (number + 1) * len(kernels))
        every[outputs, number * each : (number + 1) * each, :size, :size] = kernels
    words = np.full((stage.width, sets, config.kernel**2), -1)
    words[..., : at_once * side**2] = every.reshape(stage.width, sets, -1)
    dense, together, found = config.sweeps_all(network, layer), min(config.outputs, stage.width), []
    for group, channels in zip(config.groups(stage.width), config.sweeps(network, layer), strict=True):
        padded = np.full((len(group) if dense else together, len(channels), config.kernel**2), -1)
        padded[: len(group)] = words[group.start : group.stop, list(channels)]
        found.append(padded.swapaxes(0, 1).reshape(-1, config.kernel**2))
    return np.concatenate(found)


def _fill(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    filled = np.full(shape, -1)
    filled.flat[: len(values)] = values
    return filled
