"""Weights share few values, found by k-means and fine-tuned.

Han, Mao and Dally 2016, Deep Compression (arXiv:1510.00149), section 3: clusters of each layer's weights, their
centroids trained by the sum of their weights' gradients; starting centroids spread evenly serve large weights best.

There a weight keeps its centroid. With ``reassign`` it takes the nearest one after every step, as Wu et al. 2018, Deep
k-Means (arXiv:1806.09228), let it do, here with a straight-through gradient in place of their pull towards centroids.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from fivebyfive.model.compress.operations.options import ByLayer, Tuning, option
from fivebyfive.support.optional import require

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run", "share"]

FINENESS = 4096  # weights are clustered as multiples of 1 / FINENESS, each with its number


@dataclass(frozen=True)
class Options(Tuning):
    """``bits`` of an index into a layer's codebook; where the layer is pruned, one of its values is zero."""

    integers_by_layer: ClassVar[tuple[str, ...]] = ("bits",)

    bits: ByLayer = option(ByLayer(4), "Of an index, for all layers or such as conv1=5,fc1=3.", 1, 8)
    start: str = option("linear", "Centroids to begin with.", choices=("linear", "k-means++"))
    reassign: bool = option(False, "A weight may change its centroid while it is trained.")


def run(job: "Compression", options: Options) -> None:
    """Share the weights of the job's network, and train it."""
    seed = job.generator.initial_seed() % 2**32  # all that scikit-learn takes
    for layer, bits in options.bits.chosen(job.net.network.names).items():
        share(job, layer, int(bits), partial(centroids, start=options.start, seed=seed), options.reassign)
    job.tune(options)


def share(
    job: "Compression",
    layer: str,
    bits: int,
    values: Callable[["torch.Tensor", int], "torch.Tensor"],
    reassign: bool,
) -> None:
    """Replace a layer's projection by a codebook; ``values(weights, count)`` makes it, of the weights that are not
    masked (N,)."""
    from fivebyfive.model.compress.operations.projections import Shared, mask_of

    mask = mask_of(job.net, layer)
    weight = job.net.effective(layer, quantized=False)[0].detach()
    count = 2**bits - int(bool((mask == 0).any()))  # zero has an index too
    job.net.projections[layer] = Shared(mask, weight, values(weight[mask > 0], count), reassign)


def centroids(weights: "torch.Tensor", count: int, start: str, seed: int) -> "torch.Tensor":
    """At most ``count`` centroids of weights (N,), float32 in order."""
    import torch

    cluster = require("sklearn.cluster", "weight sharing needs", "scikit-learn", "compress")
    places, numbers = (weights * FINENESS).round().unique(return_counts=True)
    points = (places / FINENESS).double().numpy()[:, None]
    if len(points) <= count:
        return torch.from_numpy(points[:, 0]).float()
    first = torch.linspace(*weights.aminmax(), count).double().numpy()[:, None] if start == "linear" else start
    clusters = cluster.KMeans(count, init=first, n_init=1, random_state=seed).fit(points, sample_weight=numbers.numpy())
    return torch.from_numpy(clusters.cluster_centers_[:, 0]).float().sort().values
