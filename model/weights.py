"""The weight image: which byte of a checkpoint lies in which word of the two weight memories.

Conv memory, 25 bytes a word (byte 0 in the lowest bits): for each conv layer its biases, 25 a word, then its kernels,
row-major, in the order in which the array takes them: group of output channels, input channel, output channel.

FC memory, 20 R bytes a word for R rows: for each layer its biases, 20 R a word, then its weights: group of R outputs,
word of 20 inputs (with ``early_fc``, in fc1, word of inputs, then group of outputs); bytes 20 r to 20 r + 19 belong to
output r of the group. Whatever does not fill a word is zero. Where rows are split (`Config.fc_outputs`), a group has
2 R outputs and a word 10 inputs: bytes 10 r to 10 r + 9 belong to output r.
fc1's inputs are in the order of `Config.fc1_order`. Without convolutions the conv memory has no words.

The FC memory is built of banks (`bank_sizes`), each with a .mem file of its own.
"""

from dataclasses import dataclass

import numpy as np

from .checkpoint import Checkpoint
from .config import Config
from .shape import CONV_WORD, FC_WORD, KERNEL, LeNetShape, ceil_div

__all__ = ["BANK_WORDS", "Region", "WeightImage", "bank_sizes", "memory_depths", "memory_map", "pack", "unpack"]

BANK_WORDS = 2048  # of 9 bits are one ECP5 block RAM and half of a 7-series one: nothing but it before a register


@dataclass(frozen=True)
class Region:
    """``words`` consecutive words from ``address`` that hold the array ``name``; ``memory`` is "conv" or "fc"."""

    memory: str
    name: str
    address: int
    words: int

    @property
    def end(self) -> int:
        return self.address + self.words


@dataclass(frozen=True)
class WeightImage:
    """Contents of the two weight memories: int8 (words, 25) and int8 (words, 20 R)."""

    conv: np.ndarray
    fc: np.ndarray


def memory_map(shape: LeNetShape, config: Config) -> list[Region]:
    """Regions of both memories in order of address: a bias and a weight region for each layer."""
    regions: list[Region] = []
    address = {"conv": 0, "fc": 0}
    for layer in shape.layers:
        memory = "conv" if layer.startswith("conv") else "fc"
        outputs, inputs = shape.arrays[f"{layer}.weight"][:2]
        if memory == "conv":
            words = ceil_div(outputs, CONV_WORD), outputs * inputs
        else:
            rows, lanes = config.fc_outputs, config.fc_lanes
            words = ceil_div(outputs, rows * lanes), ceil_div(outputs, rows) * config.fc_words(inputs)
        for kind, count in zip(("bias", "weight"), words, strict=True):
            regions.append(Region(memory, f"{layer}.{kind}", address[memory], count))
            address[memory] += count
    return regions


def memory_depths(shape: LeNetShape, config: Config) -> dict[str, int]:
    """Words of each memory, by its name."""
    return {"conv": 0} | {region.memory: region.end for region in memory_map(shape, config)}  # the last region's


def bank_sizes(words: int) -> list[int]:
    """Words of each bank of a memory of so many; each begins at a multiple of its size's next power of two."""
    whole, rest = divmod(words, BANK_WORDS)
    if whole and BANK_WORDS // 2 < rest <= BANK_WORDS * 3 // 4:  # two blocks of fewer words waste fewer of them
        parts = [BANK_WORDS // 2, rest - BANK_WORDS // 2]
    else:
        parts = [rest] if rest else []
    return [BANK_WORDS] * whole + parts


def pack(checkpoint: Checkpoint, config: Config) -> WeightImage:
    """The weight image of a checkpoint for a machine of this size."""
    parts = {"conv": [np.empty((0, CONV_WORD), np.int8)], "fc": []}
    for region in memory_map(checkpoint.shape, config):
        array = checkpoint.arrays[region.name]
        positions = _positions(region, checkpoint.shape, config)
        padded = np.append(array.ravel(), np.int8(0))  # position -1 is padding
        parts[region.memory].append(padded[positions])
    return WeightImage(np.concatenate(parts["conv"]), np.concatenate(parts["fc"]))


def unpack(image: WeightImage, shape: LeNetShape, config: Config) -> Checkpoint:
    """The checkpoint whose weight image this is: the inverse of `pack`."""
    arrays = {}
    for region in memory_map(shape, config):
        words = (image.conv if region.memory == "conv" else image.fc)[region.address : region.end]
        positions = _positions(region, shape, config)
        flat = np.zeros(int(np.prod(shape.arrays[region.name])), np.int8)
        used = positions >= 0
        flat[positions[used]] = words[used]
        arrays[region.name] = flat.reshape(shape.arrays[region.name])
    return Checkpoint(shape, {name: arrays[name] for name in shape.arrays})


def _positions(region: Region, shape: LeNetShape, config: Config) -> np.ndarray:
    """For each byte of a region's words, (words, bytes), its index in the flattened array; -1 for padding."""
    layer, kind = region.name.split(".")
    dimensions = shape.arrays[region.name]
    width = CONV_WORD if region.memory == "conv" else FC_WORD * config.fc_rows
    if kind == "bias":
        return _fill(np.arange(dimensions[0]), (region.words, width))
    if region.memory == "conv":
        kernels = np.arange(np.prod(dimensions)).reshape(*dimensions[:2], KERNEL * KERNEL)
        groups = [kernels[group.start : group.stop].swapaxes(0, 1) for group in config.groups(dimensions[0])]
        return np.concatenate([group.reshape(-1, KERNEL * KERNEL) for group in groups])
    outputs, inputs = dimensions
    order = np.array(config.fc1_order(shape)) if layer == "fc1" else np.arange(inputs)
    rows, lanes = config.fc_outputs, config.fc_lanes
    index = np.full((ceil_div(outputs, rows) * rows, config.fc_words(inputs) * lanes), -1)
    index[:outputs, :inputs] = np.arange(outputs)[:, np.newaxis] * inputs + order
    grouped = index.reshape(-1, rows, index.shape[1] // lanes, lanes)  # (group, row, word, lane)
    inputs_outside = config.inputs_outside(shape, int(layer[2:]) - 1)
    axes = (2, 0, 1, 3) if inputs_outside else (0, 2, 1, 3)
    return grouped.transpose(axes).reshape(region.words, width)


def _fill(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    filled = np.full(shape, -1)
    filled.flat[: len(values)] = values
    return filled
