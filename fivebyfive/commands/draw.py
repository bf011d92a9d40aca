"""The pictures of draw: the block diagram of an accelerator, and a timing diagram of a waveform."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import click

from fivebyfive.hw.conv.conv_controller import ConvState
from fivebyfive.hw.generate import TOP
from fivebyfive.model.checkpoint import load_checkpoint
from fivebyfive.model.machine.sizing import Size
from fivebyfive.output.block_diagram import blocks, draw_diagram
from fivebyfive.output.drawing import check_picture
from fivebyfive.output.paths import check_file
from fivebyfive.output.report import console
from fivebyfive.output.terminal import Stage
from fivebyfive.output.timing_diagram import draw_timing
from fivebyfive.output.wave_file import Wanted, read_waves
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import read_limited

from .folders.viewer import GROUPS

__all__ = ["WavesRequest", "run_diagram", "run_waves"]

CLOCK = "clk"
FIRST_TRANSFER = "i__valid"
LEFT_OUT = (CLOCK, "cycles")  # of what the viewer shows first
STATE = "conv.controller.state"
BRIEF_BITS = 4  # of a state of at most two convolutions
ENUM = re.compile(r'\(\* enum_base_type = "ConvState" \*\)\s*((?:\(\* enum_value_\w+ = "\w+" \*\)\s*)+)')
VALUE = re.compile(r'enum_value_([01]+) = "(\w+)"')
MAX_VERILOG = 256 << 20  # bytes


@dataclass(frozen=True)
class WavesRequest:
    """What `fivebyfive draw waves` was asked for, as it was written."""

    waves: Path
    out: Path
    signals: tuple[str, ...]
    clock: str
    first: int | None
    when: str | None
    cycles: int


def run_diagram(path: Path, out: Path, size: Size, as_json: bool) -> None:
    """Draw the block diagram of the accelerator for a checkpoint."""
    checkpoint = load_checkpoint(path)
    config = size.config(checkpoint)
    check_picture(out)
    check_file(out, [path])
    draw_diagram(out, path.name, checkpoint.network, config)
    if as_json:
        found = blocks(checkpoint.network, config).values()
        written = {"checkpoint": path.name, "network": checkpoint.summary, "out": str(out)}
        click.echo(json.dumps(written | {"blocks": {one.title: list(one.lines) for one in found}}))
    else:
        about = f"{checkpoint.summary} of {shown(path.name)}, {config.multipliers:,} products a cycle"
        console().print(f"block diagram of {about}: {shown(out)}")


def run_waves(request: WavesRequest, as_json: bool) -> None:
    """Draw what signals do in some cycles of a waveform."""
    path, out = wave_file(request.waves), request.out
    wanted = [Wanted.parse(text) for text in request.signals] or first_signals()
    check_picture(out)
    check_file(out, [path])
    asked = request.first is not None or request.when is not None
    with Stage("reading the waveform"):
        signals, samples = read_waves(
            path, wanted, request.clock, first=request.first, when=request.when if asked else FIRST_TRANSFER,
            count=request.cycles, signals_optional=not request.signals, when_optional=not asked,
        )  # fmt: skip
    last = samples.first + len(samples.values[0]) - 1
    title = f"{path.name}, cycles {samples.first:,} to {last:,}"
    names = {
        number: state_names(path, len(samples.values[number][0]))
        for number, one in enumerate(signals)
        if one.name == STATE
    }
    draw_timing(out, title, signals, samples, names)
    if as_json:
        found = {one.label or one.name: bits for one, bits in zip(signals, samples.values, strict=True)}
        written = {"waves": str(path), "out": str(out), "first": samples.first, "last": last}
        click.echo(json.dumps(written | {"signals": found}))
    else:
        console().print(f"{len(signals)} signals of {shown(title)}: {shown(out)}")


def state_names(waves: Path, bits: int) -> dict[int, str]:
    """Names of the conv controller's states, as the Verilog beside the waveform has them; without it those of two
    convolutions, if they have so many ``bits``."""
    try:
        text = read_limited(waves.with_name(f"{TOP}.v"), MAX_VERILOG, "Verilog").decode("ascii", "replace")
    except UserError:
        text = ""
    if found := ENUM.search(text):
        return {int(value, 2): name for value, name in VALUE.findall(found[1])}
    return {state.value: state.name for state in ConvState.__members__.values()} if bits == BRIEF_BITS else {}


def wave_file(given: Path) -> Path:
    """The waveform itself, or the newer one in a folder that `simulate --waves` filled."""
    if not os.path.isdir(given):
        return given
    found = [path for path in (given / "waves.vcd", given / "waves.fst") if path.is_file()]
    if not found:
        raise UserError(f"there is no waves.vcd or waves.fst in {given}; make one with: fivebyfive simulate --waves")
    return max(found, key=lambda path: path.stat().st_mtime)


def first_signals() -> list[Wanted]:
    """Those that GTKWave's save file opens, but for the clock, which is always drawn."""
    traces = [trace for group in GROUPS.values() for trace in group if trace.signal not in LEFT_OUT]
    return [Wanted(trace.signal, None, trace.format, trace.signal) for trace in traces]
