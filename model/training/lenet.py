"""A network of any layers in PyTorch, in floats or with the rounding of the hardware in it.

Values are in units of 1.0: a Q2.6 code c is c / 64, and a pixel p enters as (p >> 1) / 64, from 0 to
127/64. With ``quantized=True`` weights are rounded to the nearest code and activations floored to one, as
the hardware does; both let the gradient straight through (Bengio, Leonard and Courville 2013,
arXiv:1308.3432). A value beyond the range is clamped where the hardware wraps: clamping has a slope to
learn from, and where nothing leaves the range the two agree. In exact steps of 2**-12 and below 2**12, all
sums are exact in float32, so this forward pass then equals the golden model bit for bit.
"""

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812 (everybody's name for it)

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import LeNetShape, brief_shape

__all__ = ["FUNCTIONS", "HIGH", "LOW", "LeNet", "from_checkpoint", "pixels_to_values", "to_checkpoint"]

LOW, HIGH = Q2_6.min / Q2_6.one, Q2_6.max / Q2_6.one


def pixels_to_values(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels 0..255, uint8 (N, 28, 28), as the values the network sees, float32 (N, 1, 28, 28)."""
    return (pixels >> 1).unsqueeze(1).to(torch.float32) / Q2_6.one


def round_weight(w: torch.Tensor) -> torch.Tensor:
    """The nearest representable values; the gradient passes as if nothing had happened."""
    rounded = (w * Q2_6.one).round().clamp(Q2_6.min, Q2_6.max) / Q2_6.one
    return w + (rounded - w).detach()


def floor_activation(v: torch.Tensor) -> torch.Tensor:
    """The next representable values below, clamped to the range; the gradient passes inside the range."""
    floored = torch.floor(v * Q2_6.one) / Q2_6.one
    return (v + (floored - v).detach()).clamp(LOW, HIGH)


FUNCTIONS = {
    "tanh": torch.tanh, "sigmoid": torch.sigmoid, "gelu": F.gelu,
    "leaky-relu": lambda v: F.leaky_relu(v, 0.01),
}  # fmt: skip
TABLE_SCALES = {"tanh": (2.0, 0.5), "sigmoid": (4.0, 0.5)}  # others: 1 and 1


class Table(torch.nn.Module):
    """A table of f: a value v becomes f(before * v) / after, rounded to a code with ``quantized``.

    ``before`` and ``after`` fit the function into the range of Q2.6; `rescale` changes ``before``.
    """

    def __init__(self, function: str) -> None:
        super().__init__()
        self.function = function
        self.before, self.after = TABLE_SCALES.get(function, (1.0, 1.0))

    def forward(self, v: torch.Tensor, quantized: bool) -> torch.Tensor:
        exact = FUNCTIONS[self.function](self.before * v) / self.after
        return round_weight(exact) if quantized else exact

    def codes(self) -> torch.Tensor:
        """The table, int8 (256,): what becomes of each code."""
        every = torch.arange(Q2_6.min, Q2_6.max + 1) / Q2_6.one
        return (self(every, quantized=True) * Q2_6.one).round().to(torch.int8)


class FixedTable(torch.nn.Module):
    """A table of codes, int8 (256,), as a function: straight lines between its values. At a code it is exact."""

    values: torch.Tensor

    def __init__(self, codes: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("values", codes.float() / Q2_6.one)

    def forward(self, v: torch.Tensor, quantized: bool) -> torch.Tensor:
        place = (v * Q2_6.one - Q2_6.min).clamp(0, Q2_6.max - Q2_6.min)
        low = place.detach().floor().clamp(max=Q2_6.max - Q2_6.min - 1).long()
        part = place - low
        return self.values[low] * (1 - part) + self.values[low + 1] * part

    def codes(self) -> torch.Tensor:
        """The table, int8 (256,)."""
        return (self.values * Q2_6.one).round().to(torch.int8)


class LeNet(torch.nn.Module):
    """The network of a `LeNetShape` or of any `Network`; ``functions``: the function of each layer with a table.

    Parameters carry the names and shapes of `Network.arrays` and start evenly spread within 1/sqrt(inputs), drawn from
    ``generator``.
    """

    def __init__(
        self,
        network: LeNetShape | Network,
        generator: torch.Generator | None = None,
        functions: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.network = network.network if isinstance(network, LeNetShape) else network
        self.tables = torch.nn.ModuleDict()
        for place in self.network:
            layer, weight = place.layer, place.arrays[f"{place.layer.name}.weight"]
            linear = layer.kind == "fc"
            module = torch.nn.Linear(weight[1], weight[0]) if linear else torch.nn.Conv2d(
                place.inputs[0], layer.outputs, layer.kernel, layer.stride, groups=layer.groups
            )  # fmt: skip
            self.add_module(module_name(layer.name), module)
            if layer.has_table:
                self.tables[module_name(layer.name)] = Table((functions or {})[layer.name])
        with torch.no_grad():
            for weight, bias in self.layers.values():
                bound = weight[0].numel() ** -0.5
                weight.uniform_(-bound, bound, generator=generator)
                bias.uniform_(-bound, bound, generator=generator)
        self.projections = torch.nn.ModuleDict()  # layer to what its weight goes through (fivebyfive.model.compress)
        self.to(memory_format=torch.channels_last)  # convolutions: a third faster

    @property
    def shape(self) -> LeNetShape:
        """The widths of a network of the brief's form. Raises UserError for any other."""
        return brief_shape(self.network)

    @property
    def layers(self) -> dict[str, tuple[torch.nn.Parameter, torch.nn.Parameter]]:
        """Layer name to its weight and bias, in order."""
        return {
            name: (
                self.get_parameter(f"{module_name(name)}.weight"),
                self.get_parameter(f"{module_name(name)}.bias"),
            )
            for name in self.network.names
        }

    def effective(self, name: str, quantized: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias a layer computes with: projected, and rounded with ``quantized``."""
        weight, bias = self.layers[name]
        if name in self.projections:
            weight = self.projections[name](weight, quantized)
        elif quantized:
            weight = round_weight(weight)
        return weight, round_weight(bias) if quantized else bias

    def forward(self, x: torch.Tensor, quantized: bool = False) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Logits (N, classes), and every layer's values before rounding and what follows, by name; of a convolution at
        the positions that its pool uses.

        ``x`` comes from `pixels_to_values`, (N, 1, 28, 28); it is put in the middle of a larger input, and in each of
        several channels.
        """
        x = fitted(x, self.network.input)
        before: dict[str, torch.Tensor] = {}
        for place in self.network:
            layer = place.layer
            weight, bias = self.effective(layer.name, quantized)
            if layer.kind == "conv":
                rows, columns = place.used
                sums = F.conv2d(padded(x, layer), weight, bias, layer.stride, groups=layer.groups)
                sums = sums[:, :, :rows, :columns]
            else:
                sums = F.linear(x.flatten(1), weight, bias)
            before[layer.name] = self.normed(layer.name, sums)
            x = self.after(before[layer.name], layer, quantized)
        return x.flatten(1), before

    def after(self, x: torch.Tensor, layer: Layer, quantized: bool) -> torch.Tensor:
        """What the next layer sees of a layer's values."""
        steps = list(layer.then)
        if steps and isinstance(first := steps[0], Pool) and first.kind == "max":  # rounding keeps order: it may wait
            x = pooled(x, first)
            del steps[0]
        if quantized:
            x = floor_activation(x)
        for step in steps:
            if isinstance(step, Pool):
                x = pooled(x, step)
                x = floor_activation(x) if quantized and step.kind == "average" else x
            elif step == "relu":
                x = F.relu(x)
            else:
                x = self.tables[module_name(layer.name)](x, quantized)
        return x

    def normed(self, name: str, maps: torch.Tensor) -> torch.Tensor:
        """What becomes of a layer's sums before pooling: here nothing."""
        return maps

    @torch.no_grad()
    def clip(self) -> None:
        """Put every parameter back into the range of Q2.6."""
        for parameter in self.parameters():
            parameter.clamp_(LOW, HIGH)


def module_name(layer: str) -> str:
    """The name of a layer's module: PyTorch's have no dots, and cannot be those of a module's own attributes."""
    return layer if re.fullmatch(r"(conv|fc)\d+", layer) else "layer " + layer.replace(".", "/")


def fitted(x: torch.Tensor, size: tuple[int, int, int]) -> torch.Tensor:
    """Values (N, 1, H, W) in the middle of a larger input, the same in each channel, as `datasets.fit_images` does."""
    channels, rows, columns = size
    below, beside = rows - x.shape[2], columns - x.shape[3]
    if below or beside:
        x = F.pad(x, (beside // 2, beside - beside // 2, below // 2, below - below // 2))
    return x.expand(-1, channels, -1, -1) if channels > 1 and x.shape[1] == 1 else x


def padded(x: torch.Tensor, layer: Layer) -> torch.Tensor:
    """Values inside a layer's padding, which holds its ``fill``."""
    if not any(layer.padding):
        return x
    top, left, bottom, right = layer.padding
    fill = torch.tensor(layer.fill)[:, None, None] / Q2_6.one
    return (
        F.pad(x - fill, (left, right, top, bottom)) + fill if any(layer.fill) else F.pad(x, (left, right, top, bottom))
    )


def pooled(x: torch.Tensor, pool: Pool) -> torch.Tensor:
    function = F.max_pool2d if pool.kind == "max" else F.avg_pool2d
    return function(x, pool.size, pool.stride)


@torch.no_grad()
def to_checkpoint(net: LeNet) -> Checkpoint:
    """The integer checkpoint of a network: every parameter as it is computed with, at the nearest code."""
    codes = {}
    for layer in net.network.layers:
        for kind, value in zip(("weight", "bias"), net.effective(layer.name, quantized=True), strict=True):
            codes[f"{layer.name}.{kind}"] = (value.detach() * Q2_6.one).round().to(torch.int8).contiguous().numpy()
        if layer.has_table:
            codes[f"{layer.name}.table"] = net.tables[module_name(layer.name)].codes().numpy()
    return Checkpoint(net.network, codes)


def from_checkpoint(checkpoint: Checkpoint) -> LeNet:
    """The network whose `to_checkpoint` is ``checkpoint``. Its tables stay what they are."""
    net = LeNet(checkpoint.network, functions=dict.fromkeys(checkpoint.network.names, "tanh"))
    for layer in checkpoint.network.layers:
        if layer.has_table:
            net.tables[module_name(layer.name)] = FixedTable(torch.from_numpy(checkpoint.arrays[f"{layer.name}.table"]))
    with torch.no_grad():
        for name, parameters in net.layers.items():
            for kind, parameter in zip(("weight", "bias"), parameters, strict=True):
                codes = checkpoint.arrays[f"{name}.{kind}"]
                parameter.copy_(torch.from_numpy(codes.astype("float32")) / Q2_6.one)
    return net
