"""Drivers and a monitor for Amaranth streams at the ports of a simulated design.

A stream ``i`` has ports ``i__valid``, ``i__payload`` and, unless it is always ready, ``i__ready``; a word
moves at a clock edge before which valid and ready are both high. Signals are sampled at the edge, as they
were before it, and driven just after it.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from .given import Dut, ports
from .testbench import cycle, limited

__all__ = ["StreamMonitor", "StreamSink", "StreamSource", "WithPorts"]

LIMIT_CYCLES = 100_000  # of one wait


class _Stream:
    """The ports of one stream."""

    def __init__(self, dut: Dut, name: str):
        self.dut, self.name = dut, name
        self.edge = RisingEdge(dut.clk)
        self.valid = self._port("valid")  # None: always valid
        self.ready = self._port("ready")  # None: always ready
        self.payload = self._port("payload")  # None: it has no bits

    def _port(self, member: str) -> Any:
        port = f"{self.name}__{member}"
        return getattr(self.dut, port) if port in ports() else None


class WithPorts:
    """The payload of the stream ``i`` and, in the same word above it, values of other ports that go with it; for the
    ``payload`` of a `StreamSource`.

    ``widths``: ports and their bits in the word, the lowest first. A port has what of these bits it has room for; one
    that the design lacks is left out.
    """

    def __init__(self, dut: Dut, **widths: int):
        self.dut, self.payload, self.widths = dut, dut.i__payload, widths

    def __len__(self) -> int:
        return len(self.payload) + sum(self.widths.values())

    @property
    def value(self) -> Any:
        return self.payload.value

    @value.setter
    def value(self, word: int) -> None:
        self.payload.value = word & (1 << len(self.payload)) - 1
        word >>= len(self.payload)
        for name, width in self.widths.items():
            if name in ports():
                port = getattr(self.dut, name)
                port.value = word & (1 << min(width, len(port))) - 1
            word >>= width


class _Driver(_Stream):
    """One side of a stream, with pauses of probability ``pause`` and waits of at most ``limit_cycles``."""

    def __init__(
        self,
        dut: Dut,
        name: str,
        *,
        pause: float = 0,
        rng: random.Random | None = None,
        limit_cycles: int = LIMIT_CYCLES,
    ):
        super().__init__(dut, name)
        self.pause, self.rng, self.limit_cycles = pause, rng or random.Random(0), limit_cycles


class StreamSource(_Driver):
    """Drives words into a design's input stream.

    Before each word it waits a random number of cycles: with probability ``pause`` another one, each time.
    Without pauses Python wakes once a word. A word that is not taken within ``limit_cycles`` is an
    AssertionError.
    """

    async def send(self, words: Iterable[int]) -> None:
        """Offer words one after the other; returns just after the edge that took the last one, valid low."""
        for number, word in enumerate(words):
            while self.pause and self.rng.random() < self.pause:
                self.idle()
                await self.edge
            if self.payload is not None:
                self.payload.value = word
            self.valid.value = 1
            await self.edge
            if self.ready is not None and not self.ready.value:
                await limited(self._taken(), self.limit_cycles, f"{self.name} does not take word {number}")
        self.idle()

    def idle(self) -> None:
        """Valid low, and a payload that nobody may use."""
        self.valid.value = 0
        if self.payload is not None:
            self.payload.value = self.rng.getrandbits(len(self.payload))

    async def _taken(self) -> None:
        while not self.ready.value:
            await RisingEdge(self.ready)
            await self.edge


class StreamSink(_Driver):
    """Takes words from a design's output stream.

    Between words it is not ready for a random number of cycles: with probability ``pause`` another one, each
    time. Without pauses Python wakes once a word. A wait of over ``limit_cycles`` is an AssertionError.
    """

    async def receive(self, count: int) -> list[int]:
        """The next ``count`` words; returns just after the edge that brought the last one, ready low."""
        words = []
        for number in range(count):
            await self._pauses()
            if self.ready is not None:
                self.ready.value = 1
            await self.edge
            if self.valid is not None and not self.valid.value:
                await limited(self._given(), self.limit_cycles, f"{self.name} does not give word {number}")
            words.append(int(self.payload.value) if self.payload is not None else 0)
        if self.ready is not None:
            self.ready.value = 0
        return words

    async def _pauses(self) -> None:
        while self.ready is not None and self.pause and self.rng.random() < self.pause:
            self.ready.value = 0
            await self.edge

    async def _given(self) -> None:
        while not self.valid.value:
            await RisingEdge(self.valid)
            await self.edge


@dataclass
class StreamMonitor:
    """Watches a stream at every edge, checks its rules, and keeps what moved.

    The rules: once valid, a word stays valid and the same until it is taken, a reset apart; valid and ready
    are never undefined, nor is a valid payload. ``words`` are those that moved, ``cycles`` the numbers of
    their edges.
    """

    dut: Dut
    name: str
    words: list[int] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)

    def start(self) -> "StreamMonitor":
        """Watch until the end of the test; a broken rule fails it."""
        self._stream = _Stream(self.dut, self.name)
        self._task = cocotb.start_soon(self._watch())
        return self

    def clear(self) -> None:
        """Forget what moved."""
        self.words.clear()
        self.cycles.clear()

    async def _watch(self) -> None:
        stream, waiting, reset = self._stream, None, self.dut.rst
        while True:
            await stream.edge
            if reset.value:
                waiting = None
                continue
            valid = stream.valid is None or bool(stream.valid.value)
            if waiting is not None:
                assert valid, f"{self.name}: valid fell in cycle {cycle()} before the word was taken"
            if not valid:
                continue
            word = int(stream.payload.value) if stream.payload is not None else 0
            if waiting is not None:
                assert word == waiting, f"{self.name}: payload changed in cycle {cycle()} while it waited"
            waiting = word
            if stream.ready is None or stream.ready.value:
                waiting = None
                self.words.append(word)
                self.cycles.append(cycle())
