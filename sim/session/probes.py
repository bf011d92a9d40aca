"""Which signals a session records, and what each says of the unit of the block diagram that it belongs to."""

from collections.abc import Iterable
from dataclasses import dataclass

from fivebyfive.hw.codegen.verilog import Design
from fivebyfive.sim.simulator.waves import find_signal

__all__ = ["STATE", "Probe", "find_probes"]

STATE = "conv.controller.state"
WIDEST = 64  # bits of a signal that is recorded
LEVEL, CHANGE = "level", "change"

# By unit (a block of `fivebyfive.output.block_diagram`): names below the top, and how a unit that is busy shows there:
# the signal is not 0 (=), or is not as in the cycle before (~). A machine has some of them. What Verilog has a word for
# ends in _ there (`fivebyfive.hw.codegen.keywords`).
WANTED = {
    "image": "=i__valid i__ready i__payload conv.image.available =conv.image.o__valid conv.image.o__ready",
    "lines": "conv.lines.i__valid conv.lines.o__ready =conv.lines.o__valid",
    "array": "=conv.array.i__valid",
    "before": "=conv.before_.i__valid",
    "pool": "=conv.pooling.i__valid",
    "after": "=conv.after.i__valid",
    "maps": "=conv.features.i__valid =conv.features.o__valid =conv.features_2.i__valid =conv.features_2.o__valid "
    "=conv.channels.i__valid =conv.channels.o__valid =conv.channels_2.i__valid =conv.channels_2.o__valid",
    "kernels": "=conv.fetcher.start ~conv.fetcher.address conv.fetcher.o__ready",
    "conv weights": "~conv.weights.address",
    "conv control": f"={STATE} conv.controller.layer conv.controller.group conv.controller.channel conv.controller.go "
    "conv.controller.load conv.controller.first conv.controller.last conv.controller.kernel_valid "
    "conv.controller.position_valid conv.controller.done",
    "feeder": "=i__valid i__ready i__payload",
    "inputs": "=fc.inputs.i__valid ~fc.inputs.address ~fc.inputs.read__addr",
    "hidden": "=fc.hidden.i__valid ~fc.hidden.read__addr ~fc.hidden.address",
    "fc weights": "~fc.weights.address",
    "rows": "=fc.row_0.i__valid",
    "fc control": "=fc.busy fc.grant fc.inputs_done fc.controller.layer fc.controller.address fc.controller.word",
    "argmax": "=fc.argmax.i__valid =argmax.i__valid =o__valid",
    "counters": "status =counters.conv_busy =counters.fc_busy",
}


@dataclass(frozen=True)
class Probe:
    """A recorded signal: ``name``, its path below the top; ``bits``; ``values``: names of an enumeration's values;
    ``unit`` of the block diagram; ``busy``: "level" where the unit is busy while it is not 0, "change" where it is busy
    in a cycle that has another value than the one before, "" where it does not tell. ``place``: module and name in the
    Verilog."""

    name: str
    bits: int
    values: dict[int, str]
    unit: str
    busy: str
    place: tuple[str, str]


def find_probes(design: Design, units: Iterable[str]) -> tuple[Probe, ...]:
    """The signals of an accelerator that a session records: those of ``units`` that its Verilog has."""
    return tuple(found for unit in units for word in WANTED[unit].split() if (found := find_probe(design, unit, word)))


def find_probe(design: Design, unit: str, word: str) -> Probe | None:
    """A signal as `WANTED` has it; None where the Verilog does not have it, or it is too wide."""
    name = word.lstrip("=~")
    try:
        signal = find_signal(design.verilog, design.name, name)
    except ValueError:
        return None
    if signal.width > WIDEST:
        return None
    kind = {"=": LEVEL, "~": CHANGE}.get(word[0], "")
    return Probe(name, signal.width, signal.values, unit, kind, (signal.module, name.rpartition(".")[2]))
