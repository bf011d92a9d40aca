"""A fully-connected layer as the product of two, through a ReLU. What `methods.svd` does."""

import torch

from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.training.calibration import RANGE_TARGET
from fivebyfive.model.training.lenet import LeNet
from fivebyfive.model.training.loop import EXAMINE_BATCH, TrainingImages
from fivebyfive.support.errors import UserError

from .moments import inputs_of

__all__ = ["split"]


@torch.no_grad()
def split(net: LeNet, layer: str, rank: int, images: TrainingImages) -> LeNet:
    """The network with ``layer`` as two layers, ``rank`` outputs between them, which compute nearly the same on
    ``images`` in floats. Raises UserError where a layer is pruned or has shared values."""
    if len(net.projections):
        raise UserError(f"{next(iter(net.projections))} is pruned or has shared weights; split layers before that")
    before = int(layer[2:]) - 1
    fc = (*net.shape.fc[:before], rank, *net.shape.fc[before:])
    wide = LeNet(LeNetShape(net.shape.conv1, net.shape.conv2, fc))
    layers = list(net.layers.values())
    first, second = halves(net, layer, rank, images)
    place = net.shape.layers.index(layer)
    layers[place : place + 1] = [first, second]
    for (weight, bias), (new_weight, new_bias) in zip(layers, wide.layers.values(), strict=True):
        new_weight.copy_(weight)
        new_bias.copy_(bias)
    wide.clip()
    return wide


def halves(
    net: LeNet, layer: str, rank: int, images: TrainingImages
) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Weight and bias of the two layers."""
    weight, bias = (value.detach().double() for value in net.layers[layer])
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    up, down = left[:, :rank] * values[:rank], right[:rank]  # (M, R), (R, K)
    low, high = extremes(net, layer, down, images)
    flip = torch.where(high < -low, -1.0, 1.0).double()  # what is mostly below zero is turned over
    up, down = up * flip, down * flip[:, None]
    low, high = torch.where(flip < 0, -high, low), torch.where(flip < 0, -low, high)
    lift = (-low).clamp(min=0)
    scale = RANGE_TARGET / (high + lift).clamp(min=1e-6)  # of each output between the two
    scale = torch.minimum(scale, RANGE_TARGET / down.abs().amax(1).clamp(min=1e-6))  # weights have a range too
    up, down, lift = up / scale, down * scale[:, None], lift * scale
    return (down.float(), lift.float()), (up.float(), (bias - up @ lift).float())


def extremes(net: LeNet, layer: str, down: torch.Tensor, images: TrainingImages) -> tuple[torch.Tensor, torch.Tensor]:
    """The smallest and the largest of each output of ``down`` (R, K) on images; float64 (R,)."""
    low = torch.full((len(down),), torch.inf, dtype=torch.float64)
    high = -low
    for pixels in images.pixels.split(EXAMINE_BATCH):
        found = inputs_of(net, layer, pixels).flatten(1).double() @ down.T  # (N, R)
        low, high = torch.minimum(low, found.amin(0)), torch.maximum(high, found.amax(0))
    return low, high
