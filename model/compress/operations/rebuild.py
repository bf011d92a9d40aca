"""Narrow a network layer by layer so that each next layer still computes what it did: for Lasso and ThiNet."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from .narrow import Stepwise, target_shape, waypoints

if TYPE_CHECKING:
    import torch

    from .job import Compression

__all__ = ["rebuild"]

SAMPLES = 5000  # images


def rebuild(job: "Compression", config: Stepwise, choose: Callable[["torch.Tensor", int], "torch.Tensor"]) -> None:
    """Narrow the job's network to the widths asked for, and train it; ``choose(products, count)`` names the outputs
    of a layer that stay (`moments.parts`)."""
    for shape in (points := waypoints(job.net.shape, target_shape(job, config), config.rounds)):
        counts = dict(zip(shape.layers, shape.widths, strict=True))
        for layer in shape.layers[:-1]:
            narrow(job, layer, counts[layer], choose)
        job.tune(config, None if shape is points[-1] else config.stage(config.round_epochs, 0))


def narrow(job: "Compression", layer: str, count: int, choose: Callable[["torch.Tensor", int], "torch.Tensor"]) -> None:
    """Keep ``count`` outputs of a layer, and refit the layer after it."""
    import torch

    from fivebyfive.model.training.loop import TrainingImages

    from .channels import Kept, keep
    from .moments import next_layer, parts, refit, second_moments

    net, channels = job.net, job.net.shape.arrays[f"{layer}.bias"][0]
    if count == channels:
        return
    index = torch.randperm(len(job.learning), generator=job.generator)[:SAMPLES]
    moments = second_moments(net, layer, TrainingImages(job.learning.pixels[index], job.learning.labels[index]))
    following = next_layer(net, layer)
    weight = net.effective(following, quantized=False)[0].detach()
    kept = choose(parts(moments, weight, channels), count)
    with torch.no_grad():
        net.layers[following][0].copy_(refit(moments, weight, kept, channels))
    net.clip()
    job.net = keep(net, Kept.everything(net.shape, **{layer: kept}))
