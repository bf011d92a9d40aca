"""Layers of two or three values: scales that are powers of two, without loss.

A layer's output may be scaled freely if the next layer makes up for it
(`fivebyfive.model.training.calibration.rescale`): so every scale can be made the power of two below it, exactly, in
floats.
"""

from collections.abc import Callable

import torch

from fivebyfive.model.training.calibration import rescale
from fivebyfive.support.errors import UserError

from .job import Compression
from .projections import Projection, mask_of, only_masked, step_exponent, step_value

__all__ = ["project"]


def project(
    job: Compression,
    layers: tuple[str, ...],
    magnitude: Callable[[torch.Tensor, torch.Tensor], float],
    make: Callable[[torch.Tensor, int], Projection],
) -> None:
    """Scale ``layers`` so that each one's ``magnitude(weight, mask)`` is a power of two, and give it the projection
    ``make(mask, exponent)``. The job's temperature follows the logits' scale. Raises UserError where the network has
    what no scale goes through."""
    for one in job.net.network.layers:
        if one.has_table or (any(one.padding) and any(one.fill)):
            what = "a table" if one.has_table else "a fill of its own"
            raise UserError(
                f"layers of two or three values need scales, and none goes through {what}, as {one.name} has"
            )
    exponents, factors, factor = {}, {}, 1.0
    for layer in job.net.network.names:
        if layer in layers:
            only_masked(job.net, layer, "leave it out with layers")
            size = magnitude(job.net.layers[layer][0].detach(), mask_of(job.net, layer))
            exponents[layer] = step_exponent(size / factor)  # the output then shrinks, to a half at most
            factor *= step_value(exponents[layer]) / max(size, 1e-9)
        factors[layer] = factor
    rescale(job.net, factors)
    job.temperature /= factor
    for layer, exponent in exponents.items():
        job.net.projections[layer] = make(mask_of(job.net, layer), exponent)
