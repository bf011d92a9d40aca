"""A layer of a float network in words, for tables and pictures."""

from math import prod

from fivebyfive.model.network import Place, Pool
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.value_ranges import RANGE_END, Magnitudes

__all__ = ["kind_text", "multiple_text", "parameters", "then_text"]


def parameters(place: Place) -> int:
    """Weights and biases of a layer."""
    return prod(place.arrays[f"{place.layer.name}.weight"]) + place.layer.outputs


def kind_text(place: Place) -> str:
    """What it is, such as conv 5x5, padding 2."""
    layer = place.layer
    if layer.kind == "fc":
        return "fc"
    text = f"conv {layer.kernel}x{layer.kernel}"
    if any(layer.padding):
        alike = len(set(layer.padding)) == 1
        text += f", padding {layer.padding[0] if alike else ' '.join(map(str, layer.padding))}"
    text += f", stride {layer.stride}" if layer.stride > 1 else ""
    return text + (f", groups {layer.groups}" if layer.groups > 1 else "")


def then_text(place: Place, network: FloatNetwork) -> str:
    """Its functions and pool, in order, such as tanh, average 2."""
    parts = []
    for step in place.layer.then:
        if isinstance(step, Pool):
            by = f" by {step.stride}" if step.stride != step.size else ""
            parts.append(f"{step.kind} {step.size}{by}")
        elif step == "table":
            parts += [function.name for function in network.functions[place.layer.name]]
        else:
            parts.append(step)
    return ", ".join(parts)


def multiple_text(numbers: Magnitudes | None) -> str:
    """The largest magnitude as a multiple of the range's end, with three digits, such as 13.5 x 2."""
    return "-" if numbers is None else f"{float(f'{numbers.multiple:.3g}'):,g} x {RANGE_END:g}"
