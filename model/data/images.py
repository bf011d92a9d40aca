"""Images that a person names: the first N MNIST test images, a .npy file, pictures of their own, or one on standard
input."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fivebyfive.model.shape import IMAGE
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import STANDARD_INPUT, as_path, open_limited
from fivebyfive.support.npy import MAGIC, read_npy

from .datasets import fit_images, load_dataset
from .pictures import (
    HEAD,
    KINDS,
    SUFFIXES,
    is_picture,
    looks_like_picture,
    read_picture,
    read_standard_picture,
)

__all__ = ["Images", "load_images", "picture_images"]

MAX_IMAGES = 1_000_000  # 784 MB of pixels
DIGIT = (1, IMAGE, IMAGE)  # channels, rows and columns of a digit, of MNIST or of a picture
SHOWN_INPUT = "standard input"
NAMED = 5  # skipped files that are named
MAX_NPY = MAX_IMAGES * IMAGE * IMAGE + 4096  # bytes, with a header
Size = tuple[int, int, int]


@dataclass(frozen=True)
class Images:
    """``pixels`` uint8 (N, rows, columns) or (N, channels, rows, columns), 0 is background; ``names``, for tables;
    ``labels`` uint8 (N,), None where nobody knows them; ``source``: what was asked for; ``remarks``: lines that a
    person should read."""

    pixels: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray | None
    source: str
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)


def load_images(spec: str | Path, size: Size = DIGIT) -> Images:
    """Images for an input of ``size`` (channels, rows, columns), by what ``spec`` is: a number N, the first N MNIST
    test images; "-", a picture on standard input; a folder, its pictures sorted by name; a single picture; or a .npy
    file of uint8 (N, channels, rows, columns), without channels where there is one. What a file is, its first bytes
    tell.

    Pictures become what MNIST would hold, see `pictures`. These and other images of 28x28 are put into a larger input
    (`fit_images`). Raises UserError, one line, for anything else.
    """
    text = str(spec)
    if text.isascii() and text.removeprefix("-").isdigit():
        return fitted(mnist_images(int(text[:12])), size)
    if text == STANDARD_INPUT:
        pixels, remarks = read_standard_picture()
        return fitted_digits(Images(pixels[np.newaxis], (SHOWN_INPUT,), None, SHOWN_INPUT, remarks), size)
    path = as_path(spec, "images")
    if path.is_dir():
        return fitted_digits(folder_images(path), size)
    head = read_head(path)
    if head.startswith(MAGIC):
        return npy_images(path, size)
    if is_picture(head) or path.suffix.lower() in SUFFIXES:
        return fitted_digits(picture_images([path], path.name), size)
    raise UserError(f"{path} is not a .npy file or a picture; {npy_wanted(size)}, or a {KINDS} file")


def npy_wanted(size: Size) -> str:
    """What a .npy file must hold."""
    channels, *map_size = size
    return f"give uint8 (N, {', '.join(map(str, size if channels > 1 else map_size))}) as numpy.save writes it"


def fitted(images: Images, size: Size) -> Images:
    """Images of 28x28 in an input of that size. Raises UserError where that is smaller."""
    return replace(images, pixels=fit_images(images.pixels, size, npy_wanted(size)))


def fitted_digits(images: Images, size: Size) -> Images:
    """The digits of pictures likewise; of several channels, what became of the colours is told."""
    if size[0] == 1:
        return fitted(images, size)
    remark = f"a picture is taken for a digit, the same in all {size[0]} channels; for other images {npy_wanted(size)}"
    return replace(fitted(images, size), remarks=(*images.remarks, remark))


def read_head(path: Path) -> bytes:
    """The first bytes of a file. Raises UserError where it cannot be read."""
    with open_limited(path, MAX_NPY, "file of images") as file:
        return file.read(HEAD)


def mnist_images(count: int) -> Images:
    """The first ``count`` of the 10,000 MNIST test images."""
    digits = load_dataset("mnist", "test")
    if not 1 <= count <= len(digits):
        raise UserError(f"there are {len(digits)} test images; give a number from 1 to {len(digits)}, not {count}")
    names = tuple(str(index) for index in range(count))
    source = f"the first {count} MNIST test images" if count > 1 else "the first MNIST test image"
    return Images(digits.images[:count], names, digits.labels[:count], source)


def npy_images(path: Path, size: Size = DIGIT) -> Images:
    """The images of a .npy file; its header is judged before its pixels are read."""
    wanted = npy_wanted(size)
    with open_limited(path, MAX_NPY, "file of images") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        try:
            array = read_npy(file, length)
        except ValueError as error:
            raise UserError(f"{path} is damaged or truncated ({error}); {wanted}") from error
    if array.dtype.hasobject:
        raise UserError(f"{path} holds Python objects, which are never loaded; {wanted}")
    digits = array.shape[1:] in (DIGIT, DIGIT[1:])
    taken = digits or array.shape[1:] == size or (size[0] == 1 and array.shape[1:] == size[1:])
    if array.dtype != np.uint8 or not array.ndim or not taken:
        raise UserError(f"{path} holds {array.dtype} {array.shape}; {wanted}")
    if not 1 <= len(array) <= MAX_IMAGES:
        raise UserError(f"{path} holds {len(array)} images; give 1 to {MAX_IMAGES}")
    images = Images(array, tuple(map(str, range(len(array)))), None, path.name)
    return fitted(replace(images, pixels=array.reshape(-1, IMAGE, IMAGE)), size) if digits else images


def picture_images(paths: Sequence[Path], source: str) -> Images:
    """Pictures of any size (`pictures.read_picture`), in their order; names are those of the files, with their suffixes
    where two would be the same."""
    read = [read_picture(path) for path in paths]
    names = tuple(path.stem for path in paths)
    if len(set(names)) < len(names):
        names = tuple(path.name for path in paths)
    remarks = tuple(f"{path}: {remark}" for path, (_, said) in zip(paths, read, strict=True) for remark in said)
    return Images(np.stack([pixels for pixels, _ in read]), names, None, source, remarks)


def folder_images(folder: Path) -> Images:
    """The pictures of a folder, sorted by name: files that begin as pictures do, or have a picture's suffix."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}") from error
    taken = [path for path in paths if looks_like_picture(path)]
    skipped = [path.name for path in paths if path not in set(taken)]
    if not 1 <= len(taken) <= MAX_IMAGES:
        rest = f" ({skipped_text(skipped)})" if skipped and not taken else ""
        raise UserError(f"{folder} has {len(taken)} pictures{rest}; give a folder with 1 to {MAX_IMAGES} {KINDS} files")
    images = picture_images(taken, f"the pictures of {folder.name or folder}")
    return replace(images, remarks=(f"{folder}: {skipped_text(skipped)}", *images.remarks)) if skipped else images


def skipped_text(names: Sequence[str]) -> str:
    """How many files a folder's reading left out, and the first of them."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} skipped, not pictures: {', '.join(names[:NAMED])}{more}"
