"""Only train on: what was pruned, shared or taken out before stays so. For the end of a plan."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import Tuning

if TYPE_CHECKING:
    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options(Tuning):
    """Nothing of its own."""


def run(job: "Compression", options: Options) -> None:
    """Train the job's network."""
    job.tune(options)
