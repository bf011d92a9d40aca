"""Places that cannot be written and disks that fill: one line, and no half of anything."""

import os
import resource
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from fivebyfive.model.checkpoint import Checkpoint, save_checkpoint
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.sidecars import write_sidecar

from .conftest import error_of, python_m, snapshot


def test_a_file_in_the_way(refused, small: Path, few_digits: Path) -> None:
    Path("file").write_text("mine")
    assert "cannot write file: it is a file" in refused("generate", small, "--out", "file")
    commands = (
        ("generate", small, "--out", "file/below"),
        ("simulate", small, "--out", "file/logits.npy"),
        ("train", "--data", few_digits, "--out", "file/f.npz"),
        ("demo", "--out", "file"),
    )
    for words in commands:
        said = refused(*words)
        assert "cannot write" in said
        assert "there is a file where a folder should be" in said
    assert "cannot write file: it is a file" in refused("simulate", small, "--folder", "file")
    assert Path("file").read_text() == "mine"


def test_a_place_where_nothing_can_be_made(refused, small: Path) -> None:
    for words in (("generate", small, "--out", "/proc/v"), ("simulate", small, "--out", "/proc/x.npy")):
        assert "cannot write /proc/" in refused(*words)


def test_generate_does_not_replace_a_folder_of_something_else(refused, small: Path) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter1.tex").write_text("mine")
    assert "would be lost" in refused("generate", small, "--out", "thesis")


def test_generate_replaces_its_own_folder(cli, refused, small: Path) -> None:
    """As it was written; what was edited only with --force, and what somebody put there never."""
    cli("generate", small, "--out", "v")
    cli("generate", small, "--out", "v", "--fc-rows", 2)
    written = os.listdir("v")
    Path("v/lenet.v").write_text("edited")
    Path("v/tb.v").write_text("mine")
    said = refused("generate", small, "--out", "v")
    assert said == ("error: v was edited since it was written: lenet.v, and others' files are in it: tb.v; name "
                    "another folder with --out, or replace what was edited with --force.")  # fmt: skip
    cli("generate", small, "--out", "v", "--force")
    assert "edited" not in Path("v/lenet.v").read_text()
    assert Path("v/tb.v").read_text() == "mine"
    assert sorted(os.listdir("v")) == sorted([*written, "tb.v"])
    assert "other files in it, which would be lost: tb.v" in refused("generate", small, "--out", "v")
    assert os.listdir() == ["v"]


def test_a_folder_with_a_manifest_of_something_else(refused, small: Path) -> None:
    Path("app/src").mkdir(parents=True)
    Path("app/src/thesis.tex").write_text("years")
    for name in ("manifest.json", "build.json", "run.json"):
        Path("app", name).write_text("{}")
    board = "build", small, "--board", "ulx3s-85f"
    for words in (("generate", small), ("generate", small, "--target", "vivado"), board):
        for force in ((), ("--force",)):
            assert "app has other files in it, which would be lost: " in refused(*words, "--out", "app", *force)


def test_demo_after_an_edit(cli, refused, small: Path) -> None:
    """README invites to edit what demo wrote."""
    cli("generate", small)
    with Path("build/lenet/lenet.v").open("a") as verilog:
        verilog.write("// mine\n")
    Path("build/lenet/tb.v").write_text("mine")
    said = refused("demo")
    assert "build/lenet was edited since it was written: lenet.v, and others' files are in it: tb.v; name" in said
    assert "--force" in said


def test_files_of_others_beside_a_result(refused, small: Path, few_digits: Path, fake_tools: Path) -> None:
    pytest.importorskip("torch")
    for package in ("constriction", "bitarray", "tomli_w", "matplotlib"):
        pytest.importorskip(package)
    commands = {
        "n.json": ("train", "--data", few_digits, "--out", "n.npz"),
        "n.toml": ("compress", "tune", small, "--data", few_digits, "--out", "n.npz"),
        "n-s2.npz": ("compress", "tune", small, "--data", few_digits, "--out", "n.npz", "--seeds", 2),
        "measure.md": ("measure", small, "--out", "."),
        "explore.json": ("explore", small, "--part", "xc7z020", "--out", "."),
        "compare.csv": ("compare", small, "--data", few_digits, "--out", "."),
        "demo.png": ("demo", "--out", "."),
    }
    for name, words in commands.items():
        Path(name).write_text("mine")
        for force in ((), ("--force",)):
            said = refused(*words, *force)
            assert f"{name} is not a file that fivebyfive wrote, and would be lost; move it" in said
        Path(name).unlink()
    assert os.listdir() == []


