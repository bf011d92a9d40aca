"""Networks drawn at random from all that a description may say, small enough for a test."""

import random

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import POOLS
from fivebyfive.model.network import Layer, Network, Pool, Step

MOST_WEIGHTS = 200_000  # bytes
MOST_MACS = 3_000_000


def random_network(rng: random.Random, largest: int = 36) -> Network:
    """Any network of section "A network is a list of layers" of docs/checkpoint.md, of images of at most ``largest``
    rows and columns, and at most `MOST_WEIGHTS` bytes and `MOST_MACS` products an image."""
    while True:
        size = rng.choice((1, 1, 2, 3, 5)), rng.randint(4, largest), rng.randint(4, largest)
        layers: list[Layer] = []
        try:
            for number in range(rng.randint(0, 4)):
                shape = Network(size, (*layers, Layer("end", "fc", 2))).places[-1].inputs
                layers.append(random_conv(rng, f"c{number}", shape))
            convs = len(layers)
            for number in range(rng.randint(0 if convs else 1, 3)):
                layers.append(Layer(f"f{number}", "fc", rng.randint(1, 40), then=random_steps(rng, None)))
            if len(layers) == convs:  # the last maps have to be 1x1
                rows, columns = Network(size, (*layers, Layer("end", "fc", 2))).places[-1].inputs[1:]
                if rows != columns:
                    continue
                layers.append(Layer("global", "conv", rng.randint(1, 12), 1, then=(Pool("average", rows, rows),)))
            network = Network(size, tuple(layers))
        except ValueError:
            continue
        weights = sum(int(np.prod(shape)) for shape in network.arrays.values())
        if weights <= MOST_WEIGHTS and sum(network.macs.values()) <= MOST_MACS:
            return network


def random_conv(rng: random.Random, name: str, inputs: tuple[int, ...]) -> Layer:
    """A convolution behind maps of a shape; it may not fit."""
    kernel = rng.choice((1, 2, 3, 3, 5, 5, 7))
    common = [n for n in range(1, inputs[0] + 1) if inputs[0] % n == 0]
    groups = rng.choice((1, 1, rng.choice(common)))
    outputs = groups * rng.randint(1, 8)
    sides = [rng.randrange(kernel) for _ in range(4)] if rng.random() < 0.3 else [rng.randrange(kernel)] * 4
    padding = rng.choice(((0, 0, 0, 0), tuple(sides)))
    fill = rng.choice(((0,), (rng.randint(-128, 127),), tuple(rng.randint(-128, 127) for _ in range(inputs[0]))))
    pool = None
    if rng.random() < 0.6:
        size = rng.randint(1, 4)
        pool = Pool(rng.choice(POOLS), size, rng.randint(1, size))
    return Layer(name, "conv", outputs, kernel, rng.choice((1, 1, 2)), padding, fill, groups, random_steps(rng, pool))


def random_steps(rng: random.Random, pool: Pool | None) -> tuple[Step, ...]:
    steps: list[Step] = [step for step in ("relu", "table") if rng.random() < 0.4]
    steps += [pool] if pool else []
    rng.shuffle(steps)
    return tuple(steps)


def random_checkpoint(seed: int) -> tuple[Checkpoint, np.ndarray]:
    """Such a network with codes over the whole range, and three images for it."""
    network = random_network(random.Random(seed))
    images = np.random.default_rng(seed).integers(0, 256, (3, *network.input), np.uint8)
    return Checkpoint.random(network, seed), images
