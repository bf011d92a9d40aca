"""Which training images are held out: drawn at random, or all digits of some writers.

What is held out chooses what is kept of a training. Digits of writers whose other digits are learned from are read too
well: those of MNIST's test set are of writers that no training has seen. The split of MNIST's training images by writer
is part of the package (`splits`); files of writer numbers make others.
"""

import io
import json
import os
import tomllib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from fivebyfive.model.data.archives import ZIP_MAGIC, read_members
from fivebyfive.model.data.datasets import Dataset, published_contents
from fivebyfive.model.data.download import genuine
from fivebyfive.model.data.idx import INT, idx_bytes, parse_idx, unpacked
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import read_limited
from fivebyfive.support.npy import MAGIC, read_npy
from fivebyfive.support.progress import Progress, silent

__all__ = ["DRAWN", "HOLD_OUTS", "QMNIST", "HoldOut", "fold_of", "read_writers", "recorded_hold_out"]

HOLD_OUTS = ("drawn", "writers")
IMAGES = 5000  # to hold out, or a fifth of a small set
SEED = 5000  # the same images are held out whatever the seed of the training
SPLIT = Path(__file__).parent / "splits" / "mnist-writers.npz"
SPLIT_DIGEST = "010576b0c9db5942cb8d086bd3246b6acd44b09174ce83125905fa63159431e8"  # SHA-256 of the bits
QMNIST = "qmnist"  # a name instead of a file: QMNIST's labels, downloaded
LABELS = "qmnist-train-labels-idx2-int"
WRITER = 2  # column of those labels
MAX_BYTES = 256 << 20
MAX_REPORT = 16 << 20  # bytes
WANTED = f"give {QMNIST}, QMNIST's file {LABELS}, or a .npy or an .npz file with an array writer, integers (N,)"


@dataclass(frozen=True)
class HoldOut:
    """``kind``: "drawn" at random, or all images of some "writers". ``writers``: a file of writer numbers
    (`read_writers`), without which the split of MNIST that ships is taken; ``fold``: which of the disjoint sets of
    writers that such a file makes. Raises ValueError where these do not go together."""

    kind: str = "drawn"
    writers: str = ""
    fold: int = 0

    def __post_init__(self) -> None:
        if self.kind not in HOLD_OUTS:
            raise ValueError(f"images are held out {' or by '.join(HOLD_OUTS)}, not {self.kind}")
        if self.fold < 0:
            raise ValueError(f"folds are numbered from 0, not {self.fold}")
        if (self.writers and self.kind != "writers") or (self.fold and not self.writers):
            raise ValueError("a fold is one of a file of writers, and a file of writers is for holding out by writers")

    def __str__(self) -> str:
        return f"{self.kind} of {self.writers}, fold {self.fold}" if self.writers else self.kind

    @property
    def plain(self) -> dict[str, Any]:
        """The same as plain values, those that say something."""
        values = {"hold_out": self.kind, "writers": self.writers, "fold": self.fold}
        return {name: value for name, value in values.items() if value}

    def divide(self, training: Dataset, folder: Path = Path(), progress: Progress = silent) -> tuple[Dataset, Dataset]:
        """The images to learn from, and those held out. ``folder``: where the path of the file begins. Raises
        UserError."""
        if self.kind == "drawn":
            return training.split(wanted(len(training)), SEED)
        return training.divided(self.chosen(training, folder, progress))

    def chosen(self, training: Dataset, folder: Path = Path(), progress: Progress = silent) -> np.ndarray:
        """Which images are held out, bool (N,). Raises UserError as `divide`."""
        if self.kind == "drawn":
            return np.isin(np.arange(len(training)), training.order(SEED)[: wanted(len(training))])
        if not self.writers:
            return shipped_split(training)
        name = self.writers if self.writers == QMNIST else folder / self.writers
        writer = read_writers(name, progress)
        if len(writer) != len(training):
            raise UserError(f"{name} has {len(writer)} writer numbers, but {training.name} {len(training)} images; "
                            "give those of this set")  # fmt: skip
        return fold_of(writer, self.fold)


DRAWN = HoldOut()


