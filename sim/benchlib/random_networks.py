"""Random networks whose weights have what an engine is made for."""

from dataclasses import replace

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.unused import always_zero, built
from fivebyfive.model.network import Network
from fivebyfive.model.shape import LeNetShape

__all__ = ["KINDS", "least", "other_network", "random_network"]

KINDS = ("kernels", "banks", "codebook", "powers", "ternary", "binary", "seen", "one-bit", "few-codes")
ZERO_KERNELS = 0.6  # share of the kernels behind the first convolution
ZERO_WEIGHTS = 0.95  # share of the fully-connected weights
VALUES = 6  # of a layer
LEVELS = ((-1, 0, 1), (0, 1), (0, 1, 2, 3), tuple(range(16)), (-8, 8), (5,))  # codes that a table has
POWERS = [sign << exponent for sign in (-1, 1) for exponent in range(8) if sign << exponent < 128]


def random_network(shape: LeNetShape | Network, seed: int, kind: str = "") -> Checkpoint:
    """Codes drawn evenly over the whole range; ``kind``, some of `KINDS` with a + between them, says what is changed
    then: kernels of zeros, weights of zeros, few values, or such that need no multiplier (powers of two, three values
    or two); that each input of a fully-connected layer has a weight somewhere; that weights are -s and s and tables
    signs; or that tables have few codes."""
    network = Checkpoint.random(shape, seed)
    arrays = {name: array.copy() for name, array in network.arrays.items()}
    for number, one in enumerate(kind.split("+") if kind else []):
        rng = np.random.default_rng((seed, number))
        for name, array in arrays.items():
            if name.endswith(".weight"):
                change(one, array, name == next(iter(arrays)), rng)
            elif name.endswith(".table"):
                change_table(one, array, rng)
    return Checkpoint(network.network, arrays)


def change(kind: str, array: np.ndarray, first: bool, rng: np.random.Generator) -> None:
    """Make one array of weights, perhaps the ``first``, what ``kind`` says."""
    size = 1 << rng.integers(0, 7)
    match kind:
        case "kernels" if array.ndim == 4 and not first:
            array[rng.random(array.shape[:2]) < ZERO_KERNELS] = 0
        case "banks" if array.ndim == 2:
            array[rng.random(array.shape) < ZERO_WEIGHTS] = 0
        case "codebook":
            array[:] = np.append(rng.integers(-128, 128, VALUES - 1), 0)[rng.integers(0, VALUES, array.shape)]
        case "powers":
            array[:] = np.append(rng.choice(POWERS, VALUES - 1, False), 0)[rng.integers(0, VALUES, array.shape)]
        case "ternary":
            array[:] = size * rng.integers(-1, 2, array.shape)
        case "binary" | "one-bit":
            array[:] = size * (2 * rng.integers(0, 2, array.shape) - 1)
        case "seen" if array.ndim == 2:
            unseen = np.flatnonzero(~array.any(axis=0))
            array[rng.integers(0, len(array), len(unseen)), unseen] = rng.integers(1, 128, len(unseen))
        case _ if kind not in KINDS:
            raise ValueError(f"there is no kind of network {kind!r}; there are {', '.join(KINDS)}")


def change_table(kind: str, table: np.ndarray, rng: np.random.Generator) -> None:
    """Make a table what ``kind`` says."""
    if kind == "one-bit":
        table[:] = np.where(np.arange(-128, 128) < 0, -1, 1)
    if kind == "few-codes":
        table[:] = rng.choice(LEVELS[rng.integers(len(LEVELS))], len(table))


def least(network: Checkpoint, config: Config) -> tuple[Checkpoint, Config]:
    """What a machine computes of a network, and the same machine as one that leaves nothing out: for benches of single
    engines, which know no other network."""
    return built(network, config), replace(config, engines=replace(config.engines, kept=()))


def other_network(network: Checkpoint, seed: int, kind: str = "") -> Checkpoint:
    """Another network for the machine that was made for ``network``: any codes where there is no ``kind``, else the
    weights that are not zero in another order; and other biases. Outputs without weights, or that are always zero, keep
    theirs: the machine may have nothing that computes them."""
    other = Checkpoint.random(network.network, seed)
    other.arrays.update(network.tables)
    if not kind:
        return other
    rng, zero = np.random.default_rng(seed), always_zero(network)
    for name, array in network.arrays.items():
        if name.endswith(".weight"):
            layer = name.removesuffix(".weight")
            constant = ~array.reshape(len(array), -1).any(axis=1) | zero[layer]
            moved = (array != 0) & ~constant.reshape(-1, *[1] * (array.ndim - 1))
            other.arrays[name][:] = array
            other.arrays[name][moved] = rng.permutation(array[moved])
            other.arrays[f"{layer}.bias"][constant] = network.arrays[f"{layer}.bias"][constant]
    return other
