"""The cycles of certain images: where windows of zeros take none, they depend on what is in an image."""

from collections.abc import Iterator

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import pixels_to_codes, traces
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import ImageCycles, cycles_of_run
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.zero_windows import Visits, visits

__all__ = ["cycles_of_images", "visits_of"]


def cycles_of_images(checkpoint: Checkpoint, config: Config, pixels: np.ndarray) -> list[ImageCycles]:
    """What the counters show of each of ``pixels``, uint8 (N, rows, columns) or (N, channels, rows, columns), in a run
    in which they come without pauses and results are taken at once."""
    return cycles_of_run(checkpoint.network, config, list(visits_of(checkpoint, config, pixels)))


def visits_of(checkpoint: Checkpoint, config: Config, pixels: np.ndarray) -> Iterator[Visits]:
    """The positions of each image that are computed."""
    network, computed = config.built(checkpoint.network), config.computed(checkpoint.network)
    convs = stages(network).convs
    first = 0
    for trace in traces(checkpoint, pixels):
        count = len(trace.logits)
        codes = pixels_to_codes(pixels[first : first + count]).reshape(count, *network.input)
        first += count
        maps = [codes, *(trace.outputs[stage.name][:, list(computed[stage.name])] for stage in convs[:-1])]
        for image in range(count):
            yield visits(network, config, [one[image] for one in maps[: len(convs)]])
