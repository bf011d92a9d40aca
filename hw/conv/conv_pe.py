"""Conv PE: a multiplier for each weight of a kernel, an adder tree, and the addition of the base."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.any_dot_product import dot_product, layer_port
from fivebyfive.hw.common.dot_product import DotProduct
from fivebyfive.hw.common.types import ACC, codes
from fivebyfive.model.machine.weight_form import CODES, WeightForm

__all__ = ["ConvPE"]


class ConvPE(wiring.Component):
    """Partial sum of a convolution: ``o = base + sum of window x kernel``, modulo 2**14.

    Latency: `latency` cycles from the operands, `base_latency` fewer from ``base``. Throughput: a sum per cycle.

    Parameters
    ----------
    form : WeightForm
        How weights are stored. With signs and powers of two (`SignDotProduct`, `ShiftDotProduct`) the PE has no
        multipliers.
    kernel : int, 3 to 7
        Rows and columns of a kernel.

    Ports
    -----
    i : stream of {x, w}, in, always ready
        ``x``: window; ``w``: kernel; ``kernel**2`` codes each, row-major.
    base : `ACC`, in
        Bias or partial sum of the channels before; sampled `base_latency` cycles after the operands.
    o : stream of `ACC`, out, always ready
        Partial sum; valid `latency` cycles after the operands.
    layer : range(layers), in
        Layer of the sums in flight: index into ``form.values``. Only with signs as ``form``.
    """

    def __init__(self, form: WeightForm = CODES, kernel: int = 5):
        self.form = form
        self.kernel = kernel
        operands = data.StructLayout({"x": codes(kernel**2), "w": codes(kernel**2)})
        super().__init__(
            {
                "i": In(stream.Signature(operands, always_ready=True)),
                "base": In(ACC),
                "o": Out(stream.Signature(ACC, always_ready=True)),
                **layer_port(form),
            }
        )

    @property
    def base_latency(self) -> int:
        """Cycles from the operands to the base that is added to them."""
        return DotProduct.cycles(self.kernel**2)

    @property
    def latency(self) -> int:
        """Cycles from the operands to their sum."""
        return self.base_latency + 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.dot = dot = dot_product(m, self, self.kernel**2)
        total = Signal(ACC, reset_less=True)
        m.d.comb += [
            dot.i.payload.eq(self.i.payload),
            dot.i.valid.eq(self.i.valid),
            self.o.payload.eq(total),
        ]
        m.d.sync += [total.eq(self.base + dot.o.payload), self.o.valid.eq(dot.o.valid)]
        return m
