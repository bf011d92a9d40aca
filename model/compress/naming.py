"""Layers that a person names."""

from typing import TYPE_CHECKING

from fivebyfive.support.errors import UserError

if TYPE_CHECKING:
    from fivebyfive.model.compress.operations.job import Compression

__all__ = ["named"]


def named(job: "Compression", text: str) -> tuple[str, ...]:
    """The layers in a text such as fc1,fc2; all for an empty one. Raises UserError for one there is not."""
    layers = job.net.network.names
    chosen = tuple(part.strip() for part in text.split(",")) if text else layers
    for layer in chosen:
        if layer not in layers:
            raise UserError(f"the network has no layer {layer}; it has {', '.join(layers)}")
    return chosen
