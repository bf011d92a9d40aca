"""Which weights stay: by magnitude, alone or in the groups that hardware can skip.

Groups: ``fine`` single weights; ``vector`` a row of five of a kernel, or the 20 inputs of a weight word of a
fully-connected layer; ``kernel`` a 5x5 kernel; ``filter`` all weights of an output (Mao et al. 2017,
arXiv:1705.08922, compare the four); ``bank`` a fixed number in each lane of each output (Cao et al. 2019, Bank-Balanced
Sparsity). A group's worth is the mean magnitude of its weights.
"""

import torch

from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.network import Network
from fivebyfive.model.shape import FC_WORD, ceil_div

__all__ = ["GRANULARITIES", "above", "balanced", "banks", "largest", "worth"]

GRANULARITIES = ("fine", "vector", "kernel", "filter", "bank")


def worth(weight: torch.Tensor, granularity: str) -> torch.Tensor:
    """The mean magnitude of each group: of the weight's shape where groups are single weights, else with 1 in the
    place of what a group spans; (O, words) for the weight words of a fully-connected layer.

    Raises ValueError for kernels of a fully-connected layer.
    """
    size = weight.detach().abs()
    if granularity == "filter":
        return size.mean(tuple(range(1, size.dim())), keepdim=True)
    if granularity == "kernel":
        if size.dim() != 4:
            raise ValueError("kernels are of convolutions; choose fine, vector, filter or bank for the other layers")
        return size.mean((2, 3), keepdim=True)
    if granularity == "vector" and size.dim() == 4:
        return size.mean(3, keepdim=True)
    if granularity == "vector":
        return torch.stack([part.mean(1) for part in size.split(FC_WORD, 1)], 1)
    return size


def spread(groups: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """What is said of groups (of the shape that `worth` gives), for every weight, of ``shape``."""
    if groups.dim() == 2 and 1 < groups.shape[1] < shape[1]:  # words of a fully-connected layer
        return groups.repeat_interleave(FC_WORD, 1)[:, : shape[1]]
    return groups.expand(shape)


def largest(weight: torch.Tensor, share: float, granularity: str) -> torch.Tensor:
    """The mask of the ``share`` of groups that are worth most, at least one; on a tie the first."""
    values = worth(weight, granularity)
    best = values.flatten().argsort(descending=True, stable=True)[: max(1, round(share * values.numel()))]
    groups = torch.zeros(values.numel(), dtype=torch.bool)
    groups[best] = True
    return spread(groups.reshape(values.shape), weight.shape)


def above(weight: torch.Tensor, sensitivity: float, granularity: str) -> torch.Tensor:
    """The mask of groups worth more than ``sensitivity`` times the deviation of the layer's weights that are not zero
    (Han et al. 2015, arXiv:1506.02626, section 3.2), at least the best."""
    values = worth(weight, granularity)
    limit = sensitivity * weight.detach()[weight.detach() != 0].std(correction=0)
    return spread(values >= torch.minimum(limit, values.max()), weight.shape)


def banks(network: Network, layer: str, outputs: int = 1) -> torch.Tensor:
    """Inputs of a fully-connected layer by place: int64 (words, 20), lane l in column l; -1 where there is none.

    The first such layer's inputs come in the order of a machine that computes ``outputs`` channels at once
    (`Config.fc1_order`).
    """
    inputs = network.arrays[f"{layer}.weight"][1]
    first = layer == stages(network).fc[0].name
    order = Config(outputs=outputs).fc1_order(network) if first else list(range(inputs))
    padding = [-1] * (ceil_div(inputs, FC_WORD) * FC_WORD - inputs)
    return torch.tensor(order + padding).reshape(-1, FC_WORD)


def balanced(weight: torch.Tensor, each: int, places: torch.Tensor, uneven: bool = False) -> torch.Tensor:
    """The mask of the largest ``each`` weights of every output in every lane; ``places`` from `banks`.

    With ``uneven`` that is the mean over outputs: an output may have more or fewer, at least one, but in all of its
    lanes the same number. So many are given to it as its largest weights, lane by lane, are worth.
    """
    size = torch.cat([weight.detach().abs(), torch.full((len(weight), 1), -1.0)], 1)
    lanes = size[:, places]  # (O, words, 20); -1 where there is no input
    rank = lanes.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    numbers = torch.full((len(weight),), min(each, lanes.shape[1]))
    if uneven:
        numbers = lane_numbers(lanes, each)
    kept = (rank < numbers[:, None, None]) & (lanes >= 0)
    mask = torch.zeros(len(weight), weight.shape[1] + 1, dtype=torch.bool)
    mask[:, places.flatten()] = kept.flatten(1)
    return mask[:, :-1]


def lane_numbers(lanes: torch.Tensor, each: int) -> torch.Tensor:
    """Weights a lane of each output (O,), ``each`` in the mean; ``lanes`` are magnitudes (O, words, 20)."""
    gains = lanes.clamp(min=0).sort(1, descending=True).values.sum(2)  # (O, words): of one more in each lane
    gains[:, 0] = torch.inf  # every output keeps one
    count = min(each * len(lanes), gains.numel())
    chosen = torch.zeros(gains.numel(), dtype=torch.bool)
    chosen[gains.flatten().argsort(descending=True, stable=True)[:count]] = True
    return chosen.reshape(gains.shape).sum(1)
