"""The LeNet of any `LeNetShape` in PyTorch, in floats or with the rounding of the hardware in it.

Values are in units of 1.0: a Q2.6 code c is c / 64, and a pixel p enters as (p >> 1) / 64, from 0 to
127/64. With ``quantized=True`` weights are rounded to the nearest code and activations floored to one, as
the hardware does; both let the gradient straight through (Bengio, Leonard and Courville 2013,
arXiv:1308.3432). A value beyond the range is clamped where the hardware wraps: clamping has a slope to
learn from, and where nothing leaves the range the two agree. In exact steps of 2**-12 and below 2**12, all
sums are exact in float32, so this forward pass then equals the golden model bit for bit.
"""

import torch
import torch.nn.functional as F  # noqa: N812 (everybody's name for it)

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import KERNEL, LeNetShape

__all__ = ["HIGH", "LOW", "LeNet", "from_checkpoint", "pixels_to_values", "to_checkpoint"]

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


class LeNet(torch.nn.Module):
    """conv1, pool, ReLU, conv2, pool, ReLU, where there are convolutions; then fully-connected layers with ReLU
    between them.

    Parameters carry the names and shapes of `LeNetShape.arrays` and start evenly spread within
    1/sqrt(inputs), drawn from ``generator``.
    """

    def __init__(self, shape: LeNetShape, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.shape = shape
        if shape.has_convolutions:
            self.conv1 = torch.nn.Conv2d(1, shape.conv1, KERNEL)
            self.conv2 = torch.nn.Conv2d(shape.conv1, shape.conv2, KERNEL)
        for i, (inputs, outputs) in enumerate(zip(shape.fc_inputs, shape.fc, strict=True), 1):
            self.add_module(f"fc{i}", torch.nn.Linear(inputs, outputs))
        with torch.no_grad():
            for weight, bias in self.layers.values():
                bound = weight[0].numel() ** -0.5
                weight.uniform_(-bound, bound, generator=generator)
                bias.uniform_(-bound, bound, generator=generator)
        self.projections = torch.nn.ModuleDict()  # layer to what its weight goes through (fivebyfive.model.compress)
        self.to(memory_format=torch.channels_last)  # convolutions: a third faster

    @property
    def layers(self) -> dict[str, tuple[torch.nn.Parameter, torch.nn.Parameter]]:
        """Layer name to its weight and bias, in order."""
        return {
            name: (self.get_parameter(f"{name}.weight"), self.get_parameter(f"{name}.bias"))
            for name in self.shape.layers
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
        """Logits (N, classes), and every layer's values before pooling, rounding and ReLU, by name.

        ``x`` comes from `pixels_to_values`, (N, 1, 28, 28).
        """
        before: dict[str, torch.Tensor] = {}
        for name in self.shape.layers:
            weight, bias = self.effective(name, quantized)
            if name.startswith("conv"):
                before[name] = self.normed(name, F.conv2d(x, weight, bias))  # (N, O, 24, 24), (N, P, 8, 8)
                x = F.max_pool2d(before[name], 2)  # (N, O, 12, 12), (N, P, 4, 4); rounding keeps order: it may wait
            else:
                before[name] = x = self.normed(name, F.linear(x.flatten(1), weight, bias))  # (N, F)
            if quantized:
                x = floor_activation(x)
            if name != self.shape.layers[-1]:
                x = F.relu(x)
        return x, before

    def normed(self, name: str, maps: torch.Tensor) -> torch.Tensor:
        """What becomes of a layer's sums before pooling: here nothing."""
        return maps

    @torch.no_grad()
    def clip(self) -> None:
        """Put every parameter back into the range of Q2.6."""
        for parameter in self.parameters():
            parameter.clamp_(LOW, HIGH)


@torch.no_grad()
def to_checkpoint(net: LeNet) -> Checkpoint:
    """The integer checkpoint of a network: every parameter as it is computed with, at the nearest code."""
    codes = {}
    for layer in net.shape.layers:
        for kind, value in zip(("weight", "bias"), net.effective(layer, quantized=True), strict=True):
            codes[f"{layer}.{kind}"] = (value.detach() * Q2_6.one).round().to(torch.int8).contiguous().numpy()
    return Checkpoint(net.shape.network, codes)


def from_checkpoint(checkpoint: Checkpoint) -> LeNet:
    """The network whose `to_checkpoint` is ``checkpoint``."""
    net = LeNet(checkpoint.shape)
    values = {name: torch.from_numpy(codes.astype("float32")) / Q2_6.one for name, codes in checkpoint.arrays.items()}
    net.load_state_dict(values)
    return net
