"""Values of the layers in what an accelerator's taps and result show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.network import Network

__all__ = ["Piece", "TapReader", "fields"]

Layout = Mapping[str, Mapping[str, int]]  # name of each field to {offset, width} in bits, as in a manifest


@dataclass(frozen=True)
class Piece:
    """``values``, int8 (N,), of a layer, from index ``first`` of its flattened output on, as seen in ``cycle``."""

    layer: str
    first: int
    values: np.ndarray
    cycle: int


@dataclass(frozen=True)
class Stage:
    """A layer behind a tap: ``channels`` of ``cells`` codes each; ``step`` channels come at once."""

    name: str
    channels: int
    cells: int
    step: int


class TapReader:
    """Makes values of layers of the words of a tap.

    ``port``: "conv_tap" or "fc_tap". ``layout``: its fields.
    """

    def __init__(self, network: Network, config: Config, port: str, layout: Layout):
        parts = stages(config.built(network))
        self.outputs = {name: np.array(outputs) for name, outputs in config.computed(network).items()}
        convs = [Stage(one.name, one.width, one.cells, config.at_once) for one in parts.convs]
        fc = [Stage(one.name, one.outputs, 1, config.fc_outputs) for one in parts.fc]
        self.stages = convs if port == "conv_tap" else fc
        self.layout = layout
        self.at_once = sum(name.startswith("values[") for name in layout)

    def pieces(self, cycles: np.ndarray, words: np.ndarray) -> Iterator[Piece]:
        """The values of ``words``, uint8 (N, bytes), seen in ``cycles`` (N,): runs of neighbours, layer by layer. Where
        the same place comes twice, the later value counts."""
        found = fields(self.layout, words)
        zeros = np.zeros(len(words), np.int64)
        layer, group, cell = (found.get(name, zeros) for name in ("layer", "group", "cell"))
        values = np.stack([found[f"values[{n}]"] for n in range(self.at_once)], axis=1).astype(np.uint8).view(np.int8)
        if "zero" in found:  # these are the codes of the cells behind, too, which may not be shown
            cells = np.array([stage.cells for stage in self.stages])[layer]
            counts = np.where(found["zero"], cells - cell, 1)
            word = np.repeat(np.arange(len(words)), counts)
            cell = cell[word] + np.arange(len(word)) - np.repeat(np.cumsum(counts) - counts, counts)
            layer, group, values, cycles = (one[word] for one in (layer, group, values, cycles))
        for number, stage in enumerate(self.stages):
            mine = layer == number
            channels = group[mine, np.newaxis] * stage.step + np.arange(self.at_once)  # (N, at once)
            there = channels < stage.channels
            outputs = self.outputs[stage.name][np.minimum(channels, stage.channels - 1)]
            index = (outputs * stage.cells + cell[mine, np.newaxis])[there]
            seen = np.broadcast_to(cycles[mine, np.newaxis], channels.shape)[there]
            yield from runs(stage.name, index, values[mine][there], seen)


def runs(layer: str, index: np.ndarray, values: np.ndarray, cycles: np.ndarray) -> Iterator[Piece]:
    """Values at some indices as pieces of neighbours; the cycle of a piece is that of its last value."""
    if not len(index):
        return
    order = np.argsort(index, kind="stable")
    index, values, cycles = index[order], values[order], cycles[order]
    for part in np.split(np.arange(len(index)), np.flatnonzero(np.diff(index) != 1) + 1):
        yield Piece(layer, int(index[part[0]]), values[part], int(cycles[part].max()))


def fields(layout: Layout, words: np.ndarray) -> dict[str, np.ndarray]:
    """Unsigned values (N,) of each field of at most 62 bits in ``words``, uint8 (N, bytes), the lowest byte first."""
    bits = np.unpackbits(words, axis=1, bitorder="little")
    return {
        name: bits[:, place["offset"] : place["offset"] + place["width"]] @ (1 << np.arange(place["width"]))
        for name, place in layout.items()
    }
