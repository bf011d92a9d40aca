"""The other end of a design's serial line in a bench: bits written and read one by one, by time alone."""

from collections import deque

import cocotb
from cocotb.triggers import FallingEdge, Timer

from .given import Dut
from .testbench import PERIOD_NS

__all__ = ["SerialLine"]

DATA_BITS = 8


class SerialLine:
    """Writes bytes to ``dut.rx`` and keeps what ``dut.tx`` says.

    ``received``: bytes that have come. ``broken``: how many of them had no stop bit (they are left out). ``stretch``:
    the length of our bits as a multiple of the design's.
    """

    def __init__(self, dut: Dut, divisor: int, stretch: float = 1.0):
        self.dut = dut
        self.bit_ps = divisor * PERIOD_NS * 1000
        self.send_ps = round(self.bit_ps * stretch)
        self.received: deque[int] = deque()
        self.broken = 0

    def start(self) -> "SerialLine":
        """The line at rest; listen until the end of the test."""
        self.dut.rx.value = 1
        cocotb.start_soon(self._listen())
        return self

    async def send(self, data: bytes) -> None:
        """Bytes, one right behind the other; returns at the end of the last stop bit."""
        for byte in data:
            await self.send_bits([0, *(byte >> n & 1 for n in range(DATA_BITS)), 1])

    async def send_bits(self, bits: list[int]) -> None:
        """Levels of the line, a bit's time each; equal ones next to each other need one wait."""
        place = 0
        while place < len(bits):
            end = place
            while end < len(bits) and bits[end] == bits[place]:
                end += 1
            self.dut.rx.value = bits[place]
            await Timer((end - place) * self.send_ps, "ps")
            place = end

    def take(self) -> bytes:
        """All that has come and was not taken before."""
        data = bytes(self.received)
        self.received.clear()
        return data

    async def _listen(self) -> None:
        bit = Timer(self.bit_ps, "ps")
        half = Timer(self.bit_ps // 2, "ps")
        while True:
            await FallingEdge(self.dut.tx)
            await half
            byte = 0
            for n in range(DATA_BITS):
                await bit
                byte |= int(self.dut.tx.value) << n
            await bit
            if self.dut.tx.value:
                self.received.append(byte)
            else:
                self.broken += 1
