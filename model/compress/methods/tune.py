"""Only train on: what was pruned, shared or taken out before stays so. For the end of a plan."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fivebyfive.model.compress.operations.options import Tuning

if TYPE_CHECKING:
    from fivebyfive.model.compress.operations.job import Job

__all__ = ["Config", "run"]


@dataclass(frozen=True)
class Config(Tuning):
    """Nothing of its own."""


def run(job: "Job", config: Config) -> None:
    """Train the job's network."""
    job.tune(config)
