"""The options of a second network, which is asked where the first one is unsure."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from fivebyfive.output.paths import InputName
from fivebyfive.support.errors import UserError

__all__ = ["Then", "then_options"]


@dataclass(frozen=True)
class Then:
    """``second``: its checkpoint. ``margin``: below this distance of the first one's two best logits; None to choose
    it on held-out images."""

    second: Path
    margin: int | None


def then_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with --then and --margin, which it gets as one argument ``then``, None without them."""

    @click.option(
        "--then",
        "second",
        type=InputName(),
        metavar="G.npz",
        help="A second network, asked where the first one's two best logits are close.",
    )
    @click.option(
        "--margin", type=int, metavar="N",
        help="How close, in codes, 0 to 256; by default the least at which held-out images of MNIST have no more "
        "errors than with the second network alone.",
    )  # fmt: skip
    @wraps(command)
    def with_then(second: Path | None, margin: int | None, **values: Any) -> None:
        if second is None and margin is not None:
            raise UserError("--margin is of two networks; name the second with --then G.npz")
        command(then=Then(second, margin) if second else None, **values)

    return with_then
