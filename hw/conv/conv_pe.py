"""Conv PEs: a multiplier for each weight of a kernel, an adder tree, and the addition of the base; or Winograd's."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.types import ACC, CODE, codes
from fivebyfive.hw.products.any_dot_product import dot_product, layer_port
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.hw.products.matrix_transform import MatrixTransform
from fivebyfive.model.machine.weight_form import CODES, WeightForm
from fivebyfive.model.winograd import BITS, OUTPUT_SIZE, PRODUCTS, TILE

__all__ = ["INPUT_STAGES", "OUTPUT_STAGES", "TRANSFORM_LATENCY", "ConvPE", "WinogradPE", "transform_of_tiles"]

# Factors of `fivebyfive.model.winograd.INPUT` and OUTPUT; each row of them is an adder at most.
INPUT_STAGES = (
    ((1, 0, -1, 0, 0, 0), (0, 1, 0, -1, 0, 0), (0, 0, 1, 0, -1, 0), (0, 0, 0, 1, 0, -1),
     (0, 0, 3, 0, 0, 0), (0, 0, 0, 3, 0, 0)),
    ((0, 1, 2, 0, 0, 0), (0, -2, 1, 0, 0, 0), (1, 2, 0, 0, 0, 0), (0, 0, 2, -1, 0, 0),
     (0, 2, 0, 0, 1, 0), (0, 0, 2, 0, 0, 1)),
    ((1, 0, -2, 0, 0, 0), (1, 0, 0, 0, 0, 0), (0, 0, 0, 0, 1, 1), (0, 0, 0, 0, -1, 1),
     (0, -1, 0, 2, 0, 0), (0, 1, 0, 0, 0, 0)),
)  # fmt: skip
OUTPUT_STAGES = (
    ((1, 1, 0, 0, 0, 0), (0, 2, 0, 0, 1, 0), (0, 0, 1, 1, 0, 0), (0, 0, 1, -1, 0, 0), (0, 0, 0, 0, 0, 1)),
    ((1, 0, 1, 0, 0), (0, 1, 0, 1, 0), (0, 0, 0, 0, 1)),
    ((1, 0, 2), (0, 1, -1)),
)
TRANSFORM_LATENCY = len(INPUT_STAGES) - 1  # cycles
ELEMENT = signed(BITS)


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


def transform_of_tiles() -> MatrixTransform:
    """What stands in front of the PEs: of a tile of 6x6 codes the matrix that all of them multiply, `TRANSFORM_LATENCY`
    cycles later."""
    return MatrixTransform(INPUT_STAGES, CODE, BITS)


class WinogradPE(wiring.Component):
    """Partial sums of a convolution by kernels of 5x5 for the four windows of a tile: ``o[n] = base[n] + sum of window
    n x kernel``, modulo 2**14.

    Tile and kernel come transformed: the tile by `transform_of_tiles`, the kernel when it is packed
    (`fivebyfive.model.winograd.transformed`). Multipliers are of 16 x 16 bits, of the product 16 bits are kept.

    Latency: `latency` cycles from the operands, `base_latency` fewer from ``base``. Throughput: four sums per cycle.

    Ports
    -----
    i : stream of {x, w}, in, always ready
        ``x``: tile; ``w``: kernel; 6 x 6 signed numbers of 16 bits each, row-major.
    base : 4 `ACC`, in
        Biases or partial sums of the channels before; sampled `base_latency` cycles after the operands.
    o : stream of 4 `ACC`, out, always ready
        Partial sums of the windows, row-major; valid `latency` cycles after the operands.
    """

    base_latency = 2 + len(OUTPUT_STAGES)  # operand registers, products, a register behind each stage
    latency = base_latency + 1

    def __init__(self):
        operand = data.ArrayLayout(ELEMENT, PRODUCTS)
        sums = data.ArrayLayout(ACC, OUTPUT_SIZE**2)
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"x": operand, "w": operand}), always_ready=True)),
                "base": In(sums),
                "o": Out(stream.Signature(sums, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        held = Signal.like(self.i.payload, name="held", reset_less=True)
        m.submodules.transform = transform = MatrixTransform(OUTPUT_STAGES, ELEMENT, BITS)
        m.d.sync += held.eq(self.i.payload)
        for n in range(PRODUCTS):
            product = Signal(ELEMENT, name=f"product_{n}", reset_less=True)
            m.d.sync += product.eq(held.x[n] * held.w[n])
            m.d.comb += transform.i.payload[n // TILE][n % TILE].eq(product)
        windows = [window for row in transform.o.payload for window in row]
        for n, (base, window) in enumerate(zip(self.base, windows, strict=True)):
            part, total = (Signal(ACC, name=f"{name}_{n}", reset_less=True) for name in ("part", "total"))
            m.d.sync += [part.eq(window[BITS - ACC.width :]), total.eq(base + part)]
            m.d.comb += self.o.payload[n].eq(total)
        m.d.comb += [
            transform.i.valid.eq(delay(m, self.i.valid, 2, name="multiplied")),
            self.o.valid.eq(delay(m, transform.o.valid, 2, name="valid")),
        ]
        return m
