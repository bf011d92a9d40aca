"""Machines drawn at random: a network of any layers, weights that engines are made for, and a size that it may have."""

import random
from dataclasses import dataclass, replace

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import POOLS
from fivebyfive.model.machine.config import DSP_SIZES, Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.network import Network, Pool
from fivebyfive.sim.benchlib.random_networks import random_network as with_kinds
from tests.model.random_descriptions import random_network

KINDS = (
    "",
    "kernels",
    "banks",
    "codebook",
    "powers",
    "ternary",
    "binary",
    "kernels+banks",
    "kernels+codebook",
    "kernels+ternary",
)
MOST_CYCLES = 60_000  # an image
TRIES = 50  # sizes for a network


@dataclass(frozen=True)
class Machine:
    """``kind``: what its weights are (`random_networks.KINDS`)."""

    checkpoint: Checkpoint
    kind: str
    config: Config

    def __str__(self) -> str:
        return f"{self.checkpoint.summary}; {self.kind or 'any weights'}; {self.config}"


def random_machine(seed: int, largest: int = 36, work: int = 1 << 40) -> Machine:
    """A machine of images of at most ``largest`` rows and columns, and at most ``work`` multiplications until the
    result of a second image, whose time a simulator takes."""
    rng = random.Random(seed)
    while True:
        network = random_network(rng, largest)
        if len(stages(network).convs) < rng.choice((0, 1, 1, 2, 2)):
            continue
        if rng.random() < 0.5:
            network = with_cells(network, rng) or network
        config = random_config(network, rng)
        if config is None:
            continue
        kind = rng.choice(KINDS)
        checkpoint = with_kinds(network, seed, kind)
        config = fitted(checkpoint, config) if kind else config
        cycles = plan(network, config)
        if cycles.interval <= MOST_CYCLES and (cycles.latency + 2 * cycles.interval) * config.multipliers <= work:
            return Machine(checkpoint, kind, config)


def with_cells(network: Network, rng: random.Random) -> Network | None:
    """The network with a 2x2 pool behind each convolution, none of which skips a row: several windows at once. None
    where it does not fit then."""
    layers = []
    for layer in network.layers:
        if layer.kind == "conv":
            steps = [step for step in layer.then if not isinstance(step, Pool)]
            steps.insert(rng.randint(0, len(steps)), Pool(rng.choice(POOLS), 2, 2))
            layer = replace(layer, stride=1, then=tuple(steps))
        layers.append(layer)
    try:
        return Network(network.input, tuple(layers))
    except ValueError:
        return None


def random_config(network: Network, rng: random.Random) -> Config | None:
    """A size that the network may have; None where none was found."""
    parts = stages(network)
    widest = max((stage.width for stage in parts.convs), default=0)
    for _ in range(TRIES):
        try:
            config = Config(
                windows=rng.choice((1, 2, 4)) if all(one.takes_windows for one in parts.convs) else 1,
                outputs=rng.choice((1, 2, rng.randint(1, widest + 2))) if parts.convs else 0,
                fc_rows=rng.choice((1, 2, rng.randint(1, 25))) if parts.fc else 0,
                early_fc=rng.random() < 0.2,
                overlap=rng.random() < 0.7,
                packed=rng.random() < 0.2,
                kernel=rng.choice((parts.kernel, parts.kernel, rng.randint(3, 7))),
            )
            config.check(network)
        except ValueError:
            continue
        return replace(config, dsp_size=rng.choice(DSP_SIZES)) if config.packed else config
    return None


def random_images(network: Network, count: int, seed: int) -> np.ndarray:
    channels, *size = network.input
    return np.random.default_rng(seed).integers(0, 256, (count, *([channels] if channels > 1 else []), *size), np.uint8)
