"""What a person reads of a float network: its layers, its errors, its machine."""

from typing import TYPE_CHECKING

from fivebyfive.model.estimates.parts import PARTS
from fivebyfive.model.network import dims
from fivebyfive.model.readers.value_ranges import RANGE_END
from fivebyfive.output.measurement_tables import BRAM_NAMES, DSP_NAMES
from fivebyfive.output.report import console, equal_text, table, titled
from fivebyfive.support.errors import shown

from .layers import kind_text, multiple_text, parameters, then_text

if TYPE_CHECKING:
    from rich.console import Console, Group

    from fivebyfive.commands.inspect import Inspection, InspectRequest

__all__ = ["show"]


def show(request: "InspectRequest", found: "Inspection") -> None:
    """All that inspect finds, on the terminal."""
    out = console()
    network = found.network.network
    out.print(f"{shown(request.model.name)}: input {dims(network.input)}")
    rows = table("<layer", "<what it is", "gives", "<then", "parameters", "MACs", "weights to", "values to")
    for place, numbers in zip(network, found.ranges, strict=True):
        rows.add_row(
            place.layer.name, kind_text(place), dims(place.map), then_text(place, found.network),
            f"{parameters(place):,}", f"{place.macs:,}", multiple_text(numbers.weights), multiple_text(numbers.values),
        )  # fmt: skip
    rows.add_row("all", "", "", "", f"{sum(map(parameters, network)):,}", f"{sum(network.macs.values()):,}")
    out.print(rows)
    out.print(
        f"\nLargest weights and biases, and values before functions, in multiples of {RANGE_END:g}, where Q2.6 ends."
    )
    for remark in found.remarks:
        out.print(shown(remark))
    if found.data and found.scaling:
        how = f"(pixel / 255 - {found.scaling.mean:g}) / {found.scaling.std:g}"
        out.print(f"In floats: {found.errors} errors of {found.images:,} on {shown(found.data)}, {how}")
    elif request.data:  # none
        out.print("In floats: no errors counted, as no image was looked at")
    else:
        out.print("In floats: no errors counted, as the shipped test images do not fit; give a set with --data")
    if found.machine:
        show_machine(out, found.machine)
    if found.check:
        behind = f" behind {found.check.behind}" if found.check.behind else ""
        out.print(
            f"Scores of {found.check.images} images{behind}:", equal_text(found.check.equal),
            f"(furthest apart {found.check.difference:.2g}, limit {found.check.limit:.2g})",
        )  # fmt: skip
    for what, path in (("network", request.picture), ("ranges", request.plot)):
        if path:
            out.print(f"picture of the {what}: {shown(path)}")


def show_machine(out: "Console", machine: dict) -> None:
    products = "{conv} + {fc}".format(**machine["multipliers"])
    held = "{conv:,} + {fc:,}".format(**machine["weight_bytes"])
    out.print(
        f"Its machine: {products} multipliers, {machine['interval']:,} cycles an image "
        f"(conv {machine['conv_cycles']:,}, fc {machine['fc_cycles']:,}; latency {machine['latency']:,}), "
        f"{held} bytes of weights"
    )
    if machine["area"]:
        out.print(area_table(machine["area"]))
        boards = ", ".join(machine["boards"]) or "none; see the larger parts with measure --estimate --part NAME"
        out.print(f"Boards that have room: {boards}")


def area_table(area: dict) -> "Group":
    """A row for each family of parts."""
    rows = table("<parts", "LUT", "FF", "DSP", "block RAM", "<enough for it have")
    for family, one in area.items():
        every = sum(part.family == family for part in PARTS.values())
        which = ", ".join(one["parts"]) or "none"
        if len(one["parts"]) == every:
            which = f"all {every}, the smallest {one['parts'][0]}"
        rows.add_row(
            family, f"{one['lut'] + one['lutram']:,}", f"{one['ff']:,}", f"{one['dsp']:,} {DSP_NAMES[family]}",
            f"{one['bram']:g} {BRAM_NAMES[family]}", which,
        )  # fmt: skip
    return titled("Its area, estimated by the area model:", rows)
