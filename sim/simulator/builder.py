"""Compiling simulations, each once: results are kept in a cache folder, by a hash of all that goes in.

The contents of .mem files are no part of the hash: a simulation reads them when it runs. What is kept has a list of its
files' digests (`digests`); what does not agree with that is dropped and made again.
"""

import errno
import hashlib
import importlib.metadata
import logging
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from fivebyfive.hw.codegen.verilog import Design
from fivebyfive.support.errors import EXHAUSTED, UserError
from fivebyfive.support.progress import Progress, silent
from fivebyfive.support.temporary import remove_left, temporary_folder

from . import commands
from .cache import CACHE_VARIABLE, UNUSED_S, cache_folder
from .commands import Variant
from .digests import intact, seal
from .process import SimulatorFailed, call, errors_in, last_lines
from .simulators import Simulator, find, first_line

__all__ = ["Build", "build"]

TIMEOUT_S = 1800  # of one compiler command
LOG = "build.log"
WAIT_S = 0.5  # between two words of a process that waits for another one's build
WORK = ".build."  # begins the names of folders where something is being compiled
RUNTIME = ("verilated*.o", f"{commands.HEADER}.gch")  # Verilator's runtime library, compiled
FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))  # as compilers have it, in LC_ALL=C

logger = logging.getLogger("fivebyfive")


@dataclass(frozen=True)
class Build:
    """A compiled simulation of ``design``, in ``folder``; ``trace`` is "fst" or "vcd" if it leaves waves."""

    design: Design
    simulator: Simulator
    folder: Path
    trace: str | None

    @property
    def waves(self) -> str | None:
        """Name of the waveform file that a run leaves in its folder."""
        return f"waves.{self.trace}" if self.trace else None


def build(
    design: Design,
    simulator: Simulator | str,
    *,
    waves: bool = False,
    coverage: bool = False,
    probes: tuple[tuple[str, str], ...] | None = None,
    progress: Progress = silent,
) -> Build:
    """Compile ``design``, or find it compiled; ``waves`` for runs that leave a waveform file, ``coverage`` for runs
    that leave coverage.dat (`fivebyfive.sim.quality.coverage`; Verilator only), ``probes`` for a session
    (`commands.Variant`; Verilator only). ``progress`` is called while it is compiled.

    Two processes never compile the same at once, and a killed one leaves nothing that looks finished. Raises
    UserError where the simulator is missing or the cache cannot be written, SimulatorFailed where the design
    does not compile.
    """  # fmt: skip
    simulator = find(simulator) if isinstance(simulator, str) else simulator
    if coverage and simulator.name != "verilator":
        raise UserError(f"{simulator.name} cannot measure coverage; verilator can")
    variant = Variant(trace_format(simulator) if waves else None, coverage, probes)
    root = cache_folder("simulators")
    folder = root / build_key(design, simulator, variant)
    with cache_errors(root):
        remove_left(root, WORK)
        with locked(Path(f"{folder}.lock"), progress, f"waiting for another process that compiles {design.name}"):
            if not intact(folder):
                remove_unused(root)
                compile_into(folder, design, simulator, variant, progress)
            os.utime(folder)
    return Build(design, simulator, folder, variant.trace)


