"""What a layer's inputs are on real images, in second moments: enough to choose channels and refit weights.

For a layer that computes sums over channels c of W_c x_c, the part of channel c in all outputs and samples is
Z_c = X_c W_c'. Products of such parts need only X'X and W'W, which are small; and what they have in common with the
sums of another network, whose layer takes Y, needs X'Y.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812

from fivebyfive.model.shape import KERNEL
from fivebyfive.model.training.lenet import LeNet, fitted, pixels_to_values
from fivebyfive.model.training.loop import EXAMINE_BATCH, TrainingImages
from fivebyfive.model.training.tables import floor_activation

__all__ = ["Moments", "activations", "inputs_of", "next_layer", "parts", "refit", "second_moments"]

RIDGE = 1e-4  # of the mean of the diagonal: what two channels have in common stays solvable


def next_layer(net: LeNet, layer: str) -> str:
    """The layer that takes the outputs of ``layer``."""
    layers = net.shape.layers
    return layers[layers.index(layer) + 1]


@torch.no_grad()
def activations(net: LeNet, layer: str, pixels: torch.Tensor) -> torch.Tensor:
    """What a hidden layer hands on: pooled, rounded, at least zero; of images uint8 (N, 28, 28)."""
    values = net(pixels_to_values(pixels), quantized=True)[1][layer]
    return floor_activation(F.max_pool2d(values, 2) if values.dim() == 4 else values).relu()


def inputs_of(net: LeNet, layer: str, pixels: torch.Tensor) -> torch.Tensor:
    """What a layer takes of images uint8 (N, 28, 28): what the one before hands on, or the pixels."""
    place = net.shape.layers.index(layer)
    if place:
        return activations(net, net.shape.layers[place - 1], pixels)
    return fitted(pixels_to_values(pixels), net.network.input)


@dataclass(frozen=True)
class Moments:
    """Of the K inputs x of a layer, and the inputs y of the same layer in another network, in a window or an image:
    the sums ``own`` of x x' and ``cross`` of x y', float64 (K, K), and the means ``mean`` and ``target``, (K,). K
    counts as the layer's weights of an output do."""

    own: torch.Tensor
    cross: torch.Tensor
    mean: torch.Tensor
    target: torch.Tensor


@torch.no_grad()
def second_moments(net: LeNet, layer: str, images: TrainingImages, other: LeNet | None = None) -> Moments:
    """Moments of the inputs of the layer after ``layer``. With ``other``, a network whose ``layer`` has as many
    outputs, about the means; without, of the network itself, about zero."""
    following, count = next_layer(net, layer), 0
    own = cross = x_sum = y_sum = torch.zeros(1, dtype=torch.float64)
    for pixels in images.pixels.split(EXAMINE_BATCH):
        x = rows(activations(net, layer, pixels), following)
        y = rows(activations(other, layer, pixels), following) if other else x
        own, cross, count = own + x.T @ x, cross + x.T @ y, count + len(x)
        x_sum, y_sum = x_sum + x.sum(0), y_sum + y.sum(0)
    mean, target = ((part / count if other else torch.zeros_like(part)) for part in (x_sum, y_sum))
    return Moments(own - count * mean.outer(mean), cross - count * mean.outer(target), mean, target)


def rows(maps: torch.Tensor, following: str) -> torch.Tensor:
    """What a layer takes of maps (N, C, H, W) or (N, C), float64 (windows, K): of a convolution every fourth window."""
    if following.startswith("conv"):
        return F.unfold(maps, KERNEL, stride=2).transpose(1, 2).flatten(0, 1).double()  # (N 16, C 25)
    return maps.flatten(1).double()


def parts(moments: torch.Tensor, weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Products of the parts of every two channels, summed over samples and outputs, float64 (C, C)."""
    flat = weight.detach().flatten(1).double()  # (O, K)
    products = moments * (flat.T @ flat)  # (K, K)
    size = len(moments) // channels
    return products.reshape(channels, size, channels, size).sum((1, 3))


def refit(
    moments: Moments, weight: torch.Tensor, kept: torch.Tensor, channels: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights that are zero outside the channels ``kept`` and make up for them as well as least squares can, of the
    weight's shape, and what is added to the bias."""
    size = len(moments.own) // channels
    inputs = (kept[:, None] * size + torch.arange(size)).flatten()
    flat = weight.detach().flatten(1).double()
    own = moments.own[inputs][:, inputs]
    own = own + RIDGE * own.diagonal().mean() * torch.eye(len(inputs), dtype=torch.float64)
    found = torch.zeros_like(flat)
    found[:, inputs] = torch.linalg.solve(own, moments.cross[inputs] @ flat.T).T
    lift = flat @ moments.target - found @ moments.mean
    return found.float().reshape(weight.shape), lift.float()
