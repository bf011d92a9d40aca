"""Take out channels greedily: always the one without which the next layer's sums change least.

Luo, Wu and Lin 2017, ThiNet (arXiv:1707.06342). What takes them is refitted by least squares, with all its weights
rather than one factor for each channel.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.narrow import Stepwise
from fivebyfive.model.compress.operations.rebuild import rebuild

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Stepwise):
    """Nothing of its own."""


def run(job: "Compression", options: Options) -> None:
    """Narrow the job's network, and train it."""
    rebuild(job, options, choose)


def choose(products: "torch.Tensor", count: int) -> "torch.Tensor":
    """Indices of ``count`` channels, of the products of their parts (C, C): those that are not taken out."""
    import torch

    gone = torch.zeros(len(products), dtype=torch.float64)
    for _ in range(len(products) - count):
        change = products.diagonal() + 2 * products @ gone  # of the squared error, if that one goes too
        gone[torch.where(gone > 0, torch.inf, change).argmin()] = 1
    return torch.nonzero(gone == 0).flatten()
