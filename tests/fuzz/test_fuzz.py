"""Three thousand inputs to everything that reads a file or a line from outside; `make fuzz` gives two million."""

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


def is_inside(name: str) -> bool:
    """Targets that get at the insides of a file whose outside another target has are repetitions."""
    return name.endswith(("-members", "-chunks", "-values")) or name in ("jpeg", "other-pictures")


@pytest.mark.parametrize("inside", [False, pytest.param(True, marks=pytest.mark.full)])
def test_what_comes_from_outside(inside: bool) -> None:
    wanted = {name: runs for name, runs in dealt(INPUTS).items() if is_inside(name) == inside}
    done = dict(fuzz(wanted, SEED))
    assert {name: outcome.report for name, outcome in done.items()} == dict.fromkeys(wanted, "")
    assert all(done[name].inputs >= runs for name, runs in wanted.items())


BAD = {
    "raise IndexError(data[0])": "IndexError",
    "raise UserError('two\\nlines')": "more than one line",
    "bytes(3 << 30)": "MemoryError",
    "while True: pass": "timeout",
}


def test_what_would_be_noticed(tmp_path: Path) -> None:
    """A target that crashes, says too much, takes too much memory or does not end."""
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import fuzz
from targets import Target, UserError
def bad(body):
    def run(data):
        if len(data) > 3:
            exec(body)
    return Target(run, lambda: [b""])
fuzz.TARGETS.update({{f"bad{{n}}": bad(body) for n, body in enumerate({list(BAD)})}})
fuzz.SECONDS = 1
fuzz.main()
"""
    done = dict(fuzz({f"bad{n}": 500 for n in range(len(BAD))}, 1, (sys.executable, "-c", script)))
    assert len(done) == len(BAD)
    for outcome, said in zip(done.values(), BAD.values(), strict=True):
        assert outcome.inputs < 500
        assert said in outcome.report
