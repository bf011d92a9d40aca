"""The published data sets that have names: which of their files hold a split, and how images and labels lie in them.

A file may be an archive, whose members are read then. Where files come from, and their SHA-256: `download`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import numpy as np

from fivebyfive.support.errors import UserError

from .arrays import Arrays, labels_of
from .idx import INT, parse_idx
from .other_hands import ALTERATIONS, IMAGES, Alteration

__all__ = ["DIGIT_SETS", "NAMED_SETS", "SUITES", "NamedSet", "Open"]

Open = Callable[[Sequence[str], str | None], list[bytes]]  # unpacked contents of files, or of members of an archive
CIFAR_SIZE = (3, 32, 32)
BOTH = ("train", "test")
TEST_ALONE = ("test",)


class NamedSet(Protocol):
    """``source``: what `download` knows its files by. ``splits``: which of "train" and "test" there are."""

    @property
    def source(self) -> str: ...

    @property
    def splits(self) -> tuple[str, ...]: ...

    def read(self, split: str, contents: Open) -> Arrays:
        """Images and labels of one of the splits. Raises UserError."""
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
    splits: tuple[str, ...] = BOTH

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
    splits: tuple[str, ...] = BOTH

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


@dataclass(frozen=True)
class AlteredSet:
    """The first test images of MNIST with other strokes."""

    alteration: Alteration
    source: str = "mnist"
    splits: tuple[str, ...] = TEST_ALONE

    def read(self, split: str, contents: Open) -> Arrays:
        images, labels = IdxSet(self.source).read(split, contents)
        altered = np.ascontiguousarray(self.alteration.rule(images[:IMAGES]))
        if sha256(altered.tobytes()).hexdigest() != self.alteration.digest:
            raise UserError(
                f"the {self.alteration.rule.__name__} test images differ from the defined ones (their SHA-256 does); "
                "install the releases of NumPy and Pillow that fivebyfive asks for"
            )
        return altered, labels[:IMAGES]


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
    **{
        f"other-hands-{name}": IdxSet("other-hands", f"{name}-images-idx3-ubyte", "labels-idx1-ubyte",
                                      splits=TEST_ALONE)
        for name in ("soft", "crisp")
    },
    **{f"other-hands-{name}": AlteredSet(alteration) for name, alteration in ALTERATIONS.items()},
}  # fmt: skip
DIGIT_SETS = ("mnist", "qmnist", "emnist-digits", "emnist-mnist")  # class 1 is the digit 1
# Names of several sets: one network on all of them.
SUITES = {"other-hands": ("mnist", *(name for name in NAMED_SETS if name.startswith("other-hands-")))}
