"""Block RAM for the words of the bank-balanced engine, and the biases beside it."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import CODE, FC_LANES, NO_COLLISIONS, codes
from fivebyfive.hw.common.weight_memory import WeightMemory, WriteSignature

__all__ = ["BankWeightMemory", "BankWord"]


class BankWord(data.StructLayout):
    """Weights of ``rows`` outputs, one per lane, each with the place of its activation.

    Parameters
    ----------
    rows : int
        Outputs, R.
    places : int
        Activations in a lane.

    Fields
    ------
    w : 20 R codes
        Weights; those of output r begin at 20 r.
    place : 20 R times range(places)
        Place of each weight's activation in its lane, likewise.
    last : 1 bit
        The word is the last of these outputs.
    """

    def __init__(self, rows: int, places: int):
        place = range(places)
        super().__init__(
            {
                "w": codes(FC_LANES * rows),
                "place": data.ArrayLayout(place if places > 1 else 1, FC_LANES * rows),
                "last": 1,
            }
        )


class BankWeightMemory(wiring.Component):
    """Words of weights in block RAM, and words of biases, each with its own read port.

    Words are loaded as bytes (`fivebyfive.model.machine.banks`); the bits of a byte that a place does not need are
    ignored.

    Latency: `latency` cycles for weights (that of `WeightMemory`), 1 cycle for biases.

    Parameters
    ----------
    init : sequence of int
        Words as they are loaded: ``biases`` words of biases, then at least one word of weights.
    rows : int, at least 1
        Outputs computed at once, R.
    places : int, at least 1
        Activations in a lane.
    biases : int, at least 1
        Words of biases.
    banks : sequence of int or None
        Words of each bank of the memory of weights; None for one bank.

    Ports
    -----
    address : range(words of weights), in
        Word of weights to read; 0 is the first after the biases.
    data : `BankWord`, out
        The word; valid `latency` cycles after ``address``.
    bias_address : range(biases), in
        Word of biases to read.
    bias : R codes, out
        The word; valid 1 cycle after ``bias_address``.
    load : `WriteSignature`, in
        Replaces a word; addresses count the biases first. The rule on reads near a write is that of `WeightMemory`.
    """

    def __init__(self, init: Sequence[int], rows: int, places: int, biases: int, banks: Sequence[int] | None = None):
        self.init = list(init)
        self.rows = rows
        self.biases = biases
        self.depth = len(self.init)
        self.layout = BankWord(rows, places)
        self.place_bits = self.layout["place"].width // (FC_LANES * rows)
        words = [self.word(loaded) for loaded in self.init[biases:]]
        self.words = WeightMemory(words, 0, banks, bits=self.layout.size)
        super().__init__(
            {
                "address": In(range(self.depth - biases)),
                "data": Out(self.layout),
                "bias_address": In(range(biases)),
                "bias": Out(codes(rows)),
                "load": In(WriteSignature(self.depth, 2 * FC_LANES * rows + 1)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from an address to its word."""
        return self.words.latency

    def word(self, loaded: int) -> int:
        """A word of bytes as it is stored."""
        lanes = FC_LANES * self.rows
        code, place = (loaded >> CODE.width * lanes * n & (1 << CODE.width * lanes) - 1 for n in range(2))
        width = self.place_bits
        for lane in range(lanes):
            bits = place >> CODE.width * lane & (1 << width) - 1
            code |= bits << self.layout["place"].offset + width * lane
        return code | (loaded >> 2 * CODE.width * lanes & 1) << self.layout["last"].offset

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = words = self.words
        loads_bias = self.load.address < self.biases
        m.d.comb += [
            words.address.eq(self.address),
            self.data.as_value().eq(words.data),
            words.load.en.eq(self.load.en & ~loads_bias),
            words.load.address.eq(self.load.address - self.biases),
            words.load.data.eq(self.narrowed()),
        ]
        m.submodules.biases = biases = memory.Memory(
            shape=CODE.width * self.rows,
            depth=self.biases,
            init=self.bias_words(),
            attrs={"ram_style": "distributed", "init_file": 1} | NO_COLLISIONS,
        )
        write, read = biases.write_port(), biases.read_port()
        m.d.comb += [
            write.en.eq(self.load.en & loads_bias),
            write.addr.eq(self.load.address),
            write.data.eq(self.load.data.as_value()),
            read.addr.eq(self.bias_address),
            self.bias.as_value().eq(read.data),
        ]
        return m

    def bias_words(self) -> list[int]:
        return [word & (1 << CODE.width * self.rows) - 1 for word in self.init[: self.biases]]

    def narrowed(self):
        """The word on ``load`` as it is stored."""
        lanes, width = FC_LANES * self.rows, self.place_bits
        loaded = list(self.load.data)
        places = [code[:width] for code in loaded[lanes : 2 * lanes]]
        return Cat(*loaded[:lanes], *places, loaded[2 * lanes][0])
