"""The brief's form of a network: widths are data, everything else follows from them.

Beside LeNet-5's kind, two convolutions and fully-connected layers, there is that without convolutions, such as
LeNet-300-100 (784-300-100-10): its first fully-connected layer takes the pixels.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from fivebyfive.support.errors import UserError

from .network import Layer, Network, Pool

__all__ = ["CONV_WORD", "FC_WORD", "IMAGE", "KERNEL", "PIXELS", "LeNetShape", "brief_shape", "ceil_div", "summary"]

IMAGE = 28  # rows and columns of the input
PIXELS = IMAGE * IMAGE
KERNEL = 5  # rows and columns of a convolution kernel
CONV_WORD = KERNEL * KERNEL  # bytes of a conv weight word: one kernel, or 25 biases
FC_WORD = 20  # bytes of a fully-connected weight word, and activations of an activation word

MAX_CHANNELS = 256
MAX_WIDTH = 4096
MAX_CLASSES = 64
MAX_FC_LAYERS = 4
WRITTEN = (
    "a shape is written like 20-50-500-10 (conv1, conv2, fully-connected) or 784-300-100-10 (pixels, fully-connected)"
)


@dataclass(frozen=True)
class LeNetShape:
    """Widths of conv1-pool-ReLU, conv2-pool-ReLU and one to four fully-connected layers.

    ``fc`` are the output widths of the fully-connected layers; the last is the number of classes. ``conv1`` and
    ``conv2`` are both 0 where there are no convolutions.
    """

    conv1: int
    conv2: int
    fc: tuple[int, ...]

    def __post_init__(self) -> None:
        for name, width, limit in (("conv1", self.conv1, MAX_CHANNELS), ("conv2", self.conv2, MAX_CHANNELS)):
            if self.has_convolutions and not 1 <= width <= limit:
                raise ValueError(f"{name} must have 1 to {limit} channels, not {width}")
        if not 1 <= len(self.fc) <= MAX_FC_LAYERS:
            raise ValueError(f"there must be 1 to {MAX_FC_LAYERS} fully-connected layers, not {len(self.fc)}")
        for index, width in enumerate(self.fc[:-1], 1):
            if not 1 <= width <= MAX_WIDTH:
                raise ValueError(f"fc{index} must have 1 to {MAX_WIDTH} outputs, not {width}")
        if not 1 <= self.fc[-1] <= MAX_CLASSES:
            raise ValueError(f"there must be 1 to {MAX_CLASSES} classes, not {self.fc[-1]}")

    @classmethod
    def parse(cls, text: str) -> "LeNetShape":
        """The shape of a text such as 20-50-500-10, as `str` writes it. Raises ValueError with one line."""
        numbers = text.split("-")
        if not all(number.isascii() and number.isdigit() for number in numbers):
            raise ValueError(f"{WRITTEN}, not {text}")
        if any(len(number) > 6 for number in numbers):
            raise ValueError(f"a width in {text} is far too large")
        return cls.of(tuple(map(int, numbers)))

    @classmethod
    def of(cls, numbers: tuple[int, ...]) -> "LeNetShape":
        """The shape with these `numbers`. Raises ValueError with one line."""
        before_fc = 1 if numbers[:1] == (PIXELS,) else 2
        if len(numbers) <= before_fc:
            raise ValueError(f"too few layers: {WRITTEN}, not {'-'.join(map(str, numbers))}")
        if before_fc == 1:
            return cls(0, 0, numbers[1:])
        conv1, conv2, *fc = numbers
        if conv1 == conv2 == 0:
            raise ValueError(f"without convolutions a shape begins with {PIXELS}, the pixels, not with 0-0")
        return cls(conv1, conv2, tuple(fc))

    @property
    def numbers(self) -> tuple[int, ...]:
        """What `str` writes: the widths of all layers, behind the number of pixels where there are no convolutions."""
        return self.widths if self.has_convolutions else (PIXELS, *self.widths)

    @property
    def has_convolutions(self) -> bool:
        return (self.conv1, self.conv2) != (0, 0)

    @property
    def widths(self) -> tuple[int, ...]:
        """Outputs of each layer, in the order of `layers`."""
        return (self.conv1, self.conv2, *self.fc) if self.has_convolutions else self.fc

    def with_widths(self, widths: Iterable[int]) -> "LeNetShape":
        """The same layers with other `widths`."""
        conv1, conv2, *fc = (*widths,) if self.has_convolutions else (0, 0, *widths)
        return LeNetShape(conv1, conv2, tuple(fc))

    @property
    def conv1_out(self) -> int:
        """Rows and columns of a conv1 feature map before pooling: 24."""
        return IMAGE - KERNEL + 1

    @property
    def pool1_out(self) -> int:
        """Rows and columns of a conv1 feature map after pooling: 12."""
        return self.conv1_out // 2

    @property
    def conv2_out(self) -> int:
        """Rows and columns of a conv2 feature map before pooling: 8."""
        return self.pool1_out - KERNEL + 1

    @property
    def pool2_out(self) -> int:
        """Rows and columns of a conv2 feature map after pooling: 4."""
        return self.conv2_out // 2

    @property
    def fc_inputs(self) -> tuple[int, ...]:
        """Input width of each fully-connected layer."""
        return (self.conv2 * self.pool2_out**2 if self.has_convolutions else PIXELS, *self.fc[:-1])

    @property
    def classes(self) -> int:
        return self.fc[-1]

    @cached_property
    def network(self) -> Network:
        """The same as a list of layers: 2x2 max pooling and ReLU behind each convolution, ReLU between the others."""
        convs = (self.conv1, self.conv2) if self.has_convolutions else ()
        pooled = (Pool("max", 2, 2), "relu")
        layers = [Layer(f"conv{n}", "conv", width, KERNEL, then=pooled) for n, width in enumerate(convs, 1)]
        layers += [Layer(f"fc{n}", "fc", width, then=("relu",)) for n, width in enumerate(self.fc, 1)]
        layers[-1] = replace(layers[-1], then=())
        return Network((1, IMAGE, IMAGE), tuple(layers))

    @classmethod
    def of_network(cls, network: Network) -> "LeNetShape | None":
        """The shape of a network that has this form, else None."""
        convs, fc = (tuple(one.outputs for one in network.layers if one.kind == kind) for kind in ("conv", "fc"))
        try:
            conv1, conv2 = convs or (0, 0)
            shape = cls(conv1, conv2, fc)
        except ValueError:  # other numbers of layers, or wider ones
            return None
        return shape if shape.network == network else None

    @property
    def layers(self) -> tuple[str, ...]:
        """Layer names in order: conv1, conv2, fc1, ..., or fc1, ..."""
        return self.network.names

    @property
    def arrays(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of a checkpoint's arrays, in state_dict order."""
        return self.network.arrays

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Shape of each layer's output for one image, after pooling and ReLU where there are any."""
        return self.network.outputs

    @property
    def macs(self) -> dict[str, int]:
        """Multiply-accumulates of one image, by layer."""
        return self.network.macs

    def __str__(self) -> str:
        return "-".join(map(str, self.numbers))


def ceil_div(value: int, divisor: int) -> int:
    """How many parts of ``divisor`` hold ``value``: the quotient, rounded up."""
    return -(-value // divisor)


def summary(network: Network) -> str:
    """20-50-500-10 of a network of the brief's form; of any other the input and what each layer gives."""
    shape = LeNetShape.of_network(network)
    return network.summary if shape is None else str(shape)


def brief_shape(network: Network) -> LeNetShape:
    """The widths of a network of the brief's form. Raises UserError for any other."""
    if (shape := LeNetShape.of_network(network)) is None:
        raise UserError(
            "this takes networks of two 5x5 convolutions with 2x2 max pooling and ReLU on 28x28, such as 20-50-500-10, "
            f"or 784-300-100-10; not {network.summary}"
        )
    return shape
