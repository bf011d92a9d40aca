"""The wheel holds all it needs: installed into an empty environment, it generates and simulates elsewhere."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = (".venv", "build", ".git", ".setuptools", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")


def run(*command: object, cwd: Path) -> str:
    """A command that must succeed; nothing of this environment's Python reaches it."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy of the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*LEFT_OUT))
    run(
        sys.executable,
        *PIP,
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        folder,
        folder / "source",
        cwd=folder,
    )
    (path,) = folder.glob("fivebyfive-*.whl")
    return path


def test_every_module_and_data_file_is_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    rooms = {
        "fivebyfive": "fivebyfive",
        "hw": "fivebyfive/hw",
        "model": "fivebyfive/model",
        "sim": "fivebyfive/sim",
    }
    for room, home in rooms.items():
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"{home}/{path.relative_to(ROOT / room)}" in inside, path
    assert not any(name.startswith(("tests/", "build/", "docs/")) for name in inside)


@pytest.mark.slow
@pytest.mark.full  # every test run: what is in the wheel, and `make demo` in an environment of its own
def test_it_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    run(tmp_path / "venv/bin/python", *PIP, "install", "--quiet", wheel, cwd=tmp_path)
    command = tmp_path / "venv/bin/fivebyfive"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(command, "generate", cwd=elsewhere)
    assert (elsewhere / "build/lenet/lenet.v").is_file()
    report = json.loads(run(command, "simulate", "--images", 3, "--json", cwd=elsewhere))
    assert report["equal"]
    assert report["images"] == 3
    assert json.loads(run(command, "evaluate", "--json", cwd=elsewhere))["images"] == 10_000
