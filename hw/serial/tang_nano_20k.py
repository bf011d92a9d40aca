"""Sipeed's Tang Nano 20K, which amaranth-boards lacks. Pins: litex-boards, platforms/sipeed_tang_nano_20k.py.

The oscillator's 27 MHz are a multiple of the serial line's rate, so that no PLL is needed.
"""

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import GowinPlatform
from amaranth_boards.resources import LEDResources, UARTResource

__all__ = ["TangNano20kPlatform"]

LEVELS = {"IO_TYPE": "LVCMOS33"}


class TangNano20kPlatform(GowinPlatform):
    """GW2AR-18: the oscillator, six LEDs that light when low, and the serial line to the USB bridge."""

    part = "GW2AR-LV18QN88C8/I7"
    family = "GW2AR-18C"
    default_clk = "clk27"
    resources = [
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), Attrs(**LEVELS)),
        *LEDResources(pins="15 16 17 18 19 20", invert=True, attrs=Attrs(**LEVELS)),
        UARTResource(0, rx="70", tx="69", attrs=Attrs(PULL_MODE="UP", **LEVELS)),
    ]
    connectors = []
