"""Measuring machines: synthesis for each family, place and route where there is an open tool, all of it cached."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from fivebyfive.model.description import written
from fivebyfive.model.estimates.measurement import Measurement, measurement
from fivebyfive.model.estimates.parts import Part
from fivebyfive.model.machine.config import Config
from fivebyfive.model.network import Network
from fivebyfive.sim.fpga.nextpnr import find_nextpnr
from fivebyfive.support.errors import Failure
from fivebyfive.support.progress import Progress, silent

from .measurement_jobs import Routing, Synthesis
from .tables import tables_text
from .workers import LocalPool, Outcome, Pool, run_jobs

__all__ = ["NO_TABLES", "Tables", "measure", "measure_many"]

Tables = Mapping[str, np.ndarray]  # of a network's layers: `Checkpoint.tables`
NO_TABLES: Tables = MappingProxyType({})


def measure(
    network: Network,
    machines: Sequence[tuple[Config, Part]],
    seeds: int = 1,
    pool: Pool | None = None,
    progress: Progress = silent,
    tables: Tables = NO_TABLES,
) -> list[Measurement]:
    """Machines on their parts; on ECP5 placed and routed with seeds 1 to ``seeds``. ``tables``: of the network.

    Raises ToolFailed where Yosys or nextpnr fails, UserError where nextpnr is missing.
    """
    found, failures = measure_many([(network, *one) for one in machines], seeds, pool, progress, tables)
    for failure in failures.values():
        raise failure
    return list(found.values())


def measure_many(
    wanted: Sequence[tuple[Network, Config, Part]],
    seeds: int = 1,
    pool: Pool | None = None,
    progress: Progress = silent,
    tables: Tables = NO_TABLES,
) -> tuple[dict[int, Measurement], dict[int, Failure]]:
    """Machines side by side: the measurement or the failure of each, by its number in ``wanted``.

    All are synthesized; those that fit are then routed with each seed, if their part can be and ``seeds`` is not 0.
    ``tables``: of the networks that have some.
    """
    if seeds and any(part.device for _, _, part in wanted):
        find_nextpnr()
    pool = pool or LocalPool()
    jobs = [Synthesis(written(network), config, part.family, tables_text(tables)) for network, config, part in wanted]
    outcomes = run_jobs(jobs, pool, progress, "synthesizing")
    areas = [outcomes[job] for job in jobs]
    routings = [routing_jobs(*what, area, seeds, tables_text(tables)) for what, area in zip(wanted, areas, strict=True)]
    outcomes = run_jobs([job for each in routings for job in each], pool, progress, "placing and routing")
    found: dict[int, Measurement] = {}
    failures: dict[int, Failure] = {}
    for number, (what, area, routing) in enumerate(zip(wanted, areas, routings, strict=True)):
        routed = [outcomes[job] for job in routing]
        failed = [outcome.error for outcome in (area, *routed) if outcome.error]
        if failed:
            failures[number] = failed[0]
        else:
            results = [outcome.value for outcome in routed]
            tools = {tool: None for result in (area.value, *results) for tool in result["tools"]}
            found[number] = measurement(*what, area.value, results, tools=list(tools))
    return found, failures


def routing_jobs(network: Network, config: Config, part: Part, area: Outcome, seeds: int, tables: str) -> list[Routing]:
    """A job for each seed, none where the machine does not fit or the part cannot be routed."""
    if part.device is None or area.result is None or not measurement(network, config, part, area.result).fits:
        return []
    return [Routing(written(network), config, part.name, seed, tables) for seed in range(1, seeds + 1)]
