"""Take out the channels that Lasso gives up first, and refit what takes them by least squares.

He, Zhang and Sun 2017, Channel pruning for accelerating very deep neural networks (arXiv:1707.06168): layer by layer,
the next layer's sums shall be what they were. Channels enter along the whole path of Lasso (Efron et al. 2004), which
spares the search for its penalty. As in the paper the sums are those of the network that the round began with, not of
the one whose earlier layers are narrow already, and the refit has an intercept; ``targets = "narrowed"`` fits to the
latter and without one, as the checkpoints of version 0.1.0 were made. A channel's part is all of what it adds to the
sums, and Lasso's factors choose only: the refit is of single weights, where the paper's is of them as well.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.rebuild import Rebuilt, rebuild
from fivebyfive.support.optional import require

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Rebuilt):
    """Nothing of its own."""


def run(job: "Compression", options: Options) -> None:
    """Narrow the job's network, and train it. Raises UserError without scikit-learn."""
    require("sklearn.linear_model", "channel pruning by Lasso needs", "scikit-learn", "compress")
    rebuild(job, options, choose)


def choose(products: "torch.Tensor", wanted: "torch.Tensor", count: int) -> "torch.Tensor":
    """Indices of ``count`` channels, of the products of their parts with each other (C, C), and with the sums there
    shall be (C,)."""
    import torch

    model = require("sklearn.linear_model", "channel pruning by Lasso needs", "scikit-learn", "compress")
    found = model.lars_path_gram(wanted.numpy(), products.numpy(), n_samples=1, method="lasso")[2]  # (C, steps)
    path = torch.from_numpy(found.copy())
    steps = path.shape[1]
    entered = torch.where(path != 0, torch.arange(steps), steps).amin(1)
    strength = path[:, -1].abs() / path[:, -1].abs().max().clamp(min=1e-12)
    return (entered.double() - 0.5 * strength).argsort(stable=True)[:count]
