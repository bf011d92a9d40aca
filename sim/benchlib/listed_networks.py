"""Networks that the machine is proved on: what people build, and each thing that a description may say.

tests/sim/test_networks.py simulates each of them, ``python -m fivebyfive.verify.schedule`` writes how many cycles they
take. Sources beside those of `fivebyfive.model.training.networks`: pytorch/examples, mnist/main.py; pytorch/tutorials,
nn_tutorial.py; LeCun et al. 1998, table I, for the kernels that C3 does not have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import exp, tanh

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.network import Layer, Network, Pool, Step
from fivebyfive.model.training.networks import LENET_5, NETWORKS, stack

__all__ = ["LISTED", "Listed"]

ONE = 64  # the code of 1.0
FUNCTIONS: Mapping[str, Callable[[float], float]] = {"tanh": tanh, "sigmoid": lambda x: 1 / (1 + exp(-x))}
# The maps of S2 that each map of C3 reads.
C3 = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5), (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5),
    (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5), (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip
MAX2, AVERAGE2 = Pool("max", 2, 2), Pool("average", 2, 2)
MAX3, AVERAGE3 = Pool("max", 3, 2), Pool("average", 3, 3)


@dataclass(frozen=True)
class Listed:
    """``network``; ``function``: of all its tables, random ones without; ``kernels``: of some convolutions the input
    channels that each output channel has kernels for, the others are zeros. ``large``: takes Icarus minutes."""

    network: Network
    function: str = ""
    kernels: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict, hash=False)
    large: bool = False

    def checkpoint(self, seed: int) -> Checkpoint:
        """Random codes over the whole range, with these tables and zeros."""
        checkpoint = Checkpoint.random(self.network, seed)
        for name, table in checkpoint.tables.items():
            if self.function:
                checkpoint.arrays[name] = table_of(FUNCTIONS[self.function])
            else:
                assert np.any(np.diff(table) < 0), "a random table is not monotone"
        for layer, read in self.kernels.items():
            weights = checkpoint.arrays[f"{layer}.weight"]
            for output, channels in enumerate(read):
                weights[output, [n for n in range(weights.shape[1]) if n not in channels]] = 0
        return checkpoint


def table_of(function: Callable[[float], float]) -> np.ndarray:
    """Codes of a function of codes, without any scale."""
    return np.array([round(ONE * function(code / ONE)) for code in range(-128, 128)], np.int8)


def conv(
    name: str, outputs: int, kernel: int, *then: Step, padding: int = 0, stride: int = 1, groups: int = 1
) -> Layer:
    return Layer(name, "conv", outputs, kernel, stride, (padding,) * 4, groups=groups, then=then)


def fc(name: str, outputs: int, *then: Step) -> Layer:
    return Layer(name, "fc", outputs, then=then)


def network(channels: int, size: int, *layers: Layer) -> Network:
    return Network((channels, size, size), layers)


def two(size: int, *then: Step, channels: int = 1, kernel: int = 5, fill: int = 0) -> Network:
    """Two small convolutions, each followed by ``then``, and ten classes."""
    convs = [conv("c1", 6, kernel, *then), conv("c2", 10, kernel, *then)]
    return network(channels, size, *(replace(one, fill=(fill,)) for one in convs), fc("f1", 10))


EXAMPLES = network(
    1, 28, conv("conv1", 32, 3, "relu"), conv("conv2", 64, 3, MAX2, "relu"), fc("fc1", 128, "relu"), fc("fc2", 10)
)
C5 = network(
    1, 32, conv("c1", 6, 5, MAX2, "relu"), conv("c3", 16, 5, MAX2, "relu"), conv("c5", 120, 5, "relu"),
    fc("f6", 84, "relu"), fc("output", 10),
)  # fmt: skip
GLOBAL = network(
    1, 28, conv("c1", 8, 3, MAX2, "relu"), conv("c2", 16, 3, MAX2, "relu"), conv("c3", 10, 3, Pool("average", 3, 3))
)
TUTORIAL = network(
    1, 28, *(conv(f"c{n}", outputs, 3, "relu", padding=1, stride=2) for n, outputs in ((1, 16), (2, 16))),
    conv("c3", 10, 3, "relu", Pool("average", 4, 4), padding=1, stride=2),
)  # fmt: skip
STRIDES = network(
    1, 28, conv("c1", 6, 5, "relu", padding=2, stride=2), conv("c2", 16, 5, "relu", stride=2), fc("f1", 84, "relu"),
    fc("f2", 10),
)  # fmt: skip
SEVEN = network(1, 28, conv("c1", 8, 7, MAX2, "relu"), conv("c2", 16, 1, MAX2, "relu"), fc("f1", 10))
GROUPS = network(
    1, 28, conv("c1", 6, 5, MAX2, "relu"), conv("c2", 16, 5, MAX2, "relu", groups=2), fc("f1", 84, "relu"), fc("f2", 10)
)
KERNELS_456 = network(
    1, 45, conv("c1", 6, 5, MAX2, "relu"), conv("c2", 16, 4, MAX2, "relu"), conv("c3", 24, 6, "relu"), fc("f1", 10)
)
LARGE = network(
    3, 64, conv("c1", 6, 5, MAX2, "relu"), conv("c2", 16, 5, MAX2, "relu"), fc("f1", 32, "relu"), fc("f2", 10)
)
EIGHT = network(
    1, 28, *(
        conv(f"c{n}", outputs, 3, *([MAX2] if n in (2, 4) else []), "relu", padding=1 if n < 7 else 0)
        for n, outputs in enumerate((4, 4, 6, 6, 8, 8, 8, 10), 1)
    ), fc("f1", 10),
)  # fmt: skip
LISTED: Mapping[str, Listed] = {
    "LeNet-5, 32x32": Listed(NETWORKS["lenet-5"].network),
    "LeNet-5, 28x28 with padding 2": Listed(stack((1, 28, 28), *LENET_5, (MAX2, "relu"), "relu", padding=2)),
    "LeNet-5, 3x32x32": Listed(NETWORKS["lenet-5-cifar"].network),
    "LeNet-5, 3x32x32, 100 classes": Listed(
        stack((3, 32, 32), LENET_5[0], [*LENET_5[1][:-1], 100], (MAX2, "relu"), "relu")
    ),
    "d2l, sigmoid and average": Listed(NETWORKS["d2l"].network, "sigmoid"),
    "d2l, tanh and average": Listed(NETWORKS["d2l-tanh"].network, "tanh"),
    "Keras simple": Listed(NETWORKS["keras-simple"].network, large=True),
    "pytorch/examples": Listed(EXAMPLES, large=True),
    "C5 as a convolution": Listed(C5),
    "one convolution": Listed(network(1, 28, conv("c1", 8, 5, MAX2, "relu"), fc("f1", 10))),
    "three 3x3, global average": Listed(GLOBAL),
    "three 3x3 of stride 2, average of 4": Listed(TUTORIAL),
    "stride 2 without pools": Listed(STRIDES),
    "7x7, then 1x1": Listed(SEVEN),
    "2x2 kernels": Listed(two(28, MAX2, "relu", kernel=2)),
    "depthwise 5x5, then pointwise": Listed(NETWORKS["separable"].network),
    "groups of 2": Listed(GROUPS),
    "45x45, kernels of 5, 4 and 6": Listed(KERNELS_456),
    "3x64x64": Listed(LARGE, large=True),
    "pool of 3, stride 2": Listed(two(28, "relu", MAX3)),
    "average of 3": Listed(two(28, AVERAGE3, "relu", kernel=3)),
    "no activation": Listed(two(28, MAX2)),
    "a table before the pool": Listed(two(28, "table", MAX2)),
    "a table behind the pool": Listed(two(28, MAX2, "table")),
    "LeCun's sparse C3": Listed(NETWORKS["lenet-5"].network, kernels={"c2": C3}),
    "eight convolutions": Listed(EIGHT),
    "one fc layer": Listed(network(1, 28, fc("f1", 10))),
}
