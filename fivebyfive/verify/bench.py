"""``make bench``: this project beside others on the same network, and its own sizes; writes docs/performance.md.

Cycles come from the cycle model, area and frequency from the same cached measurements as ``fivebyfive measure``; no
figure of ours is typed in. ``python -m fivebyfive.verify.bench --seeds 0`` leaves place and route out.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from fivebyfive.model.estimates.measurement import Measurement, estimate, may_fit, size_text
from fivebyfive.model.estimates.parts import PARTS, Part
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.shape import LeNetShape
from fivebyfive.output.measurement_tables import figures, markdown_table, tools
from fivebyfive.output.terminal import Commands, Stage
from fivebyfive.support.files import replacing

from .published import BOARDS, SAME_NETWORK, Anchor

__all__ = ["SIZES", "bench", "page"]

SIZES = ((1, 1), (4, 1), (10, 3), (20, 6), (50, 13))  # conv PEs of 25 multipliers, rows of 20
ROUTED = "lfe5u-85f"
XC7 = ("xc7z020", "xc7z045", "xc7z100", "xc7k480t", "xc7vx690t")  # the first that the area model says is enough
SHOWN = ("cycles an image", "utilization", "LUT", "FF", "DSP", "block RAM", "fits", "max frequency", "images a second")

CYCLES = ("multipliers", "interval", "latency", "latency, early fc1", "utilization")


def page(shape: LeNetShape, results: Sequence[Measurement], configs: Sequence[Config]) -> str:
    """docs/performance.md."""
    ours = list({one.multipliers: one for one in results}.values())  # the routed one is the last of its size
    same = [*(anchor_row(anchor) for anchor in SAME_NETWORK), *(our_row(one) for one in ours)]
    header = "system", "multipliers", "cycles an image", "utilization", "images a second", "source", "note"
    return f"""\
# Performance

Written by `make bench` (do not edit). {shape}: {sum(shape.macs.values()):,} multiply-accumulates an image, 8 bits,
all weights on chip. Utilization is MACs / (cycles an image x multipliers).

## The same network

{markdown_table(header, same)}
## Sizes

Cycles by the cycle model, which equals the hardware's counters. "early fc1" is the latency of a single image with
`--early-fc`, from its last pixel to its result.

{markdown_table(CYCLES, cycle_rows(shape, configs))}
## Area and frequency

By {", ".join(tools(results))}. Area is that of the core with its simulation taps open. Frequency is after place and
route inside a harness of four pins, {ROUTED} speed grade {PARTS[ROUTED].grade}; nothing is routed for the 7 series.
Sizes that {ROUTED} has too few DSPs for are shown on a larger part only. [measuring.md](measuring.md) tells how.

{markdown_table(("multipliers", "part", *SHOWN), area_rows(results))}
{path_text(ours)}
## Smaller LeNets on boards, as published

Another network (LeNet-5, 416,520 MACs), so cycles do not compare; utilization does.

{markdown_table(header, [anchor_row(anchor) for anchor in BOARDS])}
## To repeat it

```sh
make bench
```

It measures each size on each part (results are kept: what was measured before is not measured again) and writes this
page. From nothing it takes some hours on two cores, nearly all of it place and route with several seeds.
`fivebyfive measure --part {ROUTED}` measures one size.
"""


def anchor_row(anchor: Anchor) -> tuple[str, ...]:
    used = f"{100 * anchor.utilization:.1f} %" if anchor.utilization else ""
    rate = f"{anchor.rate:,}" if anchor.rate else ""
    cycles = f"{anchor.cycles:,}" if anchor.cycles else "not reached"
    return anchor.system, str(anchor.multipliers or ""), cycles, used, rate, anchor.source, anchor.note


def our_row(one: Measurement) -> tuple[str, ...]:
    rate = f"{one.images_per_s:,.0f}" if one.images_per_s else ""
    note = f"{one.fmax_mhz:.0f} MHz on {one.part}" if one.fmax_mhz else ""
    used = f"{100 * one.utilization:.1f} %"
    name, cycles = f"**fivebyfive, {size_text(one)}**", f"{one.interval_cycles:,}"
    return name, str(one.multipliers), cycles, used, rate, "`make bench`", note


def cycle_rows(shape: LeNetShape, configs: Sequence[Config]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for config in configs:
        planned = plan(shape.network, config)
        early = f"{plan(shape.network, replace(config, early_fc=True)).latency:,}"
        used = f"{100 * planned.utilization(shape.network, config):.1f} %"
        rows.append((size_text(config), f"{planned.interval:,}", f"{planned.latency:,}", early, used))
    return rows


def area_rows(results: Sequence[Measurement]) -> list[tuple[str, ...]]:
    rows = []
    for one in results:
        shown = figures(one)
        rows.append((size_text(one), one.part, *(shown[name] for name in SHOWN)))
    return rows


def path_text(results: Sequence[Measurement]) -> str:
    """The critical path of each size that was routed."""
    lines = []
    for one in results:
        if one.critical_path:
            path = one.critical_path
            ends = f"from `{path['path'][0]}` to `{path['path'][-1]}`"
            lines.append(
                f"- {size_text(one)}: {path['path_ns']:.2f} ns, {path['logic_ns']:.2f} ns of it logic, {ends}\n"
            )
    return "Critical paths:\n\n" + "".join(lines) if lines else ""


def parts_for(shape: LeNetShape, config: Config) -> list[Part]:
    """The first 7-series part that the models say is large enough, and the ECP5 part where it can fit."""
    guesses = [estimate(shape.network, config, PARTS[name]) for name in XC7]
    names = [guess.part for guess in guesses if guess.fits][:1] or [XC7[-1]]
    if may_fit(estimate(shape.network, config, PARTS[ROUTED])):
        names.append(ROUTED)
    return [PARTS[name] for name in names]


def run_bench(shape: LeNetShape, seeds: int, workers: int | None, out: Path) -> None:
    """Measure all sizes and write the page."""
    from fivebyfive.sim.jobs.measure import measure_many
    from fivebyfive.sim.jobs.workers import LocalPool

    configs = [sized(shape.network, *size) for size in SIZES]
    wanted = [(shape.network, config, part) for config in configs for part in parts_for(shape, config)]
    with Stage("bench") as stage:
        found, failures = measure_many(wanted, seeds, LocalPool(workers), stage)
    if failures:
        raise next(iter(failures.values()))
    results = [found[number] for number in sorted(found)]
    with replacing(out, "w") as file:
        file.write(page(shape, results, configs))
    click.echo(f"{len(results)} machines on parts, in {out}")


@click.group(cls=Commands, invoke_without_command=True)
@click.option("--shape", default="20-50-500-10", show_default=True)
@click.option("--seeds", type=click.IntRange(0, 99), default=5, show_default=True, help="0: no place and route.")
@click.option("--workers", type=click.IntRange(1))
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/performance.md"), show_default=True)
def bench(shape: str, seeds: int, workers: int | None, out: Path) -> None:
    """Measure all sizes and write docs/performance.md."""
    run_bench(LeNetShape.parse(shape), seeds, workers, out)


if __name__ == "__main__":
    bench()
