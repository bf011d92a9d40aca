"""One exit code, one meaning: what a command ends with, and what it says then."""

import importlib
import json
import os
import pkgutil
import resource
import signal
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape

import click
import click.testing
import numpy as np
import pytest

from fivebyfive import verify
from fivebyfive.host.board import LinkFailed, WrongVersion
from fivebyfive.hw.codegen.yosys import YosysError, run_yosys
from fivebyfive.model.machine.config import Config
from fivebyfive.output.terminal import ASK, Commands
from fivebyfive.sim.fpga.nextpnr import ToolFailed
from fivebyfive.sim.jobs import workers
from fivebyfive.sim.jobs.measurement_jobs import Synthesis
from fivebyfive.sim.jobs.workers import LocalPool, run_jobs
from fivebyfive.sim.simulator.process import RtlDiffers, SimulationFailed, SimulatorFailed
from fivebyfive.sim.simulator.runner import check_results
from fivebyfive.support.errors import Defect, UserError
from fivebyfive.verify.images import result

from .conftest import one_line, python_m

COMMAND = ("measure", "--estimate")  # quick, and prints a table


def no_memory() -> Exception:
    """What NumPy raises."""
    try:
        np.empty(1 << 62, np.uint8)
    except MemoryError as error:
        return error
    raise AssertionError


ENDS = {
    "a user's mistake": (UserError("no such file"), 2),
    "a tool": (ToolFailed("nextpnr failed:\nERROR: no room"), 2),
    "Yosys": (YosysError("Yosys failed:\nERROR: no"), 2),
    "a simulator": (SimulatorFailed("verilator cannot compile lenet:", Path("log")), 2),
    "a hang": (SimulationFailed("failed with seed 1:", Path("log")), 1),
    "a difference": (RtlDiffers("image 0, layer fc2"), 1),
    "a silent board": (LinkFailed("no answer came"), 1),
    "another bitstream": (WrongVersion("the board speaks version 9"), 2),
    "memory": (MemoryError(), 2),
    "NumPy's memory": (no_memory(), 2),
    "PyTorch's memory": (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), 2),
    "threads": (RuntimeError("can't start new thread"), 2),
    "a library": (ImportError("libz.so.1: cannot open shared object file", name="zlib"), 2),
    "a disk": (OSError(28, "No space left on device", "/mnt/x"), 2),
    "open files": (OSError(24, "Too many open files"), 2),
    "an interruption": (KeyboardInterrupt(), 130),
    "a key": (KeyError("x"), 70),
    "recursion": (RecursionError("maximum recursion depth exceeded"), 70),
    "an import of ours": (ImportError("cannot import name", name="fivebyfive.sim"), 70),
    "a process of ours": (Defect("training: its process ended 3 times\nKeyError: 'x'"), 70),
    "no characters": (UnicodeEncodeError("ascii", "ü", 0, 1, "no"), 70),
}


def end(raised: BaseException) -> click.testing.Result:
    """What becomes of a command that raises this."""

    @click.group(cls=Commands, invoke_without_command=True)
    def group() -> None:
        raise raised

    return click.testing.CliRunner().invoke(group, [])


@pytest.mark.parametrize("name", ENDS)
def test_what_a_command_raises_has_its_exit_code(name: str) -> None:
    raised, code = ENDS[name]
    ended = end(raised)
    assert ended.exit_code == code, ended.output
    assert ended.stdout == ""
    said = ended.stderr.splitlines()
    assert said[-1 if code == 70 else 0].startswith("error: ") or said[-1] == ASK
    asks = ASK in ended.stderr
    assert asks == (code == 70)
    assert ("Traceback" in ended.stderr) == (code == 70 and not isinstance(raised, Defect))


def test_each_program_of_a_check_ends_so() -> None:
    """A line for what it cannot do, not a traceback: of every one that has options."""
    modules = [
        importlib.import_module(f"{verify.__name__}.{one.name}") for one in pkgutil.iter_modules(verify.__path__)
    ]
    programs = {module.__name__: module.main for module in modules if hasattr(module, "main")}
    assert len(programs) > 8
    assert [name for name, program in programs.items() if not isinstance(program, Commands)] == []


def test_memory_that_ran_out_is_said() -> None:
    assert one_line(end(MemoryError()).stderr).startswith("error: the memory ran out; ")


# Standard output.


