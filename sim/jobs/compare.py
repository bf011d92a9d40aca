"""Checkpoints side by side: errors, bytes, and what the machines that are made for them cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.description import written
from fivebyfive.model.estimates.comparison import Compared
from fivebyfive.model.estimates.energy import energy, operations
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.sim.simulator.process import RtlDiffers
from fivebyfive.support.progress import Progress, silent

from .compare_jobs import ErrorCount, GoldenRun, RtlRun
from .job import Job
from .measurement_jobs import Synthesis
from .tables import tables_text
from .transport import checkpoint_texts, data_digest, place_of
from .workers import LocalPool, Pool, run_jobs

__all__ = ["Comparison", "RtlDiffers", "compare"]

FAMILY = "xc7"


@dataclass(frozen=True)
class Comparison:
    """``rows``: in the order of the checkpoints. ``tools``: what simulated and synthesized."""

    rows: list[Compared]
    tools: list[str]


def compare(
    checkpoints: Mapping[str, tuple[Checkpoint, Config]], test: Dataset, data: str = "mnist", *, rtl_images: int = 2,
    synthesis: bool = True, clock_mhz: float = 100.0, pool: Pool | None = None, progress: Progress = silent,
    others: Mapping[str, Dataset] = MappingProxyType({}),
) -> Comparison:  # fmt: skip
    """Each checkpoint on its machine, by name. ``test``: the test set of ``data``, its name or folder. ``rtl_images``:
    how many of them go through the RTL, 0 for none: cycles are then those of the model. ``others``: further test sets,
    by name, on which errors are counted.

    Each piece of work is kept when it is finished. Raises ToolFailed where Yosys fails, RtlDiffers.
    """
    place, digest = place_of(data), data_digest(test)
    further = {name: (place_of(name), data_digest(one)) for name, one in others.items()}
    wanted: dict[str, list[Job]] = {}
    for name, (checkpoint, config) in checkpoints.items():
        codes = checkpoint_texts(checkpoint)
        jobs: list[Job] = [GoldenRun(**codes, data=place, digest=digest)]
        if rtl_images:
            jobs.append(RtlRun(**codes, config=config, data=place, digest=digest, images=rtl_images))
        jobs += [ErrorCount(**codes, data=other, digest=own) for other, own in further.values()]
        if synthesis:
            jobs.append(Synthesis(written(checkpoint.network), config, FAMILY, tables_text(checkpoint.tables)))
        wanted[name] = jobs
    longest_first = [job for kind in (Synthesis, RtlRun, GoldenRun, ErrorCount) for jobs in wanted.values()
                     for job in jobs if isinstance(job, kind)]  # fmt: skip
    outcomes = run_jobs(longest_first, pool or LocalPool(), progress, "comparing")
    for name, jobs in wanted.items():
        for job in jobs:
            if failure := outcomes[job].error:
                raise type(failure)(f"{name}: {failure}")
    rows: list[Compared] = []
    tools: dict[str, None] = {}
    for name, jobs in wanted.items():
        found = {type(job): outcomes[job].value for job in jobs if not isinstance(job, ErrorCount)}
        counts = [outcomes[job].value["errors"] for job in jobs if isinstance(job, ErrorCount)]
        row = compared(name, *checkpoints[name], found, clock_mhz)
        rows.append(replace(row, other_errors=dict(zip(further, counts, strict=True))))
        tools |= {tool: None for kind in (RtlRun, Synthesis) if kind in found for tool in found[kind]["tools"]}
    return Comparison(rows, list(tools))


def compared(name: str, checkpoint: Checkpoint, config: Config, found: dict, clock_mhz: float) -> Compared:
    """A row, of what the jobs of a checkpoint have found."""
    network, seen, area = checkpoint.network, found[GoldenRun], found.get(Synthesis)
    planned = plan(network, config)
    cycles = {"conv": planned.conv, "fc": planned.fc, "latency": planned.latency, "interval": planned.interval}
    cycles |= {"images": 0} | found.get(RtlRun, {})
    interval = cycles["interval"]
    memories = area["memories"] if area else {}
    weights = [array for name, array in checkpoint.arrays.items() if name.endswith(".weight")]
    return Compared(
        name=name, network=checkpoint.summary, sha256=checkpoint.digest, engines=config.engines.names,
        errors=seen["errors"],
        images=seen["images"], parameters=sum(array.size for array in checkpoint.arrays.values()),
        nonzero_weights=sum(int(np.count_nonzero(array)) for array in weights), bytes=seen["bytes"],
        huffman_bytes=seen["huffman_bytes"], macs=sum(network.macs.values()),
        products=operations(network, config)["additions"], conv_cycles=cycles["conv"], fc_cycles=cycles["fc"],
        latency_cycles=cycles["latency"],
        interval_cycles=int(interval) if interval == int(interval) else round(interval, 2),
        rtl_images=cycles["images"], multipliers=config.multipliers, ramb36=area and area["bram"],
        conv_weights_ramb36=area and memories.get("conv.weights", 0),
        fc_weights_ramb36=area and memories.get("fc.weights", 0), dsp=area and area["dsp"], lut=area and area["lut"],
        lutram=area and area["lutram"], ff=area and area["ff"], energy_pj=energy(network, config)["total"],
        images_per_s=round(1e6 * clock_mhz / interval, 1), clock_mhz=clock_mhz,
    )  # fmt: skip
