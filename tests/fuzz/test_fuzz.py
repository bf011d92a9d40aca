"""Three thousand inputs to everything that reads a file or a line from outside; `make fuzz` gives a million."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="Atheris has no wheel for this Python")
sys.path.insert(0, str(Path(__file__).parent))

from run import dealt, fuzz

INPUTS, SEED = 3_000, 20


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch) -> None:
    """Crashes are kept below the working directory. Atheris traces; coverage as well would take twice as long."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


def in_full(name: str):
    """Targets that get at the insides of a file whose outside another target has are repetitions."""
    inside = name.endswith(("-members", "-chunks", "-values")) or name in ("jpeg", "other-pictures")
    return pytest.param(name, marks=[pytest.mark.full] if inside else [])


@pytest.mark.parametrize("name", [in_full(name) for name in dealt(INPUTS)])
def test_what_comes_from_outside(name: str) -> None:
    done = fuzz(name, dealt(INPUTS)[name], SEED)
    assert not done.report, done.report
    assert done.inputs >= dealt(INPUTS)[name]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise IndexError(data[0])", "IndexError"),
        ("raise UserError('two\\nlines')", "more than one line"),
        ("bytes(3 << 30)", "MemoryError"),
        ("while True: pass", "timeout"),
    ],
)
def test_what_would_be_noticed(tmp_path: Path, body: str, said: str) -> None:
    """A target that crashes, says too much, takes too much memory or does not end."""
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import fuzz
from targets import Target, UserError
def run(data):
    if len(data) > 3:
        {body}
fuzz.TARGETS["bad"], fuzz.SECONDS = Target(run, lambda: [b""]), 1
sys.argv = ["fuzz.py", "bad", "500", "1"]
fuzz.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    assert said in done.stderr + done.stdout
