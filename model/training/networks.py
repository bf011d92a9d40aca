"""Networks that the option --network of `train` knows by name, and those that it reads from a file.

Sources of the names: LeCun et al. 1998, Gradient-based learning applied to document recognition (LeNet-1, LeNet-5,
LeNet-300-100); BVLC Caffe, examples/mnist; Zhang et al., Dive into Deep Learning, section 7.6; Keras, Simple MNIST
convnet. Howard et al. 2017, MobileNets (separable), arXiv:1704.04861; Iandola et al. 2016, SqueezeNet (fire),
arXiv:1602.07360; Zhang et al. 2017, ShuffleNet, arXiv:1707.01083; Wu et al. 2017, Shift, arXiv:1711.08141.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fivebyfive.model.description import describe, parse
from fivebyfive.model.network import Layer, Network, Pool, Step
from fivebyfive.model.readers.float_network import describe_function
from fivebyfive.model.readers.steps import Activation
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import read_limited

if TYPE_CHECKING:
    import torch

    from .lenet import LeNet

__all__ = ["NETWORKS", "Trainable", "find_network"]

MAX_BYTES = 1 << 20  # of a description
MAX2, AVERAGE2 = Pool("max", 2, 2), Pool("average", 2, 2)
Mask = Callable[[tuple[int, ...]], np.ndarray]  # of a weight's shape


@dataclass(frozen=True)
class Trainable:
    """A network, the functions of each layer that has a table, and which weights of a layer may be other than zero,
    where not all."""

    network: Network
    functions: Mapping[str, tuple[Activation, ...]] = field(default_factory=dict, hash=False)
    masks: Mapping[str, Mask] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        functions = {name: list(map(describe_function, self.functions[name])) for name in sorted(self.functions)}
        masks = {name: self.masks[name].__name__ for name in sorted(self.masks)}
        return describe(self.network) + "".join(f", {said}" for said in (functions, masks) if said)

    def start(self, generator: "torch.Generator") -> "LeNet":
        """The network before its training, in PyTorch."""
        import torch

        from fivebyfive.model.compress.operations.projections import Masked

        from .lenet import LeNet

        net = LeNet(self.network, generator, self.functions)
        for name, mask in self.masks.items():
            weight, _ = net.layers[name]
            net.projections[name] = Masked(torch.from_numpy(mask(tuple(weight.shape))))
        return net


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


def between(channels: int, convs: list[Layer], hidden: int) -> Network:
    """A 5x5 convolution to ``channels`` maps, ``convs``, and a hidden layer if there is one."""
    layers = [
        Layer("c1", "conv", channels, 5, then=(MAX2, "relu")),
        *convs,
        *([Layer("f1", "fc", hidden, then=("relu",))] if hidden else []),
        Layer("f2" if hidden else "f1", "fc", 10),
    ]
    return Network((1, 28, 28), tuple(layers))


def separable(channels: int, hidden: int = 0) -> Trainable:
    """A depthwise and a pointwise convolution."""
    depthwise = Layer("depthwise", "conv", channels, 5, groups=channels)
    pointwise = Layer("pointwise", "conv", 20, 1, then=(MAX2, "relu"))
    return Trainable(between(channels, [depthwise, pointwise], hidden))


def fire(hidden: int = 0) -> Trainable:
    """1x1 kernels that squeeze 8 maps to 6, then 12 of 1x1 and 12 of 3x3: all of 3x3, the former with zeros around."""
    squeeze = Layer("squeeze", "conv", 6, 1, then=("relu",))
    expand = Layer("expand", "conv", 24, 3, then=(MAX2, "relu"))
    return Trainable(between(8, [squeeze, expand], hidden), masks={"expand": half_of_one_pixel})


def shuffle(hidden: int = 0) -> Trainable:
    """A depthwise convolution between two pointwise ones in three groups. The latter's take a channel of each of the
    former's groups in turn, which is a dense one with zeros."""
    gather = Layer("gather", "conv", 9, 1, groups=3, then=("relu",))
    depthwise = Layer("depthwise", "conv", 9, 5, groups=9)
    pointwise = Layer("pointwise", "conv", 18, 1, then=(MAX2, "relu"))
    return Trainable(between(9, [gather, depthwise, pointwise], hidden), masks={"pointwise": in_three_shuffled_groups})


def shift(hidden: int = 0) -> Trainable:
    """Pointwise convolutions around one that shifts each channel by a pixel or not: a depthwise one of one weight a
    channel."""
    expand = Layer("expand", "conv", 18, 1, then=("relu",))
    shifted = Layer("shift", "conv", 18, 3, groups=18)
    pointwise = Layer("pointwise", "conv", 20, 1, then=(MAX2, "relu"))
    return Trainable(between(8, [expand, shifted, pointwise], hidden), masks={"shift": of_one_place})


def half_of_one_pixel(shape: tuple[int, ...]) -> np.ndarray:
    """Of the first half of outputs the middle of the kernels alone."""
    outputs, _, size, _ = shape
    mask = np.ones(shape)
    mask[: outputs // 2] = 0
    mask[:, :, size // 2, size // 2] = 1
    return mask


def in_three_shuffled_groups(shape: tuple[int, ...]) -> np.ndarray:
    """Each third of outputs reads every third input."""
    outputs, inputs, *_ = shape
    group = np.arange(outputs) * 3 // outputs
    return np.broadcast_to((group[:, np.newaxis] == np.arange(inputs) % 3)[..., np.newaxis, np.newaxis], shape).copy()


def of_one_place(shape: tuple[int, ...]) -> np.ndarray:
    """Of each kernel one place, all places in turn."""
    channels, _, *size = shape
    places = np.arange(channels) % np.prod(size)
    return np.eye(int(np.prod(size)))[places].reshape(shape)


NETWORKS = {
    "lenet-5": Trainable(stack((1, 32, 32), *LENET_5, (MAX2, "relu"), "relu")),
    "lenet-5-cifar": Trainable(stack((3, 32, 32), *LENET_5, (MAX2, "relu"), "relu")),
    "caffe": Trainable(stack((1, 28, 28), [(20, 5), (50, 5)], [500, 10], (MAX2,), "relu")),
    "d2l": of_one_function(stack((1, 28, 28), *LENET_5, ("table", AVERAGE2), "table", padding=2), "sigmoid"),
    "d2l-tanh": of_one_function(stack((1, 28, 28), *LENET_5, ("table", AVERAGE2), "table", padding=2), "tanh"),
    "lenet-300-100": Trainable(LeNetShape(0, 0, (300, 100, 10)).network),
    "lenet-1": of_one_function(stack((1, 28, 28), [(4, 5), (12, 5)], [10], ("table", AVERAGE2), "table"), "tanh"),
    "keras-simple": Trainable(stack((1, 28, 28), [(32, 3), (64, 3)], [10], (MAX2, "relu"), "relu")),
    "separable": separable(10),
    "separable-hidden": separable(11, 200),
    "fire": fire(),
    "fire-hidden": fire(200),
    "shuffle": shuffle(),
    "shuffle-hidden": shuffle(200),
    "shift": shift(),
    "shift-hidden": shift(200),
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