def test_results_that_were_edited(cli, refused, small: Path, fake_tools: Path) -> None:
    cli("measure", small, "--part", "xc7z020", "--out", "m")
    cli("measure", small, "--part", "xc7a100t", "--out", "m")
    Path("m/measure.md").write_text("mine")
    Path("m/notes").write_text("mine")
    said = refused("measure", small, "--part", "xc7z020", "--out", "m")
    assert "m/measure.md was edited since fivebyfive wrote it" in said
    cli("measure", small, "--part", "xc7z020", "--out", "m", "--force")
    assert "xc7z020" in Path("m/measure.md").read_text()
    assert Path("m/notes").read_text() == "mine"


def test_outputs_that_are_inputs(cli, refused, small: Path, few_digits: Path) -> None:
    for package in ("torch", "constriction", "bitarray", "tomli_w"):
        pytest.importorskip(package)
    shutil.copy(small, "q.npz")
    Path("link.npz").symlink_to("q.npz")
    Path("hard.npz").hardlink_to("q.npz")
    cli("pack", "q.npz", "--out", "q.bin")
    plan = f'start = "q.npz"\ndata = "{few_digits}"\n[[step]]\nmethod = "tune"\nteacher = "t.npz"\n'
    Path("p.toml").write_text(plan)
    shutil.copy(small, "t.npz")
    np.save("i.npy", np.zeros((1, 28, 28), np.uint8))
    Path("pictures").mkdir()
    PIL.Image.new("L", (28, 28)).save("pictures/a.png")
    cli("generate", "q.npz", "--out", "v")
    for out in ("q.npz", "link.npz", "hard.npz", "./q.npz"):
        assert "is what the work starts from" in refused("pack", "q.npz", "--out", out)
        assert "is what the work starts from" in refused("compress", "tune", "q.npz", "--out", out)
    commands = (
        ("pack", "link.npz", "--out", "q.npz"),
        ("unpack", "q.bin", "--out", "q.bin"),
        ("compress", "--plan", "p.toml", "--out", "p.npz"),  # its plan would go where the plan is
        ("compress", "--plan", "p.toml", "--out", "p.toml"),
        ("compress", "--plan", "p.toml", "--out", "t.npz"),
        ("compress", "tune", "--data", few_digits, "--out", few_digits / "t10k-images-idx3-ubyte"),
        ("quantize", "q.npz", "--out", "q.npz"),
        ("quantize", "p.toml", "--out", "p.toml"),
        ("train", "--data", few_digits, "--out", few_digits / "train-labels-idx1-ubyte"),
        ("simulate", "q.npz", "--out", "q.npz"),
        ("simulate", "q.npz", "--images", "i.npy", "--out", "i.npy"),
        ("simulate", "q.npz", "--images", "pictures", "--out", "pictures/a.png"),
        ("simulate", "q.npz", "--verilog", "v", "--out", "v/lenet.v"),
        ("simulate", "q.npz", "--verilog", "v", "--folder", "v"),
    )
    for words in commands:
        said = refused(*words)
        assert "is what the work starts from" in said or "is what its plan is called" in said, said
    assert "other files in it" in refused("generate", "q.npz", "--out", ".")


