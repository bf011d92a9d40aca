"""Which engines compute a network: chosen by what its weights are, and what they have to know of them beforehand.

A checkpoint that was made smaller (`fivebyfive compress`) has kernels and weights that are zero, few values, or values
that need no multiplier. Each of these has hardware that gains by it, with the same results:

* the convolutions' kernels of zeros are neither stored nor swept (``sweeps``);
* the fully-connected layers store only what is not zero, for each of 20 lanes of inputs as many weights as the fullest
  lane of an output has, each with its place in the lane (``words``): bank-balanced sparsity, Cao et al. 2019;
* weights that have few values are stored as their numbers in a codebook (`WeightForm` "codebook"): Han et al. 2016;
* weights that are -s, 0 or s, where s is a power of two, need adders only ("signs"): Courbariaux 2015, Li 2016;
* such weights without zeros, where activations are -1 and 1, need exclusive nors and counts of bits ("xnor"): Hubara
  2016, Rastegari 2016;
* weights that are 0 or powers of two with a sign need shifts and adders only ("powers"): Miyashita 2016, Zhou 2017.
"""

from dataclasses import replace

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.network import Network
from fivebyfive.model.shape import FC_WORD, ceil_div

from .banks import PLACES, fewest_words, fullest_lane, words_of_groups
from .config import Config
from .stages import stages
from .stored_codes import reads_bits
from .unused import kept_outputs, used_outputs, with_outputs
from .weight_form import CODES, DENSE, Engines, WeightForm, are_bits, are_powers, are_signs

__all__ = ["AnyWeights", "Fitting", "choose", "fitted"]

MOST_VALUES = 32  # of a layer's weights in a codebook: indices of five bits
FEWEST_PER_VALUE = 16  # weights for each value, for a codebook to be worth its tables
INDEX_BITS = 6  # place of a weight in its lane, at the usual widths: what a bank-balanced word has beside each code
CODE_BITS = 8


def fitted(checkpoint: Checkpoint, config: Config) -> Config:
    """``config`` with the engines that serve the checkpoint best."""
    return Fitting(checkpoint)(config)


def choose(checkpoint: Checkpoint, config: Config) -> Engines:
    """The engines that serve a checkpoint best on a machine of this size."""
    return Fitting(checkpoint).engines(config)


class AnyWeights:
    """The dense engines, on machines of any size: called with a `Config`, gives it with them."""

    def __init__(self, network: Network):
        self.network = network
        self.fc = stages(network).fc

    def __call__(self, config: Config) -> Config:
        return config

    def conv_engines(self, config: Config) -> Engines:
        """The engines of the convolutions alone, which the number of rows does not change."""
        return DENSE

    def fc_form(self, config: Config) -> WeightForm:
        """How the weights of the fully-connected layers are stored."""
        return CODES

    def fc_cycles(self, config: Config) -> int:
        """Cycles that the fully-connected layers take at least on a machine of this size."""
        return sum(ceil_div(one.outputs, config.fc_outputs) * config.input_words(one.inputs) for one in self.fc)


