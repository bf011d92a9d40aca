"""`make demo` as README has it, in a copy of the tree in which nothing was ever made."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = (".venv", "build", ".git", ".setuptools", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")


def make(word: str, folder: Path) -> str:
    ours = ("MAKEFLAGS", "MAKELEVEL", "FIVEBYFIVE_QUICK_BUILDS")  # simulations are compiled as users have them
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    done = subprocess.run(
        ["make", word], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.full  # half of it is what a test run begins with, the other half README's blocks
@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_make_demo(tmp_path: Path) -> None:
    folder = tmp_path / "fivebyfive"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    before = {path.name for path in folder.iterdir()}
    first = make("demo", folder)
    assert "installing into .venv" in first
    second = make("demo", folder)
    assert "installing" not in second
    for said in (first, second):
        assert "RTL and golden model are equal" in said
        assert said.count(" equal ") >= 10
    for made in ("build/lenet/lenet.v", "build/lenet/manifest.json", "build/demo.png"):
        assert (folder / made).is_file()
    made = {path.name for path in folder.iterdir()} - before
    assert made == {".venv", "build", "fivebyfive.egg-info"}


def test_make_alone_lists_what_there_is() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for word in ("demo", "test", "lint", "verify", "verify-all", "verify-netlist", "train", "wheel-test", "clean"):
        assert f"  make {word} " in listed
