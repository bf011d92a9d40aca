"""From what a user asks for to the sizes that the machine is built with.

Of all machines that the request allows (W windows, O output channels, R rows, each with the engines that it would be
built with) the cycle model finds the best; bounds that are found sooner leave most of them out.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import inf

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.network import Network
from fivebyfive.model.shape import FC_WORD, ceil_div, summary
from fivebyfive.support.errors import user_values

from .config import FAMILY_DSP_SIZES, Config, of_type
from .cycles import conv_sweeps, plan
from .engines import AnyWeights, Fitting
from .stages import stages
from .weight_form import Engines

__all__ = ["MAX_CONV_PES", "Size", "conv_machines", "sized"]

MAX_CONV_PES = 50
MAX_FC_ROWS = 25


@dataclass(frozen=True)
class Size:
    """What a user asks for: the arguments of `sized` (``dsp_size``: None for that of the device family), and
    ``dense_engines``, engines that take any weights."""

    conv_pes: int | None = None
    fc_rows: int | None = None
    early_fc: bool = Config.early_fc
    overlap: bool = Config.overlap
    packed: bool = Config.packed
    winograd: bool = Config.winograd
    dsp_size: str | None = None
    pixels: int = Config.pixels
    skip_zeros: bool = Config.skip_zeros
    multipliers: int | None = None
    dsps: int | None = None
    fps: float | None = None
    clock_mhz: float | None = None
    dense_engines: bool = False

    def config(self, checkpoint: Checkpoint, family: str | None = None) -> Config:
        """The machine of that size for a device family, with the engines that serve the checkpoint best.

        Raises UserError where a size is out of range, or no machine does what is asked.
        """
        wanted = asdict(self)
        dense = wanted.pop("dense_engines")
        of_family = FAMILY_DSP_SIZES.get(family or "") if self.packed else None
        wanted["dsp_size"] = self.dsp_size or of_family or Config.dsp_size
        with user_values():
            return sized(checkpoint.network if dense else checkpoint, **wanted)


def sized(
    model: Network | Checkpoint,
    conv_pes: int | None = None,
    fc_rows: int | None = None,
    *,
    early_fc: bool = Config.early_fc,
    overlap: bool = Config.overlap,
    packed: bool = Config.packed,
    winograd: bool = Config.winograd,
    dsp_size: str = Config.dsp_size,
    pixels: int = Config.pixels,
    skip_zeros: bool = Config.skip_zeros,
    multipliers: int | None = None,
    dsps: int | None = None,
    fps: float | None = None,
    clock_mhz: float | None = None,
) -> Config:
    """The best machine for a checkpoint, with the engines that serve it best, or for any weights of a network.

    ``conv_pes`` (1 to 50), ``fc_rows`` (1 to 25), ``multipliers`` and ``dsps``: at most so many PEs, rows,
    multipliers and DSP blocks. PEs and rows are by default one each (four PEs with ``winograd``), or as many as a
    budget of multipliers or DSP blocks allows, or as ``fps`` images a second at a clock of ``clock_mhz`` MHz need.
    Of the machines within these limits that with the shortest interval is taken, of several the one with the
    shortest latency, then with the fewest multipliers; with ``fps``, of those whose interval is short enough, the
    one with the fewest multipliers. A network without convolutions has no PEs, one without fully-connected layers
    no rows. The other arguments are fields of `Config`; with ``skip_zeros`` intervals are those of images without a
    window of zeros.

    Raises ValueError where a size is out of range, or of a part that the network has no work for, and where no machine
    is within the limits.
    """
    network = model if isinstance(model, Network) else model.network
    budgets = {"multipliers": multipliers, "dsps": dsps}
    free = any(value is not None for value in (*budgets.values(), fps))
    pes = number("conv_pes", conv_pes, MAX_CONV_PES if free else 4 if winograd else 1)
    if not 1 <= pes <= MAX_CONV_PES:
        raise ValueError(f"conv PEs must be 1 to {MAX_CONV_PES}, not {pes}")
    most_rows = FC_WORD if early_fc else MAX_FC_ROWS
    made = partial(
        Config,
        early_fc=early_fc,
        overlap=overlap,
        packed=packed,
        winograd=winograd,
        dsp_size=dsp_size,
        pixels=pixels,
        skip_zeros=skip_zeros,
    )
    rows = made(fc_rows=number("fc_rows", fc_rows, most_rows if free else 1)).fc_rows
    convs, fc = stages(network).convs, stages(network).fc
    if not fc and early_fc:
        raise ValueError(f"{summary(network)} has no fully-connected layers, so no work for early_fc; leave that out")
    if not convs and conv_pes not in (None, 1):
        raise ValueError(f"{summary(network)} has no convolutions, so no work for {pes} conv PEs; leave them out")
    least = made(1, 1 if convs else 0, 1 if fc else 0, kernel=stages(network).kernel)
    machines = conv_machines(network, least, pes)
    if not machines:
        least.check(network)  # tells why
    fit = AnyWeights(network) if isinstance(model, Network) else Fitting(model)
    found = candidates(fit, machines, range(1, rows + 1) if fc else [0])
    for name, value in budgets.items():
        found = within(found, name, value, network)
    if fps is None:
        chosen = first(fit, found, lambda one: (one.interval, one.latency, one.multipliers))
        chosen.config.check(network)  # engines of certain weights may leave no zeros to skip
        return chosen.config
    longest = longest_interval(fps, clock_mhz)
    chosen = first(fit, found, lambda one: (max(0, one.interval - longest), one.multipliers, one.interval, one.latency))
    if chosen.interval > longest:
        raise ValueError(
            f"{summary(network)} takes {chosen.interval:,} cycles an image at least, not {longest:,}; ask for fewer "
            "images a second, a faster clock or a larger machine"
        )
    chosen.config.check(network)
    return chosen.config


def number(name: str, value: int | None, default: int) -> int:
    """A whole number, ``default`` for None. Raises ValueError for anything else."""
    return default if value is None else int(of_type(int, name, value))


def longest_interval(fps: float, clock_mhz: float | None) -> int:
    """Cycles between results at which ``fps`` images a second are done. Raises ValueError."""
    if clock_mhz is None:
        raise ValueError("images a second are those at a clock: give --clock MHZ with --fps (clock_mhz with fps)")
    for name, value in (("fps", fps), ("clock_mhz", clock_mhz)):
        if not 0 < value < inf:
            raise ValueError(f"{name} must be more than 0, not {value:g}")
    return int(clock_mhz * 1e6 / fps)


def conv_machines(network: Network, least: Config, pes: int) -> list[Config]:
    """``least`` with each W x O of at most ``pes`` PEs that the network allows; itself where O is 0."""
    found = [
        replace(least, windows=windows, outputs=outputs)
        for windows in (1, 2, 4)
        for outputs in range(1, min(pes // windows, Config.most_outputs(windows)) + 1)
    ]
    return [config for config in (found if least.outputs else [least]) if fits(config, network)]


def fits(config: Config, network: Network) -> bool:
    """Whether this is a machine for the network."""
    try:
        config.check(network)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Candidate:
    """A machine before it is fitted (``config``); ``multipliers`` and ``dsps``: what it will have; ``interval`` and
    ``latency``: what it takes at least, in cycles, or takes."""

    config: Config
    multipliers: int
    dsps: int
    interval: int
    latency: int


def candidates(fit: AnyWeights, convs: list[Config], rows: Iterable[int]) -> list[Candidate]:
    """A machine for each of these ``convs`` and numbers of ``rows``."""
    halves = []
    for count in rows:
        half = replace(convs[0], fc_rows=count)
        dsps = replace(half, engines=Engines(fc=fit.fc_form(half))).fc_dsps if count else 0
        halves.append((half, dsps, fit.fc_cycles(half)))
    found = []
    for one in convs:
        conv = replace(one, engines=fit.conv_engines(one))
        cycles = conv_sweeps(fit.network, conv)[0] if conv.outputs else 0
        for half, fc_dsps, fc_cycles in halves:
            busy = max(cycles, fc_cycles) if conv.overlap or conv.early_fc else cycles + fc_cycles
            found.append(
                Candidate(
                    replace(one, fc_rows=half.fc_rows), conv.conv_multipliers + half.fc_multipliers,
                    conv.conv_dsps + fc_dsps, max(busy, ceil_div(fit.network.pixels, conv.pixels)),
                    cycles if conv.early_fc else cycles + fc_cycles,
                )
            )  # fmt: skip
    return found


def within(found: list[Candidate], name: str, most: int | None, network: Network) -> list[Candidate]:
    """Those with at most ``most`` of what is called ``name``. Raises ValueError where there is none."""
    if most is None:
        return found
    fewest = min(getattr(one, name) for one in found)
    if of_type(int, name, most) < fewest:
        raise ValueError(f"{summary(network)} takes at least {fewest} {name}, more than {most}")
    return [one for one in found if getattr(one, name) <= most]


def first(fit: AnyWeights, found: list[Candidate], order: Callable[[Candidate], tuple]) -> Candidate:
    """The first of the machines in this order, fitted, with its exact cycles."""
    chosen: Candidate | None = None
    for one in sorted(found, key=order):  # by the least that they can take
        if chosen and order(one) > order(chosen):
            break
        config = fit(one.config)
        cycles = plan(fit.network, config)
        exact = replace(one, config=config, interval=cycles.interval, latency=cycles.latency)
        if chosen is None or order(exact) < order(chosen):
            chosen = exact
    assert chosen  # there is one at least
    return chosen
