"""Row of the fully-connected engine: 20 multipliers, an adder tree and an accumulator."""

from amaranth.hdl import Cat, Const, Module, Mux, ShapeLike, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.types import ACC, CODE, FC_LANES, codes
from fivebyfive.hw.products.any_dot_product import dot_product, layer_port
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.model.machine.weight_form import CODES, WeightForm
from fivebyfive.model.q26 import Q2_6

__all__ = ["FcRow", "RowWord", "keep_sums"]


class RowWord(data.StructLayout):
    """A word of a row's operands.

    Parameters
    ----------
    x : ShapeLike
        Shape of the activations.
    w : ShapeLike
        Shape of the weights.
    bias : ShapeLike
        Shape of the bias or biases.
    kept : int
        Outputs whose partial sums can be kept.

    Fields
    ------
    x : as the parameter
        Activations.
    w : as the parameter
        Weights.
    bias : as the parameter
        Bias; valid with ``first``.
    first : 1 bit
        The word is the first of its output.
    last : 1 bit
        The word is the last of its output.
    keep : 1 bit
        The partial sum is kept as that of ``output``. No bits where ``kept`` is 0.
    output : range(kept)
        Output; valid with ``keep``. No bits where ``kept`` is 0.
    """

    def __init__(self, x: ShapeLike, w: ShapeLike, bias: ShapeLike, kept: int):
        self.x = x
        self.w = w
        self.bias = bias
        self.kept = kept
        operands = {"x": x, "w": w, "bias": bias}
        super().__init__(operands | {"first": 1, "last": 1, "keep": 1 if kept else 0, "output": range(kept)})


class FcRow(wiring.Component):
    """One output of a fully-connected layer from its words of 20 activations and weights.

    The sum is kept modulo 2**14: in a register while the words of an output follow each other or, with ``keep``, in a
    memory of partial sums, by ``output``. The words of a kept output must be at least three cycles apart.

    Latency: `latency` cycles from an output's last word to its code. Throughput: a word per cycle.

    Parameters
    ----------
    kept : int, at least 0
        Outputs whose partial sums can be kept; 0 omits the memory.
    form : WeightForm
        How weights are stored. With signs and powers of two (`SignDotProduct`, `ShiftDotProduct`) the row has no
        multipliers.

    Ports
    -----
    i : stream of `RowWord`, in, always ready
        20 activations, 20 weights and a bias.
    o : stream of Q2.6 code, out, always ready
        The output before ReLU; valid `latency` cycles after the word with ``last``.
    layer : range(layers), in
        Layer of the sums in flight: index into ``form.values``. Only with signs as ``form``.
    """

    latency = DotProduct.cycles(FC_LANES) + 1

    def __init__(self, kept: int = 0, form: WeightForm = CODES):
        self.kept = kept
        self.form = form
        payload = RowWord(codes(FC_LANES), codes(FC_LANES), CODE, kept)
        super().__init__(
            {
                "i": In(stream.Signature(payload, always_ready=True)),
                "o": Out(stream.Signature(CODE, always_ready=True)),
                **layer_port(form),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.dot = dot = dot_product(m, self, FC_LANES)
        m.d.comb += [
            dot.i.valid.eq(self.i.valid),
            dot.i.payload.x.eq(self.i.payload.x),
            dot.i.payload.w.eq(self.i.payload.w),
        ]
        payload = self.i.payload
        flags = delay(m, Cat(payload.first, payload.last, payload.bias), dot.latency, name="flags")
        first, last, bias = flags[0], flags[1], flags[2:]
        total = Signal(ACC, reset_less=True)
        before = keep_sums(m, self, total, dot) if self.kept else total
        with m.If(dot.o.valid):
            m.d.sync += total.eq(Mux(first, Cat(Const(0, Q2_6.frac_bits), bias), before) + dot.o.payload)
        m.d.sync += self.o.valid.eq(dot.o.valid & last)
        m.d.comb += self.o.payload.eq(total[Q2_6.frac_bits :].as_signed())
        return m


def keep_sums(m: Module, row: wiring.Component, total: Signal, dot: wiring.Component):
    """The sum so far: the kept one of the row's output, or that in the register ``total``. Adds the memory of partial
    sums.
    """
    m.submodules.sums = sums = memory.Memory(
        shape=total.shape(), depth=row.kept, init=[], attrs={"ram_style": "distributed"}
    )
    write, read = sums.write_port(), sums.read_port()
    early = delay(m, Cat(row.i.payload.keep, row.i.payload.output), dot.latency - 1, name="output")
    kept, written = delay(m, early, 1, name="output_summed"), delay(m, early, 2, name="output_written")
    m.d.comb += [
        read.addr.eq(early[1:]),
        write.addr.eq(written[1:]),
        write.data.eq(total),
        write.en.eq(written[0] & delay(m, dot.o.valid, 1, name="summed")),
    ]
    return Mux(kept[0], read.data, total)