@contextmanager
def cache_errors(root: Path) -> Iterator[None]:
    """The line that a user reads where the cache cannot be written, such as on a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        raise cannot_write(root, error.strerror or str(error)) from error


def cannot_write(root: Path, reason: str) -> UserError:
    return UserError(f"cannot write the cache folder {root}: {reason}; set {CACHE_VARIABLE} to another folder")


@contextmanager
def locked(path: Path, progress: Progress, text: str) -> Iterator[None]:
    """Hold a lock that other processes may have; progress is reported while they do."""
    lock = FileLock(path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=WAIT_S)
        except Timeout:
            progress(0, 0, text)
    try:
        yield
    finally:
        lock.release()


def build_key(design: Design, simulator: Simulator, variant: Variant) -> str:
    """Name of the folder of a build: a hash of all that goes into it."""
    parts = (
        design.name,
        design.verilog,
        commands.public_ports(design.name, design.ports),
        simulator.name,
        simulator.version,
        repr((commands.VERILATOR_FLAGS, commands.ICARUS_FLAGS, commands.MAKE_FLAGS, commands.TIMESCALE)),
        importlib.metadata.version("cocotb"),  # its main program and its libraries
        platform.machine(),
        *variant.parts,
    )
    return f"{simulator.name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}"


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


def compile_into(folder: Path, design: Design, simulator: Simulator, variant: Variant, progress: Progress) -> None:
    """Compile beside ``folder`` and move what is needed to run there at the end, in place of what is there."""
    with temporary_folder(folder.parent, WORK) as work, ExitStack() as held:
        plan = commands.plan_build(simulator, work, design, variant)
        for command in plan.commands:
            if command[0] == "make":
                shared = folder.parent / runtime_key(simulator, variant)
                if not shared.is_dir():  # one process compiles it, others wait
                    waiting = "waiting for another process that compiles Verilator's runtime"
                    held.enter_context(locked(Path(f"{shared}.lock"), progress, waiting))
                copy_runtime(shared, work)
            if run_compiler(command, work, plan.environment, simulator.name, progress) != 0:
                raise failure(folder, work / LOG, f"{simulator.name} cannot compile {design.name}:")
        if simulator.name == "verilator":
            keep_runtime(work, shared)
        result = work / "result"
        result.mkdir()
        for name in (LOG, design.name if simulator.name == "verilator" else "sim.vvp"):
            os.replace(work / name, result / name)
        seal(result)
        drop_damaged(folder, work)
        os.replace(result, folder)


def run_compiler(
    command: list[str], work: Path, environment: dict[str, str], name: str, progress: Progress
) -> int | None:
    """Run a command in ``work``, with the log there; its exit code, None after a timeout."""
    began = time.monotonic()

    def tell() -> None:
        progress(0, 0, f"compiling with {name}, once for each design, {time.monotonic() - began:.0f} s")

    with (work / LOG).open("a") as file:
        print("fivebyfive:", *command, file=file, flush=True)
        return call(command, work, environment, file, TIMEOUT_S, tell)


def failure(folder: Path, log: Path, what: str) -> UserError | SimulatorFailed:
    """Why the build of ``folder`` failed; ``what`` begins the message. The log is kept beside the folder."""
    text = log.read_text(errors="replace")
    if full := next((reason for reason in FULL if reason in text), None):
        return cannot_write(folder.parent, full)
    kept = Path(f"{folder}.failed.log")
    shutil.copyfile(log, kept)
    said = errors_in(log) or last_lines(log)
    return SimulatorFailed("\n".join([what, *(f"  {line}" for line in said)]), kept)


def drop_damaged(folder: Path, work: Path) -> None:
    """Move what is in the place of a result, if anything, to where it goes with the working folder."""
    with suppress(FileNotFoundError):
        os.replace(folder, work / f"damaged-{folder.name}")
        logger.warning("%s was damaged; it is made again", folder)


def runtime_key(simulator: Simulator, variant: Variant) -> str:
    """Name of the folder with the compiled runtime library of Verilator, the same for every design."""
    compiler = first_line("g++", {}, "sudo apt install --reinstall g++")
    flags = repr((commands.VERILATOR_FLAGS, variant.flags, commands.MAKE_FLAGS))
    parts = (simulator.version, compiler, flags, platform.machine())
    return f"runtime-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}"


def copy_runtime(shared: Path, work: Path) -> None:
    """Spare make the runtime library, most of the time of a small design's build: the objects are newer than the
    makefile, so make leaves them alone. What is checked is the copy: nobody can change that any more."""
    if not shared.is_dir():
        return
    with temporary_folder(work, WORK) as copy:
        with suppress(FileNotFoundError):  # another process found it damaged, too
            for path in shared.iterdir():
                shutil.copyfile(path, copy / path.name)
            os.utime(shared)
        if not intact(copy):
            return drop_damaged(shared, work)
        for path in runtime_files(copy):
            os.replace(path, work / path.name)


def runtime_files(folder: Path) -> list[Path]:
    """What of a build's folder is the same for every design."""
    return [path for pattern in RUNTIME for path in folder.glob(pattern)]


def keep_runtime(work: Path, shared: Path) -> None:
    """Keep the compiled runtime library for the next build, unless another one was quicker."""
    files = runtime_files(work)
    if files and not shared.is_dir():
        kept = work / "runtime"
        kept.mkdir()
        for path in files:
            os.replace(path, kept / path.name)
        seal(kept)
        with suppress(OSError):
            os.replace(kept, shared)


def remove_unused(root: Path) -> None:
    """Remove builds that nobody used for a month, and what a killed build left."""
    for path in root.iterdir():
        with suppress(OSError):
            if path.is_dir() and time.time() - path.stat().st_mtime > UNUSED_S:
                shutil.rmtree(path)
