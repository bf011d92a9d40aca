"""Images that a person names: the first so many MNIST test images, a .npy file, or pictures of their own."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .datasets import load_dataset
from .errors import UserError
from .inputs import as_path, open_limited
from .npy import MAGIC, read_npy
from .pictures import SUFFIXES, load_picture
from .shape import IMAGE

__all__ = ["Images", "load_images", "picture_images"]

MAX_IMAGES = 1_000_000  # 784 MB of pixels
MAX_NPY = MAX_IMAGES * IMAGE * IMAGE + 4096  # bytes, with a header


@dataclass(frozen=True)
class Images:
    """``pixels`` uint8 (N, 28, 28), 0 is background; ``names``, for tables; ``labels`` uint8 (N,), None where
    nobody knows them; ``source``: what was asked for."""

    pixels: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray | None
    source: str

    def __len__(self) -> int:
        return len(self.pixels)


def load_images(spec: str | Path) -> Images:
    """Images by what ``spec`` is: a number N, the first N MNIST test images; a folder, its PNGs and JPEGs sorted
    by name; a single one of those; else a .npy file of uint8 (N, 28, 28).

    Pictures become what MNIST would hold, see `pictures`. Raises UserError, one line, for anything else.
    """
    text = str(spec)
    if text.isascii() and text.removeprefix("-").isdigit():
        return mnist_images(int(text[:12]))
    path = as_path(spec, "images")
    if path.is_dir():
        return folder_images(path)
    if path.suffix.lower() in SUFFIXES:
        return picture_images([path], path.name)
    return npy_images(path)


def mnist_images(count: int) -> Images:
    """The first ``count`` of the 10,000 MNIST test images."""
    digits = load_dataset("mnist", "test")
    if not 1 <= count <= len(digits):
        raise UserError(
            f"there are {len(digits)} test images; give a number from 1 to {len(digits)}, not {count}"
        )
    names = tuple(str(index) for index in range(count))
    source = f"the first {count} MNIST test images" if count > 1 else "the first MNIST test image"
    return Images(digits.images[:count], names, digits.labels[:count], source)


def npy_images(path: Path) -> Images:
    """The images of a .npy file; its header is judged before its pixels are read."""
    wanted = f"give uint8 (N, {IMAGE}, {IMAGE}) as numpy.save writes it"
    with open_limited(path, MAX_NPY, "file of images") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise UserError(f"{path} is not a .npy file; {wanted}")
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        try:
            array = read_npy(file, size)
        except ValueError as error:
            raise UserError(f"{path} is damaged or truncated ({error}); {wanted}") from error
    if array.dtype.hasobject:
        raise UserError(f"{path} holds Python objects, which are never loaded; {wanted}")
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[1:] != (IMAGE, IMAGE):
        raise UserError(f"{path} holds {array.dtype} {array.shape}; {wanted}")
    if not 1 <= len(array) <= MAX_IMAGES:
        raise UserError(f"{path} holds {len(array)} images; give 1 to {MAX_IMAGES}")
    return Images(array, tuple(map(str, range(len(array)))), None, path.name)


def picture_images(paths: Sequence[Path], source: str) -> Images:
    """Pictures of any size, PNG or JPEG (`pictures.load_picture`), in their order; names are those of the files."""
    pixels = np.stack([load_picture(path) for path in paths])
    return Images(pixels, tuple(path.stem for path in paths), None, source)


def folder_images(folder: Path) -> Images:
    """The PNGs and JPEGs of a folder, sorted by name."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}") from error
    if not 1 <= len(paths) <= MAX_IMAGES:
        raise UserError(f"{folder} has {len(paths)} .png or .jpg files; give a folder with 1 to {MAX_IMAGES}")
    return picture_images(paths, f"the pictures of {folder.name or folder}")
