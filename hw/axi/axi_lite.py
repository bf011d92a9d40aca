"""AXI4-Lite slave for registers: one write and one read at a time, independent of each other."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.protocol.registers import ADDRESS_BITS

__all__ = ["AxiLite", "RegisterBus"]

OKAY, SLVERR = 0, 2


class RegisterBus(wiring.Signature):
    """Accesses to registers, seen from the component that makes them. An access is complete in its cycle.

    Ports
    -----
    write : 1 bit, out
        Asserted for one cycle per write.
    w_address : 10 bits, out
        Register to write, in words; valid with ``write``.
    w_data : 32 bits, out
        Data; valid with ``write``.
    w_strobes : 4 bits, out
        Bytes to write; valid with ``write``.
    w_error : 1 bit, in
        The write is refused; valid in the cycle of ``write``.
    read : 1 bit, out
        Asserted for one cycle per read.
    r_address : 10 bits, out
        Register to read, in words; valid with ``read``.
    r_data : 32 bits, in
        Data in the cycle of ``read``; 0 where it is refused.
    r_error : 1 bit, in
        The read is refused; valid in the cycle of ``read``.
    """

    def __init__(self):
        address = ADDRESS_BITS - 2  # of a word
        super().__init__(
            {
                "write": Out(1), "w_address": Out(address), "w_data": Out(32), "w_strobes": Out(4), "w_error": In(1),
                "read": Out(1), "r_address": Out(address), "r_data": In(32), "r_error": In(1),
            }
        )  # fmt: skip


class AxiLite(wiring.Component):
    """AXI4-Lite, 32 bits, to a `RegisterBus`.

    Address and data of a write may come in any order. A refused access is answered SLVERR. The two lowest address bits
    are ignored. All outputs are registers or inverted registers.

    Throughput: a write and a read per three cycles at most.

    Ports
    -----
    aw : stream of 12 bits, in
        Byte address of a write.
    w : stream of {data, strobes}, in
        Data of a write and its byte enables.
    b : stream of 2 bits, out
        Response to a write.
    ar : stream of 12 bits, in
        Byte address of a read.
    r : stream of {data, response}, out
        Response to a read.
    bus : `RegisterBus`, out
        The accesses.
    """

    def __init__(self):
        super().__init__(
            {
                "aw": In(stream.Signature(ADDRESS_BITS)),
                "w": In(stream.Signature(data.StructLayout({"data": 32, "strobes": 4}))),
                "b": Out(stream.Signature(2)),
                "ar": In(stream.Signature(ADDRESS_BITS)),
                "r": Out(stream.Signature(data.StructLayout({"data": 32, "response": 2}))),
                "bus": Out(RegisterBus()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        address, address_there = self.hold(m, self.aw, self.bus.write, "aw")
        word, word_there = self.hold(m, self.w, self.bus.write, "w")
        m.d.comb += [
            self.bus.write.eq(address_there & word_there & ~self.b.valid),
            self.bus.w_address.eq(address[2:]),
            self.bus.w_data.eq(word.data),
            self.bus.w_strobes.eq(word.strobes),
        ]
        self.answer(m, self.b, self.bus.write, Mux(self.bus.w_error, SLVERR, OKAY))
        address, address_there = self.hold(m, self.ar, self.bus.read, "ar")
        m.d.comb += [
            self.bus.read.eq(address_there & ~self.r.valid),
            self.bus.r_address.eq(address[2:]),
        ]
        response = Signal(self.r.payload.shape())
        m.d.comb += [response.data.eq(self.bus.r_data), response.response.eq(Mux(self.bus.r_error, SLVERR, OKAY))]
        self.answer(m, self.r, self.bus.read, response)
        return m

    def hold(self, m: Module, channel, done, name: str):
        """A channel's payload, held until ``done``, and whether there is one."""
        there = Signal(name=f"{name}_there")
        kept = Signal(channel.payload.shape(), name=f"{name}_kept")
        m.d.comb += channel.ready.eq(~there)
        with m.If(done):
            m.d.sync += there.eq(0)
        with m.If(channel.valid & ~there):
            m.d.sync += [there.eq(1), kept.eq(channel.payload)]
        return kept, there

    def answer(self, m: Module, channel, done, response):
        """Offer ``response``, sampled when ``done`` is asserted, until it is transferred."""
        with m.If(done):
            m.d.sync += [channel.valid.eq(1), channel.payload.eq(response)]
        with m.Elif(channel.ready):
            m.d.sync += channel.valid.eq(0)
