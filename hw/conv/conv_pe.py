"""The 5x5 conv PE: 25 multipliers, an adder tree, and the sum added to what earlier channels left."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.dot_product import DotProduct
from fivebyfive.hw.common.sign_dot_product import dot_product
from fivebyfive.hw.common.types import ACC, CONV_KERNEL, codes

__all__ = ["ConvPE"]


class ConvPE(wiring.Component):
    """One partial sum of a 5x5 convolution a cycle, modulo 2**14.

    ``o = base + sum of window x kernel``, `latency` cycles after window and kernel. ``base`` (the bias, or the partial
    sum of the channels before) is wanted `base_latency` cycles after them.

    Parameters
    ----------
    shifts : where weights are -1, 0 or 1 times a power of two, its exponent in each layer (`SignDotProduct`): the PE
        has no multipliers then. Else none.

    Members
    -------
    i : stream of {x: window, w: kernel}, 25 codes each, row-major; always ready.
    base : 14 bits.
    o : stream of partial sums, 14 bits; always ready.
    layer : whose sums come out; only with ``shifts``.
    """

    base_latency = DotProduct.cycles(CONV_KERNEL)
    latency = base_latency + 1

    def __init__(self, shifts: tuple[int, ...] = ()):
        self.shifts = tuple(shifts)
        operands = data.StructLayout({"x": codes(CONV_KERNEL), "w": codes(CONV_KERNEL)})
        super().__init__(
            {
                "i": In(stream.Signature(operands, always_ready=True)),
                "base": In(ACC),
                "o": Out(stream.Signature(ACC, always_ready=True)),
                **({"layer": In(range(len(self.shifts)))} if self.shifts else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.dot = dot = dot_product(m, self, CONV_KERNEL)
        total = Signal(ACC, reset_less=True)
        m.d.comb += [
            dot.i.payload.eq(self.i.payload),
            dot.i.valid.eq(self.i.valid),
            self.o.payload.eq(total),
        ]
        m.d.sync += [total.eq(self.base + dot.o.payload), self.o.valid.eq(dot.o.valid)]
        return m
