"""Networks that the option --network of `train` knows by name, and those that it reads from a file.

Sources of the names: LeCun et al. 1998, Gradient-based learning applied to document recognition (LeNet-1, LeNet-5,
LeNet-300-100); BVLC Caffe, examples/mnist; Zhang et al., Dive into Deep Learning, section 7.6; Keras, Simple MNIST
convnet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fivebyfive.model.description import describe, parse
from fivebyfive.model.network import Layer, Network, Pool, Step
from fivebyfive.model.readers.float_network import describe_function
from fivebyfive.model.readers.steps import Activation
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import read_limited

__all__ = ["NETWORKS", "Trainable", "find_network"]

MAX_BYTES = 1 << 20  # of a description
MAX2, AVERAGE2 = Pool("max", 2, 2), Pool("average", 2, 2)


@dataclass(frozen=True)
class Trainable:
    """A network, and the functions of each layer that has a table."""

    network: Network
    functions: Mapping[str, tuple[Activation, ...]] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        functions = {name: list(map(describe_function, self.functions[name])) for name in sorted(self.functions)}
        return describe(self.network) + (f", {functions}" if functions else "")


def stack(
    size: tuple[int, int, int],
    convs: list[tuple[int, int]],
    fc: list[int],
    then: tuple[Step, ...],
    hidden: Step,
    padding: int = 0,
) -> Network:
    """Convolutions of (outputs, kernel), each followed by ``then``, the first one padded; then fc layers, each followed
    by ``hidden`` but the last."""
    layers = [
        Layer(f"c{n}", "conv", outputs, kernel, padding=(padding if n == 1 else 0,) * 4, then=then)
        for n, (outputs, kernel) in enumerate(convs, 1)
    ]
    layers += [Layer(f"f{n}", "fc", outputs, then=(hidden,) if n < len(fc) else ()) for n, outputs in enumerate(fc, 1)]
    return Network(size, tuple(layers))


def of_one_function(network: Network, function: str) -> Trainable:
    return Trainable(network, {layer.name: (Activation(function),) for layer in network.layers if layer.has_table})


LENET_5 = [(6, 5), (16, 5)], [120, 84, 10]


def separable(channels: int, hidden: int = 0) -> Network:
    """A 5x5 convolution to ``channels`` maps, a depthwise and a pointwise one, and a hidden layer if there is one."""
    layers = [
        Layer("c1", "conv", channels, 5, then=(MAX2, "relu")),
        Layer("depthwise", "conv", channels, 5, groups=channels),
        Layer("pointwise", "conv", 20, 1, then=(MAX2, "relu")),
        *([Layer("f1", "fc", hidden, then=("relu",))] if hidden else []),
        Layer("f2" if hidden else "f1", "fc", 10),
    ]
    return Network((1, 28, 28), tuple(layers))


NETWORKS = {
    "lenet-5": Trainable(stack((1, 32, 32), *LENET_5, (MAX2, "relu"), "relu")),
    "lenet-5-cifar": Trainable(stack((3, 32, 32), *LENET_5, (MAX2, "relu"), "relu")),
    "caffe": Trainable(stack((1, 28, 28), [(20, 5), (50, 5)], [500, 10], (MAX2,), "relu")),
    "d2l": of_one_function(stack((1, 28, 28), *LENET_5, ("table", AVERAGE2), "table", padding=2), "sigmoid"),
    "d2l-tanh": of_one_function(stack((1, 28, 28), *LENET_5, ("table", AVERAGE2), "table", padding=2), "tanh"),
    "lenet-300-100": Trainable(LeNetShape(0, 0, (300, 100, 10)).network),
    "lenet-1": of_one_function(stack((1, 28, 28), [(4, 5), (12, 5)], [10], ("table", AVERAGE2), "table"), "tanh"),
    "keras-simple": Trainable(stack((1, 28, 28), [(32, 3), (64, 3)], [10], (MAX2, "relu"), "relu")),
    "separable": Trainable(separable(10)),
    "separable-hidden": Trainable(separable(11, 200)),
}


def find_network(text: str) -> Trainable:
    """The network of a name, or of a file that holds a description with outputs and kernels. Raises UserError."""
    if text in NETWORKS:
        return NETWORKS[text]
    path = Path(text)
    if path.suffix != ".json":
        raise UserError(f"there is no network {text}; there is {', '.join(NETWORKS)}, or name a description, FILE.json")
    try:
        network = parse(read_limited(path, MAX_BYTES, "description").decode("utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    for layer in network.layers:
        if layer.has_table:
            raise UserError(
                f"{path}: {layer.name} has a table, and a description does not say of which function; train one of "
                f"{', '.join(name for name, one in NETWORKS.items() if one.functions)}, or leave the table out"
            )
    return Trainable(network)
