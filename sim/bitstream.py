"""From a design to a bitstream for an ECP5 board: Yosys, nextpnr, ecppack, all of them from PyPI or from PATH."""

import importlib.util
import json
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path

from fivebyfive.hw.boards import TOP, Board, board_files
from fivebyfive.hw.verilog import Design
from fivebyfive.hw.yosys import YosysError, run_yosys
from fivebyfive.model.errors import UserError, how_it_ended
from fivebyfive.model.parts import PARTS
from fivebyfive.model.progress import Progress, silent
from fivebyfive.model.temporary import working_folder

from .nextpnr import PLACER, WHEEL, Routed, ToolFailed, find_nextpnr, read_report
from .process import call, last_lines
from .synthesis import FAMILIES, Area, area_of, count_cells

__all__ = ["Bitstream", "make_bitstream"]

LIMIT_S = 3600.0  # of one tool: place and route takes ten minutes, or gets stuck with an unlucky seed
TICK_S = 1.0
FAMILY = "ecp5"
NATIVE_PACK = "ecppack"
CHECKED = ("check -assert", "tee -o cells.json stat -json", f"write_json {TOP}.json")


@dataclass(frozen=True)
class Bitstream:
    """``data``: the file for the part. ``area``: of all of it, pins and clocks included. ``routed``: its timing, in the
    domain of the PLL's clock. ``seconds``: of each tool. ``log``: nextpnr's."""

    data: bytes
    area: Area
    routed: Routed
    seconds: dict[str, float]
    log: str


def make_bitstream(
    design: Design, board: Board, clock_hz: int, seed: int = 1, progress: Progress = silent
) -> Bitstream:
    """The bitstream of a design of `SerialAccelerator` on a board of an ECP5 part.

    Raises UserError where a tool is missing, the part is too small, or the clock is not met; ToolFailed where a tool
    fails.
    """
    tools = {"nextpnr": find_nextpnr(), "ecppack": find_ecppack()}
    seconds: dict[str, float] = {}
    with working_folder() as folder:
        design.write(folder)
        for name, text in board_files(board, design, clock_hz).items():
            (folder / name).write_text(text)
        with timed(seconds, "synthesis", progress):
            area = synthesize(design, board, folder)
        with timed(seconds, "place and route", progress):
            run_tool([*tools["nextpnr"], *nextpnr_options(board, seed)], folder, "nextpnr-ecp5", ", try another --seed")
        routed = read_report(json.loads((folder / "report.json").read_text()))
        check_clock(routed, board, clock_hz, seed)
        with timed(seconds, "ecppack", progress):
            files = ["--input", f"{TOP}.config", "--bit", f"{TOP}.bit"]
            run_tool([*tools["ecppack"], "--compress", *files], folder, "ecppack")
        log = (folder / "nextpnr-ecp5.log").read_text(errors="replace")
        return Bitstream((folder / f"{TOP}.bit").read_bytes(), area, routed, seconds, log)


def synthesize(design: Design, board: Board, folder: Path) -> Area:
    """Yosys; the area, if it fits the board's part."""
    try:
        # A memory whose write port nobody uses has a constant address there, and would become registers.
        read = [f"read_verilog -nomem2reg {design.name}.v", f"read_rtlil {TOP}.il"]
        run_yosys([*read, *FAMILIES[FAMILY].script(TOP, pads=True), *CHECKED], folder, LIMIT_S)
    except YosysError as error:
        raise ToolFailed(f"synthesis for {board.name}: {error}") from error
    area = area_of(count_cells((folder / "cells.json").read_text(), TOP), FAMILY)
    part = PARTS[board.part]
    used = {"lut": area.lut + area.lutram, "ff": area.ff, "dsp": area.dsp, "bram": area.bram}
    if missing := part.missing(used):
        wanting = ", ".join(f"{used[name]:g} of {getattr(part, name)} {name}" for name in missing)
        raise UserError(f"this network does not fit {board.name}: it takes {wanting}; take a smaller one")
    return area


def nextpnr_options(board: Board, seed: int) -> list[str]:
    return [
        "--json", f"{TOP}.json", "--lpf", f"{TOP}.lpf", "--textcfg", f"{TOP}.config", "--report", "report.json",
        f"--{PARTS[board.part].device}", "--package", board.package, "--speed", board.grade, "--seed", str(seed),
        "--placer", PLACER, "--timing-allow-fail",  # we look ourselves, and say it in a line
    ]  # fmt: skip


def check_clock(routed: Routed, board: Board, clock_hz: int, seed: int) -> None:
    """Raise UserError where the design is slower than its clock."""
    wanted = clock_hz / 1e6
    if routed.fmax_mhz < wanted:
        where = f", from {routed.path[0]} to {routed.path[-1]}" if routed.path else ""
        raise UserError(
            f"the clock is not met on {board.name}: {routed.fmax_mhz:g} MHz of {wanted:g} with seed {seed}{where}; "
            "nothing was written. Try another --seed or a slower --clock"
        )


def find_ecppack() -> list[str]:
    """The command. Raises UserError with the line that says how to get it."""
    if native := shutil.which(NATIVE_PACK):
        return [native]
    if importlib.util.find_spec(WHEEL):
        return [sys.executable, "-c", f"import {WHEEL} as n, sys; sys.exit(n.run_ecppack(sys.argv[1:]))"]
    raise UserError("a bitstream needs ecppack; install it: pip install 'fivebyfive[fpga]'")


def run_tool(command: Sequence[str], folder: Path, name: str, advice: str = "") -> None:
    """Run a tool in the folder. Raises ToolFailed with its last lines, and ``advice`` where it does not end."""
    log = folder / f"{name}.log"
    with log.open("w") as file:
        code = call(list(command), folder, dict(environ), file, LIMIT_S)
    if code != 0:
        why = f"did not end within {LIMIT_S:g} s{advice}" if code is None else how_it_ended(code)
        why += f" with exit code {code}" if code and code > 0 else ""
        raise ToolFailed("\n".join([f"{name} {why}:", *last_lines(log)]))


@contextmanager
def timed(seconds: dict[str, float], name: str, progress: Progress):
    """The time of a tool; progress is told every second meanwhile."""
    began = time.monotonic()
    done = threading.Event()

    def tell() -> None:
        while not done.wait(TICK_S):
            progress(0, 0, f"{name}, {time.monotonic() - began:.0f} s")

    teller = threading.Thread(target=tell, daemon=True)
    progress(0, 0, name)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
        seconds[name] = round(time.monotonic() - began, 1)


