"""The dot product that serves weights as they are stored."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from fivebyfive.model.machine.weight_form import WeightForm

from .dot_product import DotProduct
from .shift_dot_product import ShiftDotProduct
from .sign_dot_product import SignDotProduct
from .xnor_dot_product import XnorDotProduct

__all__ = ["dot_product", "layer_port"]


def dot_product(m: Module, unit: wiring.Component, terms: int) -> DotProduct | SignDotProduct | ShiftDotProduct:
    """The dot product inside a component whose weights are stored as its ``form``; that of signs is on its ``layer``
    (`layer_port`)."""
    if unit.form.kind == "powers":
        return ShiftDotProduct(terms)
    if not unit.form.scaled:
        return DotProduct(terms)
    dot = (XnorDotProduct if unit.form.kind == "xnor" else SignDotProduct)(terms, unit.form.shifts)
    m.d.comb += dot.layer.eq(unit.layer)
    return dot


def layer_port(form: WeightForm) -> dict[str, In]:
    """The port by which a component is told the layer of the sums in flight: only where weights are signs."""
    return {"layer": In(range(len(form.values)))} if form.scaled else {}
