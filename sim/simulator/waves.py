"""A save file that opens GTKWave on the interesting signals of a waveform, states with their names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vcd.gtkw import GTKWSave, make_translation_filter

from fivebyfive.support.files import replacing

from .builder import Build

__all__ = ["SAVE_FILE", "Trace", "filter_file", "find_signal", "write_save_file"]

SAVE_FILE = "waves.gtkw"
PS_PER_NS = 1000  # the time unit of a waveform


@dataclass(frozen=True)
class Trace:
    """A line of the viewer: ``signal`` below the top ("conv.controller.state"), ``format`` as GTKWave's.

    ``format`` is "hex", "dec", "signed" or "bin"; ``alias`` a name to show instead.
    """

    signal: str
    format: str = "hex"
    alias: str | None = None


@dataclass(frozen=True)
class Signal:
    """What the Verilog says of a signal: width in bits, the names of an enumeration's values, and its module."""

    width: int
    values: dict[int, str]
    module: str


def write_save_file(
    folder: Path,
    build: Build,
    groups: Mapping[str, Sequence[Trace | str]],
    *,
    start_ns: float = 0,
    marker_ns: float | None = None,
) -> Path:
    """Write ``waves.gtkw`` beside the waveform file of ``build`` in ``folder``; its path.

    ``groups``: title to traces, a plain name for one in hexadecimal. The view starts at ``start_ns``; a
    marker stands at ``marker_ns``. Names are relative, so the folder may be moved; open it with ``gtkwave
    waves.gtkw`` in the folder. Raises ValueError for a build without waves or a signal that the Verilog does
    not have.
    """
    if build.waves is None:
        raise ValueError("this simulation was built without waves")
    path = folder / SAVE_FILE
    with replacing(path, "w") as file:
        save = GTKWSave(file)
        save.dumpfile(build.waves, abspath=False)
        save.timestart(round(start_ns * PS_PER_NS))
        save.zoom_markers(-17.0, -1 if marker_ns is None else round(marker_ns * PS_PER_NS))
        for title, traces in groups.items():
            with save.group(title):
                for trace in traces:
                    add(save, folder, build, Trace(trace) if isinstance(trace, str) else trace)
    return path


def add(save: GTKWSave, folder: Path, build: Build, trace: Trace) -> None:
    """One trace, with a filter file where its values have names."""
    signal = find_signal(build.design.verilog, build.design.name, trace.signal)
    suffix = f"[{signal.width - 1}:0]" if signal.width > 1 else ""
    names = None
    if signal.values:
        names = filter_file(trace)
        text = make_translation_filter(sorted(signal.values.items()), "hex", signal.width)
        (folder / names).write_text(text)
    save.trace(
        f"{build.design.name}.{trace.signal}{suffix}",
        alias=trace.alias,
        datafmt="hex" if names else trace.format,
        translate_filter_file=names,
    )


def filter_file(trace: Trace) -> str:
    """Name of the file that has the names of a trace's values."""
    return f"{trace.signal}.filter"


def find_signal(verilog: str, top: str, path: str) -> Signal:
    """The signal at a dotted path below module ``top``. Raises ValueError where there is none."""
    module = top
    *instances, name = path.split(".")
    for instance in instances:
        found = re.search(rf"^  (\w+) {re.escape(instance)} \($", body_of(verilog, module), re.M)
        if found is None:
            raise ValueError(f"no instance {instance} in module {module} (on the way to {path})")
        module = found[1]
    declaration = rf"^((?:  \(\*.*\*\)\n)*)  (?:input|output|wire|reg) (?:signed )?(?:\[(\d+):0\] )?{name}\b"
    found = re.search(declaration, body_of(verilog, module), re.M)
    if found is None:
        raise ValueError(f"no signal {name} in module {module} (for {path})")
    values = re.findall(r'enum_value_([01]+) = "(\w+)"', found[1])
    return Signal(int(found[2] or 0) + 1, {int(bits, 2): text for bits, text in values}, module)


def body_of(verilog: str, module: str) -> str:
    found = re.search(rf"^module {re.escape(module)}\(.*?^endmodule", verilog, re.M | re.S)
    if found is None:
        raise ValueError(f"no module {module}")
    return found[0]
