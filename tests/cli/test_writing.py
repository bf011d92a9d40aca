"""Places that cannot be written and disks that fill: one line, and no half of anything."""

import os
import resource
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from .conftest import error_of, python_m, snapshot


def test_a_file_in_the_way(refused, small: Path, few_digits: Path) -> None:
    Path("file").write_text("mine")
    assert "cannot write file: it is a file" in refused("generate", small, "--out", "file")
    commands = (
        ("generate", small, "--out", "file/below"),
        ("simulate", small, "--out", "file/logits.npy"),
        ("simulate", small, "--folder", "file"),
        ("train", "--data", few_digits, "--out", "file/f.npz"),
        ("demo", "--out", "file"),
    )
    for words in commands:
        said = refused(*words)
        assert "cannot write" in said
        assert "there is a file where a folder should be" in said
    assert Path("file").read_text() == "mine"


def test_a_place_where_nothing_can_be_made(refused, small: Path) -> None:
    for words in (("generate", small, "--out", "/proc/v"), ("simulate", small, "--out", "/proc/x.npy")):
        assert "cannot write /proc/" in refused(*words)


def test_generate_does_not_replace_a_folder_of_something_else(refused, small: Path) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter1.tex").write_text("mine")
    assert "would be lost" in refused("generate", small, "--out", "thesis")


def test_generate_replaces_its_own_folder(cli, small: Path) -> None:
    cli("generate", small, "--out", "v")
    Path("v/lenet.v").write_text("edited")
    Path("v/left.over").touch()
    cli("generate", small, "--out", "v")
    assert "edited" not in Path("v/lenet.v").read_text()
    assert sorted(path.name for path in Path().iterdir()) == ["v"]
    assert "left.over" not in os.listdir("v")


def limit_files(size: int):
    """For a child process: a file cannot grow beyond that size, as on a disk that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_disk_that_fills_while_verilog_is_written() -> None:
    command = ("generate", "--fc-rows", 10)  # a single bank of FC weights, in a file of 818 kB
    before = python_m(*command)
    assert before.returncode == 0, before.stderr
    old = snapshot(Path("build"))
    done = python_m(*command, preexec_fn=limit_files(790_000))
    assert done.returncode == 2
    assert "File too large; nothing was left behind" in error_of(done)
    assert snapshot(Path("build")) == old
    assert [path.name for path in Path("build").iterdir()] == ["lenet"]


@pytest.fixture
def full_disk(tmp_path: Path):
    """A file system of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(refused, full_disk: Path, small: Path) -> None:
    said = refused("generate", small, "--out", full_disk / "v")
    assert "No space left on device; nothing was left behind" in said
    assert list(full_disk.iterdir()) == []


LONG_JOBS = {
    "train": ("train", "--data", "{data}", "--shape", "1-1-10", "--epochs", 2, "--out", "{place}/net.npz"),
    "simulate": ("simulate", "{net}", "--simulator", "icarus", "--images", 1, "--out", "{place}/logits.npy"),
    "measure": ("measure", "{net}", "--part", "xc7z020", "--workers", 1, "--out", "{place}"),
    "explore": ("explore", "{net}", "--part", "xc7z020", "--top", 1, "--seeds", 0, "--out", "{place}"),
    "compare": ("compare", "{net}", "--data", "{data}", "--workers", 1, "--out", "{place}"),
}
RESULTS = ("net.npz", "net.json", "logits.npy", "measure.json", "measure.md", "measure.png", "explore.json",
           "explore.md", "explore.png", "compare.json", "compare.csv", "compare.md", "compare.png",
           "compare.svg")  # fmt: skip


@pytest.fixture
def long_job(small: Path, few_digits: Path, fake_tools: Path, cli):
    """Runs a long job whose results go to a folder."""

    def call(name: str, place: Path, code: int = 0) -> str:
        if name == "train":
            pytest.importorskip("torch")
        words = [str(word).format(net=small, data=few_digits, place=place) for word in LONG_JOBS[name]]
        return cli(*words, code=code).stderr

    return call


