"""Weight images whose padding is not zero: what nobody may use."""

import random

import numpy as np

from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.weights import WeightImage, memory_map
from fivebyfive.model.network import Network

__all__ = ["pad_randomly"]


def pad_randomly(image: WeightImage, network: Network, config: Config, seed: int = 3) -> WeightImage:
    """The same image, but for the zeros beside and behind the biases of each layer, which become anything."""
    rng, words = random.Random(seed), {"conv": image.conv.copy(), "fc": image.fc.copy()}
    for region in memory_map(network, config):
        if region.name.endswith(".bias"):
            place = words[region.memory][region.address : region.end]  # a view
            banked = region.memory == "fc" and config.engines.words
            biases = network.arrays[region.name][0]
            free: np.ndarray = np.arange(place.size).reshape(place.shape) >= biases
            if banked:  # R biases a word
                word, byte = np.indices(place.shape)
                free = np.logical_or(byte >= config.fc_rows, word * config.fc_rows + byte >= biases)
            place[free] = [rng.randint(-128, 127) for _ in range(free.sum())]
    return WeightImage(**words)