def recorded_hold_out(checkpoint: Path) -> HoldOut:
    """What was held out when a checkpoint was made, by the report or the card beside it; drawn images where neither
    says it: no training must have seen what is held out of the next one. Raises UserError where only the user can say
    it again."""
    for suffix, read in ((".json", json.loads), (".toml", tomllib.loads)):
        try:
            content = read(read_limited(checkpoint.with_suffix(suffix), MAX_REPORT, "report").decode())
            said = content.get("result", content).get("hold_out", content.get("hold_out"))
        except (UserError, ValueError, AttributeError, RecursionError):  # there is none, or it is no report
            continue
        if said in HOLD_OUTS:
            return HoldOut(said)
        if isinstance(said, str):
            raise UserError(f"{checkpoint} was made with other images held out ({shown(said)}); give the same "
                            "--writers and --fold")  # fmt: skip
    return DRAWN


def wanted(images: int) -> int:
    """How many of so many images are held out, about."""
    return min(IMAGES, images // 5)


def shipped_split(training: Dataset) -> np.ndarray:
    """Which training images of MNIST are held out, bool (60000,). Raises UserError where the set is another one."""
    if not genuine("mnist", "train-labels-idx1-ubyte", idx_bytes(training.labels)):
        raise UserError(f"who wrote the images of {training.name} is not known: hold out drawn ones with --hold-out "
                        "drawn, or give a file of writer numbers with --writers")  # fmt: skip
    bits = read_array(SPLIT, "held_out.npy")
    if sha256(bits.tobytes()).hexdigest() != SPLIT_DIGEST:
        raise UserError(f"{SPLIT} was changed; install fivebyfive again")
    return np.unpackbits(bits, count=len(training)).astype(bool)


def fold_of(writer: np.ndarray, fold: int) -> np.ndarray:
    """Which images a fold holds out, bool (N,): all of some writers, about 5,000 images, or a fifth of a small set.

    The writers, in an order that is drawn once, are dealt out to one fold after the other: no writer is in two. Raises
    UserError where there are fewer folds.
    """
    names, own, counts = np.unique(writer, return_inverse=True, return_counts=True)
    order = np.random.default_rng(SEED).permutation(len(names))
    before = np.empty(len(names), np.int64)  # images of the writers in front
    before[order] = np.cumsum(counts[order]) - counts[order]
    folds = before // max(1, wanted(len(writer)))
    if fold > folds.max() or len(names) < 2:
        raise UserError(f"{len(names)} writers of {len(writer)} images make {folds.max() + 1} folds, from 0; there is "
                        f"no fold {fold}")  # fmt: skip
    return np.asarray(folds == fold)[own]


def read_writers(path: Path | str, progress: Progress = silent) -> np.ndarray:
    """Who wrote each training image, integers (N,): a .npy file, an .npz file with an array ``writer``, QMNIST's file
    of labels, or those labels by the name "qmnist". Nothing is unpickled. Raises UserError.

    QMNIST: Yadav and Bottou 2019, arXiv:1905.10498, who found the writers of MNIST's images again.
    """
    if path == QMNIST:
        (labels,) = published_contents(QMNIST, [LABELS], None, progress)
        return parse_idx(labels, LABELS, 2, INT)[:, WRITER]
    path = Path(path)
    data = read_limited(path, MAX_BYTES, "file of writers")
    if data.startswith((ZIP_MAGIC, MAGIC)):
        writer = read_array(path, "writer.npy")
        if writer.dtype.kind not in "iu" or writer.ndim != 1 or not len(writer):
            raise UserError(f"{path} holds {writer.dtype} {writer.shape}; {WANTED}")
        return writer
    labels = unpacked(data, str(path), MAX_BYTES)
    if not labels.startswith(bytes([0, 0, INT, 2])):
        raise UserError(f"{path} is no file of writer numbers; {WANTED}")
    columns = parse_idx(labels, str(path), 2, INT)
    if columns.shape[1] <= WRITER:
        raise UserError(f"{path} has {columns.shape[1]} columns, QMNIST's labels 8; {WANTED}")
    return columns[:, WRITER]


def read_array(path: Path, member: str) -> np.ndarray:
    """The array of a .npy file, or the ``member`` of an .npz file. Raises UserError."""
    data = read_limited(path, MAX_BYTES, "file of writers")
    if data.startswith(ZIP_MAGIC):
        (data,) = read_members(data, [member], os.fspath(path), MAX_BYTES, WANTED)
    try:
        array = read_npy(io.BytesIO(data), len(data))
    except ValueError as error:
        raise UserError(f"{path} is damaged or truncated ({error}); {WANTED}") from error
    if array.dtype.hasobject:
        raise UserError(f"{path} holds Python objects, which are never loaded; {WANTED}")
    return array
