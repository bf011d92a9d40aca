"""Images and labels by name: the shipped MNIST test set, cached or downloaded sets, folders of idx files.

A set is four idx files. They are looked for in the folder that the environment variable FIVEBYFIVE_DATA
names (there in a folder called after the set, or directly), in the package itself, in the user's cache, and
then fetched (`fivebyfive.model.data.download`). Files of a named set are taken only with the SHA-256 of the
published ones.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

from fivebyfive.model.shape import IMAGE
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import as_path, read_limited
from fivebyfive.support.progress import Progress, silent

from .download import SETS, fetch, genuine
from .idx import MAX_BYTES, parse_idx, read_idx, unpacked

__all__ = ["DATA_VARIABLE", "SHIPPED_DATA", "Dataset", "cache_folder", "fit_images", "joined", "load_dataset"]

SHIPPED_DATA = Path(__file__).parent / "mnist"
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
        order = np.random.default_rng(seed).permutation(len(self))
        parts = ((f"{self.name}-learning", order[held_out:]), (f"{self.name}-held-out", order[:held_out]))
        first, second = (Dataset(name, self.images[index], self.labels[index]) for name, index in parts)
        return first, second

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        return int(self.labels.max(initial=0)) + 1 if len(self.labels) else 0


def load_dataset(spec: str | Path = "mnist", split: str = "test", progress: Progress = silent) -> Dataset:
    """The ``split`` ("train" or "test") of "mnist", "fashion-mnist" or a folder of idx files, with or
    without .gz.

    The MNIST test set is part of the package: it is always there. Other named sets may be downloaded;
    ``progress`` then counts bytes. Raises UserError, one line, where the set cannot be had.
    """
    if split not in PREFIXES:
        raise ValueError(f"split must be train or test, not {split}")
    if not isinstance(spec, str):
        spec = as_path(spec, "data set")
    names = [f"{PREFIXES[split]}-images-idx3-ubyte", f"{PREFIXES[split]}-labels-idx1-ubyte"]
    if str(spec) in SETS:
        arrays = [_named(str(spec), name, progress) for name in names]
    else:
        arrays = [_from_folder(Path(spec), name) for name in names]
    if arrays[0].shape[1:] != (IMAGE, IMAGE):
        raise UserError(f"{spec}: images must be uint8 (N, {IMAGE}, {IMAGE}), not {arrays[0].dtype} {arrays[0].shape}")
    try:
        return Dataset(f"{spec}-{split}" if str(spec) in SETS else f"{Path(spec).name}-{split}", *arrays)
    except ValueError as error:
        raise UserError(f"{spec}: {error}") from error


def joined(first: Dataset, second: Dataset) -> Dataset:
    """The images of two sets, one behind the other, under the name of the first."""
    pairs = (first.images, second.images), (first.labels, second.labels)
    return Dataset(first.name, *map(np.concatenate, pairs))


def fit_images(images: np.ndarray, size: tuple[int, int, int], otherwise: str = OTHER_SET) -> np.ndarray:
    """Images (N, H, W) for an input of (channels, rows, columns): in the middle of black where that is larger, the
    same in each channel; as they are where they have its channels. Raises UserError where it is smaller, with what to
    do ``otherwise``."""
    if images.shape[1:] == size:
        return images
    channels, rows, columns = size
    have = images.shape[1:]
    below, beside = rows - have[0], columns - have[1]
    if below < 0 or beside < 0:
        raise UserError(
            f"the network takes images of {rows}x{columns}, but these have {have[0]}x{have[1]}; {otherwise}"
        )
    fitted = np.pad(images, ((0, 0), (below // 2, below - below // 2), (beside // 2, beside - beside // 2)))
    return fitted if channels == 1 else np.broadcast_to(fitted[:, np.newaxis], (len(images), *size))


def cache_folder(name: str) -> Path:
    """Where downloaded files of the set ``name`` are kept."""
    return Path(platformdirs.user_cache_dir("fivebyfive")) / "data" / name


def _named(spec: str, name: str, progress: Progress) -> np.ndarray:
    """One file of a named set, from the first place that has it."""
    folders = [SHIPPED_DATA] if spec == "mnist" else []
    if chosen := os.environ.get(DATA_VARIABLE):
        folders = [Path(chosen) / spec, Path(chosen), *folders]
    for folder in folders:
        if found := _find(folder, name):
            data = read_limited(found, MAX_BYTES, "data set")
            if genuine(spec, name, data):
                return parse_idx(unpacked(data, str(found)), str(found), _dimensions(name))
            if folder == SHIPPED_DATA:
                raise UserError(f"{found} is not the published file (its SHA-256 differs); install fivebyfive again")
    path = fetch(spec, name, cache_folder(spec), progress)
    return read_idx(path, _dimensions(name))


def _from_folder(folder: Path, name: str) -> np.ndarray:
    if not folder.is_dir():
        known = ", ".join(SETS)
        raise UserError(f"no data set called {folder}: give {known} or a folder of idx files")
    if found := _find(folder, name):
        return read_idx(found, _dimensions(name))
    raise UserError(f"{folder} has no file {name} (or {name}.gz); name the four idx files as MNIST does")


def _find(folder: Path, name: str) -> Path | None:
    """The file in ``folder``, with or without .gz; some tools write a dot before idx, not a hyphen."""
    for variant in (name, name.replace("-idx", ".idx")):
        for path in (folder / f"{variant}.gz", folder / variant):
            if path.exists():
                return path
    return None


def _dimensions(name: str) -> int:
    return 3 if "images" in name else 1