def test_where_out_leads(cli, refused, small: Path) -> None:
    pytest.importorskip("constriction")
    Path("store").mkdir()
    Path("store/real.bin").write_text("old")
    Path("link.bin").symlink_to("store/real.bin")
    Path("fresh.bin").symlink_to("store/fresh.bin")
    for name in ("link.bin", "fresh.bin"):
        cli("pack", small, "--out", name)
        assert Path(name).is_symlink()
    assert sorted(os.listdir("store")) == ["fresh.bin", "real.bin"]
    assert Path("store/real.bin").read_bytes() == Path("store/fresh.bin").read_bytes() != b"old"
    Path("stdout").symlink_to("/proc/self/fd/1")
    os.mkfifo("pipe")
    for words in (("pack", small), ("simulate", small, "--images", 1)):
        for name in ("stdout", "pipe", "/dev/null", "/dev/stdout", "/proc/self/fd/1", "/", ".", "..", "store/", ""):
            refused(*words, "--out", name)
    for words in (("generate", small), ("build", small, "--board", "ulx3s-85f")):
        for name in ("stdout", "pipe", "/dev/null", "/", "", ".."):
            refused(*words, "--out", name)
    assert Path("stdout").is_symlink()
    assert sorted(os.listdir()) == ["fresh.bin", "link.bin", "pipe", "stdout", "store"]


def test_generate_into_the_working_directory(cli, small: Path) -> None:
    inode = os.stat(".").st_ino
    cli("generate", small, "--out", ".")
    assert os.stat(".").st_ino == os.stat(Path.cwd()).st_ino == inode
    assert {"lenet.v", "manifest.json"} <= set(os.listdir())
    cli("generate", small, "--out", ".", "--fc-rows", 2)
    assert not [name for name in os.listdir() if name.startswith(".")]
    assert os.listdir("..") == ["work"]


def test_a_link_to_a_folder_is_followed(cli, small: Path) -> None:
    Path("link").symlink_to("real")
    for _ in range(2):
        cli("generate", small, "--out", "link")
    assert Path("link").is_symlink()
    assert sorted(os.listdir()) == ["link", "real"]
    assert "lenet.v" in os.listdir("real")


def test_locks_that_are_none(refused, small: Path) -> None:
    pytest.importorskip("constriction")
    Path("thesis.tex").write_text("years")
    lock = Path(".g.bin.lock")
    for make in (lambda: lock.symlink_to("thesis.tex"), lambda: lock.write_text("mine"), lambda: os.mkfifo(lock)):
        make()
        assert ".g.bin.lock is in the way" in refused("pack", small, "--out", "g.bin")
        lock.unlink()
    assert os.listdir() == ["thesis.tex"]


def test_a_refused_command_leaves_no_folder(refused, small: Path) -> None:
    pytest.importorskip("torch")
    refused("train", "--data", "nowhere", "--out", "new/deep/n.npz")
    refused("simulate", small, "--verilog", "nowhere", "--out", "new/deep/l.npy", "--folder", "newer/run")
    assert os.listdir() == []


def test_a_run_keeps_what_was_edited(cli, refused, small: Path) -> None:
    """A view that somebody saved from GTKWave, and files of others in the folder."""
    words = ("simulate", small, "--images", 1, "--simulator", "icarus", "--folder", "w", "--out", "w/logits.npy")
    Path("w").mkdir()
    Path("w/notes").write_text("mine")
    Path("w/fc1.npy").write_text("mine")
    assert "w has other files where files are to be written: fc1.npy" in refused(*words, "--force")
    Path("w/fc1.npy").unlink()
    for _ in range(2):
        cli(*words)
    Path("w/lenet.v").write_text("edited")
    assert "w was edited since it was written: lenet.v; name another folder with --folder" in refused(*words)
    cli(*words, "--force")
    assert "edited" not in Path("w/lenet.v").read_text()
    assert Path("w/notes").read_text() == "mine"


