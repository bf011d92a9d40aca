"""Temporary files and folders: gone when they should, recognized when their maker was killed, left alone otherwise."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fivebyfive.support import files, temporary
from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing, replacing_folder
from fivebyfive.support.temporary import working_folder

MAKERS = {
    "file": ("from fivebyfive.support.files import replacing as make", "made.write(b'half'); made.flush()"),
    "folder": ("from fivebyfive.support.files import replacing_folder as make", "(made / 'half').touch()"),
}


@contextmanager
def maker(kind: str, path: Path):
    """A process that is making ``path`` for ever."""
    imported, work = MAKERS[kind]
    code = f"{imported}\nimport time\nfrom pathlib import Path\nwith make(Path({str(path)!r})) as made:\n"
    code += f"    {work}\n    print('ready', flush=True)\n    time.sleep(600)\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def make(kind: str, path: Path) -> None:
    if kind == "file":
        with replacing(path) as file:
            file.write(b"new")
    else:
        with replacing_folder(path) as folder:
            (folder / "new").touch()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", MAKERS)
def test_what_a_killed_process_left_goes_with_the_next_one(tmp_path: Path, kind: str) -> None:
    with maker(kind, tmp_path / "out") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (left,) = names(tmp_path)
    assert left.startswith(".out.")
    assert left.endswith(".part")
    make(kind, tmp_path / "out")
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_being_made_stays(tmp_path: Path, kind: str) -> None:
    with maker(kind, tmp_path / "out"):
        before = names(tmp_path)
        make(kind, tmp_path / "out")
        assert names(tmp_path) == sorted([*before, "out"])


def test_what_only_looks_alike_stays(tmp_path: Path) -> None:
    for name in (".out.part", ".out.1.part", ".out.ABCDEFGH.part", ".outer.abcdefgh.part", "out.abcdefgh.part"):
        (tmp_path / name).touch()
    (tmp_path / ".out.abcdefgh.part").symlink_to(tmp_path / ".out.part")
    before = names(tmp_path)
    make("file", tmp_path / "out")
    assert names(tmp_path) == sorted([*before, "out"])


def test_a_working_folder_goes_but_for_what_it_is_kept_by(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyError), working_folder(kept_by=ValueError):
        raise KeyError
    assert names(tmp_path) == []
    with pytest.raises(ValueError), working_folder(kept_by=ValueError):  # noqa: PT011
        raise ValueError
    with working_folder():
        pass
    assert len(names(tmp_path)) == 1


def test_a_file_that_somebody_took_for_left_over_is_made_again(tmp_path: Path, monkeypatch) -> None:
    """Between the making of a file and its lock there is a moment."""
    lock, taken = temporary.lock, []

    def quicker(handle: int, waiting=None) -> bool:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        return lock(handle, waiting)

    monkeypatch.setattr(temporary, "lock", quicker)
    make("file", tmp_path / "out")
    assert len(taken) == 1
    assert names(tmp_path) == ["out"]


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch) -> None:
    def no_locks(*_) -> None:
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(temporary.fcntl, "flock", no_locks)
    (tmp_path / ".out.abcdefgh.part").touch()
    make("file", tmp_path / "out")
    assert names(tmp_path) == [".out.abcdefgh.part", "out"]  # nobody can tell whether it is in use


def test_a_folder_is_never_away(tmp_path: Path, monkeypatch) -> None:
    """The old folder and the new one change places at once, so that a kill finds one of them."""
    make("folder", tmp_path / "out")
    monkeypatch.setattr(os, "rename", None)
    with replacing_folder(tmp_path / "out") as folder:
        (folder / "newer").touch()
    assert names(tmp_path / "out") == ["manifest.json", "newer"]
    assert names(tmp_path) == ["out"]


def test_a_swap_in_two_steps_that_was_killed_in_between_is_undone(tmp_path: Path, monkeypatch) -> None:
    class KilledError(BaseException):
        pass

    def killed(source, target) -> None:
        rename(source, target)
        raise KilledError

    make("folder", tmp_path / "out")
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    rename = os.rename
    with pytest.raises(KilledError), monkeypatch.context() as patch, replacing_folder(tmp_path / "out"):
        patch.setattr(os, "rename", killed)
    assert not (tmp_path / "out").exists()
    with pytest.raises(KeyError), replacing_folder(tmp_path / "out"):
        raise KeyError
    assert names(tmp_path / "out") == ["manifest.json", "new"]
    assert names(tmp_path) == ["out"]


def test_of_failed_runs_the_newest_stay(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = []
    for number in range(temporary.MOST_KEPT + 3):
        with suppress(KeyError), working_folder(kept_by=KeyError) as folder:
            made.append(folder)
            raise KeyError
        os.utime(folder / temporary.KEPT, (number, number))  # a file system may not tell them apart
    assert set(tmp_path.iterdir()) == set(made[-temporary.MOST_KEPT :])


def test_no_folder_for_temporary_files(monkeypatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(UserError, match=r"no folder for temporary files can be written; set TMPDIR"), working_folder():
        pass
