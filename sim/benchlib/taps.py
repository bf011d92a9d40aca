"""Monitor of an engine's tap, which shows each value of a layer once."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from .given import Dut
from .payload import unpack

__all__ = ["TapMonitor"]


class TapMonitor:
    """Keeps what the port ``tap`` shows: its lowest bit, 0 after a reset, toggles with each word.

    ``layout``: the shape of a word. ``seen``: of each word what `shown` makes of it. Watches until the end of the test.
    """

    def __init__(self, dut: Dut, layout: Any):
        self.dut, self.layout = dut, layout
        self.seen: list[tuple] = []
        cocotb.start_soon(self._watch())

    def shown(self, tap: dict) -> tuple:
        """What is kept of a word."""
        raise NotImplementedError

    def at_edge(self) -> None:
        """Called at each clock edge outside a reset, before the tap is read."""

    async def _watch(self) -> None:
        toggle = 0
        while True:
            await RisingEdge(self.dut.clk)
            if self.dut.rst.value:
                toggle = 0
                continue
            self.at_edge()
            bits = str(self.dut.tap.value)
            if bits[-1] != "01"[toggle]:
                toggle ^= 1
                self.seen.append(self.shown(unpack(self.layout, int(bits, 2))))
