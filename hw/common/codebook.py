"""A layer's codebook: from the number of a value to what the engine multiplies with."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.machine.weight_form import WeightForm

from .types import CODE

__all__ = ["Codebook"]


class Codebook(wiring.Component):
    """The value of a number, in the same cycle. Weight sharing: Han, Mao and Dally 2016 (arXiv:1510.00149).

    Where weights are signs (`WeightForm`) the values are -1, 0 and 1: the engine knows their size. A number that no
    value has gives 0.

    Parameters
    ----------
    form : the values of each layer.

    Members
    -------
    layer : whose values, number in ``form.values``.
    number : the value's.
    code : the value.
    """

    def __init__(self, form: WeightForm):
        self.form = form
        super().__init__({"layer": In(range(len(form.values))), "number": In(form.bits), "code": Out(CODE)})

    def elaborate(self, platform):
        m = Module()
        with m.Switch(Cat(self.number, self.layer)):
            for layer, values in enumerate(self.form.values):
                for number, value in enumerate(values):
                    with m.Case(layer << self.form.bits | number):
                        m.d.comb += self.code.eq(self.entry(value))
        return m

    def entry(self, value: int) -> int:
        return (value > 0) - (value < 0) if self.form.kind == "signs" else value
