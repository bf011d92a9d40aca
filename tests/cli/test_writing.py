"""Places that cannot be written and disks that fill: one line, and no half of anything."""

import os
import resource
import subprocess
from pathlib import Path

import numpy as np
import pytest

from .conftest import one_line, python_m, snapshot


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
    assert "File too large; nothing was left behind" in one_line(done.stderr)
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
    assert one_line(done.stderr) == "error: No space left on device"
