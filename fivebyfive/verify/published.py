"""What stands beside this project: figures of others, each with where it was read or measured.

'Run here' means run by us on the same network. Utilization is MACs / (cycles an image x multipliers).
"""

from dataclasses import dataclass

__all__ = ["BOARDS", "SAME_NETWORK", "Anchor"]

CAFFE_MACS = 2_293_000
LENET5_MACS = 416_520


@dataclass(frozen=True)
class Anchor:
    """``multipliers``: 8-bit multipliers or DSPs. ``cycles``: an image, in a long run; None where none were reached.
    ``macs``: of one image of the network. ``rate``: images a second on a board, as published."""

    system: str
    multipliers: int | None
    cycles: int | None
    source: str
    macs: int = CAFFE_MACS
    rate: int | None = None
    note: str = ""

    @property
    def utilization(self) -> float | None:
        if self.multipliers is None or self.cycles is None:
            return None
        return self.macs / (self.cycles * self.multipliers)


NNGEN = "run here: NNgen 1.3.4 from PyPI, its Verilog in simulation"

SAME_NETWORK = (
    Anchor(
        "Lenet_Accelerator (course ASIC, 2018)", 120, 20_770,
        "github.com/asimahsan1990/Lenet_Accelerator; its convolution run here in Icarus: confirmed",
        note="4-bit weights; 40,506 cycles for one image alone; Verilog by hand, one size",
    ),
    Anchor("NNgen, par 1", 25, 518_874, NNGEN, note="75,157 lines; weights over 32-bit AXI, inside the count"),
    Anchor("NNgen, FC 4x4", 25, 248_762, NNGEN, note="85,001 lines; parallel in powers of two only"),
    Anchor("NNgen, 100 multipliers", 100, 199_674, NNGEN, note="random weights over 32-bit AXI, inside the count"),
    Anchor("NNgen, 100 + 32, 64-bit AXI", 100, 119_930, NNGEN, note="257,671 lines; its 32 for FC are not counted"),
    Anchor("NNgen, 400 multipliers", 400, None, NNGEN, note="691,511 lines, not simulated within 25 minutes"),
)  # fmt: skip

BOARDS = (
    Anchor(
        "Dankook LeNet-5, Zynq 7020, 100 MHz", 122, 17_964, "as published in its repository", LENET5_MACS, 5_565,
        "99.12 %; 6,453 LUT",
    ),
    Anchor(
        "lenet5-kv260-final, KV260, 150 MHz", 48, 12_790, "github.com/DO-HYUN-Y/lenet5-kv260-final", LENET5_MACS, 9_432,
        "98.93 %",
    ),
    Anchor(
        "lenet5-accelerator (HLS), KU095, 100 MHz", None, 54_064, "github.com/sherylll/lenet5-accelerator", LENET5_MACS,
        None, "96 % of the part's DSPs",
    ),
    Anchor(
        "lenet5_hls", None, 542_563, "github.com/changwoolee/lenet5_hls", LENET5_MACS, None,
        "its two convolutions alone: 341,729 + 200,834",
    ),
)  # fmt: skip
