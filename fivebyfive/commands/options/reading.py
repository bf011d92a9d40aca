"""The options that say how a state_dict is meant: of every command that reads one."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from fivebyfive.model.description import MAX_CHARACTERS
from fivebyfive.output.paths import InputName
from fivebyfive.support.errors import user_values
from fivebyfive.support.inputs import read_limited

__all__ = ["reading_options"]

NAMES = ("pool", "activation", "padding", "input", "mean", "std")
OPTIONS = (
    click.option(
        "--pool", metavar="KIND", help="Of a state_dict, which has no graph: its pools: max, average, max2 (2x2), none;"
    ),
    click.option("--activation", metavar="A[,B]", help="functions of its layers (B: of the fully-connected), or none;"),
    click.option("--padding", metavar="N[,N...]", help="of its convolutions, all or each;"),
    click.option("--input", metavar="CxHxW", help="channels, rows and columns of an image;"),
    click.option(
        "--network", type=InputName(), metavar="FILE.json",
        help='or all of it: a description of layers, with {"function": NAME} for functions but ReLU.',
    ),
    click.option("--mean", type=float, help="The network's input was (pixel / 255 - mean) / std;"),
    click.option("--std", type=float, help="without both, the usual ones are tried."),
)  # fmt: skip


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with these options, which it gets as one argument ``reading``."""

    @wraps(command)
    def with_reading(network: Path | None, **values: Any) -> None:
        from fivebyfive.model.readers.state_dict.options import ReadingOptions

        given = {name: values.pop(name) for name in NAMES}
        if network:
            given["description"] = read_limited(network, MAX_CHARACTERS, "description").decode("utf-8", "replace")
        with user_values():
            reading = ReadingOptions(**given)
        command(reading=reading, **values)

    for option in reversed(OPTIONS):
        option(with_reading)
    return with_reading
