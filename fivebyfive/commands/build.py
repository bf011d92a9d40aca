"""The command build: a checkpoint becomes a bitstream for a board, or the files from which Vivado makes one."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.estimates.parts import PARTS
from fivebyfive.model.machine.config import Config
from fivebyfive.output.measurement_tables import BRAM_NAMES, DSP_NAMES
from fivebyfive.output.paths import check_folder
from fivebyfive.output.report import console, table
from fivebyfive.output.terminal import Stage, program, quoted
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.files import replacing_folder
from fivebyfive.support.ownership import GENERATOR, manifest_text
from fivebyfive.support.temporary import working_folder

if TYPE_CHECKING:
    from fivebyfive.hw.codegen.verilog import Design
    from fivebyfive.hw.serial.boards import Board

__all__ = ["BuildRequest", "run_build"]

REPORT = "build.json"
VIVADO_README = """\
{network} behind a serial line, for {board} at {clock_mhz:g} MHz; written by fivebyfive build.

In this folder:  vivado -mode batch -source top.tcl  makes top.bit. Then: fivebyfive classify --port PORT IMAGE...

Vivado was not run on these files: Yosys reads the Verilog, and pins and clocks are those of
amaranth-boards. Look at top_timing.rpt before you trust the bitstream.
"""


@dataclass(frozen=True)
class BuildRequest:
    """``source``: name of the checkpoint's file. ``seed``: of place and route; several are tried if None. ``out``: the
    folder to make; ``force``: over files that were edited."""

    checkpoint: Checkpoint
    source: str
    board: str
    config: Config
    clock_mhz: float
    seed: int | None
    out: Path
    force: bool = False


def run_build(request: BuildRequest, as_json: bool) -> None:
    """Carry a request out and report on it.

    Raises UserError where the board, the clock or the folder cannot be used, or the clock is not met; ToolFailed where
    a tool fails. Then nothing is written.
    """
    from fivebyfive.hw.codegen.verilog import to_verilog
    from fivebyfive.hw.serial.boards import find_board
    from fivebyfive.hw.serial.serial_accelerator import SerialAccelerator
    from fivebyfive.sim.fpga.bitstream import FLOWS

    board = find_board(request.board)
    clock_hz = round(request.clock_mhz * 1e6)
    try:
        divisor = board.divisor(clock_hz)
    except ValueError as error:
        raise UserError(f"--clock: {error}") from error
    check_folder(request.out, request.force, REPORT)
    with Stage("generating Verilog") as stage:
        stage(0, 0, "generating Verilog")
        design = to_verilog(SerialAccelerator(request.checkpoint, request.config, divisor), "serial_lenet")
        report = {
            "board": board.name, "part": board.part, "grade": board.grade, "clock_mhz": clock_hz / 1e6,
            "baud": clock_hz // divisor, "checkpoint": request.source, "network": request.checkpoint.summary,
            "sha256": request.checkpoint.digest, "config": request.config.plain,
        }  # fmt: skip
        if PARTS[board.part].family in FLOWS:
            files, found = open_flow(design, board, clock_hz, request.seed, stage)
        else:
            files, found = vivado_flow(design, board, clock_hz, report)
    report |= found
    write(request, files, report)
    report["files"] = [str(request.out / name) for name in (*files, REPORT)]
    if as_json:
        print(json.dumps(report))
    else:
        show(report)


def open_flow(
    design: "Design", board: "Board", clock_hz: int, seed: int | None, stage: Stage
) -> tuple[dict[str, bytes], dict]:
    """Yosys, nextpnr, and what packs a bitstream: the files, and what there is to tell of them."""
    from fivebyfive.sim.fpga.bitstream import FLOWS, SEEDS, make_bitstream

    made = make_bitstream(design, board, clock_hz, SEEDS if seed is None else [seed], stage)
    part = PARTS[board.part]
    area = {name: getattr(made.area, name) for name in ("lut", "lutram", "ff", "dsp", "bram")}
    used = area | {"lut": made.area.lut + made.area.lutram}
    found = {
        "seed": made.seed, "fmax_mhz": made.routed.fmax_mhz, "path": made.routed.path, "area": area,
        "percent": {name: round(value, 1) for name, value in part.percent(used).items()},
        "multipliers_of_luts": made.of_luts, "bytes": len(made.data), "seconds": made.seconds,
    }  # fmt: skip
    return {f"{board.name}{FLOWS[part.family].suffix}": made.data, "nextpnr.log": made.log.encode()}, found


def vivado_flow(design: "Design", board: "Board", clock_hz: int, report: dict) -> tuple[dict[str, bytes], dict]:
    """What Vivado needs."""
    from fivebyfive.hw.codegen.verilog import YOSYS
    from fivebyfive.hw.codegen.yosys import run_yosys
    from fivebyfive.hw.serial.boards import board_files

    texts = {f"{design.name}.v": design.verilog} | design.memories
    around = board_files(board, design, clock_hz)
    with working_folder() as place:
        (place / "design.il").write_text(around.pop("top.il"))
        run_yosys(YOSYS, place)
        texts["top.v"] = (place / "design.v").read_text()
    texts |= around | {"README.md": VIVADO_README.format(**report)}
    return {name: text.encode() for name, text in texts.items()}, {"next": "vivado -mode batch -source top.tcl"}


def write(request: BuildRequest, files: dict[str, bytes], report: dict) -> None:
    """Replace the folder by one with these files and the report, which records them."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    text = manifest_text({"generator": GENERATOR} | report | {"files": digests})
    with replacing_folder(request.out, REPORT, request.force) as new:
        for name, data in files.items():
            (new / name).write_bytes(data)
        (new / REPORT).write_text(text)


def show(report: dict) -> None:
    """Timing, area and files, for people."""
    out = console()
    where = f"{report['board']} at {report['clock_mhz']:g} MHz"
    out.print(f"{report['network']} on {where}, serial line of {report['baud']:,} bits a second")
    if "area" in report:
        area, percent = report["area"], report["percent"]
        rows = table("<what", "used", "% of the part")
        rows.add_row("LUT", f"{area['lut']:,}", "")
        rows.add_row("LUT as RAM", f"{area['lutram']:,}", f"{percent['lut']:.0f} (with LUT)")
        family = PARTS[report["part"]].family
        for name, text in (("ff", "FF"), ("dsp", DSP_NAMES[family]), ("bram", BRAM_NAMES[family])):
            rows.add_row(text, f"{area[name]:,.0f}", f"{percent[name]:.0f}")
        out.print(rows)
        if report["multipliers_of_luts"]:
            out.print(f"multipliers made of LUTs, as the part has no more DSP blocks: {report['multipliers_of_luts']}")
        if family == "gowin":
            out.print("nextpnr has no delays of Gowin's multipliers: the clock is met as far as it knows")
        out.print(f"clock met: {report['fmax_mhz']:g} MHz of {report['clock_mhz']:g}, seed {report['seed']}")
        out.print(", ".join(f"{name} {seconds:.0f} s" for name, seconds in report["seconds"].items()))
    out.print("\n".join(["", *map(shown, report["files"])]))
    if "next" in report:
        out.print(f"\nNext, in that folder: {report['next']}")
    else:
        from fivebyfive.hw.serial.boards import find_board

        load = find_board(report["board"]).load.format(quoted(Path(report["files"][0])))
        out.print(f"\nNext: {load}; {program()} classify --port PORT IMAGE...")
