"""Two conv PEs with the multipliers of one: windows that share a kernel, or kernels that share a window."""

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import ACC, CODE
from fivebyfive.hw.products.packed_dot_product import PackedDotProduct
from fivebyfive.model.machine.config import DSP_SIZES

__all__ = ["PackedConvPE"]


class PackedConvPE(wiring.Component):
    """Two partial sums of convolutions with the multipliers of one, modulo 2**14.

    ``o[n] = base[n] + sum of pair[n] x shared``.

    Latency: `latency` cycles from the operands, `base_latency` fewer from ``base``. Throughput: two sums per cycle.

    Parameters
    ----------
    pair : Shape
        Shape of what is not shared: `NATURAL` for windows, whose codes are never negative, or `CODE` for kernels.
    kernel : int, 3 to 7
        Rows and columns of a kernel.
    dsp_size : str
        Bits of a multiplier (`PackedDotProduct`).

    Ports
    -----
    i : stream of {pair, shared}, in, always ready
        ``pair``: two windows or two kernels; ``shared``: the kernel or window; ``kernel**2`` codes
        each, row-major.
    base : 2 `ACC`, in
        Biases or partial sums of the channels before; sampled `base_latency` cycles after the operands.
    o : stream of 2 `ACC`, out, always ready
        Partial sums; valid `latency` cycles after the operands.
    """

    def __init__(self, pair: Shape = CODE, kernel: int = 5, dsp_size: str = DSP_SIZES[0]):
        self.pair = pair
        self.kernel = kernel
        self.dsp_size = dsp_size
        self.dot = PackedDotProduct(kernel**2, pair, dsp_size)
        sums = data.ArrayLayout(ACC, 2)
        super().__init__(
            {
                "i": In(stream.Signature(self.dot.i.payload.shape(), always_ready=True)),
                "base": In(sums),
                "o": Out(stream.Signature(sums, always_ready=True)),
            }
        )

    @property
    def base_latency(self) -> int:
        """Cycles from the operands to the bases that are added to them."""
        return self.dot.latency

    @property
    def latency(self) -> int:
        """Cycles from the operands to their sums."""
        return self.base_latency + 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.dot = dot = self.dot
        totals = Signal.like(self.o.payload, name="totals", reset_less=True)
        m.d.comb += [
            dot.i.payload.eq(self.i.payload),
            dot.i.valid.eq(self.i.valid),
            self.o.payload.eq(totals),
        ]
        m.d.sync += [total.eq(base + part) for total, base, part in zip(totals, self.base, dot.o.payload, strict=True)]
        m.d.sync += self.o.valid.eq(dot.o.valid)
        return m
