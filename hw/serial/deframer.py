"""Finds the frames in the bytes of a line (`fivebyfive.model.protocol.link`) and checks their CRC."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import crc, data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import NO_COLLISIONS
from fivebyfive.model.protocol.link import CRC, ESCAPE, FLAG, FLIP, HEADER, LARGEST

__all__ = ["CRC32", "DISTRIBUTED", "Deframer", "Header"]

DISTRIBUTED = NO_COLLISIONS | {"ram_style": "distributed"}  # block RAM is for the weights
CRC32 = crc.catalog.CRC32_ISO_HDLC  # zlib's and Ethernet's


class Header(data.StructLayout):
    """Header of a frame, the four bytes behind FLAG.

    Fields
    ------
    length : 8 bits
        Bytes of the payload.
    kind : 8 bits
        `fivebyfive.model.protocol.link.Kind`.
    sequence : 16 bits
        Number of the request.
    """

    def __init__(self):
        super().__init__({"length": 8, "kind": 8, "sequence": 16})


class Deframer(wiring.Component):
    """Offers each frame with a right CRC; drops any other, and frames that are longer than a board takes.

    Latency: 1 cycle from the last byte of the CRC to ``valid``. There is no backpressure: ``header`` holds until the
    first byte behind the next FLAG arrives, at least two bytes later (80 cycles at 4 cycles per bit); byte n of the
    payload until byte n of the next payload arrives.

    Ports
    -----
    i : 8 bits, in
        A byte of the line; valid with ``i_valid``.
    i_valid : 1 bit, in
        Asserted for one cycle per byte.
    header : `Header`, out
        Header of the frame; valid from ``valid`` on.
    valid : 1 bit, out
        Asserted for one cycle when a frame with a right CRC is complete.
    bad : 1 bit, out
        Asserted for one cycle when a frame has a wrong CRC, or is cut off by a FLAG. Not for a frame that is too long.
    address : range(longest payload), in
        Byte of the payload to read.
    payload : 8 bits, out
        That byte, in the same cycle; valid from ``valid`` on.
    """

    def __init__(self):
        super().__init__(
            {
                "i": In(8), "i_valid": In(1), "header": Out(Header()), "valid": Out(1), "bad": Out(1),
                "address": In(range(LARGEST)), "payload": Out(8),
            }
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = check = CRC32(data_width=8).create()
        inside, escaped, ended = Signal(), Signal(), Signal()
        count = Signal(range(HEADER + LARGEST + CRC + 1))  # bytes of this frame received
        last = Signal(range(HEADER + LARGEST + CRC + 1))
        byte = Signal(8)
        take = Signal()
        flag = self.i_valid & (self.i == FLAG)
        m.d.comb += [
            byte.eq(Mux(escaped, self.i ^ FLIP, self.i)),
            take.eq(self.i_valid & inside & (self.i != FLAG) & (self.i != ESCAPE)),
            last.eq(self.header.length + (HEADER + CRC - 1)),
            check.start.eq(flag), check.valid.eq(take), check.data.eq(byte),
            self.valid.eq(ended & check.match_detected),
            self.bad.eq((ended & ~check.match_detected) | (flag & inside & (count != 0))),
        ]  # fmt: skip
        m.d.sync += ended.eq(0)
        with m.If(flag):
            m.d.sync += [inside.eq(1), escaped.eq(0), count.eq(0)]
        with m.Elif(self.i_valid & inside & (self.i == ESCAPE)):
            m.d.sync += escaped.eq(1)
        with m.Elif(take):
            m.d.sync += [escaped.eq(0), count.eq(count + 1)]
            with m.Switch(count):
                for n in range(HEADER):
                    with m.Case(n):
                        m.d.sync += self.header.as_value().word_select(n, 8).eq(byte)
            with m.If((count == 0) & (byte > LARGEST)):
                m.d.sync += inside.eq(0)
            with m.Elif((count != 0) & (count == last)):
                m.d.sync += [inside.eq(0), ended.eq(1)]
        self.keep(m, take & (count >= HEADER) & (count < HEADER + LARGEST), count - HEADER, byte)
        return m

    def keep(self, m: Module, write, address, byte):
        """The payload and the CRC behind it in distributed RAM."""
        m.submodules.memory = memory = Memory(shape=8, depth=64, init=[], attrs=DISTRIBUTED)
        w, r = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [w.en.eq(write), w.addr.eq(address), w.data.eq(byte), r.addr.eq(self.address)]
        m.d.comb += self.payload.eq(r.data)
