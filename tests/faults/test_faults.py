"""A few kills of each long job, `make faults` does 400; and what a campaign would notice."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import campaign as campaigns
from campaign import campaign
from jobs import JOBS, Job, plain

FAKE_JOB = Path(__file__).parents[1] / "sim" / "jobs" / "fake_job.py"  # it answers at once
KILLS = {"train": 1, "simulate": 1, "measure": 2, "explore": 1}
OF_RESULTS = pytest.mark.full  # jobs of one kind: of explore, and `make faults`


@pytest.mark.parametrize(
    "name", ["train", *(pytest.param(name, marks=OF_RESULTS) for name in ("simulate", "measure", "explore"))]
)
def test_a_job_that_is_killed(name: str, tmp_path: Path) -> None:
    if name == "train":
        pytest.importorskip("torch")
    quick = {"FAULTS_JOB": str(FAKE_JOB), "FAKE_JOBS": str(tmp_path)}
    with campaign(replace(JOBS[name], environment=quick), f"test {name}", images=200) as one:
        figures = one.kills(KILLS[name])
    assert figures.restarts == figures.killed.total() == KILLS[name]


WELL = """
import os, sys, time
from pathlib import Path
out, text = Path("out/result"), sys.argv[1] * 1000
out.parent.mkdir(exist_ok=True)
time.sleep(0.1)
part = Path("out/.result.part")
part.write_text(text)
time.sleep(0.2)
os.replace(part, out)
time.sleep(0.1)
"""
ILL = {
    "neither old nor new": ("part.write_text(text)\ntime.sleep(0.2)\nos.replace(part, out)",
                            "out.write_text(text[:9])\ntime.sleep(0.3)\nout.write_text(text)"),
    "has vanished": ("time.sleep(0.2)", "out.unlink(missing_ok=True)\ntime.sleep(0.3)"),
    "still running": ("time.sleep(0.2)", "import subprocess as s\ns.Popen(['sleep', '9'], stderr=s.DEVNULL)\n"
                      "time.sleep(0.3)"),
    r"out/\.half": ("time.sleep(0.2)", "half = Path(f'out/.half{os.getpid()}')\nhalf.touch()\ntime.sleep(0.3)\n"
                    "half.unlink()"),
    "tmp/left": ("time.sleep(0.2)", "import tempfile\nwith open(tempfile.gettempdir() + '/left', 'x') as left:\n"
                 "    time.sleep(0.3)\nos.unlink(left.name)"),
    "will not": ("part.write_text(text)", "if part.exists():\n    sys.exit('will not')\npart.write_text(text)"),
}  # fmt: skip


@pytest.fixture
def kill(monkeypatch, tmp_path: Path):
    """Kills a script that is a job."""
    monkeypatch.setattr(campaigns, "GONE_S", 1)

    def call(script: str) -> campaigns.Figures:
        (tmp_path / "script.py").write_text(script)
        # Without site-packages it begins at once, measured for coverage or not: most kills come while it works.
        command = [sys.executable, "-I", "-S", str(tmp_path / "script.py")]
        monkeypatch.setattr(campaigns, "COMMAND", command)
        with campaign(Job("new", "old", {"result": plain}, {}, lambda place: "nothing"), "1") as one:
            return one.kills(12)

    return call


def test_a_job_that_does_well(kill) -> None:
    figures = kill(WELL)
    assert figures.killed == {"TERM": 6, "KILL": 6}
    assert figures.restarts == 12
    assert figures.left > 0


@pytest.mark.parametrize("said", ILL)
def test_what_a_campaign_would_notice(kill, said: str) -> None:
    script = WELL.replace(*ILL[said])
    assert script != WELL
    with pytest.raises(AssertionError, match=said):
        kill(script)
