"""From what a user asks for to the sizes that the machine is built with: the best W x O split of the conv PEs."""

from collections.abc import Mapping

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import user_values

from .config import Config, of_type
from .cycles import conv_cycles
from .engines import fitted

__all__ = ["MAX_CONV_PES", "sized", "user_config"]

MAX_CONV_PES = 50


def sized(shape: LeNetShape, conv_pes: int = 1, fc_rows: int = 1, **options: bool) -> Config:
    """The configuration with the fewest conv cycles for this network out of at most ``conv_pes`` PEs (1 to 50).

    Of several that are as fast, the one with the fewest PEs: a PE that would save no cycle is not built. A network
    without convolutions has none. ``options`` are the other fields of `Config`. Raises ValueError where a size is out
    of range.
    """
    conv_pes = of_type(int, "conv_pes", conv_pes)
    if not 1 <= conv_pes <= MAX_CONV_PES:
        raise ValueError(f"conv PEs must be 1 to {MAX_CONV_PES}, not {conv_pes}")
    if not shape.has_convolutions:
        if conv_pes > 1:
            raise ValueError(f"{shape} has no convolutions, so no work for {conv_pes} conv PEs; leave them out")
        config = Config(1, 0, fc_rows, **options)
        config.check(shape)
        return config
    configs = [
        Config(windows, outputs, fc_rows, **options)
        for windows in (1, 2, 4)
        for outputs in range(1, min(conv_pes // windows, Config.most_outputs(windows)) + 1)
    ]
    return min(configs, key=lambda config: (conv_cycles(shape, config)[0], config.conv_multipliers))


def user_config(checkpoint: Checkpoint, size: Mapping[str, int | bool]) -> Config:
    """`sized` for what a user asks for, its arguments, with the engines that serve the checkpoint best; or, with
    ``dense_engines``, those that take any weights. Raises UserError where a size is out of range."""
    wanted = dict(size)
    dense = wanted.pop("dense_engines", False)
    with user_values():
        config = sized(checkpoint.shape, **wanted)
        return config if dense else fitted(checkpoint, config)
