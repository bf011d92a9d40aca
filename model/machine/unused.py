"""What a machine that is made for a checkpoint need not compute: outputs that are always zero, or that nothing reads.

Leaving them out changes no logit. From the ranges of a layer's inputs follows the range of each of its sums; where none
of them can wrap and each becomes zero, the output is always zero (all weights zero and a bias of at most 0 behind ReLU,
for example), and no sum needs it. What is read by nothing that is computed itself is left out likewise. The others may
be put in another order: output channels that are computed at once have fewest sweeps where they read the same inputs.

Layers next to one with groups of channels, or whose padding holds codes that differ, stay as they are.
"""

from collections.abc import Mapping
from functools import reduce
from itertools import combinations
from operator import or_

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import apply_steps
from fivebyfive.model.network import Network, Place, Pool
from fivebyfive.model.q26 import Q2_6

from .config import Config
from .weight_form import Engines

__all__ = [
    "always_zero", "as_computed", "built", "kept_outputs", "outputs_left_out", "unread_outputs", "used_outputs",
    "with_outputs",
]  # fmt: skip

PIXELS = 0, 127  # codes of pixels
Ranges = tuple[np.ndarray, np.ndarray]  # of each channel the least and the largest code


def kept_outputs(
    checkpoint: Checkpoint, at_once: int = 1, used: list[np.ndarray] | None = None
) -> tuple[tuple[int, ...], ...]:
    """For each layer but the last the outputs that must be computed (``used``: `used_outputs`, where that is known), in
    the order in which ``at_once`` output channels of a convolution have the fewest sweeps. Empty where all of them
    must, in their own order."""
    kept = [np.flatnonzero(one) for one in used or used_outputs(checkpoint)]
    before = np.arange(checkpoint.network.input[0])
    for number, place in enumerate(checkpoint.network.places[:-1]):
        if place.layer.kind == "conv" and movable(checkpoint, number):
            weight = checkpoint.arrays[f"{place.layer.name}.weight"]
            reads = np.any(weight != 0, axis=(2, 3))[kept[number]][:, before]
            kept[number] = kept[number][ordered(reads, at_once)]
        before = kept[number]
    found = tuple(tuple(one.tolist()) for one in kept)
    every = tuple(tuple(range(place.layer.outputs)) for place in checkpoint.network.places[:-1])
    return found if found != every else ()


def used_outputs(checkpoint: Checkpoint, allowed: list[np.ndarray] | None = None) -> list[np.ndarray]:
    """For each layer but the last which outputs must be computed, (outputs,) of bool; of those that need not be only
    the ``allowed`` ones are left out."""
    places, zero = checkpoint.network.places, always_zero(checkpoint)
    found: list[np.ndarray] = []
    reader = np.ones(places[-1].layer.outputs, bool)
    for number in range(len(places) - 2, -1, -1):
        place, following = places[number], places[number + 1]
        used: np.ndarray = np.ones(place.layer.outputs, bool)
        if movable(checkpoint, number):
            weight = checkpoint.arrays[f"{following.layer.name}.weight"][reader]
            read = np.asarray(weight.reshape(len(weight), place.layer.outputs, -1).any(axis=(0, 2)))
            used = read if padded_otherwise(following) else read & ~zero[place.layer.name]
            if allowed is not None:
                used |= ~allowed[number]
            if not used.any():
                used[0] = True
        found.insert(0, used)
        reader = used
    return found


def movable(checkpoint: Checkpoint, number: int) -> bool:
    """Whether outputs of this layer can be left out or put in another order."""
    layer, following = (checkpoint.network.layers[n] for n in (number, number + 1))
    return layer.groups == following.groups == 1 and len(following.fill) == 1


def padded_otherwise(place: Place) -> bool:
    """Whether the padding of this layer's input is not zero."""
    return any(place.layer.padding) and any(place.layer.fill)


def ordered(reads: np.ndarray, at_once: int) -> list[int]:
    """An order of outputs, of which each reads some inputs (outputs, inputs), in which groups of ``at_once`` read few.
    A group begins with what reads most, and goes on with what adds least to it; then outputs of two groups change
    places as long as that helps. The order as it is, where that is no better."""
    masks = [int.from_bytes(np.packbits(one).tobytes()) for one in reads]
    plain = list(range(len(masks)))
    if at_once == 1 or len(set(masks)) == 1:
        return plain
    rest, order = list(plain), []
    while rest:
        group = masks[max(rest, key=lambda n: (masks[n].bit_count(), -n))]
        for _ in range(min(at_once, len(rest))):
            chosen = min(rest, key=lambda n: ((masks[n] & ~group).bit_count(), -masks[n].bit_count(), n))
            group |= masks[chosen]
            order.append(chosen)
            rest.remove(chosen)
    while exchange(order, masks, at_once):
        pass
    return order if swept(order, masks, at_once) < swept(plain, masks, at_once) else plain


def exchange(order: list[int], masks: list[int], at_once: int) -> bool:
    """Let two outputs of different groups change places where that saves a sweep; whether any did."""
    better = False
    for a, b in combinations(range(len(order)), 2):
        groups = [range(one - one % at_once, min(one - one % at_once + at_once, len(order))) for one in (a, b)]
        if groups[0] == groups[1]:
            continue
        before = sum(swept([order[n] for n in group], masks, at_once) for group in groups)
        order[a], order[b] = order[b], order[a]
        if sum(swept([order[n] for n in group], masks, at_once) for group in groups) < before:
            better = True
        else:
            order[a], order[b] = order[b], order[a]
    return better


