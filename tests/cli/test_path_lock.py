"""Two commands at once into one place: the second one says so and waits; a dead one is in nobody's way."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from fivebyfive.output import path_lock
from fivebyfive.output.path_lock import lock_path

PLACE = Path("out/net.npz")


@contextmanager
def holder(path: Path, inside: bool = False):
    """A command in a process of its own that has claimed a place, and works for ever."""
    code = "import click, time; from pathlib import Path; from fivebyfive.output.path_lock import lock_path\n"
    code += f"with click.Context(click.Command('train')).scope():\n    lock_path(Path({str(path)!r}), {inside})\n"
    code += "    print('ready', flush=True)\n    time.sleep(600)\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


COMMANDS = {
    "train": (("train", "--data", "{data}", "--epochs", 2, "--shape", "1-1-10", "--out", "o/n.npz"), "o/n.npz"),
    "its report": (("train", "--data", "{data}", "--epochs", 2, "--shape", "1-1-10", "--out", "o/n.npz"), "o/n.json"),
    "simulate": (("simulate", "{net}", "--images", 1, "--simulator", "icarus", "--out", "o/l.npy"), "o/l.npy"),
    "its folder": (("simulate", "{net}", "--images", 1, "--simulator", "icarus", "--folder", "o"), "o"),
    "generate": (("generate", "{net}", "--out", "o"), "o"),
    "measure": (("measure", "{net}", "--part", "xc7z020", "--out", "o"), "o/measure.json"),
    "explore": (("explore", "{net}", "--part", "xc7z020", "--top", 1, "--out", "o"), "o/explore.json"),
    "compare": (("compare", "{net}", "--data", "{data}", "--out", "o"), "o/compare.json"),
    "build": (("build", "{net}", "--board", "arty-a7-100", "--out", "o"), "o"),
    "pack": (("pack", "{net}", "--out", "o/n.bin"), "o/n.bin"),
}


ALIKE = ("its report", "measure", "compare", "build", "pack")  # they claim their place as another one does


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.full if name in ALIKE else ()) for name in COMMANDS]
)
def test_the_second_command_says_so_and_waits(name: str, small: Path, few_digits: Path, fake_tools: Path) -> None:
    """Until the first one dies: the kernel takes its lock away. Nothing of either is left but results."""
    if name in ("train", "its report"):
        pytest.importorskip("torch")
    words, path = COMMANDS[name]
    words = [str(word).format(net=small, data=few_digits) for word in words]
    inside = name == "its folder"
    (Path(path) if inside else Path(path).parent).mkdir(exist_ok=True)
    with holder(Path(path), inside) as first:
        command = [sys.executable, "-c", START, *words]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as second:
            said = second.stderr.readline()
            assert said == (f"{Path(path).absolute()} is being written by another process ({first.pid}); "
                            "waiting for its end\n")  # fmt: skip
            time.sleep(0.3)
            assert second.poll() is None
            first.send_signal(signal.SIGKILL)
            second.communicate(timeout=300)
    assert second.returncode == 0
    assert Path("o").exists()
    assert [path for path in Path().rglob("*") if path.name.endswith(".lock")] == []


START = """
import os, sys
from pathlib import Path
from fivebyfive.sim.jobs import workers
workers.COMMAND = (sys.executable, "-P", os.environ["FAKE_SCRIPT"])
from fivebyfive.cli import main
main()
"""


@pytest.fixture(autouse=True)
def _fake_script(monkeypatch) -> None:
    monkeypatch.setenv("FAKE_SCRIPT", str(Path(__file__).parents[1] / "sim" / "jobs" / "fake_job.py"))


@contextmanager
def command():
    """As within a command."""
    with click.Context(click.Command("train")) as context, context.scope(cleanup=False):
        yield


def test_a_claim_ends_with_its_command() -> None:
    Path("out").mkdir()
    with command():
        lock_path(PLACE)
        assert os.listdir("out") == [".net.npz.lock"]
        assert Path("out/.net.npz.lock").read_text() == f"{os.getpid()}\n"
        lock_path(Path("out/../out/net.npz"))  # it may claim it again
    assert os.listdir("out") == []


def test_python_claims_nothing() -> None:
    Path("out").mkdir()
    lock_path(PLACE)
    assert os.listdir("out") == []


def test_the_lock_file_of_one_that_ends_while_another_waits(monkeypatch) -> None:
    """Whoever gets the lock of a file that has been taken away makes a new one: else the next one would have it too."""
    lock, calls = path_lock.lock, []

    def late(handle: int, waiting) -> bool:
        calls.append(lock(handle, waiting))
        if len(calls) == 1:
            Path("out/.net.npz.lock").unlink()
        return True

    monkeypatch.setattr(path_lock, "lock", late)
    Path("out").mkdir()
    with command():
        lock_path(PLACE)
        assert os.listdir("out") == [".net.npz.lock"]
    assert len(calls) == 2


def test_a_file_system_without_locks(monkeypatch) -> None:
    def no_locks(*_) -> None:
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(path_lock, "lock", no_locks)
    Path("out").mkdir()
    with command():
        lock_path(PLACE)
    assert os.listdir("out") == []


def test_a_checkpoint_that_its_report_would_overwrite(refused, small: Path, few_digits: Path) -> None:
    pytest.importorskip("torch")
    for words in (("train",), ("quantize", small)):
        assert "n.json is what the report is called" in refused(*words, "--data", few_digits, "--out", "n.json")
    for package in ("constriction", "bitarray", "tomli_w"):
        pytest.importorskip(package)
    assert "n.toml is what its plan is called" in refused("compress", "tune", "--data", few_digits, "--out", "n.toml")
    tune = "compress", "tune", "--data", few_digits, "--out"
    for nameless in (".", "..", "a/", "a/."):
        assert "it is a folder" in refused(*tune, nameless)
    assert "the root of the file system" in refused(*tune, "/")
    assert "an empty name; name a file" in refused("compress", "tune", "--data", few_digits, "--out", "")
