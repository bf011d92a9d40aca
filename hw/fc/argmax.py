"""Collects the logits and finds the class."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import CODE, codes
from fivebyfive.model.shape import ceil_div

__all__ = ["Argmax", "Result"]


class Result(data.StructLayout):
    """Result of an image.

    Fields
    ------
    logits : codes
        One per class.
    index : range(classes)
        The class: index of the largest logit, the lowest on a tie.
    """

    def __init__(self, classes: int):
        super().__init__({"logits": codes(classes), "index": range(classes)})


class Argmax(wiring.Component):
    """All logits and the class, from ``rows`` logits at a time, in order.

    One logit is selected per cycle and compared in the next.

    Latency: 3 cycles from the last logit to the result, or ``classes`` + 2 from the first logit where that is later.

    Parameters
    ----------
    classes : int, at least 1
        Number of logits.
    rows : int, at least 1
        Logits in a transfer; the last transfer may have fewer.

    Ports
    -----
    i : stream of ``rows`` codes, in
        Logits in order. Not ready from the last logit until the result is transferred.
    o : stream of `Result`, out
        The result.
    """

    def __init__(self, classes: int, rows: int):
        self.classes = classes
        self.rows = rows
        super().__init__({"i": In(stream.Signature(codes(rows))), "o": Out(stream.Signature(Result(classes)))})

    def elaborate(self, platform):
        m = Module()
        transfers = ceil_div(self.classes, self.rows)
        received = Signal(range(transfers + 1))
        looked = Signal(range(self.classes + 1))
        best, candidate = Signal(CODE), Signal(CODE)
        number, fresh = Signal(range(self.classes)), Signal()  # the candidate's index; it is not compared yet
        m.d.comb += self.i.ready.eq(received != transfers)
        logits = self.o.payload.logits
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += received.eq(received + 1)
            for n in range(self.classes):
                with m.If(received == n // self.rows):
                    m.d.sync += logits[n].eq(self.i.payload[n % self.rows])
        there = Array([n // self.rows + 1 for n in range(self.classes)] + [transfers + 1])[looked]
        m.d.sync += [
            candidate.eq(logits.as_value().word_select(looked, CODE.width)),
            number.eq(looked),
            fresh.eq(received >= there),
        ]
        with m.If(received >= there):
            m.d.sync += looked.eq(looked + 1)
        with m.If(fresh & ((number == 0) | (candidate > best))):
            m.d.sync += [best.eq(candidate), self.o.payload.index.eq(number)]
        with m.If(fresh & (number == self.classes - 1)):
            m.d.sync += self.o.valid.eq(1)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [received.eq(0), looked.eq(0), self.o.valid.eq(0)]
        return m
