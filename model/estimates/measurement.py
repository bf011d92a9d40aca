"""What a machine takes of a part: one row of the table that `measure` and `explore` print."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.network import Network
from fivebyfive.model.shape import summary
from fivebyfive.support.errors import UserError

from .area import estimate_area
from .parts import Part, parts_that_hold

__all__ = ["Measurement", "estimate", "may_fit", "measurement", "size_text"]

MARGIN = 1.1  # an estimated area may be that much too high


@dataclass(frozen=True)
class Measurement:
    """A network on a machine on a part.

    ``lut``: as logic; ``lutram``: as distributed RAM, on top. ``bram``: RAMB36E1 or DP16KD. ``percent``: of the part.
    ``missing``: how much more than the part has; ``fits_in``: parts of the list that have enough. ``fmax_mhz``: after
    place and route, median of ``fmax_seeds_mhz``; None where nothing was routed, and so are images a second then.
    ``estimated``: the area is that of the model (`area`), not of synthesis.
    """

    part: str
    network: str
    config: dict
    multipliers: int
    conv_multipliers: int
    fc_multipliers: int
    interval_cycles: int
    latency_cycles: int
    conv_cycles: int
    fc_cycles: int
    utilization: float
    lut: int
    lutram: int
    ff: int
    dsp: int
    bram: float
    percent: dict[str, float]
    fits: bool
    missing: dict[str, float]
    fits_in: list[str]
    fmax_mhz: float | None
    fmax_seeds_mhz: list[float]
    images_per_s: float | None
    images_per_s_per_multiplier: float | None
    critical_path: dict | None
    estimated: bool
    tools: list[str] = field(default_factory=list)

    @property
    def area_percent(self) -> float:
        """One figure for the area: the mean of what it takes of each resource of the part, in percent."""
        return sum(self.percent.values()) / len(self.percent)

    @property
    def throughput(self) -> float:
        """Images a second where the frequency is known, else images a million cycles."""
        return self.images_per_s or 1e6 / self.interval_cycles

    def as_dict(self) -> dict:
        return asdict(self)


def size_text(one: Config | Measurement, separator: str = ",") -> str:
    """A machine's multipliers, such as 1,250 + 260: of the convolutions and of the fully-connected layers.

    ``separator`` stands between thousands; it may be empty.
    """
    return f"{one.conv_multipliers:{separator}} + {one.fc_multipliers:{separator}}"


def measurement(
    network: Network, config: Config, part: Part, area: Mapping, routed: Sequence[Mapping] = (), *,
    estimated: bool = False, tools: Sequence[str] = (),
) -> Measurement:  # fmt: skip
    """Put together cycles, an area (lut, lutram, ff, dsp, bram) and what came of routing, one mapping a seed."""
    planned = plan(network, config)
    used = {"lut": area["lut"] + area["lutram"]} | {name: area[name] for name in ("ff", "dsp", "bram")}
    missing = part.missing(used)
    speeds = sorted(one["fmax_mhz"] for one in routed)
    fmax = round(median(speeds), 2) if speeds else None
    rate = 1e6 * fmax / planned.interval if fmax else None
    return Measurement(
        part=part.name, network=summary(network), config=config.plain, multipliers=config.multipliers,
        conv_multipliers=config.conv_multipliers, fc_multipliers=config.fc_multipliers,
        interval_cycles=planned.interval, latency_cycles=planned.latency, conv_cycles=planned.conv,
        fc_cycles=planned.fc, utilization=round(planned.utilization(network, config), 6), lut=area["lut"],
        lutram=area["lutram"], ff=area["ff"], dsp=area["dsp"], bram=area["bram"],
        percent={name: round(value, 1) for name, value in part.percent(used).items()}, fits=not missing,
        missing=missing, fits_in=parts_that_hold(part.family, used), fmax_mhz=fmax, fmax_seeds_mhz=speeds,
        images_per_s=rate and round(rate, 1),
        images_per_s_per_multiplier=rate and round(rate / config.multipliers, 2),
        critical_path=median_path(routed), estimated=estimated, tools=list(tools),
    )  # fmt: skip


def median_path(routed: Sequence[Mapping]) -> dict | None:
    """The critical path of the seed whose frequency is the (lower) median."""
    ranked = sorted(routed, key=lambda one: one["fmax_mhz"])
    if not ranked:
        return None
    one = ranked[(len(ranked) - 1) // 2]
    return {key: one[key] for key in ("path", "path_ns", "logic_ns")}


def estimate(network: Network, config: Config, part: Part) -> Measurement:
    """From the models alone: exact cycles, an area that was fitted, no frequency. Raises UserError for a machine that
    the area model does not know."""
    for name in ("skip_zeros", "winograd"):
        if getattr(config, name):
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"the area model does not know machines with {option}; leave --estimate out: Yosys counts")
    return measurement(network, config, part, estimate_area(network, config, part.family), estimated=True)


def may_fit(guess: Measurement) -> bool:
    """Whether synthesis could show that an estimated machine fits; its number of DSPs is exact."""
    return all(used <= 100 * (1 if name == "dsp" else MARGIN) for name, used in guess.percent.items())
