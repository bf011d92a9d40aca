"""The options that say which training images are held out: of every command that trains on MNIST."""

import click

from fivebyfive.model.training.hold_out import DRAWN, HOLD_OUTS, HoldOut

__all__ = ["HELD_OUT_OPTIONS", "chosen_hold_out", "usual_hold_out"]

HELD_OUT_OPTIONS = (
    click.option(
        "--fold", type=click.IntRange(0), default=0, show_default=True, metavar="N",
        help="With --writers: which of the disjoint sets of writers is held out.",
    ),
    click.option(
        "--writers", metavar="FILE",
        help="Hold out by these writers instead: a .npy or .npz file (array writer) of a number for each training "
        "image, QMNIST's labels, or qmnist, which downloads them.",
    ),
    click.option(
        "--hold-out", type=click.Choice(HOLD_OUTS),
        help="What chooses the network that is kept: all images of some writers (for mnist), or drawn images.",
    ),
)  # fmt: skip


def chosen_hold_out(kind: str | None, writers: str | None, fold: int) -> HoldOut | None:
    """What the options say; None without them. Raises ValueError where they do not go together."""
    if kind is None and not writers and not fold:
        return None
    return HoldOut(kind or "writers", writers or "", fold)


def usual_hold_out(data: str) -> HoldOut:
    """By writer, where these are known, for a network that is trained from nothing."""
    return HoldOut("writers") if data == "mnist" else DRAWN
