"""Channels and hidden neurons taken out: a really smaller network, layer after layer consistent."""

from dataclasses import dataclass

import torch

from fivebyfive.model.shape import PIXELS, LeNetShape
from fivebyfive.model.training.lenet import LeNet

from .projections import Masked, only_masked

__all__ = ["Kept", "keep"]


@dataclass(frozen=True)
class Kept:
    """``outputs``: indices of those of each layer that stay, in order; the last layer's all do. ``whole``: the shape
    of the network that they are of."""

    whole: LeNetShape
    outputs: dict[str, torch.Tensor]

    @classmethod
    def everything(cls, shape: LeNetShape, **changed: torch.Tensor) -> "Kept":
        """All outputs, but for the layers that are ``changed``."""
        every = {layer: torch.arange(shape.arrays[f"{layer}.bias"][0]) for layer in shape.layers}
        return cls(shape, every | {layer: index.sort().values for layer, index in changed.items()})

    @classmethod
    def best(cls, shape: LeNetShape, target: LeNetShape, worth: dict[str, torch.Tensor]) -> "Kept":
        """The outputs of most ``worth`` (layer to (outputs,)), as many as ``target`` has."""
        widths = dict(zip(target.layers, target.widths, strict=True))
        return cls.everything(shape, **{layer: value.topk(widths[layer]).indices for layer, value in worth.items()})

    @property
    def shape(self) -> LeNetShape:
        return self.whole.with_widths(len(index) for index in self.outputs.values())


def keep(net: LeNet, kept: Kept) -> LeNet:
    """A smaller network of the outputs that stay, with what they computed and their masks.

    Raises UserError where a layer has shared, ternary or binary weights.
    """
    small = LeNet(kept.shape)
    inputs = torch.arange(1 if net.shape.has_convolutions else PIXELS)
    for layer, (weight, bias) in net.layers.items():
        outputs = kept.outputs[layer]
        if layer == "fc1" and net.shape.has_convolutions:
            inputs = spread(inputs, net.shape.pool2_out**2)
        cut = weight.detach()[outputs][:, inputs]
        with torch.no_grad():
            small.layers[layer][0].copy_(cut)
            small.layers[layer][1].copy_(bias.detach()[outputs])
        if layer in net.projections:
            only_masked(net, layer, "take channels out before that")
            old = net.projections[layer]
            small.projections[layer] = Masked(old.mask[outputs][:, inputs], old.regrow)
        inputs = outputs
    return small


def spread(channels: torch.Tensor, size: int) -> torch.Tensor:
    """Indices of the flattened maps of channels, ``size`` values each."""
    return (channels[:, None] * size + torch.arange(size)).flatten()
