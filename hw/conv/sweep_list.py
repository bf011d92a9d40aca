"""A cyclic list of constants: the sweeps, where zeros are skipped."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SweepList"]


class SweepList(wiring.Component):
    """The current entry of a list in a small read-only memory. The next entry follows without a lost cycle.

    Parameters
    ----------
    entries : sequence of int
        The list, at least one entry.
    width : int, bits
        Width of an entry.

    Ports
    -----
    step : 1 bit, in
        Asserted for one cycle to advance: ``entry`` shows the next entry from the next cycle on; the first follows the
        last. Not in the first cycle after reset.
    entry : ``width`` bits, out
        Current entry; valid from the second cycle after reset.
    at_end : 1 bit, out
        The current entry is the last; valid as ``entry`` is.

    Raises
    ------
    ValueError
        ``entries`` is empty.
    """

    def __init__(self, entries: Sequence[int], width: int):
        if not entries:
            raise ValueError("a list of sweeps needs at least one entry")
        self.entries = list(entries)
        self.width = width
        super().__init__({"step": In(1), "entry": Out(width), "at_end": Out(1)})

    def elaborate(self, platform):
        m = Module()
        # The last entry is marked in the word, so that no comparison follows the memory.
        words = [entry << 1 | (n == len(self.entries) - 1) for n, entry in enumerate(self.entries)]
        m.submodules.words = rom = memory.Memory(shape=self.width + 1, depth=len(words), init=words)
        read = rom.read_port()
        index = Signal(range(len(words)))
        following = Signal.like(index)
        m.d.comb += [
            following.eq(Mux(self.step, Mux(self.at_end, 0, index + 1), index)),
            read.addr.eq(following),
            self.at_end.eq(read.data[0]),
            self.entry.eq(read.data[1:]),
        ]
        m.d.sync += index.eq(following)
        return m
