"""Weight sharing: a lookup table from the index of a value to the value."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.products.shift_dot_product import shift_code
from fivebyfive.model.machine.weight_form import WeightForm

from .types import CODE

__all__ = ["Codebook"]


class Codebook(wiring.Component):
    """Look up a layer's value by its index. Weight sharing: Han, Mao and Dally 2016 (arXiv:1510.00149).

    Combinational. Where weights are signs (`WeightForm.scaled`) the values are -1, 0 and 1; the engine applies
    their magnitude. Where they are powers of two ("powers") the code's low bits are a `ShiftCode`.

    Parameters
    ----------
    form : WeightForm
        Values of each layer, at least one layer.

    Ports
    -----
    layer : range(layers), in
        Layer whose values are looked up: index into ``form.values``.
    number : ``form.bits`` bits, in
        Index of the value.
    code : Q2.6 code, out
        The value, in the same cycle; 0 for an index without a value.
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
        if self.form.kind == "powers":
            return shift_code(value)
        return (value > 0) - (value < 0) if self.form.scaled else value
