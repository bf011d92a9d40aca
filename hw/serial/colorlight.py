"""Colorlight's receiver cards i5 (v7.0) and i9 (v7.2) on the extension board that people program them on.

Pins: github.com/wuxx/Colorlight-FPGA-Projects (README.md and colorlight_i9_v7.2.md), and of the serial line, which the
extension board's microcontroller passes on to USB, litex-boards, platforms/colorlight_i5.py.
"""

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import LatticeECP5Platform
from amaranth_boards.resources import LEDResources, UARTResource

__all__ = ["ColorlightI5Platform", "ColorlightI9Platform"]

LEVELS = Attrs(IO_TYPE="LVCMOS33")


def resources(led: str) -> list[Resource]:
    """The oscillator, the one LED, which lights when low, and the serial line."""
    return [
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), LEVELS),
        *LEDResources(pins=led, invert=True, attrs=LEVELS),
        UARTResource(0, rx="H18", tx="J17", attrs=LEVELS),
    ]


class ColorlightI5Platform(LatticeECP5Platform):
    """Colorlight i5."""

    device, package, speed = "LFE5U-25F", "BG381", "6"
    default_clk = "clk25"
    resources = resources("U16")
    connectors = []


class ColorlightI9Platform(ColorlightI5Platform):
    """Colorlight i9."""

    device = "LFE5U-45F"
    resources = resources("L2")