@pytest.mark.parametrize("name", LONG_JOBS)
def test_a_long_job_on_a_full_disk(name: str, long_job, full_disk: Path) -> None:
    """The old results stay as they were, nothing else is left; with some room it succeeds."""
    for result in RESULTS:
        (full_disk / result).write_text("old")
    fill = full_disk / "fill"
    fill_up(fill)
    before = snapshot(full_disk)
    said = long_job(name, full_disk, code=2).splitlines()[-1]  # lines of progress come before it
    assert said.startswith(f"error: cannot write {full_disk}/")
    assert "No space left on device; nothing was left behind" in said
    assert snapshot(full_disk) == before
    fill.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(full_disk)], check=True)
    long_job(name, full_disk)
    changed = {path for path, content in snapshot(full_disk).items() if content != before.get(path)}
    assert changed == {str(full_disk / result) for result in RESULTS if result in written_by(name)}


def fill_up(path: Path) -> None:
    """Make a file of all the room that a disk has."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(512)):
            pass


def written_by(name: str) -> tuple[str, ...]:
    one = {"train": ("net.npz", "net.json"), "simulate": ("logits.npy",)}
    one["compare"] = tuple(result for result in RESULTS if result.startswith("compare."))
    return one.get(name, (f"{name}.json", f"{name}.md", f"{name}.png"))


@pytest.mark.parametrize("name", LONG_JOBS)
def test_a_long_job_into_a_folder_that_is_read_only(name: str, long_job, full_disk: Path) -> None:
    """It is refused before the work."""
    for result in RESULTS:
        (full_disk / result).write_text("old")
    before = snapshot(full_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    said = long_job(name, full_disk, code=2).splitlines()[-1]  # lines of progress come before it
    assert said.startswith(f"error: cannot write {full_disk}/")
    assert "Read-only file system; nothing was left behind" in said
    assert snapshot(full_disk) == before


def test_a_training_goes_on_when_the_disk_has_room_again(long_job, full_disk: Path, monkeypatch, cli, answer) -> None:
    """It fills after the first epoch."""
    from fivebyfive.model import saved

    whole = Path("whole")
    long_job("train", whole)
    save, calls = saved.State.save, []

    def full(self, state) -> None:
        calls.append(state["epoch"])
        if len(calls) == 2:
            fill_up(full_disk / "fill")
        save(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(saved.State, "save", full)
        assert "No space left on device" in long_job("train", full_disk, code=2).splitlines()[-1]
    assert sorted(path.name for path in full_disk.iterdir()) == [".net.state", "fill"]
    (full_disk / "fill").unlink()
    said = long_job("train", full_disk)
    assert said.startswith(f"going on from {full_disk}/.net.state, where 1 epochs are done\n")
    assert (full_disk / "net.npz").read_bytes() == (whole / "net.npz").read_bytes()
    assert sorted(path.name for path in full_disk.iterdir()) == ["net.json", "net.npz"]


def test_logits_that_cannot_be_written_are_removed(monkeypatch, cli, small: Path) -> None:
    np.save("old.npy", 1)

    save = np.save

    def full(file, array) -> None:
        if isinstance(file, Path):  # the run's own files
            return save(file, array)
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fivebyfive.simulation.np.save", full)
    result = cli("simulate", small, "--images", 1, "--out", "old.npy", code=2)
    assert "cannot write old.npy: No space left on device" in result.stderr
    assert os.listdir(".") == ["old.npy"]
    assert np.load("old.npy") == 1


def test_standard_output_that_is_full(small: Path) -> None:
    with open("/dev/full", "w") as full:
        command = ["generate", str(small), "--json"]
        done = subprocess.run(
            [os.sys.executable, "-m", "fivebyfive", *command], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert error_of(done) == "error: No space left on device"
