"""Images and labels: the shipped test sets, cached or downloaded sets by name, folders of idx files, .npz files
of Keras's form, and folders of pictures.

The files of a named set (`named_sets`) are looked for in the folder that the environment variable FIVEBYFIVE_DATA names
(there in a folder called after the set, or directly), in the package itself, in the user's cache, and then fetched
(`download`). They are taken only with the SHA-256 of the published ones.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import as_path, read_limited
from fivebyfive.support.progress import Progress, silent

from .archives import read_members
from .arrays import Arrays, check_size, read_npz
from .download import LARGEST, fetch, genuine
from .idx import read_idx, unpacked
from .named_sets import DIGIT_SETS, NAMED_SETS, SUITES

__all__ = [
    "DATA_VARIABLE",
    "OTHER_SET",
    "SHIPPED_DATA",
    "Dataset",
    "cache_folder",
    "check_channels",
    "fit_images",
    "joined",
    "load_dataset",
    "load_test_sets",
    "published_contents",
]

# Of folders that are called as the sets: / "mnist" and / "other-hands" (`fivebyfive.sim.jobs.sources` finds them here).
SHIPPED_DATA = Path(__file__).parent
DATA_VARIABLE = "FIVEBYFIVE_DATA"
PREFIXES = {"train": "train", "test": "t10k"}
OTHER_SET = "give a set that fits with --data"


@dataclass(frozen=True)
class Dataset:
    """``images`` uint8 (N, rows, columns) or (N, channels, rows, columns), 0 is background; ``labels`` uint8 (N,).

    Raises ValueError where they do not fit together.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim not in (3, 4):
            raise ValueError(f"images must be uint8 (N, rows, columns), not {self.images.dtype} {self.images.shape}")
        if self.labels.dtype != np.uint8 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must be uint8 ({len(self.images)},), one an image, not {self.labels.dtype} {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def split(self, held_out: int, seed: int) -> tuple["Dataset", "Dataset"]:
        """All but ``held_out`` images, and those, drawn with ``seed``."""
        order = self.order(seed)
        return self.parts(order[held_out:], order[:held_out])

    def order(self, seed: int) -> np.ndarray:
        """The numbers of the images, (N,), in an order that is drawn with ``seed``."""
        return np.random.default_rng(seed).permutation(len(self))

    def divided(self, held_out: np.ndarray) -> tuple["Dataset", "Dataset"]:
        """All images but those ``held_out``, bool (N,), and those."""
        return self.parts(~held_out, held_out)

    def parts(self, learning: np.ndarray, held_out: np.ndarray) -> tuple["Dataset", "Dataset"]:
        """The images of two indices."""
        parts = ((f"{self.name}-learning", learning), (f"{self.name}-held-out", held_out))
        first, second = (Dataset(name, self.images[index], self.labels[index]) for name, index in parts)
        return first, second

    @property
    def size(self) -> tuple[int, int, int]:
        """Channels, rows and columns of an image."""
        channels, rows, columns = (1, *self.images.shape[1:])[-3:]
        return channels, rows, columns

    @property
    def digits(self) -> bool:
        """Whether class 1 is known to be the digit 1, by the name of the set."""
        return re.split("-(?:train|test)", self.name)[0] in DIGIT_SETS

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        return int(self.labels.max(initial=0)) + 1 if len(self.labels) else 0


def silent_remark(text: str) -> None:
    """Nobody reads it."""


def load_dataset(
    spec: str | Path = "mnist", split: str = "test", progress: Progress = silent,
    remark: Callable[[str], None] = silent_remark,
) -> Dataset:  # fmt: skip
    """The ``split`` ("train" or "test") of a named set (`named_sets.NAMED_SETS`), a folder of four idx files, with or
    without .gz, an .npz file of x_train, y_train, x_test and y_test, or a folder of classes (`class_folders`).

    The test sets of MNIST and of other hands are part of the package: they are always there. Other named sets may be
    downloaded; ``progress`` then counts bytes. ``remark`` is called with lines about what was chosen, of the test set
    alone, as they are the same for both. Raises UserError, one line, where the set cannot be had.
    """
    if split not in PREFIXES:
        raise ValueError(f"split must be train or test, not {split}")
    if not isinstance(spec, str):
        spec = as_path(spec, "data set")
    if several := SUITES.get(str(spec)):
        raise UserError(f"{spec} is several test sets, which evaluate and compare take together; give one of them: "
                        f"{', '.join(several)}")  # fmt: skip
    known = NAMED_SETS.get(str(spec))
    if known:
        if split not in known.splits:
            raise UserError(f"{spec} has test images alone, none to train on; give another set with --data")
        images, labels = known.read(
            split, lambda names, archive: published_contents(known.source, names, archive, progress)
        )
    else:
        images, labels = _from_path(as_path(spec, "data set"), split, progress, remark)
    try:
        found = Dataset(f"{spec if known else Path(spec).name.removesuffix('.npz')}-{split}", images, labels)
    except ValueError as error:
        raise UserError(f"{spec}: {error}") from error
    channels, rows, columns = found.size
    check_size(spec, rows, columns, channels)
    return found


def load_test_sets(
    spec: str, progress: Progress = silent, remark: Callable[[str], None] = silent_remark
) -> dict[str, Dataset]:  # fmt: skip
    """The test sets of a name that stands for several (`named_sets.SUITES`), or the one of any other, each by its name.
    Raises UserError as `load_dataset`."""
    return {name: load_dataset(name, "test", progress, remark) for name in SUITES.get(spec, (spec,))}


def joined(first: Dataset, second: Dataset) -> Dataset:
    """The images of two sets, one behind the other, under the name of the first."""
    pairs = (first.images, second.images), (first.labels, second.labels)
    return Dataset(first.name, *map(np.concatenate, pairs))


def fit_images(images: np.ndarray, size: tuple[int, int, int], otherwise: str = OTHER_SET) -> np.ndarray:
    """Images (N, H, W) or (N, C, H, W) for an input of (channels, rows, columns): in the middle of black where that is
    larger, grey ones the same in each of several channels; (N, rows, columns) for one. Raises UserError where it is
    smaller or has other channels, with what to do ``otherwise``."""
    channels, rows, columns = size
    colours = images.shape[1] if images.ndim == 4 else 1
    have = images.shape[-2:]
    below, beside = rows - have[0], columns - have[1]
    if below < 0 or beside < 0:
        raise UserError(
            f"the network takes images of {rows}x{columns}, but these have {have[0]}x{have[1]}; {otherwise}"
        )
    check_channels(colours, channels, otherwise)
    if images.shape[1:] == size:
        return images
    around = [(below // 2, below - below // 2), (beside // 2, beside - beside // 2)]
    fitted = np.pad(images.reshape(-1, colours, *have), ((0, 0), (0, 0), *around)) if below or beside else images
    if channels == 1:
        return fitted.reshape(-1, rows, columns)
    return np.broadcast_to(fitted.reshape(-1, colours, rows, columns), (len(images), *size))


def check_channels(have: int, channels: int, otherwise: str = OTHER_SET) -> None:
    """Raise UserError where images of ``have`` channels are not for a network that takes ``channels``."""
    if have not in (1, channels):
        kind = "grey images" if channels == 1 else f"images of {channels} channels"
        raise UserError(f"the network takes {kind}, but these have {have} channels; {otherwise}")


def cache_folder(name: str) -> Path:
    """Where the downloaded files that `download` calls ``name`` are kept."""
    return Path(platformdirs.user_cache_dir("fivebyfive")) / "data" / name


def published_contents(source: str, names: Sequence[str], archive: str | None, progress: Progress) -> list[bytes]:
    """The unpacked contents of published files, or of members of the one that is an archive."""
    if archive is None:
        return [unpacked(_published(source, name, progress), name, LARGEST) for name in names]
    members = read_members(_published(source, archive, progress), names, archive, LARGEST)
    return [unpacked(member, name, LARGEST) for name, member in zip(names, members, strict=True)]


def _published(source: str, name: str, progress: Progress) -> bytes:
    """A published file as it is in the first place that has it."""
    shipped = SHIPPED_DATA / source
    folders = [shipped]
    if chosen := os.environ.get(DATA_VARIABLE):
        folders = [Path(chosen) / source, Path(chosen), *folders]
    for folder in folders:
        if found := _find(folder, name):
            data = read_limited(found, LARGEST, "data set")
            if genuine(source, name, data):
                return data
            if folder == shipped:
                raise UserError(f"{found} is not the published file (its SHA-256 differs); install fivebyfive again")
    return read_limited(fetch(source, name, cache_folder(source), progress), LARGEST, "data set")


def _from_path(path: Path, split: str, progress: Progress, remark: Callable[[str], None]) -> Arrays:
    from .class_folders import read_class_folders, subfolders  # here: Pillow takes a while

    if os.path.isfile(path):
        return read_npz(path, split)
    if not os.path.isdir(path):
        known = ", ".join(NAMED_SETS)
        raise UserError(
            f"no data set called {path}: give {known}, a folder of idx files or of pictures, or an .npz file"
        )
    names = [f"{PREFIXES[split]}-{rest}" for rest in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    try:
        files = [_find(path, name) for name in names]
        pictures = not any(files) and subfolders(path)
    except OSError as error:
        raise UserError(f"cannot read folder {path}: {error.strerror}") from error
    if pictures:
        return read_class_folders(path, split, progress, remark if split == "test" else silent_remark)
    arrays = []
    for name, file, dimensions in zip(names, files, (3, 1), strict=True):
        if file is None:
            raise UserError(
                f"{path} has no file {name} (or {name}.gz); name the four idx files as MNIST does, or give a folder "
                "with a folder of pictures for each class"
            )
        arrays.append(read_idx(file, dimensions))
    images, labels = arrays
    return images, labels


def _find(folder: Path, name: str) -> Path | None:
    """The file in ``folder``, with or without .gz; some tools write a dot before idx, not a hyphen."""
    for variant in (name, name.replace("-idx", ".idx")):
        for path in (folder / f"{variant}.gz", folder / variant):
            if path.exists():
                return path
    return None
