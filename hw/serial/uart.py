"""Bytes on a serial line: a start bit, eight data bits, lowest first, and a stop bit; the line is high when idle.

The divisor, clock cycles per bit, is fixed: a receiver is a counter and a shift register.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["SLOWEST_DIVISOR", "UartReceiver", "UartTransmitter", "check_divisor"]

FASTEST_DIVISOR, SLOWEST_DIVISOR = 4, 1 << 16
BITS = 10  # of a byte on the line: start, data, stop


def check_divisor(divisor: int) -> int:
    """``divisor``, if a line can have it; else raises ValueError."""
    if not FASTEST_DIVISOR <= divisor <= SLOWEST_DIVISOR:
        raise ValueError(f"a bit must take {FASTEST_DIVISOR} to {SLOWEST_DIVISOR} clock cycles, not {divisor}")
    return divisor


class UartReceiver(wiring.Component):
    """Bytes from a line. Each bit is sampled in its middle. A byte without a stop bit is dropped; the next start bit
    counts once the line has been high.

    Latency: 3 cycles from the middle of the stop bit to ``o_valid``, two of them for synchronization. The sender's bits
    may be up to 4 % shorter or longer.

    Parameters
    ----------
    divisor : int, 4 to 65,536
        Clock cycles per bit.

    Ports
    -----
    rx : 1 bit, in
        The line; asynchronous.
    o : 8 bits, out
        The byte; valid with ``o_valid``.
    o_valid : 1 bit, out
        Asserted for one cycle per byte; there is no backpressure.

    Raises
    ------
    ValueError
        ``divisor`` is out of range.
    """

    def __init__(self, divisor: int):
        self.divisor = check_divisor(divisor)
        super().__init__({"rx": In(1, init=1), "o": Out(8), "o_valid": Out(1)})

    def elaborate(self, platform):
        m = Module()
        line = Signal(init=1)
        m.submodules.sync = FFSynchronizer(self.rx, line, init=1)
        wait = Signal(range(self.divisor + self.divisor // 2))
        left = Signal(range(BITS))
        word = Signal(8)
        m.d.comb += self.o.eq(word)
        m.d.sync += self.o_valid.eq(0)
        with m.FSM():
            with m.State("HIGH"):
                with m.If(line):
                    m.next = "REST"
            with m.State("REST"):
                m.d.sync += [wait.eq(self.divisor + self.divisor // 2 - 2), left.eq(BITS - 1)]
                with m.If(~line):
                    m.next = "BITS"
            with m.State("BITS"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.sync += [wait.eq(self.divisor - 1), left.eq(left - 1)]
                    with m.If(left != 1):
                        m.d.sync += word.eq(Cat(word[1:], line))
                    with m.Else():
                        m.d.sync += self.o_valid.eq(line)
                        m.next = "HIGH"
        return m


class UartTransmitter(wiring.Component):
    """Bytes onto a line.

    Throughput: a byte per 10 ``divisor`` cycles, without gaps. Latency: the start bit begins in the cycle after the
    transfer.

    Parameters
    ----------
    divisor : int, 4 to 65,536
        Clock cycles per bit.

    Ports
    -----
    i : stream of 8 bits, in
        Bytes to send.
    tx : 1 bit, out
        The line; a register, free of glitches.

    Raises
    ------
    ValueError
        ``divisor`` is out of range.
    """

    def __init__(self, divisor: int):
        self.divisor = check_divisor(divisor)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        wait = Signal(range(self.divisor))
        left = Signal(range(BITS + 1))  # bits left, the current one included
        word = Signal(BITS - 1, init=-1)  # bits after the current one
        over = Signal()
        m.d.comb += [over.eq((left == 0) | ((left == 1) & (wait == 0))), self.i.ready.eq(over)]
        with m.If(over & self.i.valid):
            m.d.sync += [self.tx.eq(0), word.eq(Cat(self.i.payload, 1)), left.eq(BITS), wait.eq(self.divisor - 1)]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Elif(left != 0):
            m.d.sync += [self.tx.eq(word[0]), word.eq(Cat(word[1:], 1)), left.eq(left - 1), wait.eq(self.divisor - 1)]
        return m
