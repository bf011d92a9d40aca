"""How measurements are shown: the same rows on the terminal and in Markdown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fivebyfive.model.estimates.measurement import Measurement, size_text
from fivebyfive.model.estimates.parts import PARTS, RESOURCES
from fivebyfive.support.errors import shown

from .report import Rows, console, titled

if TYPE_CHECKING:
    from fivebyfive.sim.jobs.explore import Exploration

__all__ = [
    "BRAM_NAMES", "DSP_NAMES", "EXPLORED", "exploration_rows", "explored_rows", "figures", "markdown_table",
    "measured_rows", "rows_of", "show_explored", "show_measurements", "tools",
]  # fmt: skip

BRAM_NAMES = {"xc7": "RAMB36E1", "ecp5": "DP16KD", "gowin": "BSRAM"}
DSP_NAMES = {"xc7": "DSP48E1", "ecp5": "MULT18X18D", "gowin": "MULT9X9"}
NONE = "not routed"


def figures(one: Measurement) -> dict[str, str]:
    """Name and text of every figure of a measurement, in the order in which they are shown."""
    family = PARTS[one.part].family
    percent = {name: f" ({one.percent[name]:.0f} %)" for name in RESOURCES}
    return {
        "multipliers": f"{one.multipliers:,} ({size_text(one)})",
        "cycles an image": f"{one.interval_cycles:,}",
        "latency, cycles": f"{one.latency_cycles:,}",
        "utilization": f"{100 * one.utilization:.1f} %",
        "LUT": f"{one.lut:,} + {one.lutram:,} as RAM{percent['lut']}",
        "FF": f"{one.ff:,}{percent['ff']}",
        "DSP": f"{one.dsp:,} {DSP_NAMES[family]}{percent['dsp']}",
        "block RAM": f"{one.bram:g} {BRAM_NAMES[family]}{percent['bram']}",
        "fits": what_fits(one),
        "max frequency": frequency(one),
        "images a second": f"{one.images_per_s:,.0f}" if one.images_per_s else NONE,
        "... a multiplier": f"{one.images_per_s_per_multiplier:,.1f}" if one.images_per_s_per_multiplier else NONE,
    }


def what_fits(one: Measurement) -> str:
    """Yes; or by how much it does not, and where it would."""
    if one.fits:
        return "yes"
    short = ", ".join(f"{count:,.10g} {RESOURCES[name]}" for name, count in one.missing.items())
    return f"no, {short} too many; {', '.join(one.fits_in) or 'no part in the list'} would do"


def frequency(one: Measurement) -> str:
    if one.fmax_mhz is None:
        return NONE
    seeds = one.fmax_seeds_mhz
    spread = f" (median of {len(seeds)}, {seeds[0]:.0f} to {seeds[-1]:.0f})" if len(seeds) > 1 else ""
    return f"{one.fmax_mhz:.1f} MHz{spread}"


def measured_rows(results: Sequence[Measurement]) -> Rows:
    """The same as a table, with a column for each part."""
    first = results[0]
    by = "estimated by the models" if first.estimated else ", ".join(tools(results))
    columns = ("<", *(f"<{one.part}" for one in results))
    return Rows(f"{first.network}, {by}", columns, rows_of(results), figures_in_rows=True)


def rows_of(results: Sequence[Measurement]) -> list[tuple[str, ...]]:
    """A row a figure, a column a measurement."""
    columns = [figures(one) for one in results]
    return [(name, *(column[name] for column in columns)) for name in columns[0]]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def show_measurements(results: Sequence[Measurement]) -> None:
    """A table with a column for each part."""
    out = console()
    rows = measured_rows(results)
    out.print(titled(rows.title, rows.printable()))
    for one in results:
        if one.critical_path:
            path = one.critical_path
            out.print(f"\ncritical path on {one.part}: {path['path_ns']:.2f} ns, {path['logic_ns']:.2f} ns of it logic")
            out.print(f"  {path['path'][0]}\n  ... {path['path'][-1]}")


def tools(results: Sequence[Measurement]) -> list[str]:
    return list(dict.fromkeys(tool for one in results for tool in one.tools))


EXPLORED = ("conv + fc", "cycles", "LUT", "FF", "DSP", "BRAM", "area %", "MHz", "images/s", "<")


def explored_rows(results: Sequence[Measurement], front: Sequence[Measurement]) -> list[tuple[str, ...]]:
    """A row a machine; the front is marked. LUTs are those of logic and of RAM."""
    rows = []
    for one in results:
        counts = (f"{count:,.10g}" for count in (one.lut + one.lutram, one.ff, one.dsp, one.bram))
        speed = (f"{one.fmax_mhz:.1f}", f"{one.images_per_s:,.0f}") if one.fmax_mhz else ("-", "-")
        mark = "front" if one in front else "" if one.fits else "too large"
        pixels = one.config.get("pixels", 1)
        size = f"{size_text(one)}, {pixels} pixels" if pixels > 1 else size_text(one)
        rows.append((size, f"{one.interval_cycles:,}", *counts, f"{one.area_percent:.1f}", *speed, mark))
    return rows


def exploration_rows(about: "Exploration") -> Rows:
    """The same as a table, with how many machines the models looked at."""
    title = f"{about.network} on {about.part}: {len(about.results)} of {about.swept} machines"
    return Rows(title, EXPLORED, explored_rows(about.results, about.front))


def show_explored(about: "Exploration") -> None:
    """A row for each machine that was measured, the fastest first."""
    out = console()
    rows = exploration_rows(about)
    out.print(titled(rows.title, rows.printable()))
    for failure in about.failures:
        out.print("\n".join(["", *map(shown, f"failed: {failure}".splitlines())]))