class Fitting(AnyWeights):
    """Finds the engines that serve a checkpoint best, on machines of many sizes: called with a `Config`, gives it with
    them. What several sizes have in common is found once."""

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint, self.used = checkpoint, used_outputs(checkpoint)
        self.ordered: dict[int, tuple[Checkpoint, tuple[tuple[int, ...], ...]]] = {}  # by output channels at once
        least, _ = self.built(1)
        super().__init__(checkpoint.network)
        self.convs, self.fc = stages(least.network).convs, stages(least.network).fc
        self.conv_weights = [least.arrays[f"{stage.name}.weight"] for stage in self.convs]
        self.conv_values = list(map(distinct, self.conv_weights))
        self.fc_weights = fc_weights(least)
        self.fc_values = list(map(distinct, self.fc_weights))
        self.fc_bits = reads_bits(least.network, least.tables)
        self.fewest = list(map(fewest_words, self.fc_weights))
        self.has_places = all(ceil_div(stage.inputs, FC_WORD) <= PLACES for stage in self.fc)
        self.fullest: dict[int, list[np.ndarray]] = {}  # by activations that come at once, which give fc1's order
        self.sweeps: dict[tuple[int, ...], tuple[tuple[tuple[int, ...], ...], ...]] = {}  # by channels at once

    def built(self, at_once: int) -> tuple[Checkpoint, tuple[tuple[int, ...], ...]]:
        """What is left of the checkpoint in the order for ``at_once`` output channels, and which outputs those are."""
        if at_once not in self.ordered:
            kept = kept_outputs(self.checkpoint, at_once, self.used)
            self.ordered[at_once] = with_outputs(self.checkpoint, kept), kept
        return self.ordered[at_once]

    def __call__(self, config: Config) -> Config:
        return replace(config, engines=self.engines(config))

    def engines(self, config: Config) -> Engines:
        """The engines for a machine of this size."""
        conv = self.conv_engines(config)
        words = self.bank_words(config) if self.fc_form(config).multiplies else ()
        return replace(conv, fc=CODES if words else self.fc_form(config), words=words)

    def conv_engines(self, config: Config) -> Engines:
        # What lies around a smaller kernel must be a zero, or in the place of one of another group of channels.
        around = [stage.layer.kernel < config.kernel or stage.layer.groups > 1 for stage in self.convs]
        quick = config.outputs < Config.most_outputs(config.windows)  # is there a cycle left to look values up?
        sizes = [weights.size for weights in self.conv_weights]
        form = form_of(self.conv_values, sizes, config, around) if quick and not config.winograd else CODES
        least, kept = self.built(config.outputs)
        at_once = config.outputs, *(config.channels_at_once(least.network, layer) for layer in range(len(self.convs)))
        if at_once not in self.sweeps:
            self.sweeps[at_once] = conv_sweeps(least, config)
        return Engines(form, sweeps=self.sweeps[at_once], kept=kept)

    def fc_form(self, config: Config) -> WeightForm:
        # The last word of an output's weights may have lanes without an input: what is stored there must be a zero.
        config = replace(config, skip_zeros=False)  # only where weights are codes are zeros skipped
        padded = [config.input_words(stage.inputs) * config.fc_lanes > stage.inputs for stage in self.fc]
        form = form_of(self.fc_values, [weights.size for weights in self.fc_weights], config, padded)
        bits = self.fc_bits and form.kind == "signs" and all(map(are_bits, form.values))
        return replace(form, kind="xnor") if bits else form

    def bank_words(self, config: Config) -> tuple[tuple[int, ...], ...]:
        """For each fully-connected layer the words of each group of outputs in the bank-balanced engine (`banks`).
        Empty where the dense engine stores fewer bits, or a lane has too many places."""
        if not self.fc or not self.has_places or config.packed or config.early_fc or config.fc_rows > FC_WORD:
            return ()
        dense = super().fc_cycles(replace(config, skip_zeros=False))
        if not saves(self.least_words(self.fewest, config), dense):
            return ()
        if config.at_once not in self.fullest:
            least, _ = self.built(config.outputs)
            first, *others = fc_weights(least)
            in_order = [first[:, config.fc1_order(least.network)], *others]
            self.fullest[config.at_once] = list(map(fullest_lane, in_order))
        words = tuple(words_of_groups(one, config.fc_rows) for one in self.fullest[config.at_once])
        return words if saves(sum(map(sum, words)), dense) else ()

    def fc_cycles(self, config: Config) -> int:
        dense = min(super().fc_cycles(replace(config, skip_zeros=False)), super().fc_cycles(config))
        return min(dense, self.least_words(self.fewest, config)) if self.has_places else dense

    def least_words(self, of_outputs: list[np.ndarray], config: Config) -> int:
        return sum(sum(words_of_groups(one, config.fc_rows)) for one in of_outputs)


def fc_weights(checkpoint: Checkpoint) -> list[np.ndarray]:
    """Weights (outputs, inputs) of the layers of the FC engine."""
    layers = stages(checkpoint.network).fc
    return [checkpoint.arrays[f"{one.name}.weight"].reshape(one.outputs, one.inputs) for one in layers]


def saves(sparse: int, dense: int) -> bool:
    """Whether words of the bank-balanced engine take fewer bits than those of the dense one."""
    return sparse * (CODE_BITS + INDEX_BITS) < dense * CODE_BITS


def distinct(weights: np.ndarray) -> set[int]:
    """The codes that occur among weights."""
    return {code - 128 for code in np.flatnonzero(np.bincount(weights.ravel().view(np.uint8) ^ 128)).tolist()}


def form_of(values: list[set[int]], sizes: list[int], config: Config, padded: list[bool]) -> WeightForm:
    """How the weights of an engine's layers are stored that have these ``values``, with zeros where one is ``padded``;
    ``sizes``: numbers of weights. There may be no layers."""
    if not values:
        return CODES
    found = [tuple(sorted(one | {0} if zeros else one)) for one, zeros in zip(values, padded, strict=True)]
    if any(len(one) * FEWEST_PER_VALUE > size for one, size in zip(found, sizes, strict=True)):
        return CODES
    if not config.packed and all(map(are_signs, found)):
        return WeightForm("signs", tuple(found))
    if not config.packed and all(map(are_powers, found)):
        return WeightForm("powers", tuple(found))
    return WeightForm("codebook", tuple(found)) if all(len(one) <= MOST_VALUES for one in found) else CODES


def conv_sweeps(checkpoint: Checkpoint, config: Config) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """For each convolution, for each group of its output channels, the sets of input channels with a kernel that is not
    all zeros: one at least. Empty where that would be all that are read."""
    layers = []
    for layer, stage in enumerate(stages(checkpoint.network).convs):
        at_once = config.channels_at_once(checkpoint.network, layer)
        weights = checkpoint.arrays[f"{stage.name}.weight"]
        each = stage.channels // stage.layer.groups  # input channels of an output
        used = np.any(weights != 0, axis=(2, 3))
        sweeps, reads = [], 0
        for group in config.groups(stage.width):
            first = {output: output // (stage.width // stage.layer.groups) * each for output in group}
            found = {
                (first[output] + int(channel)) // at_once
                for output in group
                for channel in np.flatnonzero(used[output])
            }
            sweeps.append(tuple(sorted(found)) or (first[group.start] // at_once,))
            reads += len({channel // at_once for channel in stage.group_channels(group)})
        layers.append(() if sum(map(len, sweeps)) == reads else tuple(sweeps))
    return tuple(layers) if any(layers) else ()
