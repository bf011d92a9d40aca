"""The options that say how large a machine is, and in which order it works: of every command that makes one."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import wraps
from typing import Any

import click

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import user_config

__all__ = ["Size", "size_options"]


@dataclass(frozen=True)
class Size:
    """What `size_options` were given."""

    dense_engines: bool = False
    packed: bool = False
    overlap: bool = True
    early_fc: bool = False
    fc_rows: int = 1
    conv_pes: int = 1

    def config(self, checkpoint: Checkpoint) -> Config:
        """The machine of that size for a checkpoint. Raises UserError where a size is out of range."""
        return user_config(checkpoint, asdict(self))


OPTIONS = (
    click.option(
        "--dense-engines", is_flag=True,
        help="Engines that take any weights, instead of those that skip zeros or store few values in few bits.",
    ),
    click.option(
        "--packed", is_flag=True,
        help="Two products in each DSP block of a 7-series part: half as many blocks.",
    ),
    click.option(
        "--overlap/--no-overlap", default=True, show_default=True,
        help="The convolutions of an image run beside the fully-connected layers of the one before.",
    ),
    click.option(
        "--early-fc", is_flag=True,
        help="fc1 takes activations as conv2 makes them: a single image is done sooner.",
    ),
    click.option(
        "--fc-rows", type=int, default=1, show_default=True, metavar="N",
        help="Rows of 20 multipliers for the fully-connected layers, 1 to 25.",
    ),
    click.option(
        "--conv-pes", type=int, default=1, show_default=True, metavar="N",
        help="PEs of 25 multipliers for the convolutions, if any, 1 to 50; how they share the work is worked out.",
    ),
)  # fmt: skip


def size_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with these options, which it gets as one argument ``size``."""

    @wraps(command)
    def with_size(**values: Any) -> None:
        size = Size(**{one.name: values.pop(one.name) for one in fields(Size)})
        command(size=size, **values)

    for option in OPTIONS:
        option(with_size)
    return with_size
