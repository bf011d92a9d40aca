"""One row of the fully-connected engine: 20 multipliers, an adder tree and an accumulator."""

from amaranth.hdl import Cat, Const, Module, Mux, ShapeLike, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.dot_product import DotProduct
from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.sign_dot_product import dot_product
from fivebyfive.hw.common.types import ACC, CODE, FC_LANES, codes
from fivebyfive.model.q26 import Q2_6

__all__ = ["FcRow", "RowWord", "keep_sums"]


class RowWord(data.StructLayout):
    """A word of a row and where it stands among those of its output.

    ``x``, ``w``, ``bias``: shapes of activations, weights and biases. ``kept``: outputs whose partial sums can be kept.
    ``first``, ``last``: the word is its output's first, its last one. ``keep``: the sum is kept as that of ``output``;
    both have no bits where none can be.
    """

    def __init__(self, x: ShapeLike, w: ShapeLike, bias: ShapeLike, kept: int):
        self.x = x
        self.w = w
        self.bias = bias
        self.kept = kept
        operands = {"x": x, "w": w, "bias": bias}
        super().__init__(operands | {"first": 1, "last": 1, "keep": 1 if kept else 0, "output": range(kept)})


class FcRow(wiring.Component):
    """One output of a fully-connected layer from its words of 20 activations and weights, one a cycle.

    The word marked ``first`` brings the bias; `latency` cycles after the one marked ``last`` the output's code comes.
    The sum is kept modulo 2**14: in a register while an output's words follow each other, or, where ``keep`` is set, in
    a memory of partial sums, by ``output``. The words of a kept output must be at least three cycles apart.

    Parameters
    ----------
    kept : outputs whose partial sums can be kept; 0 leaves the memory out.
    shifts : where weights are -1, 0 or 1 times a power of two, its exponent in each layer (`SignDotProduct`): the row
        has no multipliers then. Else none.

    Members
    -------
    i : stream of `RowWord`, 20 activations and weights and a bias each; always ready.
    o : stream of codes, before ReLU; always ready.
    layer : whose sums come out; only with ``shifts``.
    """

    latency = DotProduct.cycles(FC_LANES) + 1

    def __init__(self, kept: int = 0, shifts: tuple[int, ...] = ()):
        self.kept = kept
        self.shifts = tuple(shifts)
        payload = RowWord(codes(FC_LANES), codes(FC_LANES), CODE, kept)
        super().__init__(
            {
                "i": In(stream.Signature(payload, always_ready=True)),
                "o": Out(stream.Signature(CODE, always_ready=True)),
                **({"layer": In(range(len(self.shifts)))} if self.shifts else {}),
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
    """The sum so far: the kept one of the row's output, or the one in the register ``total``."""
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
