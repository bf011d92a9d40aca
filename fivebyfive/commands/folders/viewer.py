"""Which signals a person wants to see first in a waveform of the whole accelerator."""

from pathlib import Path

from fivebyfive.api import Accelerator
from fivebyfive.sim.benchlib.testbench import PERIOD_NS
from fivebyfive.sim.simulator.builder import build
from fivebyfive.sim.simulator.waves import SAVE_FILE, Trace, filter_file, find_signal, write_save_file

__all__ = ["GROUPS", "VIEW_FILES", "save_view"]

BEFORE = 100  # cycles in view before the marker

GROUPS: dict[str, list[Trace]] = {
    "pixels in": [
        Trace("clk", "bin"),
        Trace("i__valid", "bin"),
        Trace("i__ready", "bin"),
        Trace("i__payload"),
    ],
    "convolutions": [
        Trace("conv.controller.state"),
        Trace("conv.controller.layer", "dec"),
        Trace("conv.controller.group", "dec", "output channel group"),
        Trace("conv.controller.channel", "dec", "input channel"),
        Trace("conv.controller.go", "bin", "position taken"),
        Trace("conv_tap", "hex", "conv_tap {values, cell, group, layer, toggle}"),
    ],
    "fully-connected": [
        Trace("fc.busy", "bin"),
        Trace("fc.controller.layer", "dec"),
        Trace("fc.controller.address", "dec", "weight word"),
        Trace("fc_tap", "hex", "fc_tap {values, group, layer, toggle}"),
    ],
    "result out": [Trace("o__valid", "bin"), Trace("o__ready", "bin"), Trace("o__payload"), Trace("cycles")],
}
VIEW_FILES = (SAVE_FILE, *(filter_file(trace) for traces in GROUPS.values() for trace in traces))


def save_view(accelerator: Accelerator, simulator: str, folder: Path, cycle: int | None = None) -> Path:
    """Write the viewer's save file beside the waveform in ``folder``; its path.

    ``cycle``: where a marker stands, the view beginning shortly before it; None: no marker. A signal that this
    design does not have (a layer number where there is one layer) is left out.
    """
    design = accelerator.generated.design
    built = build(design, simulator, waves=True)  # compiled already: only looked up
    groups = {
        title: [trace for trace in traces if has(design.verilog, design.name, trace.signal)]
        for title, traces in GROUPS.items()
    }
    groups = {title: traces for title, traces in groups.items() if traces}  # a network may have no convolutions
    if cycle is None:
        return write_save_file(folder, built, groups)
    start = max(0, cycle - BEFORE) * PERIOD_NS
    return write_save_file(folder, built, groups, start_ns=start, marker_ns=cycle * PERIOD_NS)


def has(verilog: str, top: str, signal: str) -> bool:
    try:
        find_signal(verilog, top, signal)
    except ValueError:
        return False
    return True
