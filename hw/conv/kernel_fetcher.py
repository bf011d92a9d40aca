"""Fetches the kernels of the next sweep while the current one computes."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import counter, delay
from fivebyfive.hw.common.types import codes
from fivebyfive.model.shape import ceil_div

__all__ = ["KernelFetcher", "KernelPlan"]


class KernelPlan:
    """Where the kernels of a conv layer are in the weight memory.

    Each of ``groups`` groups of output channels has ``inputs`` sets of kernels, of ``size`` kernels each, ``rest`` in
    the last group.

    Parameters
    ----------
    address : int
        Address of the first kernel.
    outputs : int, at least 1
        Output channels.
    inputs : int, at least 1
        Sets of kernels of a group.
    size : int, at least 1
        Kernels in a full set.
    """

    def __init__(self, address: int, outputs: int, inputs: int, size: int):
        self.address = address
        self.inputs = inputs
        self.groups = ceil_div(outputs, size)
        self.size = min(size, outputs)
        self.rest = outputs - (self.groups - 1) * size


class KernelFetcher(wiring.Component):
    """Streams sets of ``outputs`` kernels, in the order in which they are in the weight memory.

    After ``start`` all sets of the layer are fetched, one word per cycle; the fetch of the next set begins when a set
    is transferred.

    Latency: `latency` cycles from ``start``, or from a transfer, to the next set; fewer where a set is not full.

    Parameters
    ----------
    plans : list of `KernelPlan`
        One for each layer.
    outputs : int, at least 1
        Kernels in a set, O.
    depth : int
        Words of the weight memory.
    memory_latency : int, cycles
        From the weight memory's address to its data.
    width : int
        Codes in a word, which is one kernel.

    Ports
    -----
    layer : range(layers), in
        Index into ``plans``; must not change from ``start`` until all sets are transferred.
    start : 1 bit, in
        Asserted for one cycle to begin with the layer's first set.
    address : range(depth), out
        Word of the weight memory to read; held after the last word of a set.
    data : ``width`` codes, in
        The word, ``memory_latency`` cycles after its address; must not change while the address does not.
    o : stream of ``outputs`` kernels, out
        A set; held for ``memory_latency`` cycles after its transfer. In a short last group the kernels beyond the group
        are undefined.
    """

    def __init__(self, plans: list[KernelPlan], outputs: int, depth: int, memory_latency: int, width: int = 25):
        self.plans = plans
        self.outputs = outputs
        self.depth = depth
        self.memory_latency = memory_latency
        self.width = width
        self.word = codes(width)
        super().__init__(
            {
                "layer": In(range(len(plans))),
                "start": In(1),
                "address": Out(range(depth)),
                "data": In(self.word),
                "o": Out(stream.Signature(data.ArrayLayout(self.word, outputs))),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``start``, or from a transfer, to the next full set."""
        return self.outputs + self.memory_latency + 1

    def elaborate(self, platform):
        m = Module()
        begin, size, more = self.count_sets(m)
        requesting = Signal()
        index = Signal(range(self.outputs))
        last = Signal()
        m.d.comb += last.eq(index == size - 1)
        with m.If(begin):
            m.d.sync += [requesting.eq(1), index.eq(0)]
        with m.Elif(requesting):
            m.d.sync += [index.eq(index + 1), requesting.eq(~last)]
        self.point(m, requesting, last & ~more)
        # ``data`` is the word requested ``memory_latency`` cycles ago.
        arrived = delay(m, requesting, self.memory_latency, name="arrived")
        place = delay(m, index, self.memory_latency, name="place")
        complete = delay(m, requesting & last, self.memory_latency, name="complete")
        self.capture(m, arrived, place)
        with m.If(complete):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m

    def count_sets(self, m: Module) -> tuple:
        """When to request a set, its number of kernels, and whether another set of the layer follows."""
        taken, begin = Signal(), Signal()
        _, last_channel = counter(m, [p.inputs for p in self.plans], taken, name="channel", which=self.layer)
        _, last_group = counter(m, [p.groups for p in self.plans], taken & last_channel, name="group", which=self.layer)
        more = ~(last_group & last_channel)
        m.d.comb += [taken.eq(self.o.valid & self.o.ready), begin.eq(self.start | (taken & more))]
        # A set is requested in the cycles after ``begin``, when the counters have its values.
        full, rest = (Array(getattr(p, name) for p in self.plans)[self.layer] for name in ("size", "rest"))
        return begin, Mux(last_group, rest, full), more

    def point(self, m: Module, requesting: Signal, done):
        """Address of the next word; held at the last word of a set until the next set is requested."""
        first = Array(p.address for p in self.plans)[self.layer]
        pointer = Signal(range(self.depth))
        held = Signal(range(self.depth))
        with m.If(self.start):
            m.d.sync += pointer.eq(first)
        with m.Elif(requesting):
            m.d.sync += [pointer.eq(pointer + 1), held.eq(pointer)]
        m.d.comb += self.address.eq(Mux(requesting, pointer, held))

    def capture(self, m: Module, arrived, place):
        """Register each word but the last of a set, which stays on the memory's output."""
        for output in range(self.outputs - 1):
            word = Signal(self.word, name=f"kernel_{output}", reset_less=True)
            with m.If(arrived & (place == output)):
                m.d.sync += word.eq(self.data)
            m.d.comb += self.o.payload[output].eq(word)
        m.d.comb += self.o.payload[self.outputs - 1].eq(self.data)
