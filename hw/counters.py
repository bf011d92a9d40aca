"""Cycle counters: how long an image takes, measured in hardware."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.machine.cycles import COUNTER_BITS

__all__ = ["Counters", "Cycles"]


class Cycles(data.StructLayout):
    """Cycle counts of the last image.

    Parameters
    ----------
    bits : int
        Width of each counter.

    Fields
    ------
    conv : cycles
        From the first to the last busy cycle of the conv engine.
    fc : cycles
        From the first to the last busy cycle of the FC engine.
    latency : cycles
        From the last pixel accepted to the result valid.
    interval : cycles
        From the result before this one to this one.
    """

    def __init__(self, bits: int = COUNTER_BITS):
        super().__init__({name: bits for name in ("conv", "fc", "latency", "interval")})


class Counters(wiring.Component):
    """Counts the cycles of each image; a time stamp follows the image through the buffers.

    All counters are modulo 2**``bits``. ``interval`` of the first result after reset is undefined. After an engine was
    busy for a multiple of 2**``bits`` cycles, its counter keeps the value of the image before.

    Parameters
    ----------
    bits : int, at least 1
        Width of each counter.
    overtakes : bool
        The FC engine may be done with the inputs of an image before the result of the image before is valid.
    varies : bool
        The conv engine is not busy for as long with each image, so that its count follows the image to the result.

    Ports
    -----
    accepted : 1 bit, in
        Asserted for one cycle when the last pixel of an image is accepted.
    released : 1 bit, in
        Asserted for one cycle when the oldest waiting image leaves the image buffer.
    conv_busy : 1 bit, in
        The conv engine is busy.
    conv_done : 1 bit, in
        Asserted in the last busy cycle of the conv engine.
    inputs_done : 1 bit, in
        Asserted for one cycle when the FC engine no longer needs the oldest activations.
    fc_busy : 1 bit, in
        The FC engine is busy.
    result : 1 bit, in
        A result is valid.
    taken : 1 bit, in
        The result is transferred in this cycle.
    cycles : `Cycles`, out
        ``latency`` and ``interval`` are of the last result, with ``varies`` ``conv`` too. Otherwise ``conv`` and
        ``fc`` are of the image that the engine finished last.
    """

    def __init__(self, bits: int = COUNTER_BITS, overtakes: bool = False, varies: bool = False):
        self.bits = bits
        self.overtakes = overtakes
        self.varies = varies
        super().__init__(
            {
                "accepted": In(1),
                "released": In(1),
                "conv_busy": In(1),
                "conv_done": In(1),
                "inputs_done": In(1),
                "fc_busy": In(1),
                "result": In(1),
                "taken": In(1),
                "cycles": Out(Cycles(bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        now = Signal(self.bits)
        m.d.sync += now.eq(now + 1)
        conv_count = self.count_busy(m, self.conv_busy, self.cycles.conv, "conv_count", not self.varies)
        self.count_busy(m, self.fc_busy, self.cycles.fc, "fc_count")
        self.follow(m, now, conv_count)
        return m

    def count_busy(self, m: Module, busy, result, name: str, shown: bool = True) -> Signal:
        """Length of a busy period, and its cycles so far, which are returned; an engine is idle for at least one cycle
        between two images."""
        count = Signal(self.bits, name=name)
        m.d.sync += count.eq(Mux(busy, count + 1, 0))
        if shown:
            with m.If(~busy & (count != 0)):
                m.d.sync += result.eq(count)
        return count

    def follow(self, m: Module, now: Signal, conv_count: Signal):
        """Time stamps: two images in the image buffer, one in conv2, two in the activations, one in the FC engine and,
        where the next one overtakes it, one whose class is not found yet. Where they vary, the conv engine's cycles go
        with the stamp from the activations on."""
        image = self.two_stamps(m, "image", self.accepted, now, self.released)
        kept = 2 * self.bits if self.varies else self.bits
        conv, fc, last, seen = Signal(self.bits), Signal(kept), Signal(self.bits), Signal()
        with m.If(self.released):
            m.d.sync += conv.eq(image)
        converted = Cat(conv, (conv_count + 1)[: self.bits]) if self.varies else conv
        activations = self.two_stamps(m, "activations", self.conv_done, converted, self.inputs_done)
        with m.If(self.inputs_done):
            m.d.sync += fc.eq(activations)
        computed = fc
        if self.overtakes:
            computed, busy = Signal(kept), Signal()
            m.d.sync += busy.eq(self.fc_busy)
            with m.If(busy & ~self.fc_busy):
                m.d.sync += computed.eq(fc)
        with m.If(self.result & ~seen):
            if self.varies:
                m.d.sync += self.cycles.conv.eq(computed[self.bits :])
                computed = computed[: self.bits]
            m.d.sync += [
                self.cycles.latency.eq(now - computed),
                self.cycles.interval.eq(now - last),
                last.eq(now),
            ]
        m.d.sync += seen.eq(self.result & ~self.taken)

    def two_stamps(self, m: Module, name: str, put, value, get):
        """Stamps of the two sets of a buffer, written and read in turn; returns the one to be read next."""
        stamps = [Signal(len(value), name=f"{name}_{n}") for n in range(2)]
        w_set, r_set = Signal(name=f"{name}_w_set"), Signal(name=f"{name}_r_set")
        with m.If(put):
            m.d.sync += w_set.eq(~w_set)
            m.d.sync += [stamp.eq(Mux(w_set == n, value, stamp)) for n, stamp in enumerate(stamps)]
        with m.If(get):
            m.d.sync += r_set.eq(~r_set)
        return Mux(r_set, stamps[1], stamps[0])
