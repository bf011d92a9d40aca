"""Weight images whose padding is not zero: what nobody may use."""

import random

from fivebyfive.model.config import Config
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.weights import WeightImage, memory_map

__all__ = ["filled"]


def filled(image: WeightImage, shape: LeNetShape, config: Config, seed: int = 3) -> WeightImage:
    """The same image, but for the zeros behind the last bias of each layer, which become anything."""
    rng, words = random.Random(seed), {"conv": image.conv.copy(), "fc": image.fc.copy()}
    for region in memory_map(shape, config):
        if region.name.endswith(".bias"):
            place = words[region.memory][region.address : region.end].reshape(-1)  # a view
            used = shape.arrays[region.name][0]
            place[used:] = [rng.randint(-128, 127) for _ in place[used:]]
    return WeightImage(**words)
