"""Which engines compute a network: chosen by what its weights are, and what they have to know of them beforehand.

A checkpoint that was made smaller (`fivebyfive compress`) has kernels and weights that are zero, few values, or values
that need no multiplier. Each of these has hardware that gains by it, with the same results:

* conv2's kernels of zeros are neither stored nor swept (``sweeps``);
* the fully-connected layers store only what is not zero, for each of 20 lanes of inputs as many weights as the fullest
  lane of an output has, each with its place in the lane (``words``): bank-balanced sparsity, Cao et al. 2019;
* weights that have few values are stored as their numbers in a codebook (`WeightForm` "codebook"): Han et al. 2016;
* weights that are -s, 0 or s, where s is a power of two, need adders only ("signs"): Courbariaux 2015, Li 2016.
"""

from dataclasses import replace

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.shape import FC_WORD

from .banks import fullest_lanes
from .config import Config
from .weight_form import CODES, Engines, WeightForm, are_signs

__all__ = ["choose", "fitted"]

MOST_VALUES = 32  # of a layer's weights in a codebook: indices of five bits
FEWEST_PER_VALUE = 16  # weights for each value, for a codebook to be worth its tables
INDEX_BITS = 6  # place of a weight in its lane, at the usual widths: what a bank-balanced word has beside each code
CODE_BITS = 8


def fitted(checkpoint: Checkpoint, config: Config) -> Config:
    """``config`` with the engines that serve the checkpoint best."""
    return replace(config, engines=choose(checkpoint, config))


def choose(checkpoint: Checkpoint, config: Config) -> Engines:
    """The engines that serve a checkpoint best on a machine of this size."""
    shape = checkpoint.shape
    conv = [checkpoint.arrays[f"{layer}.weight"] for layer in shape.layers if layer.startswith("conv")]
    fc = [checkpoint.arrays[f"{layer}.weight"] for layer in shape.layers if layer.startswith("fc")]
    # The last word of an output's weights may have lanes without an input: what is stored there must be a zero.
    padded = [config.input_words(inputs) * config.fc_lanes > inputs for inputs in shape.fc_inputs]
    form = form_of(fc, config, padded)
    words = () if form.kind == "signs" else bank_words(checkpoint, config)
    quick = config.outputs < Config.most_outputs(config.windows)  # is there a cycle left to look values up?
    conv_form = form_of(conv, config, [False] * len(conv)) if quick else CODES
    return Engines(conv_form, CODES if words else form, conv_sweeps(checkpoint, config), words)


def form_of(layers: list[np.ndarray], config: Config, padded: list[bool]) -> WeightForm:
    """How the weights of an engine's layers are stored, with zeros where one is ``padded``; there may be none."""
    if not layers:
        return CODES
    values = [
        tuple(sorted({int(value) for value in np.unique(weights)} | ({0} if zeros else set())))
        for weights, zeros in zip(layers, padded, strict=True)
    ]
    if any(len(found) * FEWEST_PER_VALUE > weights.size for found, weights in zip(values, layers, strict=True)):
        return CODES
    if not config.packed and all(map(are_signs, values)):
        return WeightForm("signs", tuple(values))
    return WeightForm("codebook", tuple(values)) if all(len(found) <= MOST_VALUES for found in values) else CODES


def conv_sweeps(checkpoint: Checkpoint, config: Config) -> tuple[tuple[int, ...], ...]:
    """For each group of conv2's output channels the input channels with a kernel that is not all zeros: one at least.
    Empty where that would be all of them."""
    if not checkpoint.shape.has_convolutions:
        return ()
    kernels = np.any(checkpoint.arrays["conv2.weight"] != 0, axis=(2, 3))
    sweeps = []
    for group in config.groups(checkpoint.shape.conv2):
        used = np.flatnonzero(kernels[group.start : group.stop].any(axis=0))
        sweeps.append(tuple(map(int, used)) or (0,))
    return () if all(len(one) == checkpoint.shape.conv1 for one in sweeps) else tuple(sweeps)


def bank_words(checkpoint: Checkpoint, config: Config) -> tuple[tuple[int, ...], ...]:
    """For each fully-connected layer the words of each group of outputs in the bank-balanced engine (`banks`). Empty
    where the dense engine stores fewer bits."""
    shape = checkpoint.shape
    if config.packed or config.early_fc or config.fc_rows > FC_WORD:
        return ()
    words = []
    for layer in range(len(shape.fc)):
        weights = checkpoint.arrays[f"fc{layer + 1}.weight"]
        words.append(fullest_lanes(weights[:, config.fc1_order(shape)] if layer == 0 else weights, config.fc_rows))
    dense = sum(len(one) * config.input_words(inputs) for one, inputs in zip(words, shape.fc_inputs, strict=True))
    sparse = sum(map(sum, words))
    return tuple(words) if sparse * (CODE_BITS + INDEX_BITS) < dense * CODE_BITS else ()
