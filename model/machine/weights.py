"""The weight image: which byte of a checkpoint lies in which word of the two weight memories.

Conv memory, 25 bytes a word (byte 0 in the lowest bits): for each conv layer its biases, 25 a word, then its kernels,
row-major, in the order in which the array takes them: group of output channels, input channel, output channel.

FC memory, 20 R bytes a word for R rows: for each layer its biases, 20 R a word, then its weights: group of R outputs,
word of 20 inputs (with ``early_fc``, in fc1, word of inputs, then group of outputs); bytes 20 r to 20 r + 19 belong to
output r of the group. Whatever does not fill a word is zero. Where rows are split (`Config.fc_outputs`), a group has
2 R outputs and a word 10 inputs: bytes 10 r to 10 r + 9 belong to output r.
fc1's inputs are in the order of `Config.fc1_order`. Engines that are made for certain weights (`engines`) change this:

* zero-skipping: conv2 has only the kernels of the input channels that a group sweeps, O of them for each, those beyond
  a short last group zeros;
* weights that are stored as numbers of values: a byte of a weight word is that number; all biases come first;
* bank-balanced: FC words have places beside the codes (`banks`); all biases come first, a word for each group of R.

Without convolutions the conv memory has no words.

The FC memory is built of banks (`fc_banks`), each with a .mem file of its own.
"""

from dataclasses import dataclass

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.shape import CONV_WORD, KERNEL, LeNetShape, ceil_div

