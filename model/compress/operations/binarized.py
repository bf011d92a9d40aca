"""A network of one bit: weights of -s and s, and hidden activations of -1 and 1, for training.

What is in front of a hidden layer's sign is normalized by channel (Ioffe and Szegedy 2015, arXiv:1502.03167), without a
scale, which no sign sees: so the sign compares a channel's sums with a threshold, and the layer's bias is that
threshold, below zero. `Binarized.effective` has it in steps of 64 / s sums, as the integer network has.
"""

from dataclasses import replace
from math import prod

import torch

from fivebyfive.model.network import Layer, Network, Place
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.training.lenet import LeNet, module_name, pooled
from fivebyfive.model.training.tables import Table, round_weight
from fivebyfive.support.errors import UserError

from .projections import MAX_EXPONENT, Binary, step_value

__all__ = ["Binarized", "Sign", "exponent_of", "one_bit"]

PIXEL = 127  # the largest code of a pixel
SPREAD = 0.15  # standard deviation of the free weights at the start, which end at 1
MOMENTUM, TINY = 0.1, 1e-5  # of the running mean and variance; beside the variance


def one_bit(network: Network) -> Network:
    """The same layers with a table behind each hidden one, after its max pool, instead of what was there. Raises
    UserError for a hidden layer with another pool."""
    *hidden, last = network.layers
    return replace(network, layers=(*map(signed, hidden), last))


def signed(layer: Layer) -> Layer:
    if layer.pool and layer.pool.kind != "max":
        raise UserError(f"{layer.name} has an average pool, and averages of signs have more than one bit; take max")
    return replace(layer, then=(*([layer.pool] if layer.pool else []), "table"))


def exponent_of(place: Place, largest: int) -> int:
    """The largest e at which no sum of weights of -2^e and 2^e leaves the range, with inputs of up to ``largest``."""
    terms = prod(place.arrays[f"{place.layer.name}.weight"][1:])
    room = (Q2_6.max << Q2_6.frac_bits) // (terms * largest)
    return min(MAX_EXPONENT, max(0, room.bit_length() - 1))


class Sign(Table):
    """Codes of -1 below zero and 1 elsewhere; the gradient passes within 1 of zero (Hubara, Courbariaux, Soudry,
    El-Yaniv and Bengio 2016, arXiv:1602.02830)."""

    def __init__(self) -> None:
        super().__init__(())
        self.after = float(Q2_6.one)

    def function(self, x: torch.Tensor) -> torch.Tensor:
        near = x.clamp(-1, 1)
        return torch.where(x < 0, -1.0, 1.0) + (near - near.detach())


class Binarized(LeNet):
    """The network ``net`` with weights and hidden activations of one bit; free weights begin as those of ``net``, in
    another scale. While gradients are on, hidden layers are normalized by batch; else thresholds are the running ones,
    and the network computes what its checkpoint does."""

    def __init__(self, net: LeNet) -> None:
        network = one_bit(net.network)
        super().__init__(network, functions=dict.fromkeys(network.names, ()))
        self.fills = net.fills
        self.norms = torch.nn.ModuleDict()
        for place in network:
            layer = place.layer
            weight, bias = self.layers[layer.name]
            with torch.no_grad():
                free = net.layers[layer.name][0]
                weight.copy_(free * (SPREAD / free.std().clamp(min=1e-9)))
                bias.zero_()
            exponent = exponent_of(place, 1 if self.projections else PIXEL)
            self.projections[layer.name] = Binary(torch.ones_like(weight), exponent, 1 / step_value(exponent))
            if layer is network.layers[-1]:
                self.headroom = (Q2_6.max - (weight[0].numel() << exponent >> Q2_6.frac_bits)) / Q2_6.one
                continue
            bias.requires_grad_(False)
            norm = torch.nn.BatchNorm1d(layer.outputs, eps=TINY, momentum=MOMENTUM)
            torch.nn.init.ones_(norm.weight).requires_grad_(False)
            self.norms[module_name(layer.name)] = norm
            self.tables[module_name(layer.name)] = Sign()

    def effective(self, name: str, quantized: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias; a hidden layer's bias is its threshold, and 0 while it is normalized by batch; those of the
        last layer are moved together."""
        weight, bias = super().effective(name, quantized)
        if torch.is_grad_enabled():
            return weight, bias
        if name == self.network.names[-1]:  # no class changes, and no logit is above the range
            return weight, round_weight(bias - bias.max() + self.headroom)
        norm = self.norms[module_name(name)]
        threshold = norm.running_mean - norm.bias * (norm.running_var + TINY).sqrt()
        return weight, round_weight(-threshold)

    def after(self, x: torch.Tensor, layer: Layer, quantized: bool) -> torch.Tensor:
        """What the next layer sees: signs of sums that are normalized by batch, or compared with thresholds."""
        if not torch.is_grad_enabled() or module_name(layer.name) not in self.norms:
            return super().after(x, layer, quantized)
        if layer.pool:  # signs keep order: the pool may come first
            x = pooled(x, layer.pool)
        norm = self.norms[module_name(layer.name)]
        normed = norm(x.flatten(2) if x.dim() == 4 else x).reshape(x.shape)  # by channel, (N, C) or (N, C, H, W)
        return self.tables[module_name(layer.name)](normed, quantized=False)

    @torch.no_grad()
    def balance(self, amount: float) -> None:
        """Take all thresholds this many standard deviations nearer to their channel's mean, and not past it."""
        for norm in self.norms.values():
            norm.bias.copy_(norm.bias.sign() * (norm.bias.abs() - amount).clamp(min=0))
