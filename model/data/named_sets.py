"""The published data sets that have names: which of their files hold a split, and how images and labels lie in them.

A file may be an archive, whose members are read then. Where files come from, and their SHA-256: `download`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fivebyfive.support.errors import UserError

from .arrays import Arrays, labels_of
from .idx import INT, parse_idx

__all__ = ["NAMED_SETS", "NamedSet", "Open"]

Open = Callable[[Sequence[str], str | None], list[bytes]]  # unpacked contents of files, or of members of an archive
CIFAR_SIZE = (3, 32, 32)


class NamedSet(Protocol):
    """``source``: what `download` knows its files by."""

    @property
    def source(self) -> str: ...

    def read(self, split: str, contents: Open) -> Arrays:
        """Images and labels of "train" or "test". Raises UserError."""
        ...


@dataclass(frozen=True)
class IdxSet:
    """Two idx files a split. ``images``, ``labels``: their names with {} for the split, which is ``test`` where that is
    the test set's word. ``transposed``: rows lie where columns should. ``first``: label of the first class. Labels of
    ``wide`` files are int32 (N, columns), the class in the first column."""

    source: str
    images: str = "{}-images-idx3-ubyte"
    labels: str = "{}-labels-idx1-ubyte"
    test: str = "t10k"
    archive: str | None = None
    transposed: bool = False
    first: int = 0
    wide: bool = False

    def read(self, split: str, contents: Open) -> Arrays:
        names = [name.format(self.test if split == "test" else split) for name in (self.images, self.labels)]
        data = contents(names, self.archive)
        images = parse_idx(data[0], names[0], 3)
        labels = parse_idx(data[1], names[1], 2, INT)[:, :1] if self.wide else parse_idx(data[1], names[1], 1)
        if self.transposed:
            images = np.ascontiguousarray(images.transpose(0, 2, 1))
        return images, labels_of(labels.astype(np.int64) - self.first, names[1])


@dataclass(frozen=True)
class RecordSet:
    """Records of labels, each a byte, of which the last is taken, and the pixels of CIFAR_SIZE. ``train``, ``test``:
    members of the archive."""

    source: str
    archive: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    label_bytes: int = 1

    def read(self, split: str, contents: Open) -> Arrays:
        names = self.train if split == "train" else self.test
        size = self.label_bytes + int(np.prod(CIFAR_SIZE))
        data = contents(names, self.archive)
        for name, member in zip(names, data, strict=True):
            if len(member) % size:
                raise UserError(f"{name} has {len(member)} bytes, no whole records of {size}; get it again")
        records = np.concatenate([np.frombuffer(member, np.uint8).reshape(-1, size) for member in data])
        images = records[:, self.label_bytes :].reshape(-1, *CIFAR_SIZE)
        return images, records[:, self.label_bytes - 1].copy()


def emnist(name: str) -> IdxSet:
    """A split of EMNIST (Cohen, Afshar, Tapson and van Schaik 2017, arXiv:1702.05373). Its images are stored as MATLAB
    does, by columns, and the labels of "letters" are 1 to 26."""
    start = f"gzip/emnist-{name}-{{}}"
    return IdxSet(
        "emnist", f"{start}-images-idx3-ubyte.gz", f"{start}-labels-idx1-ubyte.gz", "test", "gzip.zip",
        transposed=True, first=int(name == "letters"),
    )  # fmt: skip


EMNIST = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
NAMED_SETS: dict[str, NamedSet] = {
    "mnist": IdxSet("mnist"),
    "fashion-mnist": IdxSet("fashion-mnist"),
    "kmnist": IdxSet("kmnist"),
    "qmnist": IdxSet("qmnist", "qmnist-{}-images-idx3-ubyte", "qmnist-{}-labels-idx2-int", "test", wide=True),
    **{f"emnist-{name}": emnist(name) for name in EMNIST},
    "cifar-10": RecordSet(
        "cifar-10", "cifar-10-binary.tar.gz",
        tuple(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6)),
        ("cifar-10-batches-bin/test_batch.bin",),
    ),
    "cifar-100": RecordSet(  # the coarse label in front of the fine one
        "cifar-100", "cifar-100-binary.tar.gz", ("cifar-100-binary/train.bin",), ("cifar-100-binary/test.bin",), 2
    ),
}  # fmt: skip
