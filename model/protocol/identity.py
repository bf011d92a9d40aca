"""What an AXI core says of itself: the constant registers of `registers`, from what the core is generated from.

Shapes and counts are there to be read by people; the marks tell networks and tables apart.
"""

import zlib
from collections.abc import Mapping

import numpy as np

from fivebyfive.model.description import written
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.weights import memory_depths
from fivebyfive.model.network import Network
from fivebyfive.model.shape import ceil_div

__all__ = ["identity", "network_mark", "result_words", "tables_mark"]

SIZES = ("windows", "winograd", "skip_zeros", "outputs", "fc_rows", "early_fc", "overlap", "packed", "kernel")


def network_mark(network: Network) -> int:
    """32 bits that tell a network from others: CRC-32 of how it is written."""
    return zlib.crc32(written(network).encode())


def tables_mark(tables: Mapping[str, np.ndarray]) -> int:
    """32 bits that tell tables (`Checkpoint.tables`) from others; 0 where there are none."""
    mark = 0
    for name in sorted(tables):
        mark = zlib.crc32(name.encode() + tables[name].tobytes(), mark)
    return mark


def result_words(classes: int) -> int:
    """Words of 32 bits in a result."""
    return 1 + ceil_div(classes, 4)


def identity(
    network: Network, config: Config, tables: Mapping[str, np.ndarray], pixel_bytes: int
) -> dict[str, dict[str, int]]:
    """Fields of each register that says what was generated. Only tables of the network are in ``tables``."""
    channels, rows, columns = network.input
    kinds = [layer.kind for layer in network.layers]
    depths = memory_depths(network, config)
    return {
        "frame": {
            "pixels": network.pixels, "pixel_bytes": pixel_bytes, "result_words": result_words(network.classes),
        },
        "image_shape": {"channels": channels, "rows": rows, "columns": columns},
        "layers": {"convs": kinds.count("conv"), "fc": kinds.count("fc"), "classes": network.classes},
        "network": {"value": network_mark(network)},
        "machine": {name: int(getattr(config, name)) for name in SIZES} | {"whole": int(config.pixels > 1)},
        "conv_words": {"value": depths["conv"]},
        "fc_words": {"value": depths["fc"]},
        "engines": {"value": config.engines.mark},
        "tables": {"value": tables_mark(tables)},
    }  # fmt: skip
