"""A result as words of an AXI4-Stream."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import CODE
from fivebyfive.hw.fc.argmax import Result
from fivebyfive.model.protocol.identity import result_words

__all__ = ["Numbered", "ResultPacker", "ResultWord"]


class Numbered(data.StructLayout):
    """``result`` and the ``number`` of its frame."""

    def __init__(self, classes: int):
        super().__init__({"result": Result(classes), "number": 16})


class ResultWord(data.StructLayout):
    """A word ``data`` of a result; ``last`` is set on the last one."""

    def __init__(self):
        super().__init__({"data": 32, "last": 1})


class ResultPacker(wiring.Component):
    """Words of 32 bits from results.

    The first word has the class in bits 7..0, zeros in bits 15..8 and the frame number in bits 31..16. The others have
    four logits each, the first in the lowest byte; the last word is filled with zeros.

    Latency: 1 cycle to the first word. Throughput: a word per cycle, and a cycle to accept a result.

    Parameters
    ----------
    classes : int, 1 to 256
        Number of logits.

    Ports
    -----
    i : stream of `Numbered`, in
        A result. Ready when all words of the one before are transferred.
    o : stream of `ResultWord`, out
        Its words.
    """

    def __init__(self, classes: int):
        self.classes = classes
        super().__init__({"i": In(stream.Signature(Numbered(classes))), "o": Out(stream.Signature(ResultWord()))})

    def elaborate(self, platform):
        m = Module()
        words = result_words(self.classes)
        left = Signal(range(words + 1))
        bits = Signal(32 * words)
        result = self.i.payload.result
        m.d.comb += [
            self.i.ready.eq(left == 0),
            self.o.valid.eq(left != 0),
            self.o.payload.data.eq(bits[:32]),
            self.o.payload.last.eq(left == 1),
        ]
        with m.If(self.i.valid & self.i.ready):
            head = Cat(result.index, Signal(16 - len(result.index), name="zeros"), self.i.payload.number)
            assert len(result.logits.as_value()) == CODE.width * self.classes
            m.d.sync += [bits.eq(Cat(head, result.logits.as_value())), left.eq(words)]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += [bits.eq(bits >> 32), left.eq(left - 1)]
        return m
