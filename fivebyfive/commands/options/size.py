"""The options that say how large a machine is, and in which order it works: of every command that makes one."""

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

import click

from fivebyfive.model.machine.sizing import Size

__all__ = ["size_options"]


OPTIONS = (
    click.option(
        "--pixels", type=click.Choice(["1", "2", "4"]), default="1", show_default=True,
        callback=lambda _context, _option, given: int(given),
        help="Pixels in a transfer of the input stream.",
    ),
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
