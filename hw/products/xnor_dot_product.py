"""Sum of products of activations and weights of one bit: exclusive nors and a count of bits."""

from amaranth.hdl import Array, Cat, Module, Signal

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.types import ACC

from .sign_dot_product import SignDotProduct

__all__ = ["XnorDotProduct"]


class XnorDotProduct(SignDotProduct):
    """A `SignDotProduct` of operands that are all -1 or 1, modulo 2**14.

    A product is 1 where the signs are equal, else -1: the sum is ``terms`` less twice the number of signs that differ.
    After binarized neural networks (Hubara 2016, arXiv:1602.02830) and XNOR-Net (Rastegari 2016, arXiv:1603.05279).

    Latency and throughput are those of `DotProduct`.

    Parameters
    ----------
    terms : int, at least 1
        As of `SignDotProduct`.
    shifts : tuple of int, 0 to 7
        As of `SignDotProduct`.

    Ports
    -----
    i : stream of {x, w}, in, always ready
        Operands: ``terms`` codes each; every one is -1 or 1.
    layer : range(layers), in
        As of `SignDotProduct`.
    o : stream of `ACC`, out, always ready
        As of `SignDotProduct`.

    Raises
    ------
    ValueError
        ``terms`` is less than 1.
    """

    def elaborate(self, platform):
        m = Module()
        x, w = (Signal(self.terms, name=f"held_{name}", reset_less=True) for name in "xw")
        differ = Signal(self.terms, reset_less=True)
        m.d.sync += [
            x.eq(Cat(code[-1] for code in self.i.payload.x)),
            w.eq(Cat(code[-1] for code in self.i.payload.w)),
            differ.eq(x ^ w),
        ]
        total = Signal(ACC)
        m.d.comb += total.eq(self.terms - (self.count(m, list(differ)) << 1))
        shifted = Array(total << shift for shift in self.shifts)
        m.d.comb += [
            self.o.payload.eq(shifted[self.layer]),
            self.o.valid.eq(delay(m, self.i.valid, self.latency, name="valid")),
        ]
        return m

    def count(self, m: Module, level: list):
        """The number of bits that are set: pairs are added and registered until one is left."""
        depth = 0
        while len(level) > 1:
            depth += 1
            pairs = [level[n : n + 2] for n in range(0, len(level), 2)]
            most = [min(1 << depth, self.terms - (n << depth)) for n in range(len(pairs))]  # bits below each
            level = [
                Signal(range(count + 1), name=f"count_{depth}_{n}", reset_less=True) for n, count in enumerate(most)
            ]
            m.d.sync += [count.eq(sum(pair[1:], pair[0])) for count, pair in zip(level, pairs, strict=True)]
        return level[0]
