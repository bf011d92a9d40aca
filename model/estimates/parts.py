"""Parts that a machine may be put on, and what is in each.

Figures: AMD DS180 (7 series overview) and DS190 (Zynq-7000 overview), slices x 4 LUTs and x 8 flip-flops; Lattice
FPGA-DS-02012 (ECP5 family data sheet) for multipliers and block RAM, Project Trellis's database for the exact number of
LUTs of a die; Gowin DS226 (GW2AR series). The LFE5U-12F is sold as half of the 25F's die: its LUTs and block RAM are
the data sheet's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fivebyfive.support.errors import UserError

__all__ = ["BOARD_PARTS", "PARTS", "RESOURCES", "Part", "find_part", "parts_that_hold"]

RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram": "block RAM"}  # and what people call them


@dataclass(frozen=True)
class Part:
    """``lut``: LUTs (6 inputs on xc7, else 4). ``dsp``: DSP48E1, MULT18X18D or MULT9X9. ``bram``: RAMB36E1, DP16KD or
    BSRAM.

    ``device``: what nextpnr-ecp5 calls it, None where there is no open place and route. ``package`` and speed
    ``grade`` are those it is routed for.
    """

    name: str
    family: str
    lut: int
    ff: int
    dsp: int
    bram: int
    device: str | None = None
    package: str | None = None
    grade: int | None = None

    def percent(self, used: Mapping[str, float]) -> dict[str, float]:
        """Percent of each resource that ``used`` takes."""
        return {name: 100 * used[name] / getattr(self, name) for name in RESOURCES}

    def missing(self, used: Mapping[str, float]) -> dict[str, float]:
        """How much of each resource is wanting; empty where it fits."""
        short = {name: used[name] - getattr(self, name) for name in RESOURCES}
        return {name: count for name, count in short.items() if count > 0}


def _xc7(name: str, slices: int, dsp: int, bram: int) -> Part:
    return Part(name, "xc7", 4 * slices, 8 * slices, dsp, bram)


def _ecp5(name: str, die: str, lut: int, dsp: int, bram: int, package: str) -> Part:
    return Part(name, "ecp5", lut, lut, dsp, bram, die, package, 8)


PARTS = {
    part.name: part
    for part in (
        _xc7("xc7z010", 4_400, 80, 60),
        _xc7("xc7z020", 13_300, 220, 140),
        _xc7("xc7z045", 54_650, 900, 545),
        _xc7("xc7z100", 69_350, 2_020, 755),
        _xc7("xc7a35t", 5_200, 90, 50),
        _xc7("xc7a100t", 15_850, 240, 135),
        _xc7("xc7a200t", 33_650, 740, 365),
        _xc7("xc7k325t", 50_950, 840, 445),
        _xc7("xc7k480t", 74_650, 1_920, 955),
        _xc7("xc7vx690t", 108_300, 3_600, 1_470),
        _ecp5("lfe5u-12f", "12k", 12_144, 28, 32, "CABGA381"),
        _ecp5("lfe5u-25f", "25k", 24_288, 28, 56, "CABGA381"),
        _ecp5("lfe5u-45f", "45k", 43_848, 72, 108, "CABGA381"),
        _ecp5("lfe5u-85f", "85k", 83_640, 156, 208, "CABGA756"),
        _ecp5("lfe5um5g-25f", "um5g-25k", 24_288, 28, 56, "CABGA381"),
        _ecp5("lfe5um5g-45f", "um5g-45k", 43_848, 72, 108, "CABGA381"),
        _ecp5("lfe5um5g-85f", "um5g-85k", 83_640, 156, 208, "CABGA756"),
        Part("gw2ar-18", "gowin", 20_736, 15_552, 96, 46),
    )
}
BOARD_PARTS = {  # of each board in `fivebyfive.hw.serial.boards`, in its order; the pins there take long to load
    "ulx3s-12f": "lfe5u-12f",
    "ulx3s-25f": "lfe5u-25f",
    "ulx3s-45f": "lfe5u-45f",
    "ulx3s-85f": "lfe5u-85f",
    "icepi-zero": "lfe5u-25f",
    "icesugar-pro": "lfe5u-25f",
    "orangecrab-25f": "lfe5u-25f",
    "orangecrab-85f": "lfe5u-85f",
    "colorlight-i5": "lfe5u-25f",
    "colorlight-i9": "lfe5u-45f",
    "tang-nano-20k": "gw2ar-18",
    "arty-a7-100": "xc7a100t",
}


def find_part(name: str) -> Part:
    """The part of that name, in capitals or not. Raises UserError with the names there are."""
    try:
        return PARTS[name.strip().lower()]
    except KeyError:
        raise UserError(f"part {name} is not known; the parts are {', '.join(PARTS)}") from None


def parts_that_hold(family: str, used: Mapping[str, float]) -> list[str]:
    """Names of the parts of a family that something fits, the smallest first."""
    held = [part for part in PARTS.values() if part.family == family and not part.missing(used)]
    return [part.name for part in sorted(held, key=lambda part: part.lut)]
