"""The cycles of certain images: where zeros are skipped, they depend on what is in an image."""

from collections.abc import Iterator

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import pixels_to_codes, traces
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import ImageCycles, Work, cycles_of_run
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.zero_windows import visits
from fivebyfive.model.shape import FC_WORD

__all__ = ["cycles_of_images", "not_zero", "work_of"]


def cycles_of_images(checkpoint: Checkpoint, config: Config, pixels: np.ndarray) -> list[ImageCycles]:
    """What the counters show of each of ``pixels``, uint8 (N, rows, columns) or (N, channels, rows, columns), in a run
    in which they come without pauses and results are taken at once."""
    return cycles_of_run(checkpoint.network, config, list(work_of(checkpoint, config, pixels)))


def work_of(checkpoint: Checkpoint, config: Config, pixels: np.ndarray) -> Iterator[Work]:
    """What is computed of each image."""
    network, computed = config.built(checkpoint.network), config.computed(checkpoint.network)
    convs, fc = stages(network).convs, stages(network).fc
    order = config.fc1_order(network)
    first = 0
    for trace in traces(checkpoint, pixels):
        count = len(trace.logits)
        codes = pixels_to_codes(pixels[first : first + count]).reshape(count, *network.input)
        first += count
        names = [stage.name for stage in convs] + [stage.name for stage in fc]
        outputs = [trace.outputs[name][:, list(computed[name])] for name in names]
        layers = [codes, *outputs[:-1]]
        inputs = [one.reshape(count, -1) for one in layers[len(convs) :]]
        found = [not_zero(one if layer else one[:, order]) for layer, one in enumerate(inputs)]
        for image in range(count):
            seen = visits(network, config, [one[image] for one in layers[: len(convs)]])
            yield Work(seen, tuple(tuple(one[image].tolist()) for one in found) if config.fc_skips_zeros else None)


def not_zero(activations: np.ndarray) -> np.ndarray:
    """How many activations (N, inputs) are not zero in each word of 20, (N, words)."""
    padded = np.pad(activations != 0, ((0, 0), (0, -activations.shape[1] % FC_WORD)))
    counted: np.ndarray = padded.reshape(len(padded), -1, FC_WORD).sum(axis=2)
    return counted
