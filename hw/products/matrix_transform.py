"""A constant matrix on both sides of another one: adders and shifts, no multipliers."""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from operator import add, sub

from amaranth.hdl import Module, Shape, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay

__all__ = ["MatrixTransform"]

Matrix = Sequence[Sequence[int]]


class MatrixTransform(wiring.Component):
    """``o = M i M^T`` modulo 2**bits, where M is a product of sparse matrices of small integers.

    Each of these is a stage of adders: on columns, then on rows. What several rows of M have in common is a row of an
    earlier stage, and added once.

    Latency: `latency` cycles, a register between stages; with one stage ``o`` is combinational. Throughput: a matrix
    per cycle.

    Parameters
    ----------
    stages : sequence of matrices
        Factors of M as rows of integers, in the order in which they are applied. Each row has a positive number.
    shape : Shape
        Shape of an element of ``i``.
    bits : int
        Bits of an element of ``o``, and of any sum at most.

    Ports
    -----
    i : stream of n x n elements, in, always ready
        A matrix, row-major; n: columns of the first factor.
    o : stream of m x m signed elements, out, always ready
        The transformed matrix, `latency` cycles later; m: rows of the last factor.

    Raises
    ------
    ValueError
        A factor has not as many columns as the one before has rows, or a row without a positive number.
    """

    def __init__(self, stages: Sequence[Matrix], shape: Shape, bits: int):
        if any(len(row) != len(one) for one, two in pairwise(stages) for row in two):
            raise ValueError("each factor of a transform needs as many columns as the one before has rows")
        if any(max(row) < 1 for stage in stages for row in stage):
            raise ValueError("each row of a transform needs a positive number")
        self.stages = stages
        self.shape = shape
        self.bits = bits
        inner, outer = (
            data.ArrayLayout(data.ArrayLayout(element, size), size)
            for element, size in ((shape, len(stages[0][0])), (signed(bits), len(stages[-1])))
        )
        super().__init__(
            {
                "i": In(stream.Signature(inner, always_ready=True)),
                "o": Out(stream.Signature(outer, always_ready=True)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a matrix to the transformed one."""
        return len(self.stages) - 1

    def elaborate(self, platform):
        m = Module()
        columns = list(zip(*self.i.payload, strict=True))
        for number, stage in enumerate(self.stages):
            if number:
                columns = [
                    [self.register(m, value, f"held_{number}_{r}_{c}") for r, value in enumerate(column)]
                    for c, column in enumerate(columns)
                ]
            rows = zip(*[[self.sum(m, row, column) for row in stage] for column in columns], strict=True)
            columns = list(zip(*[[self.sum(m, row, values) for row in stage] for values in rows], strict=True))
        for c, column in enumerate(columns):
            m.d.comb += [self.o.payload[r][c].eq(value) for r, value in enumerate(column)]
        m.d.comb += self.o.valid.eq(delay(m, self.i.valid, self.latency, name="valid"))
        return m

    def sum(self, m: Module, factors: Sequence[int], values: Sequence[Value]) -> Value:
        """The sum of the values times their factors."""
        added, taken = (
            [
                value << place
                for factor, value in zip(factors, values, strict=True)
                for place in range(self.bits)
                if sign * factor > 0 and abs(factor) >> place & 1
            ]
            for sign in (1, -1)
        )
        total = reduce(sub, taken, reduce(add, added))
        result = Signal(Shape(min(len(total), self.bits), total.shape().signed), name="sum")
        m.d.comb += result.eq(total)
        return result

    @staticmethod
    def register(m: Module, value: Value, name: str) -> Signal:
        """The value a cycle later."""
        held = Signal.like(value, name=name, reset_less=True)
        m.d.sync += held.eq(value)
        return held
