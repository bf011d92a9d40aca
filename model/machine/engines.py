"""Which engines compute a network: chosen by what its weights are, and what they have to know of them beforehand.

A checkpoint that was made smaller (`fivebyfive compress`) has kernels and weights that are zero, few values, or values
that need no multiplier. Each of these has hardware that gains by it, with the same results:

* the convolutions' kernels of zeros are neither stored nor swept (``sweeps``);
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
from .stages import stages
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
    parts, arrays = stages(checkpoint.network), checkpoint.arrays
    conv = [arrays[f"{stage.name}.weight"] for stage in parts.convs]
    fc = [dense_weights(checkpoint, layer) for layer in range(len(parts.fc))]
    # The last word of an output's weights may have lanes without an input: what is stored there must be a zero.
    padded = [config.input_words(stage.inputs) * config.fc_lanes > stage.inputs for stage in parts.fc]
    # So must what lies around a smaller kernel, or in the place of one that belongs to another group of channels.
    around = [stage.layer.kernel < config.kernel or stage.layer.groups > 1 for stage in parts.convs]
    form = form_of(fc, config, padded)
    words = () if form.kind == "signs" else bank_words(checkpoint, config)
    quick = config.outputs < Config.most_outputs(config.windows)  # is there a cycle left to look values up?
    conv_form = form_of(conv, config, around) if quick else CODES
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


def conv_sweeps(checkpoint: Checkpoint, config: Config) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """For each convolution, for each group of its output channels, the input channels with a kernel that is not all
    zeros: one at least. Empty where that would be all that are read."""
    layers = []
    for stage in stages(checkpoint.network).convs:
        weights = checkpoint.arrays[f"{stage.name}.weight"]
        each = stage.channels // stage.layer.groups  # input channels of an output
        used = np.any(weights != 0, axis=(2, 3))
        sweeps, reads = [], 0
        for group in config.groups(stage.width):
            first = {output: output // (stage.width // stage.layer.groups) * each for output in group}
            found = {first[output] + int(channel) for output in group for channel in np.flatnonzero(used[output])}
            sweeps.append(tuple(sorted(found)) or (first[group.start],))
            reads += len(stage.group_channels(group))
        layers.append(() if sum(map(len, sweeps)) == reads else tuple(sweeps))
    return tuple(layers) if any(layers) else ()


def dense_weights(checkpoint: Checkpoint, layer: int) -> np.ndarray:
    """Weights (outputs, inputs) of a layer of the FC engine, counted from 0."""
    stage = stages(checkpoint.network).fc[layer]
    return checkpoint.arrays[f"{stage.name}.weight"].reshape(stage.outputs, stage.inputs)


def bank_words(checkpoint: Checkpoint, config: Config) -> tuple[tuple[int, ...], ...]:
    """For each fully-connected layer the words of each group of outputs in the bank-balanced engine (`banks`). Empty
    where the dense engine stores fewer bits."""
    layers = stages(checkpoint.network).fc
    if not layers or config.packed or config.early_fc or config.fc_rows > FC_WORD:
        return ()
    weights = [dense_weights(checkpoint, layer) for layer in range(len(layers))]
    weights[0] = weights[0][:, config.fc1_order(checkpoint.network)]
    words = [fullest_lanes(one, config.fc_rows) for one in weights]
    dense = sum(len(one) * config.input_words(stage.inputs) for one, stage in zip(words, layers, strict=True))
    sparse = sum(map(sum, words))
    return tuple(words) if sparse * (CODE_BITS + INDEX_BITS) < dense * CODE_BITS else ()
