"""Take out channels greedily: always the one without which the next layer's sums change least.

Luo, Wu and Lin 2017, ThiNet (arXiv:1707.06342). What takes them is refitted by least squares, with all its weights
rather than one factor for each channel, and to what the network that the round began with computed.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.rebuild import Rebuilt, rebuild

if TYPE_CHECKING:
    import torch

    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Rebuilt):
    """Nothing of its own."""


def run(job: "Compression", options: Options) -> None:
    """Narrow the job's network, and train it."""
    rebuild(job, options, choose)


def choose(products: "torch.Tensor", wanted: "torch.Tensor", count: int) -> "torch.Tensor":
    """Indices of ``count`` channels, of the products of their parts with each other (C, C), and with the sums there
    shall be (C,): those that are not taken out."""
    import torch

    gone = torch.zeros(len(products), dtype=torch.float64)
    for _ in range(len(products) - count):
        # Of the squared error, if that one goes too: |wanted - (all - gone)|^2.
        change = products.diagonal() + 2 * (products @ gone + wanted - products.sum(1))
        gone[torch.where(gone > 0, torch.inf, change).argmin()] = 1
    return torch.nonzero(gone == 0).flatten()
