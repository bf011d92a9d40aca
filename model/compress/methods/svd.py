"""A fully-connected layer becomes two smaller ones, by singular values.

Denton, Zaremba, Bruna, LeCun and Fergus 2014 (arXiv:1404.0736); Xue, Li and Gong 2013. W of (M, K) is nearly U V with
U (M, R) and V (R, K). There is a ReLU between the two layers here, as between all of them; it would cut what is below
zero. So V gets a bias that lifts all its outputs above zero on the images of the training set, and the bias of U takes
off what that adds: U (V x + c) - U c. Signs are chosen so that little has to be lifted. Training in the hardware's
rounding then does the rest.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import Tuning, option
from fivebyfive.support.errors import UserError

from ...shape import MAX_FC_LAYERS

if TYPE_CHECKING:
    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Tuning):
    """``layer`` becomes two, ``rank`` wide between them."""

    layer: str = option("fc1", "The layer.")
    rank: int = option(50, "Outputs of the first of the two, inputs of the second.", 1, 4096)


def run(job: "Compression", options: Options) -> None:
    """Split a layer of the job's network, and train it. Raises UserError for a layer that cannot be split."""
    from fivebyfive.model.compress.operations.factors import split

    shape = job.net.shape
    if not options.layer.startswith("fc") or options.layer not in shape.layers:
        raise UserError(f"svd splits a fully-connected layer of the network, not {options.layer}")
    if len(shape.fc) == MAX_FC_LAYERS:
        raise UserError(f"the network has {MAX_FC_LAYERS} fully-connected layers already, and none can be split")
    outputs, inputs = shape.arrays[f"{options.layer}.weight"]
    if options.rank * (outputs + inputs) >= outputs * inputs:
        most = (outputs * inputs - 1) // (outputs + inputs)
        raise UserError(f"a rank of {options.rank} makes {options.layer} no smaller; it must be at most {most}")
    job.net = split(job.net, options.layer, options.rank, job.learning)
    job.tune(options)
