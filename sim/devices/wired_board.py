"""A serial accelerator with the other end of its line, so that a simulation exchanges bytes with it, not bits."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.serial.serial_accelerator import SerialAccelerator
from fivebyfive.hw.serial.uart import UartReceiver, UartTransmitter

__all__ = ["MOST_BYTES", "Bytes", "WiredBoard"]

MOST_BYTES = 16  # in a transfer: Python is needed once for that many


class Bytes(data.StructLayout):
    """``count`` bytes for the line, the lowest first."""

    def __init__(self) -> None:
        super().__init__({"bytes": 8 * MOST_BYTES, "count": range(MOST_BYTES + 1)})


class WiredBoard(wiring.Component):
    """For simulation alone.

    Members
    -------
    i : stream of `Bytes`; ready again when all of them have been begun.
    o : a byte that the board has sent; ``o_valid`` is high for one cycle.
    busy : of the board; or bytes have not all gone.
    """

    def __init__(self, board: SerialAccelerator) -> None:
        self.board = board
        super().__init__({"i": In(stream.Signature(Bytes())), "o": Out(8), "o_valid": Out(1), "busy": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.board = board = self.board
        m.submodules.transmitter = transmitter = UartTransmitter(board.divisor)
        m.submodules.receiver = receiver = UartReceiver(board.divisor)
        left = Signal.like(self.i.payload.count)
        rest = Signal.like(self.i.payload.bytes)
        m.d.comb += [
            board.rx.eq(transmitter.tx), receiver.rx.eq(board.tx), self.o.eq(receiver.o),
            self.o_valid.eq(receiver.o_valid), self.busy.eq(board.busy | (left != 0)),
            self.i.ready.eq(left == 0), transmitter.i.valid.eq(left != 0), transmitter.i.payload.eq(rest[:8]),
        ]  # fmt: skip
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [left.eq(self.i.payload.count), rest.eq(self.i.payload.bytes)]
        with m.Elif(transmitter.i.valid & transmitter.i.ready):
            m.d.sync += [left.eq(left - 1), rest.eq(rest[8:])]
        return m
