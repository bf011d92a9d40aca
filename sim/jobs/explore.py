"""Which machines are worth building on a part: a sweep with the models, then the tools on what looks promising."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from fivebyfive.model.estimates.measurement import Measurement, estimate, may_fit
from fivebyfive.model.estimates.parts import Part
from fivebyfive.model.machine.config import FAMILY_DSP_SIZES, Config
from fivebyfive.model.machine.cycles import conv_sweeps, plan
from fivebyfive.model.machine.sizing import MAX_CONV_PES, conv_machines, sized
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.network import Network
from fivebyfive.model.shape import ceil_div, summary
from fivebyfive.support.progress import Progress, silent

from .measure import NO_TABLES, Tables, measure_many
from .workers import Pool

__all__ = ["GOALS", "Exploration", "candidates", "explore", "front", "promising"]

GOALS = ("front", "fps")  # machines all along the front, or the fastest of it


@dataclass(frozen=True)
class Exploration:
    """``results``: measured machines, the fastest first. ``front``: those of them that fit and that no other beats in
    both throughput and area. ``swept``: machines that the models looked at. ``failures``: lines of the tools."""

    part: str
    network: str
    swept: int
    results: list[Measurement]
    front: list[Measurement]
    failures: list[str] = field(default_factory=list)


def explore(
    network: Network, part: Part, top: int = 8, seeds: int = 1, pool: Pool | None = None, progress: Progress = silent,
    estimated: bool = False, tables: Tables = NO_TABLES, goal: str = GOALS[0],
) -> Exploration:  # fmt: skip
    """The ``top`` most promising machines on a part, measured; ``seeds`` of place and route, 0 for none. ``tables``: of
    the network's layers. ``goal``: "front" for machines all along the front, "fps" for the fastest; these may take two
    or four pixels at once.

    ``estimated``: they are not synthesized, their areas are those of the model.

    Each synthesis and each routing is kept when it is finished: an interrupted exploration goes on where it was.
    """
    swept = candidates(network, part.family)
    if goal == "fps":
        swept = [wider for config in swept for wider in streams(network, config)]
    chosen = promising(network, part, swept, top, goal)
    if estimated:
        results = [estimate(network, config, part) for config in chosen]
        return Exploration(part.name, summary(network), len(swept), results, front(results))
    found, failures = measure_many([(network, config, part) for config in chosen], seeds, pool, progress, tables)
    results = sorted(found.values(), key=lambda one: one.interval_cycles)
    return Exploration(
        part.name, summary(network), len(swept), results, front(results), list(map(str, failures.values()))
    )


def candidates(network: Network, family: str) -> list[Config]:
    """Machines of all sizes that can be asked for, less those that are larger than another of the same cycles.

    A number of rows that saves no group of a layer only makes the machine larger. Each machine can also be packed: two
    products in a DSP block.
    """
    convs = [
        config
        for least in (sized(network), sized(network, packed=True, dsp_size=FAMILY_DSP_SIZES[family]))
        for config in quicker(network, conv_machines(network, least, MAX_CONV_PES))
    ]
    widths = tuple(stage.outputs for stage in stages(network).fc)
    if not widths:
        return convs
    return [replace(conv, fc_rows=rows) for conv in convs for rows in useful(25, widths)]


def streams(network: Network, config: Config) -> Iterator[Config]:
    """A machine, and the same with two and four pixels in a transfer as long as its pixels are what it waits for."""
    yield config
    held = plan(network, config).interval == ceil_div(network.pixels, config.pixels)
    if held and config.pixels < 4:
        yield from streams(network, replace(config, pixels=2 * config.pixels))


def quicker(network: Network, convs: list[Config]) -> list[Config]:
    """Those whose convolutions take fewer cycles than those of each smaller one."""
    cycles = {config: conv_sweeps(network, config)[0] if config.outputs else 0 for config in convs}
    kept: list[Config] = []
    for config in sorted(convs, key=lambda config: (config.conv_multipliers, cycles[config])):
        if not kept or cycles[config] < cycles[kept[-1]]:
            kept.append(config)
    return kept


def useful(limit: int, widths: tuple[int, ...]) -> list[int]:
    """The smallest numbers of parallel outputs for each count of groups of each width."""
    found: dict[tuple[int, ...], int] = {}
    for parallel in range(1, limit + 1):
        found.setdefault(tuple(ceil_div(width, parallel) for width in widths), parallel)
    return list(found.values())


def promising(network: Network, part: Part, swept: list[Config], top: int, goal: str = GOALS[0]) -> list[Config]:
    """At most ``top`` of the machines that no other beats by the models: the fastest for "fps", else evenly spread from
    the largest down."""
    guesses = {config: estimate(network, config, part) for config in swept}
    fitting = [config for config, guess in guesses.items() if may_fit(guess)]
    best = {id(one) for one in front([guesses[config] for config in fitting], fits=False)}
    ranked = [config for config in fitting if id(guesses[config]) in best]
    ranked.sort(key=lambda config: guesses[config].interval_cycles)
    if goal == "fps" or top == 1 or len(ranked) <= top:
        return ranked[:top]
    return [ranked[round(n * (len(ranked) - 1) / (top - 1))] for n in range(top)]


def front(results: list[Measurement], fits: bool = True) -> list[Measurement]:
    """Results that no other beats in both throughput and area, the fastest first; only what fits, if ``fits``."""
    known = [one for one in results if one.fits or not fits]
    if any(one.images_per_s for one in known):
        known = [one for one in known if one.images_per_s]
    kept: list[Measurement] = []
    for one in sorted(known, key=lambda one: (-one.throughput, one.area_percent)):
        if not kept or one.area_percent < kept[-1].area_percent:
            kept.append(one)
    return kept
