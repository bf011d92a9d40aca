"""Sends answers over the line as frames of `fivebyfive.model.protocol.link`."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.protocol.link import CRC, ESCAPE, FLAG, FLIP, HEADER

from .deframer import CRC32, Header

__all__ = ["Answer", "Framer"]


class Answer(data.StructLayout):
    """A frame to send.

    Parameters
    ----------
    most : int
        Bytes of the longest payload.

    Fields
    ------
    header : `Header`
        Its header; ``length`` is at most ``most``.
    payload : 8 ``most`` bits
        The first ``header.length`` bytes are sent, lowest first.
    """

    def __init__(self, most: int):
        super().__init__({"header": Header(), "payload": 8 * most})


class Framer(wiring.Component):
    """Bytes of frames: adds FLAG, escapes and CRC.

    Latency: the first byte is offered in the cycle after the transfer of the answer. Throughput: a byte per cycle, but
    for one cycle before the CRC.

    Parameters
    ----------
    most : int, at least 1
        Bytes of the longest payload.

    Ports
    -----
    i : stream of `Answer`, in
        A frame to send. Ready while no frame is being sent.
    o : stream of 8 bits, out
        Bytes for the line.
    """

    def __init__(self, most: int):
        self.most = most
        super().__init__({"i": In(stream.Signature(Answer(most))), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32(data_width=8).create()
        rest = Signal(8 * (HEADER + self.most))  # of header and payload, next byte lowest
        left = Signal(range(HEADER + self.most + 1))
        escaped = Signal()  # the byte's ESCAPE is sent
        byte, special, sent = Signal(8), Signal(), Signal()
        check = Signal(8 * CRC)
        in_check = Signal(range(CRC))
        m.d.comb += [
            special.eq((byte == FLAG) | (byte == ESCAPE)),
            sent.eq(self.o.ready & ~(special & ~escaped)),  # the byte itself, if one is offered
        ]

        def offer():
            m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(byte)]
            with m.If(special):
                m.d.comb += self.o.payload.eq(Mux(escaped, byte ^ FLIP, ESCAPE))
                with m.If(self.o.ready):
                    m.d.sync += escaped.eq(~escaped)

        with m.FSM():
            with m.State("REST"):
                m.d.comb += [self.i.ready.eq(1), crc.start.eq(1)]
                m.d.sync += [rest.eq(self.i.payload.as_value()), left.eq(self.i.payload.header.length + HEADER)]
                with m.If(self.i.valid):
                    m.next = "FLAG"
            with m.State("FLAG"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(FLAG)]
                with m.If(self.o.ready):
                    m.next = "BODY"
            with m.State("BODY"):
                m.d.comb += [byte.eq(rest[:8]), crc.data.eq(byte), crc.valid.eq(sent)]
                offer()
                with m.If(sent):
                    m.d.sync += [rest.eq(rest[8:]), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "TAKE CRC"
            with m.State("TAKE CRC"):
                m.d.sync += [check.eq(crc.crc), in_check.eq(0)]
                m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += byte.eq(check[:8])
                offer()
                with m.If(sent):
                    m.d.sync += [check.eq(Cat(check[8:], check[:8])), in_check.eq(in_check + 1)]
                    with m.If(in_check == CRC - 1):
                        m.next = "REST"
        return m
