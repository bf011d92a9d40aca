"""A file or folder is the old one or the whole new one, whatever happens in between."""

import errno
import os
import resource
import signal
import stat
from contextlib import contextmanager

import pytest

from fivebyfive.model.checkpoint import Checkpoint, save_checkpoint
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support import files
from fivebyfive.support.errors import UserError
from fivebyfive.support.files import cannot_write, replacing, replacing_folder


@contextmanager
def file_size_limit(size: int):
    """Writing a file beyond ``size`` bytes fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half_a_file(path, crash) -> None:
    with replacing(path, "w") as file:
        file.write("half")
        raise crash


def write_half_a_folder(path, crash) -> None:
    with replacing_folder(path) as folder:
        (folder / "top.v").write_text("half")
        raise crash


def write_two_files(path) -> None:
    with replacing_folder(path) as folder:
        (folder / "small").write_bytes(bytes(10))
        (folder / "large").write_bytes(bytes(1000))


def test_a_new_file_with_its_folders(tmp_path):
    with replacing(tmp_path / "a" / "b" / "f.bin") as file:
        file.write(b"new")
    assert (tmp_path / "a" / "b" / "f.bin").read_bytes() == b"new"
    assert names(tmp_path / "a" / "b") == ["f.bin"]


def test_a_pipe_stays_one(tmp_path):
    """A device, such as that which takes anything, would become a file for everybody."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(UserError, match=f"^cannot write {path}: it is a device or a pipe, not a file; nothing"):
            with replacing(path) as file:
                file.write(b"new")
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert link.is_symlink()
    assert names(tmp_path) == ["link", "pipe"]


def test_the_old_file_stays_until_the_end(tmp_path):
    path = tmp_path / "f.txt"
    path.write_text("old")
    with replacing(path, "w") as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~files._umask()


@pytest.mark.parametrize("crash", [RuntimeError, KeyboardInterrupt])
def test_a_crash_leaves_the_old_file_and_nothing_else(tmp_path, crash):
    path = tmp_path / "f.txt"
    path.write_text("old")
    with pytest.raises(crash):
        write_half_a_file(path, crash)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["f.txt"]


def test_a_disk_that_fills(tmp_path):
    checkpoint = Checkpoint.random(LeNetShape(2, 3, (7, 10)), seed=0)
    with file_size_limit(100), pytest.raises(UserError, match=r"cannot write .*net.npz: File too large"):
        save_checkpoint(tmp_path / "net.npz", checkpoint)
    assert names(tmp_path) == []


def test_a_disk_that_is_full_at_the_last_moment(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(UserError, match="No space left on device; nothing was left behind"),
        replacing(tmp_path / "f.bin") as file,
    ):
        file.write(b"new")
    assert names(tmp_path) == []


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "f.bin").mkdir()
    with pytest.raises(UserError, match="it is a folder"), replacing(tmp_path / "f.bin") as file:
        file.write(b"new")
    assert names(tmp_path) == ["f.bin"]


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "a").write_text("file")
    with pytest.raises(UserError, match="cannot write"), replacing(tmp_path / "a" / "f.bin") as file:
        file.write(b"new")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Permission denied"), replacing(tmp_path / "f.bin") as file:
        file.write(b"new")


def test_a_new_folder(tmp_path):
    with replacing_folder(tmp_path / "a" / "out") as folder:
        (folder / "top.v").write_text("module top; endmodule")
        assert not (tmp_path / "a" / "out").exists()
    assert names(tmp_path / "a" / "out") == ["manifest.json", "top.v"]
    assert names(tmp_path / "a") == ["out"]
    assert stat.S_IMODE((tmp_path / "a" / "out").stat().st_mode) == 0o777 & ~files._umask()


def test_the_old_folder_goes_as_a_whole(tmp_path):
    out = tmp_path / "out"
    with replacing_folder(out) as folder:
        (folder / "stale.v").write_text("old")
    with replacing_folder(out) as folder:
        (folder / "top.v").write_text("new")
        assert names(out) == ["manifest.json", "stale.v"]
    assert names(out) == ["manifest.json", "top.v"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("crash", [RuntimeError, KeyboardInterrupt])
def test_a_crash_leaves_the_old_folder(tmp_path, crash):
    out = tmp_path / "out"
    with replacing_folder(out) as folder:
        (folder / "top.v").write_text("old")
    with pytest.raises(crash):
        write_half_a_folder(out, crash)
    assert (out / "top.v").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_disk_that_fills_within_a_folder(tmp_path):
    with file_size_limit(100), pytest.raises(UserError, match=r"cannot write .*out: File too large"):
        write_two_files(tmp_path / "out")
    assert names(tmp_path) == []


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "out").write_text("file")
    with pytest.raises(UserError, match="it is a file"), replacing_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_text() == "file"


def test_a_swap_that_fails_brings_the_old_folder_back(tmp_path, monkeypatch):
    """Where two folders cannot be swapped at once."""
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    out = tmp_path / "out"
    with replacing_folder(out) as folder:
        (folder / "top.v").write_text("old")
    rename, calls = os.rename, []

    def second_fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(UserError, match="Input/output error"), replacing_folder(out) as folder:
        (folder / "top.v").write_text("new")
    assert (out / "top.v").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_limit_of_open_files_is_named(tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for number in (errno.EMFILE, errno.ENFILE):
        line = str(cannot_write(tmp_path / "out", OSError(number, os.strerror(number))))
        assert line == f"too many open files: this process may have {limit}; raise the limit with ulimit -n"
    assert "Name another place with --out" in str(cannot_write(tmp_path / "out", OSError(errno.EACCES, "no")))
