"""Commands run in this process and in one of their own, and a network small enough to simulate in seconds."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import click.testing
import numpy as np
import pytest

from fivebyfive.cli import main
from fivebyfive.model.checkpoint import Checkpoint, save_checkpoint
from fivebyfive.model.data.idx import idx_bytes
from fivebyfive.model.shape import LeNetShape
from fivebyfive.output import terminal

SMALL = LeNetShape(2, 3, (7, 10))


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch) -> None:
    """Commands write below the working directory unless told otherwise."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture(autouse=True)
def _at_any_speed(monkeypatch) -> None:
    """Work says nothing of its progress, however long a busy machine takes for it."""
    monkeypatch.setattr(terminal, "QUIET_S", float("inf"))


@pytest.fixture
def cli() -> Callable[..., click.testing.Result]:
    """Runs a command line in this process; checks its exit code and that it shows no traceback."""

    def call(*words: object, code: int = 0) -> click.testing.Result:
        result = click.testing.CliRunner().invoke(main, [str(word) for word in words])
        assert isinstance(result.exception, SystemExit | None), result.exc_info
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def answer(cli) -> Callable[..., dict]:
    """The JSON object of a command that is given --json: all that is on its standard output."""

    def call(*words: object, code: int = 0) -> dict:
        return json.loads(cli(*words, "--json", code=code).stdout)

    return call


@pytest.fixture
def refused(cli) -> Callable[..., str]:
    """The line with which a command refuses what it was given; it must have left nothing behind."""

    def call(*words: object) -> str:
        before = snapshot(Path.cwd())
        result = cli(*words, code=2)
        assert result.stdout == ""
        assert snapshot(Path.cwd()) == before
        return one_line(result.stderr)

    return call


def one_line(stderr: str) -> str:
    """The one line on standard error, which begins as every error does."""
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def error_of(done: subprocess.CompletedProcess) -> str:
    """The one line with which a process says what is wrong; on a busy machine there may be progress before it."""
    *progress, last = done.stderr.splitlines()
    assert last.startswith("error: ")
    assert not [line for line in progress if line.startswith(("error", "Traceback", " "))], done.stderr
    return last


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def texts(path: Path) -> set[str]:
    """Comments of an SVG: matplotlib has the text that it draws as outlines there."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    tree = ElementTree.parse(path, parser)
    return {unescape(node.text.strip()) for node in tree.iter() if node.tag is ElementTree.Comment}


def python_m(*words: object, **options) -> subprocess.CompletedProcess:
    """A command in a process of its own; ``env`` comes on top of this process's."""
    options["env"] = os.environ | options.get("env", {})
    command = [sys.executable, "-m", "fivebyfive", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, **options)


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A checkpoint of random codes: 2-3-7-10."""
    path = tmp_path_factory.mktemp("checkpoints") / "small.npz"
    save_checkpoint(path, Checkpoint.random(SMALL, seed=5))
    return path


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory) -> Path:
    """A folder of idx files: 60 images to train on, 20 to test with, of noise and ten classes."""
    folder = tmp_path_factory.mktemp("idx")
    rng = np.random.default_rng(2)
    for prefix, count in (("train", 60), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return folder


@pytest.fixture
def more_digits() -> str:
    """The name of a further test set, 50 images of noise, in the working directory."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (50, 28, 28), dtype=np.uint8)
    np.savez("crooked.npz", x_test=images, y_test=rng.integers(0, 10, 50, dtype=np.uint8))
    return "crooked.npz"
