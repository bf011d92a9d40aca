"""Arrays of images and labels from files as a data set has them; an .npz of Keras's form."""

import io
from pathlib import Path

import numpy as np

from fivebyfive.model.network import INPUT_SIZES, MAX_CLASSES, MAX_INPUT_CHANNELS
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import read_limited
from fivebyfive.support.npy import read_npy

from .archives import ZIP_MAGIC, read_members
from .idx import MAX_BYTES

__all__ = ["Arrays", "check_size", "labels_of", "read_npz"]

Arrays = tuple[np.ndarray, np.ndarray]  # images uint8 (N, rows, columns) or (N, channels, rows, columns); labels
SIZES = f"{INPUT_SIZES[0]} to {INPUT_SIZES[-1]} rows and columns"
NPZ_WANTED = (
    "give x_train, y_train, x_test and y_test: images uint8 (N, rows, columns) or (N, rows, columns, channels), and "
    "labels (N,)"
)


def check_size(spec: object, rows: int, columns: int, channels: int = 1) -> None:
    """Raise UserError where no network takes images of that size."""
    if rows not in INPUT_SIZES or columns not in INPUT_SIZES or not 1 <= channels <= MAX_INPUT_CHANNELS:
        colours = f" of {channels} channels" if channels != 1 else ""
        raise UserError(
            f"{spec}: images are {rows}x{columns}{colours}; networks take {SIZES} and 1 to {MAX_INPUT_CHANNELS} "
            "channels: resize the images"
        )


def labels_of(array: np.ndarray, name: str) -> np.ndarray:
    """Labels uint8 (N,), of integers (N,) or (N, 1). Raises UserError for others."""
    if array.dtype.kind not in "iu" or array.ndim not in (1, 2) or array.shape[1:] not in ((), (1,)):
        raise UserError(f"{name} holds {array.dtype} {array.shape}; labels are integers (N,), one an image")
    if array.size and not 0 <= int(array.min()) <= int(array.max()) < MAX_CLASSES:
        raise UserError(
            f"{name} holds labels from {array.min()} to {array.max()}; number the classes from 0, at most {MAX_CLASSES}"
        )
    return array.reshape(-1).astype(np.uint8)


def read_npz(path: Path, split: str) -> Arrays:
    """Images and labels of the ``split`` in an .npz file of x_train, y_train, x_test and y_test, of which only two are
    read. Nothing is unpickled. Raises UserError."""
    data = read_limited(path, MAX_BYTES, "data set")
    if not data.startswith(ZIP_MAGIC):
        raise UserError(f"{path} is not an .npz file; {NPZ_WANTED}, as numpy.savez_compressed writes them")
    names = [f"{letter}_{split}" for letter in "xy"]
    members = read_members(data, [f"{name}.npy" for name in names], str(path), MAX_BYTES, NPZ_WANTED)
    images, labels = (array_of(path, name, member) for name, member in zip(names, members, strict=True))
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise UserError(f"{path}: {names[0]} holds {images.dtype} {images.shape}; {NPZ_WANTED}")
    if images.ndim == 4:
        check_size(f"{path}: {names[0]}", *images.shape[1:])
        images = images[..., 0] if images.shape[3] == 1 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images), labels_of(labels, f"{path}: {names[1]}")


def array_of(path: Path, name: str, member: bytes) -> np.ndarray:
    try:
        array = read_npy(io.BytesIO(member), len(member))
    except ValueError as error:
        raise UserError(f"{path} is damaged or truncated ({name}: {error}); get it again") from error
    if array.dtype.hasobject:
        raise UserError(f"{path}: {name} holds Python objects, which are never loaded; {NPZ_WANTED}")
    return array
