"""A network of any layers in PyTorch, in floats or with the rounding of the hardware in it.

Values are in units of 1.0: a Q2.6 code c is c / 64, and a pixel p enters as (p >> 1) / 64, from 0 to
127/64. With ``quantized=True`` weights are rounded to the nearest code and activations floored to one, as
the hardware does; both let the gradient straight through (Bengio, Leonard and Courville 2013,
arXiv:1308.3432). A value beyond the range is clamped where the hardware wraps: clamping has a slope to
learn from, and where nothing leaves the range the two agree. In exact steps of 2**-12 and below 2**12, all
sums are exact in float32, so this forward pass then equals the golden model bit for bit.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (everybody's name for it)

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.steps import Activation
from fivebyfive.model.shape import LeNetShape, brief_shape

from .tables import HIGH, LOW, FixedTable, Table, floor_activation, round_weight

__all__ = ["LeNet", "exact_values", "from_checkpoint", "from_float_network", "pixels_to_values", "to_checkpoint"]


def pixels_to_values(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels 0..255, uint8 (N, rows, columns) or (N, channels, rows, columns), as the values the network sees, float32
    (N, channels, rows, columns)."""
    return exact_values(pixels & 254)


def exact_values(pixels: torch.Tensor) -> torch.Tensor:
    """The same with the lowest bit, which a pixel's code does not have: pixel / 128."""
    maps = pixels if pixels.dim() == 4 else pixels.unsqueeze(1)
    return maps.to(torch.float32) / (2 * Q2_6.one)


class LeNet(torch.nn.Module):
    """The network of a `LeNetShape` or of any `Network`; ``functions``: those of each layer with a table.

    Parameters carry the names and shapes of `Network.arrays` and start evenly spread within 1/sqrt(inputs), drawn from
    ``generator``. ``fills``: layer to the values in its padding, (1, 1, 1) or (channels, 1, 1), where they are not 0.
    """

    def __init__(
        self,
        network: LeNetShape | Network,
        generator: torch.Generator | None = None,
        functions: Mapping[str, Sequence[Activation]] | None = None,
    ) -> None:
        super().__init__()
        self.network = network.network if isinstance(network, LeNetShape) else network
        self.tables = torch.nn.ModuleDict()
        self.fills = {
            layer.name: torch.tensor(layer.fill).reshape(-1, 1, 1) / Q2_6.one
            for layer in self.network.layers
            if any(layer.padding) and any(layer.fill)
        }
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

    def fill(self, name: str, quantized: bool) -> torch.Tensor | None:
        """What a layer's padding holds, rounded with ``quantized``; None where it is 0."""
        fill = self.fills.get(name)
        return fill if fill is None or not quantized else round_weight(fill)

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
                around = padded(x, layer, self.fill(layer.name, quantized))
                sums = F.conv2d(around, weight, bias, layer.stride, groups=layer.groups)
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
        """Put every parameter back into the range of Q2.6, and into the reach of a projection."""
        for parameter in self.parameters():
            parameter.clamp_(LOW, HIGH)
        for name, projection in self.projections.items():
            projection.confine(self.layers[name][0])


def module_name(layer: str) -> str:
    """The name of a layer's module: PyTorch's have no dots, and cannot be those of a module's own attributes."""
    return layer if re.fullmatch(r"(conv|fc)\d+", layer) else "layer " + layer.replace(".", "/")


def fitted(x: torch.Tensor, size: tuple[int, int, int]) -> torch.Tensor:
    """Values (N, C, H, W) in the middle of a larger input, grey ones the same in each channel, as `datasets.fit_images`
    does."""
    channels, rows, columns = size
    below, beside = rows - x.shape[2], columns - x.shape[3]
    if below or beside:
        x = F.pad(x, (beside // 2, beside - beside // 2, below // 2, below - below // 2))
    return x.expand(-1, channels, -1, -1) if channels > 1 and x.shape[1] == 1 else x


def padded(x: torch.Tensor, layer: Layer, fill: torch.Tensor | None) -> torch.Tensor:
    """Values inside a layer's padding, which holds ``fill``."""
    if not any(layer.padding):
        return x
    top, left, bottom, right = layer.padding
    sides = left, right, top, bottom
    return F.pad(x, sides) if fill is None else F.pad(x - fill, sides) + fill


def pooled(x: torch.Tensor, pool: Pool) -> torch.Tensor:
    function = F.max_pool2d if pool.kind == "max" else F.avg_pool2d
    return function(x, pool.size, pool.stride)


@torch.no_grad()
def to_checkpoint(net: LeNet) -> Checkpoint:
    """The integer checkpoint of a network: every parameter as it is computed with, at the nearest code."""
    codes, layers = {}, []
    for layer in net.network.layers:
        for kind, value in zip(("weight", "bias"), net.effective(layer.name, quantized=True), strict=True):
            codes[f"{layer.name}.{kind}"] = (value.detach() * Q2_6.one).round().to(torch.int8).contiguous().numpy()
        if layer.has_table:
            codes[f"{layer.name}.table"] = net.tables[module_name(layer.name)].codes().numpy()
        fill = net.fill(layer.name, quantized=True)
        held = [0] if fill is None else (fill * Q2_6.one).round().int().flatten().tolist()
        layers.append(replace(layer, fill=tuple(held) if any(held) else (0,)))
    return Checkpoint(replace(net.network, layers=tuple(layers)), codes)


def from_checkpoint(checkpoint: Checkpoint) -> LeNet:
    """The network whose `to_checkpoint` is ``checkpoint``. Its tables stay what they are, in their range."""
    net = LeNet(checkpoint.network, functions=dict.fromkeys(checkpoint.network.names, ()))
    for layer in checkpoint.network.layers:
        if layer.has_table:
            net.tables[module_name(layer.name)] = FixedTable(torch.from_numpy(checkpoint.arrays[f"{layer.name}.table"]))
    return filled(net, {name: codes.astype(np.float64) / Q2_6.one for name, codes in checkpoint.arrays.items()})


def from_float_network(network: FloatNetwork) -> LeNet:
    """The network that computes what ``network`` does, in float32, of images that need no scaling
    (`FloatNetwork.taking`): tables are not fitted into any range."""
    net = filled(LeNet(network.network, functions=network.functions), network.arrays)
    for table in net.tables.values():
        table.before = table.after = 1.0
    for name, fill in network.fills.items():
        held = fill[:1] if (fill == fill[0]).all() else fill
        if held.any():
            net.fills[name] = torch.tensor(held, dtype=torch.float32).reshape(-1, 1, 1)
    return net


@torch.no_grad()
def filled(net: LeNet, arrays: Mapping[str, np.ndarray]) -> LeNet:
    """``net`` with the weights and biases of ``arrays``, float64."""
    for name, parameters in net.layers.items():
        for kind, parameter in zip(("weight", "bias"), parameters, strict=True):
            parameter.copy_(torch.tensor(arrays[f"{name}.{kind}"]))
    return net