def limit_files(size: int):
    """For a child process: a file cannot grow beyond that size, as on a disk that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.full  # a full disk below
def test_a_disk_that_fills_while_verilog_is_written(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "wide.npz", Checkpoint.random(LeNetShape(0, 0, (300, 10)), 1))
    command = ("generate", tmp_path / "wide.npz", "--fc-rows", 10)  # a single bank of FC weights: a file of 488 kB
    before = python_m(*command)
    assert before.returncode == 0, before.stderr
    old = snapshot(Path("build"))
    done = python_m(*command, preexec_fn=limit_files(460_000))
    assert done.returncode == 2
    assert "File too large; nothing was left behind" in error_of(done)
    assert snapshot(Path("build")) == old
    assert [path.name for path in Path("build").iterdir()] == ["lenet"]


@pytest.fixture
def full_disk(tmp_path: Path):
    """A file system of 128 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], capture_output=True, text=True
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
IN_FULL = ("simulate", "explore", "compare")  # results are written by the same code
long_jobs = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.full if name in IN_FULL else ()) for name in LONG_JOBS]
)
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


@long_jobs
def test_a_long_job_on_a_full_disk(name: str, long_job, full_disk: Path) -> None:
    """The old results stay as they were, nothing else is left; with some room it succeeds."""
    old_results(full_disk)
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
    records = {str(path) for path in full_disk.glob(".*.sha256")}
    assert changed - records == {str(full_disk / result) for result in RESULTS if result in written_by(name)}


def old_results(folder: Path) -> None:
    """As earlier commands left them."""
    for result in RESULTS:
        if result.endswith((".npz", ".npy")):
            (folder / result).write_text("old")
        else:
            write_sidecar(folder / result, b"old")


def fill_up(path: Path) -> None:
    """Make a file of all the room that a disk has."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(512)):
            pass


def written_by(name: str) -> tuple[str, ...]:
    one = {"train": ("net.npz", "net.json"), "simulate": ("logits.npy",)}
    one["compare"] = tuple(result for result in RESULTS if result.startswith("compare."))
    return one.get(name, (f"{name}.json", f"{name}.md", f"{name}.png"))


@long_jobs
def test_a_long_job_into_a_folder_that_is_read_only(name: str, long_job, full_disk: Path) -> None:
    """It is refused before the work."""
    old_results(full_disk)
    before = snapshot(full_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(full_disk)], check=True)
    said = long_job(name, full_disk, code=2).splitlines()[-1]  # lines of progress come before it
    assert said.startswith(f"error: cannot write {full_disk}/")
    assert "Read-only file system; nothing was left behind" in said
    assert snapshot(full_disk) == before


def test_a_training_goes_on_when_the_disk_has_room_again(long_job, full_disk: Path, monkeypatch, cli, answer) -> None:
    """It fills after the first epoch."""
    from fivebyfive.model.training import resume

    whole = Path("whole")
    long_job("train", whole)
    save, calls = resume.State.save, []

    def full(self, state) -> None:
        calls.append(state["epoch"])
        if len(calls) == 2:
            fill_up(full_disk / "fill")
        save(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(resume.State, "save", full)
        assert "No space left on device" in long_job("train", full_disk, code=2).splitlines()[-1]
    assert sorted(path.name for path in full_disk.iterdir()) == [".net.state", "fill"]
    (full_disk / "fill").unlink()
    said = long_job("train", full_disk)
    assert said.startswith(f"going on from {full_disk}/.net.state, where 1 epochs are done\n")
    assert (full_disk / "net.npz").read_bytes() == (whole / "net.npz").read_bytes()
    assert sorted(path.name for path in full_disk.iterdir()) == [".net.sha256", "net.json", "net.npz"]


def test_logits_that_cannot_be_written_are_removed(monkeypatch, cli, small: Path) -> None:
    np.save("old.npy", 1)

    save = np.save

    def full(file, array) -> None:
        if isinstance(file, Path):  # the run's own files
            return save(file, array)
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fivebyfive.commands.simulate.np.save", full)
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
    assert error_of(done) == "error: cannot write standard output: No space left on device."


def test_the_root_is_no_place_for_results(refused, small: Path, few_digits: Path) -> None:
    """Commands that write beside what is in a folder wrote there."""
    for words in (("demo",), ("compare", small, "--data", few_digits), ("generate", small)):
        for root in ("/", "/.", "//", "/tmp/.."):
            assert "is the root of the file system" in refused(*words, "--out", root)
