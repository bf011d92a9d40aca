"""Yosys in a child process.

pyosys prints its log on standard output, ends the process on an error, and keeps global state: none of that
may happen in the process that prints a command's JSON.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fivebyfive.support.errors import Failure, how_it_ended
from fivebyfive.support.parent_death import bound_to_parent
from fivebyfive.support.safe_paths import safe_path

__all__ = ["YosysError", "run_yosys"]

ERROR_LINES = 8  # of the log, in the message of a failure


class YosysError(Failure, RuntimeError):
    """Yosys refused a script, or was killed; the message ends with the last lines of its log."""


def run_yosys(commands: Sequence[str], folder: Path, timeout_s: float = 3600) -> str:
    """Run Yosys commands, one pass each, with ``folder`` as working directory; the log, stderr included.

    File names in the commands are relative to ``folder``, so that no absolute path reaches what Yosys writes.
    Raises YosysError where a pass fails or ``timeout_s`` seconds pass.
    """
    # -P: keep this file's folder out of the import path: its modules have common names.
    command = [sys.executable, "-P", str(Path(__file__).resolve()), *package_folder()]
    try:
        done = subprocess.run(
            bound_to_parent(command),
            input="\n".join(commands),
            cwd=folder,
            # Files of a killed Yosys are deleted with the folder; ABC's scripts contain the path.
            env=os.environ | {"TMPDIR": str(safe_path(folder))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise YosysError(f"Yosys did not end within {timeout_s:g} s at: {'; '.join(commands)}") from error
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise YosysError("\n".join([f"Yosys {how_it_ended(done.returncode)}:", *lines[-ERROR_LINES:]]))
    return done.stdout


def package_folder() -> list[str]:
    """The folder with pyosys, by a path that a shell takes as it is: Yosys has one start ABC, which lies in there."""
    package = importlib.util.find_spec("pyosys")
    return [str(safe_path(package.origin).parent.parent)] if package and package.origin else []


def _child() -> None:
    sys.path[:0] = sys.argv[1:]
    from pyosys import libyosys

    design = libyosys.Design()
    for command in sys.stdin.read().splitlines():
        libyosys.run_pass(command, design)


if __name__ == "__main__":
    _child()
