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

from .checkpoint import Checkpoint
from .config import Config
from .shape import FC_WORD, ceil_div
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
    conv = [checkpoint.arrays[f"{layer}.weight"] for layer in checkpoint.shape.layers if layer.startswith("conv")]
    fc = [checkpoint.arrays[f"{layer}.weight"] for layer in checkpoint.shape.layers if layer.startswith("fc")]
    form = form_of(fc, config)
    words = () if form.kind == "signs" else bank_words(checkpoint, config)
    return Engines(form_of(conv, config), CODES if words else form, conv_sweeps(checkpoint, config), words)


def form_of(layers: list[np.ndarray], config: Config) -> WeightForm:
    """How the weights of an engine's layers are stored; there may be none."""
    if not layers:
        return CODES
    values = [tuple(int(value) for value in np.unique(weights)) for weights in layers]
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
    kernels = checkpoint.arrays["conv2.weight"].any(axis=(2, 3))
    sweeps = []
    for group in config.groups(checkpoint.shape.conv2):
        used = np.flatnonzero(kernels[group.start : group.stop].any(axis=0))
        sweeps.append(tuple(map(int, used)) or (0,))
    return () if all(len(one) == checkpoint.shape.conv1 for one in sweeps) else tuple(sweeps)


def bank_words(checkpoint: Checkpoint, config: Config) -> tuple[tuple[int, ...], ...]:
    """For each fully-connected layer the words of each group of outputs in the bank-balanced engine: as many as the
    fullest lane has weights that are not zero, one at least. Empty where the dense engine stores fewer bits.

    Lane l has the inputs whose places, in the order of `Config.fc1_order`, are l, l + 20, ...
    """
    shape = checkpoint.shape
    if config.packed or config.early_fc:
        return ()
    words = []
    for layer, inputs in enumerate(shape.fc_inputs):
        weights = checkpoint.arrays[f"fc{layer + 1}.weight"] != 0
        if layer == 0:
            weights = weights[:, config.fc1_order(shape)]
        outputs, rows = len(weights), config.fc_rows
        padded = np.zeros((ceil_div(outputs, rows) * rows, ceil_div(inputs, FC_WORD) * FC_WORD), bool)
        padded[:outputs, :inputs] = weights
        fullest = padded.reshape(len(padded), -1, FC_WORD).sum(axis=1).max(axis=1)
        words.append(tuple(max(1, int(group.max())) for group in fullest.reshape(-1, rows)))
    dense = sum(len(one) * config.fc_words(inputs) for one, inputs in zip(words, shape.fc_inputs, strict=True))
    sparse = sum(map(sum, words))
    return tuple(words) if sparse * (CODE_BITS + INDEX_BITS) < dense * CODE_BITS else ()
