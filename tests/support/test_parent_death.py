"""A command ends with the process that started it, and is otherwise as if it were started without a guard."""

import subprocess
import sys
import time
from pathlib import Path

from fivebyfive.support import parent_death
from fivebyfive.support.parent_death import bound_to_parent


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(bound_to_parent(command), input="in", capture_output=True, text=True, timeout=60, check=False)


def test_streams_and_exit_code_are_the_commands() -> None:
    done = run("sh", "-c", "cat; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode) == ("in", "err\n", 3)


def test_a_command_that_does_not_exist() -> None:
    done = run("no-such-command")
    assert (done.returncode, done.stderr) == (parent_death.CANNOT_START, "no-such-command: No such file or directory\n")


def test_a_closed_pipe_ends_a_command_as_usual() -> None:
    """Python ignores the signal, and a command would inherit that: `yes` then complains instead of ending."""
    done = run("sh", "-c", "yes | head -1")
    assert (done.stdout, done.stderr) == ("y\n", "")


def test_a_command_ends_with_its_starter_that_is_killed() -> None:
    code = (
        "import subprocess, time\nfrom fivebyfive.support.parent_death import bound_to_parent\n"
        "print(subprocess.Popen(bound_to_parent(['sleep', '600'])).pid, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        while not Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"sleep\0"):  # it is Python's as yet
            time.sleep(0.01)
        process.kill()
    end = time.monotonic() + 20
    while lives(child):
        assert time.monotonic() < end, "it lives on"
        time.sleep(0.01)


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_starter_that_was_killed_too_early() -> None:
    command = [sys.executable, parent_death.__file__, "1", "echo", "no"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (parent_death.CANNOT_START, b"")
