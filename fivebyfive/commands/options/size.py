"""The options that say how large a machine is, and in which order it works: of every command that makes one."""

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from inspect import signature
from typing import Any

import click

from fivebyfive.model.machine.config import DSP_SIZES
from fivebyfive.model.machine.sizing import Size

__all__ = ["size_options"]

SIZES = {one.name for one in fields(Size)}

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
        "--skip-zeros", is_flag=True,
        help="Windows of zeros take no cycle in the convolutions, nor activations of zero in the dense engine of "
        "fully-connected layers: how many an image takes depends on it.",
    ),
    click.option(
        "--dsp-size", type=click.Choice(DSP_SIZES), show_default="that of the part, or 25x18",
        help="Bits of the multiplier in a DSP block, with --packed: 25x18 of the 7 series, 18x18 of ECP5 and others.",
    ),
    click.option(
        "--winograd", is_flag=True,
        help="Four windows of a convolution by 36 multipliers instead of 100; 4 conv PEs where none are asked for.",
    ),
    click.option(
        "--packed", is_flag=True,
        help="Two products in each DSP block: half as many blocks; those of 18x18 bits take some LUTs as well.",
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
        "--fps", type=float, metavar="N",
        help="The smallest machine that does so many images a second at the frequency of --clock.",
    ),
    click.option(
        "--dsps", type=int, metavar="N",
        help="At most so many DSP blocks, shared by both kinds of layers for the most images a second.",
    ),
    click.option(
        "--multipliers", type=int, metavar="N",
        help="At most so many multipliers, likewise.",
    ),
    click.option(
        "--fc-rows", type=int, show_default="1", metavar="N",
        help="Rows of 20 multipliers for the fully-connected layers, at most: 1 to 25.",
    ),
    click.option(
        "--conv-pes", type=int, show_default="1", metavar="N",
        help="PEs of 25 multipliers for the convolutions, at most: 1 to 50; how they share the work is worked out.",
    ),
)  # fmt: skip
CLOCK = click.option(
    "--clock", "clock_mhz", type=float, metavar="MHZ", help="The frequency at which --fps is asked for."
)


def size_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with these options, which it gets as one argument ``size``.

    Of a command that has an option --clock itself (``clock``), that is the frequency of --fps.
    """

    has_clock = "clock" in signature(command).parameters

    @wraps(command)
    def with_size(**values: Any) -> None:
        if not has_clock and values["clock_mhz"] is not None and values["fps"] is None:
            raise click.UsageError("--clock is the frequency of --fps; give that too, or leave --clock out")
        given = values | ({"clock_mhz": values["clock"]} if has_clock else {})
        size = Size(**{name: given[name] for name in SIZES})
        command(size=size, **{name: value for name, value in values.items() if name not in SIZES})

    for option in (*OPTIONS, *([] if has_clock else [CLOCK])):
        option(with_size)
    return with_size
