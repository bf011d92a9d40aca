"""`make lint`, as tests: style, format and types of all Python here."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def passes(*command: str) -> None:
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("words", [("check",), ("format", "--check")], ids=" ".join)
def test_nothing_to_complain_about(words: tuple[str, ...]) -> None:
    pytest.importorskip("ruff")
    passes("-m", "ruff", *words, "--no-cache", ".")


def test_types_agree() -> None:
    pytest.importorskip("mypy")
    passes("tools/typecheck")
