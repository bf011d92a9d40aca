"""Sum of products with weights that are powers of two: shifts and adders, no multipliers."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data

from fivebyfive.hw.common.types import ACC

from .dot_product import DotProduct

__all__ = ["ShiftCode", "ShiftDotProduct", "shift_code"]


class ShiftCode(data.StructLayout):
    """A weight that is zero or a power of two with a sign.

    Fields
    ------
    exponent : 3 bits
        Of two.
    nonzero : 1 bit
        The weight is not zero; else the other fields are don't-care.
    negative : 1 bit
        The weight is below zero.
    """

    def __init__(self):
        super().__init__({"exponent": 3, "nonzero": 1, "negative": 1})


def shift_code(value: int) -> int:
    """The bits of a `ShiftCode` of 0, or of a power of two up to 128 with a sign."""
    exponent = max(abs(value).bit_length() - 1, 0)
    return exponent | (value != 0) << 3 | (value < 0) << 4


class ShiftDotProduct(DotProduct):
    """A `DotProduct` for weights that are 0 or powers of two with a sign, modulo 2**14.

    Each operand is negated or not, shifted, and added. After Miyashita, Lee and Murmann 2016 (arXiv:1603.01025) and
    incremental network quantization (Zhou et al. 2017, arXiv:1702.03044).

    Latency and throughput are those of `DotProduct`.

    Parameters
    ----------
    terms : int, at least 1
        Products in a sum.

    Ports
    -----
    i : stream of {x, w}, in, always ready
        Operands: ``terms`` codes each; the low bits of every w are a `ShiftCode`.
    o : stream of `ACC`, out, always ready
        The sum; valid `latency` cycles after its operands.

    Raises
    ------
    ValueError
        ``terms`` is less than 1.
    """

    def product(self, m: Module, x, w, term: int) -> Signal:
        layout = ShiftCode()
        code = data.View(layout, w[: layout.size])
        product = Signal(ACC, name=f"term_{term}", reset_less=True)
        m.d.sync += product.eq(Mux(code.nonzero, Mux(code.negative, -x, x) << code.exponent, 0))
        return product
