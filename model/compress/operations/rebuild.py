"""Narrow a network layer by layer so that each next layer still computes what it did: for Lasso and ThiNet."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .narrow import Stepwise, target_shape, waypoints
from .options import option

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.training.lenet import LeNet

    from .job import Compression

__all__ = ["Rebuilt", "rebuild"]

SAMPLES = 5000  # images


@dataclass(frozen=True)
class Rebuilt(Stepwise):
    """``targets``: whose sums the narrowed network shall have."""

    targets: str = option(
        "original",
        "Sums to keep: of the network before, or of the one narrowed so far.",
        choices=("original", "narrowed"),
    )


def rebuild(
    job: "Compression", options: Rebuilt, choose: Callable[["torch.Tensor", "torch.Tensor", int], "torch.Tensor"]
) -> None:
    """Narrow the job's network to the widths asked for, and train it; ``choose(products, wanted, count)`` names the
    outputs of a layer that stay, of what `moments.parts` have in common with each other and with the sums there shall
    be."""
    for shape in (points := waypoints(job.net.shape, target_shape(job, options), options.rounds)):
        counts = dict(zip(shape.layers, shape.widths, strict=True))
        original = deepcopy(job.net) if options.targets == "original" else None
        for layer in shape.layers[:-1]:
            narrow(job, layer, counts[layer], original, choose)
        job.tune(options, None if shape is points[-1] else options.stage(options.round_epochs, 0))


def narrow(
    job: "Compression",
    layer: str,
    count: int,
    original: "LeNet | None",
    choose: Callable[["torch.Tensor", "torch.Tensor", int], "torch.Tensor"],
) -> None:
    """Keep ``count`` outputs of a layer, and refit the layer after it: to the sums of ``original``, with an intercept,
    or to its own."""
    import torch

    from .channels import Kept, keep
    from .moments import next_layer, parts, refit, second_moments

    net, channels = job.net, job.net.shape.arrays[f"{layer}.bias"][0]
    if count == channels:
        return
    moments = second_moments(net, layer, job.learning.some(SAMPLES, job.generator), original)
    following = next_layer(net, layer)
    weight = net.effective(following, quantized=False)[0].detach()
    kept = choose(parts(moments.own, weight, channels), parts(moments.cross, weight, channels).sum(1), count)
    with torch.no_grad():
        found, lift = refit(moments, weight, kept, channels)
        net.layers[following][0].copy_(found)
        net.layers[following][1].add_(lift)
    net.clip()
    job.net = keep(net, Kept.everything(net.shape, **{layer: kept}))
