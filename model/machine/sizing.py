"""From what a user asks for to the sizes that the machine is built with: the best W x O split of the conv PEs."""

from dataclasses import asdict, dataclass
from functools import partial

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.network import Network
from fivebyfive.model.shape import summary
from fivebyfive.support.errors import user_values

from .config import Config, of_type
from .cycles import conv_sweeps
from .engines import fitted
from .stages import stages

__all__ = ["MAX_CONV_PES", "Size", "sized"]

MAX_CONV_PES = 50


@dataclass(frozen=True)
class Size:
    """What a user asks for: the arguments of `sized`, and ``dense_engines``, engines that take any weights."""

    conv_pes: int = 1
    fc_rows: int = 1
    early_fc: bool = Config.early_fc
    overlap: bool = Config.overlap
    packed: bool = Config.packed
    pixels: int = Config.pixels
    dense_engines: bool = False

    def config(self, checkpoint: Checkpoint) -> Config:
        """The machine of that size, with the engines that serve the checkpoint best. Raises UserError where a size is
        out of range."""
        wanted = asdict(self)
        dense = wanted.pop("dense_engines")
        with user_values():
            config = sized(checkpoint.network, **wanted)
            return config if dense else fitted(checkpoint, config)


def sized(
    network: Network,
    conv_pes: int = 1,
    fc_rows: int = 1,
    *,
    early_fc: bool = Config.early_fc,
    overlap: bool = Config.overlap,
    packed: bool = Config.packed,
    pixels: int = Config.pixels,
) -> Config:
    """The configuration with the fewest conv cycles for this network out of at most ``conv_pes`` PEs (1 to 50).

    Of several that are as fast, the one with the fewest PEs: a PE that would save no cycle is not built. A network
    without convolutions has none, one without fully-connected layers no rows. The other arguments are fields of
    `Config`. Raises ValueError where a size is out of range, or of a part that the network has no work for.
    """
    conv_pes = of_type(int, "conv_pes", conv_pes)
    if not 1 <= conv_pes <= MAX_CONV_PES:
        raise ValueError(f"conv PEs must be 1 to {MAX_CONV_PES}, not {conv_pes}")
    parts = stages(network)
    made = partial(
        Config, fc_rows=fc_rows, early_fc=early_fc, overlap=overlap, packed=packed, kernel=parts.kernel, pixels=pixels
    )
    if not parts.fc:
        made(1, 1)  # what is asked for must be a size, though nothing of it is built
        if fc_rows != 1 or early_fc:
            wanted = "early_fc" if early_fc else f"{fc_rows} rows of multipliers"
            raise ValueError(
                f"{summary(network)} has no fully-connected layers, so no work for {wanted}; leave that out"
            )
        made = partial(made, fc_rows=0, early_fc=False)
    if not parts.convs:
        if conv_pes > 1:
            raise ValueError(
                f"{summary(network)} has no convolutions, so no work for {conv_pes} conv PEs; leave them out"
            )
        config = made(1, 0)
        config.check(network)
        return config
    configs = [
        made(windows, outputs)
        for windows in (1, 2, 4)
        for outputs in range(1, min(conv_pes // windows, Config.most_outputs(windows)) + 1)
    ]
    fitting = [config for config in configs if fits(config, network)]
    if not fitting:
        configs[0].check(network)  # tells why
    return min(fitting, key=lambda config: (conv_sweeps(network, config)[0], config.conv_multipliers))


def fits(config: Config, network: Network) -> bool:
    """Whether this is a machine for the network."""
    try:
        config.check(network)
    except ValueError:
        return False
    return True
