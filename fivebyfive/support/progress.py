"""How long work reports its progress. A command line may draw a bar from it."""

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Called often, cheaply: ``done`` of ``total`` units (steps, images or bytes) of the work named ``text``.

    ``total`` is 0 where it is not known. A new ``text`` with the same ``total`` is the next stage of the
    same work; a new ``total`` is new work.
    """

    def __call__(self, done: int, total: int, text: str) -> None: ...


def silent(done: int, total: int, text: str) -> None:
    """Nobody watches."""
