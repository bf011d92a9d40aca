"""What tests of several rooms share."""

import sys
from pathlib import Path

import pytest

FAKE_UNIT = Path(__file__).parent / "sim" / "fake_unit.py"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    """A cache folder of this test's own."""
    monkeypatch.setenv("FIVEBYFIVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fake_tools(cache: Path, tmp_path: Path, monkeypatch) -> Path:
    """Units of work are done by `sim/fake_unit.py`; the folder whose files tell it what to do."""
    from fivebyfive.sim import workers

    folder = tmp_path / "fake"
    folder.mkdir()
    monkeypatch.setenv("FAKE_UNITS", str(folder))
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-P", str(FAKE_UNIT)))
    return folder