from .banks import to_weights, to_words
from .config import Config
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
    layer of ``memory``, "conv" or "fc", whose layers count from 0."""

    memory: str
    layer: int
    kind: str
    address: int
    words: int

    @property
    def name(self) -> str:
        return f"{self.memory}{self.layer + 1}.{self.kind}"

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
    """Contents of the two weight memories: int8 (words, 25) and int8 (words, `Config.fc_word_bytes`)."""

    conv: np.ndarray
    fc: np.ndarray


def memory_map(shape: LeNetShape, config: Config) -> list[Region]:
    """Regions of both memories in order of address: a bias and a weight region for each layer."""
    regions: list[Region] = []
    for memory, layers in (("conv", 2 if shape.has_convolutions else 0), ("fc", len(shape.fc))):
        parts = [
            (layer, kind, count)
            for layer in range(layers)
            for kind, count in zip(KINDS, _words(memory, layer, shape, config), strict=True)
        ]
        if config.biases_first(memory):
            parts = parts[::2] + parts[1::2]
        address = 0
        for layer, kind, count in parts:
            regions.append(Region(memory, layer, kind, address, count))
            address += count
    return regions


def _words(memory: str, layer: int, shape: LeNetShape, config: Config) -> tuple[int, int]:
    """Words of biases and of weights of a layer."""
    outputs, inputs = shape.arrays[f"{memory}{layer + 1}.weight"][:2]
    engines = config.engines
    if memory == "conv":
        skipping = layer == 1 and engines.sweeps
        kernels = sum(map(len, engines.sweeps)) * min(config.outputs, outputs) if skipping else outputs * inputs
        return ceil_div(outputs, CONV_WORD), kernels
    rows, lanes = config.fc_outputs, config.fc_lanes
    if engines.words:
        return ceil_div(outputs, rows), sum(engines.words[layer])
    return ceil_div(outputs, rows * lanes), ceil_div(outputs, rows) * config.input_words(inputs)


def memory_depths(shape: LeNetShape, config: Config) -> dict[str, int]:
    """Words of each memory, by its name."""
    return {"conv": 0} | {region.memory: region.end for region in memory_map(shape, config)}  # the last region's


def bank_sizes(words: int, bank: int = BANK_WORDS) -> list[int]:
    """Words of each bank of a memory of ``words``; each begins at a multiple of its size's next power of two."""
    whole, rest = divmod(words, bank)
    if whole and bank // 2 < rest <= bank * 3 // 4:  # two blocks of fewer words waste fewer of them
        parts = [bank // 2, rest - bank // 2]
    else:
        parts = [rest] if rest else []
    return [bank] * whole + parts


def fc_banks(shape: LeNetShape, config: Config) -> list[int]:
    """Words of each bank of the FC weight memory, without biases that have a memory of their own."""
    if config.engines.words:
        return bank_sizes(sum(map(sum, config.engines.words)), WIDE_WORDS)
    thin = config.fc_multipliers * config.engines.fc.bits <= THIN_BITS
    return bank_sizes(memory_depths(shape, config)["fc"], THIN_WORDS if thin else BANK_WORDS)


def pack(checkpoint: Checkpoint, config: Config) -> WeightImage:
    """The weight image of a checkpoint for a machine of this size. Raises ValueError where the machine was made for
    certain weights and these are others."""
    parts = {"conv": [np.empty((0, CONV_WORD), np.int8)], "fc": []}
    for region in memory_map(checkpoint.shape, config):
        array = checkpoint.arrays[region.name]
        if _is_banked(region, config):
            ordered = array[:, _order(region, checkpoint.shape, config)]
            words = to_words(ordered, config.fc_rows, config.engines.words[region.layer])
        else:
            padded = np.append(array.ravel(), np.int8(0))  # position -1 is padding
            words = padded[_positions(region, checkpoint.shape, config)]
            values = _values(region, config)
            words = numbers(words, values, region.name) if values else words
        parts[region.memory].append(words)
    image = WeightImage(np.concatenate(parts["conv"]), np.concatenate(parts["fc"]))
    if config.engines != DENSE and unpack(image, checkpoint.shape, config).digest != checkpoint.digest:
        raise ValueError("weights are not zero where this machine skips them; generate it again")
    return image


def numbers(words: np.ndarray, values: tuple[int, ...], name: str) -> np.ndarray:
    """Each weight's number among the values of its layer; 0, as padding has it, may be none of them."""
    found = np.searchsorted(values, words).clip(0, len(values) - 1)
    if not ((np.array(values)[found] == words) | (words == 0)).all():  # `unpack` finds a 0 that is a weight
        raise ValueError(f"{name} has values that this machine does not know; generate it again")
    return found.astype(np.uint8).view(np.int8)


def _values(region: Region, config: Config) -> tuple[int, ...]:
    """Values of the weights of a region, where it holds their numbers."""
    form = config.engines.conv if region.memory == "conv" else config.engines.fc
    return form.values[region.layer] if region.is_weight and form.narrow else ()


def _is_banked(region: Region, config: Config) -> bool:
    return region.memory == "fc" and region.is_weight and bool(config.engines.words)


def _order(region: Region, shape: LeNetShape, config: Config) -> np.ndarray:
    """Of a fully-connected layer: index of each input in the order in which activations are stored."""
    inputs = shape.arrays[region.name][1]
    return np.array(config.fc1_order(shape)) if region.name == "fc1.weight" else np.arange(inputs)


def unpack(image: WeightImage, shape: LeNetShape, config: Config) -> Checkpoint:
    """The checkpoint whose weight image this is: the inverse of `pack`."""
    arrays = {}
    for region in memory_map(shape, config):
        words = (image.conv if region.memory == "conv" else image.fc)[region.address : region.end]
        if _is_banked(region, config):
            order = _order(region, shape, config)
            weights = arrays[region.name] = np.zeros(shape.arrays[region.name], np.int8)
            weights[:, order] = to_weights(words, config.fc_rows, *shape.arrays[region.name])
            continue
        if values := _values(region, config):
            words = np.array(values, np.int8)[words.view(np.uint8)]
        positions = _positions(region, shape, config)
        flat = np.zeros(int(np.prod(shape.arrays[region.name])), np.int8)
        used = positions >= 0
        flat[positions[used]] = words[used]
        arrays[region.name] = flat.reshape(shape.arrays[region.name])
    return Checkpoint(shape.network, {name: arrays[name] for name in shape.arrays})


def _positions(region: Region, shape: LeNetShape, config: Config) -> np.ndarray:
    """For each byte of a region's words, (words, bytes), its index in the flattened array; -1 for padding."""
    dimensions = shape.arrays[region.name]
    width = CONV_WORD if region.memory == "conv" else config.fc_word_bytes
    if not region.is_weight and config.engines.words and region.memory == "fc":
        positions = np.full((region.words, width), -1)
        positions[:, : config.fc_rows] = _fill(np.arange(dimensions[0]), (region.words, config.fc_rows))
        return positions
    if not region.is_weight:
        return _fill(np.arange(dimensions[0]), (region.words, width))
    if region.memory == "conv":
        kernels = np.arange(np.prod(dimensions)).reshape(*dimensions[:2], KERNEL * KERNEL)
        if region.layer == 1 and config.engines.sweeps:
            return _swept(kernels, shape, config)
        groups = [kernels[group.start : group.stop].swapaxes(0, 1) for group in config.groups(dimensions[0])]
        return np.concatenate([group.reshape(-1, KERNEL * KERNEL) for group in groups])
    outputs, inputs = dimensions
    order = _order(region, shape, config)
    rows, lanes = config.fc_outputs, config.fc_lanes
    index = np.full((ceil_div(outputs, rows) * rows, config.input_words(inputs) * lanes), -1)
    index[:outputs, :inputs] = np.arange(outputs)[:, np.newaxis] * inputs + order
    grouped = index.reshape(-1, rows, index.shape[1] // lanes, lanes)  # (group, row, word, lane)
    inputs_outside = config.inputs_outside(shape, region.layer)
    axes = (2, 0, 1, 3) if inputs_outside else (0, 2, 1, 3)
    return grouped.transpose(axes).reshape(region.words, width)


def _swept(kernels: np.ndarray, shape: LeNetShape, config: Config) -> np.ndarray:
    """Positions (words, 25) of the kernels that are swept, out of those of all (P, O, 25)."""
    together, sets = min(config.outputs, shape.conv2), []
    for group, channels in zip(config.groups(shape.conv2), config.engines.sweeps, strict=True):
        padded = np.full((together, len(channels), KERNEL * KERNEL), -1)
        padded[: len(group)] = kernels[group.start : group.stop, list(channels)]
        sets.append(padded.swapaxes(0, 1).reshape(-1, KERNEL * KERNEL))
    return np.concatenate(sets)


def _fill(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    filled = np.full(shape, -1)
    filled.flat[: len(values)] = values
    return filled
