"""``make schedule``: how near the machine comes to its arithmetic limit, for each listed network, as docs/schedule.md.

The page is made of the cycle model, which the tests hold against the hardware's counters; it measures nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import CyclePlan, plan
from fivebyfive.model.machine.sizing import Size
from fivebyfive.model.machine.stages import ConvStage, stages
from fivebyfive.model.network import Network
from fivebyfive.output.terminal import Commands
from fivebyfive.sim.benchlib.listed_networks import LISTED, Listed
from fivebyfive.support.files import replacing

__all__ = ["Row", "main", "rows", "schedule_page"]

LONG = 20_000  # cycles of the convolutions' limit with one PE: the starts of layers no longer count
SIZES = (1, 4, 8)  # conv PEs
SEED = 1  # of random codes, of which the cycles know only which kernels are zeros
GOAL = 97.0  # percent of the limit
HEADER = "| network | conv PEs, W x O | conv limit | fc limit | interval | efficiency | what holds it |"
LINE = "|---|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Row:
    """A network on a machine with one row of the FC engine."""

    name: str
    network: Network
    config: Config
    cycles: CyclePlan

    @property
    def efficiency(self) -> float:
        """The limit of the slower engine, in percent of the interval."""
        return 100 * max(self.cycles.limit_conv, self.cycles.limit_fc) / self.cycles.interval

    @property
    def reason(self) -> str:
        """Why it is below `GOAL`; empty where it is not."""
        if self.efficiency >= GOAL:
            return ""
        if self.cycles.interval == self.network.pixels:
            return f"{self.network.pixels:,} pixels, one a cycle"
        convs = stages(self.network).convs
        by_channel = [
            stage.name
            for layer, stage in enumerate(convs)
            if is_pointwise(stage) and self.config.channels_at_once(self.network, layer) == 1
        ]
        if by_channel:
            return f"{', '.join(by_channel)}: 1x1"
        short = [stage.name for stage in convs if self.is_short(stage)]
        return f"short rows of {', '.join(short)}" if short else "starts of layers"

    def is_short(self, stage: ConvStage) -> bool:
        """Whether the last row of a map has no more positions than the next map has rows to wait for."""
        return stage.positions(self.config.windows)[1] <= stage.transfers(self.config.kernel, self.config.windows)[0]

    def text(self) -> str:
        windows, outputs = self.config.windows, self.config.outputs
        numbers = (self.cycles.limit_conv, self.cycles.limit_fc, self.cycles.interval)
        cells = [
            self.name, f"{windows * outputs}, {windows} x {outputs}" if outputs else "-",
            *(f"{number:,}" for number in numbers), f"{self.efficiency:.1f} %", self.reason,
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def is_pointwise(stage: ConvStage) -> bool:
    return stage.layer.kernel == 1 and stage.layer.groups == 1


def row(name: str, listed: Listed, pes: int) -> Row:
    config = Size(conv_pes=pes).config(listed.checkpoint(SEED))
    return Row(name, listed.network, config, plan(listed.network, config))


def rows() -> tuple[list[Row], list[Row]]:
    """Each number of PEs for the networks with long convolutions; one PE for the others."""
    long, others = [], []
    for name, listed in LISTED.items():
        first = row(name, listed, SIZES[0])
        if first.cycles.limit_conv > LONG:
            long += [first, *(row(name, listed, pes) for pes in SIZES[1:])]
        else:
            others.append(first)
    return long, others


def schedule_page() -> str:
    """The text of docs/schedule.md."""
    long, others = rows()
    well = sum(one.efficiency >= GOAL for one in long)
    return f"""# Schedule efficiency

How near the machine comes to its arithmetic limit: the limit of the slower engine, in percent of the interval between
results. `make schedule` writes this page from the cycle model, which equals the hardware's counters on every one of
these networks (`tests/sim/test_networks.py`). The FC engine has one row. Definitions are in
[Sizes and cycles](cycles.md).

## Networks whose convolutions take more than {LONG:,} cycles with one PE

With {", ".join(map(str, SIZES[:-1]))} and {SIZES[-1]} PEs or, where as many are no faster, fewer. Of {len(long)}
machines {well} are at {GOAL:.0f} % or more.

{table(long)}

## The other networks, with one PE

{table(others)}

## What holds it

- **Pixels**: an image is received at one pixel a cycle; engines that need fewer cycles wait for it.
- **1x1**: the limit of a 1x1 convolution counts K^2 input channels a PE and cycle, a dot product over channels. So the
  machine computes it, but for [some](cycles.md#1x1-convolutions) that take one input channel a PE and cycle.
- **Short rows**: the first rows of a map arrive while the windows slide over the last row of the map before. If that
  has no more positions than there are rows to come (K with one window), the windows wait for the rest, once a map.
- **Starts of layers**: a layer loads its biases and its first kernels, and waits for its last code: about 30 cycles.
"""


def table(lines: Iterable[Row]) -> str:
    return "\n".join([HEADER, LINE, *(one.text() for one in lines)])


@click.group(name="verify-schedule", cls=Commands, invoke_without_command=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/schedule.md"), show_default=True)
def main(out: Path) -> None:
    """Write the page of schedule efficiencies."""
    with replacing(out, "w") as file:
        file.write(schedule_page())


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify.schedule")
