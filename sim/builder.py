"""Compiling simulations, each once: results are kept in a cache folder, by a hash of all that goes in.

The contents of .mem files are no part of the hash: a simulation reads them when it runs.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools.config
from filelock import FileLock

from fivebyfive.hw.verilog import Design
from fivebyfive.model.errors import UserError
from fivebyfive.model.temporary import remove_left, temporary_folder

from . import commands
from .cache import CACHE_VARIABLE, UNUSED_S, cache_folder
from .process import SimulatorFailed, call, errors_in, last_lines
from .simulators import Simulator, find, first_line

__all__ = ["Build", "build"]

TIMEOUT_S = 1800  # of one compiler command
WORK = ".build."  # begins the names of folders where something is being compiled


@dataclass(frozen=True)
class Build:
    """A compiled simulation of ``design``, in ``folder``; ``trace`` is "fst" or "vcd" if it leaves waves; ``coverage``:
    whether it leaves coverage.dat."""

    design: Design
    simulator: Simulator
    folder: Path
    trace: str | None
    coverage: bool = False

    @property
    def waves(self) -> str | None:
        """Name of the waveform file that a run leaves in its folder."""
        return f"waves.{self.trace}" if self.trace else None


def build(
    design: Design, simulator: Simulator | str, *, waves: bool = False, coverage: bool = False
) -> Build:
    """Compile ``design``, or find it compiled; ``waves`` for runs that leave a waveform file, ``coverage`` for runs
    that leave coverage.dat (`fivebyfive.sim.coverage`; Verilator only).

    Two processes never compile the same at once, and a killed one leaves nothing that looks finished. Raises
    UserError where the simulator is missing or the cache cannot be written, SimulatorFailed where the design
    does not compile.
    """
    simulator = find(simulator) if isinstance(simulator, str) else simulator
    if coverage and simulator.name != "verilator":
        raise UserError(f"{simulator.name} cannot measure coverage; verilator can")
    trace = trace_format(simulator) if waves else None
    root = simulators_folder()
    folder = root / build_key(design, simulator, trace, coverage)
    remove_left(root, WORK)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            remove_unused(root)
            compile_into(folder, design, simulator, trace, coverage)
        os.utime(folder)
    return Build(design, simulator, folder, trace, coverage)


def simulators_folder() -> Path:
    """Where compiled simulations are kept (`cache_folder`). Raises UserError where make could not build there."""
    root = cache_folder("simulators")
    if any(character.isspace() for character in str(root)):
        raise UserError(f"the cache folder {root} has a space in it; set {CACHE_VARIABLE} to another folder")
    return root


def build_key(design: Design, simulator: Simulator, trace: str | None, coverage: bool) -> str:
    """Name of the folder of a build: a hash of all that goes into it."""
    parts = (
        design.name,
        design.verilog,
        commands.public_ports(design.name, design.ports),
        simulator.name,
        simulator.version,
        simulator.compiler,
        str(trace and f"{commands.UNFINISHED}.{trace}"),
        repr((commands.VERILATOR_FLAGS, commands.ICARUS_FLAGS, commands.MAKE_FLAGS, commands.TIMESCALE)),
        str(cocotb_tools.config.libs_dir),  # the compiled simulation loads cocotb's libraries from there
        platform.machine(),
        *coverage_parts(coverage),
    )
    return f"{simulator.name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}"


def coverage_parts(coverage: bool) -> tuple[str, ...]:
    """What coverage adds to what goes into a hash."""
    return (repr(commands.COVERAGE_FLAGS),) if coverage else ()


def trace_format(simulator: Simulator) -> str:
    """Format of waveform files: "fst", or "vcd" where Verilator's FST writer lacks the headers it needs."""
    if simulator.name == "icarus":
        return "fst"
    probe = subprocess.run(
        ["g++", "-E", "-x", "c++", "-", "-o", os.devnull],
        input="#include <lz4.h>\n#include <zlib.h>\n",
        text=True,
        capture_output=True,
        check=False,
    )
    return "fst" if probe.returncode == 0 else "vcd"


def compile_into(
    folder: Path, design: Design, simulator: Simulator, trace: str | None, coverage: bool
) -> None:
    """Compile beside ``folder`` and move what is needed to run there at the end."""
    with temporary_folder(folder.parent, WORK) as work:
        log = work / "build.log"
        source = work / f"{design.name}.v"
        source.write_text(design.verilog, encoding="ascii")
        plan = commands.plan_build(simulator, source, design.name, design.ports, trace, coverage)
        environment = plan.environment | {"TMPDIR": str(work)}  # what a killed compiler leaves goes with the folder
        for command in plan.commands:
            if command[0] == "make":
                shared = folder.parent / runtime_key(simulator, trace, coverage)
                copy_runtime(shared, work)
            with log.open("a") as file:
                print("fivebyfive:", *command, file=file, flush=True)
                code = call(command, work, environment, file, TIMEOUT_S)
            if code != 0:
                kept = Path(f"{folder}.failed.log")
                shutil.copyfile(log, kept)
                lines = errors_in(log) or last_lines(log)
                what = f"{simulator.name} cannot compile {design.name}:"
                raise SimulatorFailed("\n".join([what, *lines]), kept)
        if simulator.name == "verilator":
            keep_runtime(work, shared)
        result = work / "result"
        result.mkdir()
        for name in ("build.log", design.name if simulator.name == "verilator" else "sim.vvp"):
            os.replace(work / name, result / name)
        os.replace(result, folder)


def runtime_key(simulator: Simulator, trace: str | None, coverage: bool) -> str:
    """Name of the folder with the compiled runtime library of Verilator, the same for every design."""
    compiler = first_line("g++", {}, "sudo apt install --reinstall g++")
    flags = repr((commands.VERILATOR_FLAGS, commands.RUNTIME_FLAGS))
    parts = (simulator.version, simulator.compiler, str(trace), compiler, flags, *coverage_parts(coverage))
    return f"runtime-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}"


def copy_runtime(shared: Path, work: Path) -> None:
    """Spare make the runtime library, most of the time of a small design's build."""
    with suppress(FileNotFoundError):
        for path in shared.iterdir():
            shutil.copyfile(path, work / path.name)  # newer than the makefile, so make leaves it alone
        os.utime(shared)


def keep_runtime(work: Path, shared: Path) -> None:
    """Keep the runtime library's objects for the next build, unless another one was quicker."""
    objects = list(work.glob("verilated*.o"))
    if objects and not shared.is_dir():
        kept = work / "runtime"
        kept.mkdir()
        for path in objects:
            os.replace(path, kept / path.name)
        with suppress(OSError):
            os.replace(kept, shared)


def remove_unused(root: Path) -> None:
    """Remove builds that nobody used for a month, and what a killed build left."""
    for path in root.iterdir():
        with suppress(OSError):
            if path.is_dir() and time.time() - path.stat().st_mtime > UNUSED_S:
                shutil.rmtree(path)
