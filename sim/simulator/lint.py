"""Verilator's lint of generated Verilog."""

import os
import shutil
import subprocess
from pathlib import Path

from fivebyfive.hw.codegen.verilog import Design
from fivebyfive.support.temporary import working_folder

from .simulators import HERE, find

__all__ = ["WAIVERS", "lint"]

WAIVERS = Path(__file__).with_name("waivers.vlt")


def lint(design: Design, waivers: Path | None = WAIVERS) -> list[str]:
    """What ``verilator --lint-only -Wall`` warns of, a line each, empty for clean Verilog.

    Raises UserError where Verilator is not installed.
    """
    simulator = find("verilator")
    with working_folder() as folder:
        design.write(folder)
        if waivers:
            shutil.copyfile(waivers, folder / WAIVERS.name)
        done = subprocess.run(
            [
                simulator.compiler,
                *("--lint-only", "-Wall", "--quiet", "--top-module", design.name),
                *([WAIVERS.name] if waivers else []),
                f"{design.name}.v",
            ],
            cwd=folder,
            env=os.environ | simulator.environment | HERE,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    lines = (done.stdout + done.stderr).splitlines()
    found = [line for line in lines if line.startswith("%")]
    return found or ([f"%Error: verilator ended with exit code {done.returncode}"] if done.returncode else [])
