"""Weights with few values: block RAM for their indices, a codebook behind it, and the biases beside it."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.machine.weight_form import WeightForm

from .codebook import Codebook
from .pipeline import delay
from .types import CODE, NO_COLLISIONS, codes
from .weight_memory import WeightMemory, WriteSignature

__all__ = ["NarrowWeightMemory"]


class NarrowWeightMemory(wiring.Component):
    """A `WeightMemory` of indices into a codebook, one cycle slower.

    The first ``biases`` words hold biases, 8 bits each. The words behind them hold indices of values, ``form.bits``
    bits each.

    Parameters
    ----------
    init : sequence of int
        Words as they are loaded, one byte per bias or index, lowest byte first
        (`fivebyfive.model.machine.weights.pack`). Their number is the depth.
    width : int
        Codes in a word.
    biases : int, at least 1
        Words of biases.
    form : WeightForm
        Values of the weights; anything but "codes".
    banks : sequence of int or None
        Words of each bank of the memory of indices; None for one bank. That memory has an unused word for each word of
        biases.

    Ports
    -----
    address : range(depth), in
        Word to read.
    layer : range(layers), in
        Layer of the word that ``data`` shows in the next cycle: index into ``form.values``. Don't-care for biases.
    data : ``width`` codes, out
        The word, biases or values, `latency` cycles after ``address``.
    load : `WriteSignature`, in
        Replaces a word. The rule on reads near a write is that of `WeightMemory`.
    """

    def __init__(
        self, init: Sequence[int], width: int, biases: int, form: WeightForm, banks: Sequence[int] | None = None
    ):
        self.init = list(init)
        self.width = width
        self.biases = biases
        self.form = form
        self.depth = len(self.init)
        self.numbers = WeightMemory([self.narrow(word) for word in self.init], width, banks, bits=width * form.bits)
        super().__init__(
            {
                "address": In(range(self.depth)),
                "layer": In(range(len(form.values))),
                "data": Out(codes(width)),
                "load": In(WriteSignature(self.depth, width)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from an address to its word."""
        return self.numbers.latency + 1

    def narrow(self, word: int) -> int:
        """A word of bytes as a word of indices."""
        bits, result = self.form.bits, 0
        for place in range(self.width):
            result |= (word >> CODE.width * place & (1 << bits) - 1) << bits * place
        return result

    def elaborate(self, platform):
        m = Module()
        bits, numbers = self.form.bits, self.numbers
        m.submodules.numbers = numbers
        m.d.comb += [
            numbers.address.eq(self.address),
            numbers.load.en.eq(self.load.en),
            numbers.load.address.eq(self.load.address),
            numbers.load.data.eq(Cat(code[:bits] for code in self.load.data)),
        ]
        values = Signal(codes(self.width))
        for place in range(self.width):
            m.submodules[f"codebook_{place}"] = book = Codebook(self.form)
            m.d.comb += [
                book.layer.eq(self.layer),
                book.number.eq(numbers.data.word_select(place, bits)),
                values[place].eq(book.code),
            ]
        is_bias = delay(m, self.address < self.biases, numbers.latency, name="is_bias")
        m.d.sync += self.data.as_value().eq(Mux(is_bias, self.bias(m), values.as_value()))
        return m

    def bias(self, m: Module):
        """The bias word of the address, delayed as the indices are."""
        m.submodules.biases = words = memory.Memory(
            shape=CODE.width * self.width,
            depth=self.biases,
            init=self.init[: self.biases],
            attrs={"ram_style": "distributed", "init_file": 1} | NO_COLLISIONS,
        )
        write, read = words.write_port(), words.read_port()
        m.d.comb += [
            write.en.eq(self.load.en & (self.load.address < self.biases)),
            write.addr.eq(self.load.address),
            write.data.eq(self.load.data),
            read.addr.eq(self.address),
        ]
        return delay(m, read.data, self.numbers.latency - 1, name="bias", reset_less=True)