def closed_pipe() -> int:
    """A pipe to write to whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("words", [("--help",), COMMAND, (*COMMAND, "--json")], ids=" ".join)
def test_a_closed_pipe_ends_it_silently(words: tuple, encoding: str) -> None:
    writer = closed_pipe()
    command = [sys.executable, "-m", "fivebyfive", *words]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment, timeout=300, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_reader_that_takes_one_line(small: Path, few_digits: Path) -> None:
    """As with ``evaluate | head -1``."""
    words = " ".join([sys.executable, "-m", "fivebyfive", "evaluate", str(small), "--data", str(few_digits)])
    line = f"{words} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 141), done.stderr  # it may have written all before
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def shell(redirections: str, *words: str, **environment: str) -> subprocess.CompletedProcess:
    line = f'exec "$0" -m fivebyfive {" ".join(words)} {redirections}'
    command = ["bash", "-c", line, sys.executable]
    environment = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


def test_a_closed_standard_output_is_refused_before_the_work() -> None:
    done = shell(">&-", *COMMAND)
    assert done.returncode == 2
    assert one_line(done.stderr) == "error: cannot write standard output: it is closed."


def test_a_closed_standard_error_is_done_without() -> None:
    """A file that is written does not get its number, and its words."""
    done = shell("2>&- <&-", *COMMAND, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["estimated"]
    assert shell("2>&-", "measure", "--part", "nowhere").returncode == 2


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("option", ["", "--json", "--help"])
def test_a_full_standard_output(option: str, encoding: str) -> None:
    done = shell("> /dev/full", *COMMAND, option, PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert "No space left on device" in one_line(done.stderr)


def test_a_full_standard_error_changes_no_exit_code() -> None:
    assert shell("2> /dev/full", "measure", "--part", "nowhere").returncode == 2


# Memory.


@pytest.mark.parametrize("megabytes", [40, 120, 300])
def test_too_little_memory(megabytes: int, small: Path) -> None:
    """To start; to load NumPy, where OpenBLAS would end the process with 1; to work."""
    limit = megabytes << 20
    done = python_m("evaluate", small, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert done.returncode == 2, done.stderr
    assert "memory" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_yosys_that_is_killed_is_a_tool_that_failed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("fivebyfive.hw.codegen.yosys.bound_to_parent", lambda command: ["bash", "-c", "kill -9 $$"])
    with pytest.raises(YosysError, match=r"^Yosys was killed by SIGKILL, perhaps as memory ran out,:") as caught:
        run_yosys(["proc"], tmp_path)
    assert caught.value.exit_code == 2


# What a simulation's end means.

CASE = '<testsuites><testsuite><testcase name="images">{}</testcase></testsuite></testsuites>'


def failing(kind: str, message: str) -> str:
    return CASE.format(f'<failure type="{kind}" message="{escape(message)}"/>')


@pytest.mark.parametrize(
    ("code", "log", "results", "kind", "said"),
    [
        (None, "", None, SimulationFailed, "did not end within 5 s"),
        (0, "", failing("AssertionError", "nothing for 9 cycles"), SimulationFailed, "nothing for 9 cycles"),
        (0, "", failing("MemoryError", ""), SimulatorFailed, "images"),
        (0, "", failing("OSError", "No space left on device"), SimulatorFailed, "No space left"),
        (0, "fivebyfive: cannot open a.mem", None, SimulatorFailed, "cannot open a.mem"),
        (-signal.SIGKILL, "", None, SimulatorFailed, "was killed by SIGKILL"),
        (-signal.SIGSEGV, "", None, SimulatorFailed, "was killed by SIGSEGV"),
        (1, "", None, SimulatorFailed, "exit code 1"),
        (0, "", CASE.format("<skipped/>"), SimulatorFailed, "no test ran"),
    ],
)
def test_what_the_end_of_a_simulation_means(code, log, results, kind: type, said: str, tmp_path: Path) -> None:
    """The RTL does not do what it should, or nothing is known of it."""
    (tmp_path / "log").write_text(f"first line\n{log}\n")
    if results:
        (tmp_path / "results.xml").write_text(results)
    with pytest.raises(SimulationFailed, match=said) as caught:
        check_results(code, tmp_path / "results.xml", tmp_path / "log", 1, 5.0)
    assert type(caught.value) is kind


def test_verilog_that_does_not_compile_is_no_difference(cli, small: Path) -> None:
    cli("generate", small, "--out", "v")
    with Path("v/lenet.v").open("a") as file:
        file.write("module broken(\n")
    said = cli("simulate", small, "--verilog", "v", "--images", 1, code=2).stderr
    assert "error: verilator cannot compile lenet:" in said


# Jobs, in processes of their own.


def failed(monkeypatch, program: str):
    """The failure of a job whose process runs this program."""
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", program))
    (outcome,) = run_jobs([Synthesis("2-3-7-10", Config(), "xc7")], LocalPool(1)).values()
    return outcome.error


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("import sys; print('the RTL differs'); sys.exit(4)", RtlDiffers),
        ("import sys; print('Yosys failed'); sys.exit(3)", ToolFailed),
        ("{}['x']", Defect),
        ("import os; os.kill(os.getpid(), 9)", ToolFailed),
    ],
)
def test_what_the_end_of_a_units_process_means(monkeypatch, program: str, kind: type) -> None:
    assert type(failed(monkeypatch, program)) is kind


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ('print(\'{"equal": false, "difference": {}}\')', RtlDiffers),
        ("import sys; sys.exit('error: it hangs')", RtlDiffers),
        ("import os, sys; print('error: x', file=sys.stderr); os._exit(2)", UserError),
        ("import os; os._exit(70)", Defect),
    ],
)
def test_what_the_end_of_a_verification_means(program: str, kind: type) -> None:
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with pytest.raises(kind) as caught:
        result(child)
    assert type(caught.value) is kind


# Signals.


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_while_a_command_works(number: int, code: int) -> None:
    script = (
        "import sys, time; from fivebyfive import cli; from fivebyfive.model import checkpoint\n"
        "def wait(*_): print('works', flush=True); time.sleep(300)\n"
        "checkpoint.load_checkpoint = wait; cli.main(['evaluate', 'x.npz'])\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with child:
        assert child.stdout.readline() == "works\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=120)
    assert (child.returncode, out) == (code, "")
    assert err.splitlines() == (["error: interrupted"] if number == signal.SIGINT else [])
