"""A design placed and routed on a part: area, frequency and the critical path.

From a shell: ``python -m fivebyfive.sim.route --shape 20-50-500-10 --part lfe5u-85f --seeds 5 fc_rows=1 windows=1``
"""

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fivebyfive.hw.verilog import Design
from fivebyfive.model.parts import Part, find_part

from .nextpnr import Routed, route
from .synthesis import Area, synthesize_core

__all__ = ["Placed", "place_and_route"]


@dataclass(frozen=True)
class Placed:
    """The area of the core, and a result for each seed, slowest first."""

    area: Area
    routed: tuple[Routed, ...]

    @property
    def fmax_mhz(self) -> float:
        """Median over the seeds."""
        return statistics.median(one.fmax_mhz for one in self.routed)


def place_and_route(design: Design, part: Part, seeds: int = 1) -> Placed:
    """Synthesize, then place and route with seeds 1 to ``seeds``; some twenty minutes a seed for the shipped network.

    Raises UserError, YosysError or ToolFailed.
    """
    with tempfile.TemporaryDirectory(prefix="fivebyfive-") as folder:
        netlist = Path(folder) / "netlist.json"
        area = synthesize_core(design, part.family, netlist=netlist)
        routed = [route(netlist, part, seed) for seed in range(1, seeds + 1)]
    return Placed(area, tuple(sorted(routed, key=lambda one: one.fmax_mhz)))


def main() -> None:
    """Print what `place_and_route` finds, for whoever works on the hardware."""
    from fivebyfive.hw.accelerator import Accelerator
    from fivebyfive.hw.verilog import to_verilog
    from fivebyfive.model.config import Config
    from fivebyfive.model.shape import LeNetShape

    parser = argparse.ArgumentParser(prog="python -m fivebyfive.sim.route")
    parser.add_argument("--shape", type=LeNetShape.parse, default="20-50-500-10")
    parser.add_argument("--part", type=find_part, default="lfe5u-85f")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("config", nargs="*", metavar="FIELD=NUMBER", help="fields of Config")
    given = parser.parse_args()
    config = Config(**{name: int(value) for name, value in (word.split("=") for word in given.config)})
    placed = place_and_route(to_verilog(Accelerator(given.shape, config), "lenet"), given.part, given.seeds)
    area = placed.area
    print(f"{given.shape} {config} on {given.part.name}")
    print(f"{area.lut} LUT, {area.lutram} LUT as RAM, {area.ff} FF, {area.dsp} DSP, {area.bram} block RAM")
    for one in placed.routed:
        print(f"{one.fmax_mhz} MHz: {one.path_ns} ns, {one.logic_ns} ns of it logic: {' > '.join(one.path)}")
    print(f"median {placed.fmax_mhz} MHz")


if __name__ == "__main__":
    main()