def swept(order: list[int], masks: list[int], at_once: int) -> int:
    """Input channels that are swept for groups of outputs in this order: one for each group at least."""
    groups = (order[n : n + at_once] for n in range(0, len(order), at_once))
    return sum(max(1, reduce(or_, (masks[n] for n in group)).bit_count()) for group in groups)


def always_zero(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Of each layer which outputs are zero for every image, (outputs,) of bool."""
    low, high = (np.full(checkpoint.network.input[0], code) for code in PIXELS)
    found = {}
    for place in checkpoint.network:
        low, high = output_ranges(checkpoint, place, (low, high))
        found[place.layer.name] = (low == 0) & (high == 0)
    return found


def output_ranges(checkpoint: Checkpoint, place: Place, inputs: Ranges) -> Ranges:
    """Ranges of the codes of a layer as the next one sees them."""
    layer, arrays = place.layer, checkpoint.arrays
    low, high = inputs
    if any(layer.padding):
        fill = np.array(layer.fill)
        low, high = np.minimum(low, fill), np.maximum(high, fill)
    weight = arrays[f"{layer.name}.weight"]
    groups = weight.reshape(layer.groups, layer.outputs // layer.groups, len(low) // layer.groups, -1)
    up, down = (part(groups, 0).sum(axis=3, dtype=np.int64) for part in (np.maximum, np.minimum))
    low, high = (one.astype(np.int64).reshape(layer.groups, -1, 1) for one in (low, high))
    bias = arrays[f"{layer.name}.bias"].astype(np.int64) << Q2_6.frac_bits
    least = bias + (up @ low + down @ high).ravel() >> Q2_6.frac_bits
    most = bias + (up @ high + down @ low).ravel() >> Q2_6.frac_bits
    wraps = (least < Q2_6.min) | (most > Q2_6.max)
    codes = zip(np.where(wraps, Q2_6.min, least).tolist(), np.where(wraps, Q2_6.max, most).tolist(), strict=True)
    ends = np.array([steps_range(checkpoint, place, *one) for one in codes])
    return ends[:, 0], ends[:, 1]


def steps_range(checkpoint: Checkpoint, place: Place, least: int, most: int) -> tuple[int, int]:
    """What `Layer.then` makes of a range of codes."""
    table = checkpoint.arrays.get(f"{place.layer.name}.table")
    for step in place.layer.then:
        if not isinstance(step, Pool):  # a pool gives codes between the least and the largest
            codes = apply_steps(np.arange(least, most + 1).astype(np.int8), [step], table)
            least, most = int(codes.min()), int(codes.max())
    return least, most


def built(checkpoint: Checkpoint, config: Config) -> Checkpoint:
    """The checkpoint that a machine computes: without what its engines leave out, in their order. Raises ValueError
    where something is left out that this checkpoint needs."""
    kept, places = config.engines.kept, checkpoint.network.places
    config.built(checkpoint.network)  # is it one of this machine's?
    if not kept or any(max(one) >= place.layer.outputs for one, place in zip(kept, places, strict=False)):
        return checkpoint  # nothing is left out, or already
    left_out = outputs_left_out(checkpoint.network, config)
    if any((used & out).any() for used, out in zip(used_outputs(checkpoint, left_out), left_out, strict=True)):
        raise ValueError("outputs that this machine leaves out are not always zero or are read; generate it again")
    return with_outputs(checkpoint, kept)


def with_outputs(checkpoint: Checkpoint, kept: tuple[tuple[int, ...], ...]) -> Checkpoint:
    """The checkpoint with the outputs that are ``kept`` (`kept_outputs`) alone."""
    if not kept:
        return checkpoint
    places, arrays = checkpoint.network.places, {}
    network = Config(engines=Engines(kept=kept)).built(checkpoint.network)
    before = np.arange(checkpoint.network.input[0])
    for place, outputs in zip(places, [*kept, range(places[-1].layer.outputs)], strict=True):
        rows = np.array(outputs)
        for name in place.arrays:
            array = checkpoint.arrays[name]
            if name.endswith(".weight") and place.layer.groups == 1:
                channels = array.reshape(len(array), place.inputs[0], -1)
                array = channels[rows][:, before].reshape(network.arrays[name])
            elif name.endswith(".bias"):
                array = array[rows]
            arrays[name] = np.ascontiguousarray(array)
        before = rows
    return Checkpoint(network, arrays)


def outputs_left_out(network: Network, config: Config) -> list[np.ndarray]:
    """For each layer but the last which outputs a machine does not compute, (outputs,) of bool."""
    counts = [layer.outputs for layer in network.layers[:-1]]
    kept = config.engines.kept or [range(count) for count in counts]
    return [~np.isin(np.arange(count), one) for count, one in zip(counts, kept, strict=True)]


def as_computed(outputs: Mapping[str, np.ndarray], unread: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Layers' outputs (N, outputs, ...) as a machine shows them: zeros for those that are ``unread``
    (`unread_outputs`)."""
    found = dict(outputs)
    for name in found.keys() & unread.keys():
        found[name] = found[name].copy()
        found[name][:, unread[name]] = 0
    return found


def unread_outputs(checkpoint: Checkpoint, config: Config) -> dict[str, np.ndarray]:
    """Of each layer which outputs a machine does not compute though they are not always zero, as nothing reads them,
    (outputs,) of bool; only layers that have some."""
    zero, left_out = always_zero(checkpoint), outputs_left_out(checkpoint.network, config)
    found = {name: out & ~zero[name] for name, out in zip(checkpoint.network.names, left_out, strict=False)}
    return {name: outputs for name, outputs in found.items() if outputs.any()}
