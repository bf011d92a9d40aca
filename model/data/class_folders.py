"""A folder whose subfolders are classes, with pictures in them, taken as they are: grey or colour, 0 is black."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from fivebyfive.model.network import MAX_CLASSES
from fivebyfive.support.errors import UserError
from fivebyfive.support.progress import Progress

from .arrays import Arrays, check_size
from .idx import MAX_BYTES
from .pictures import KINDS, PictureForm, looks_like_picture, picture_form, read_pixels

__all__ = ["read_class_folders", "subfolders"]

FIFTH = 5  # every fifth picture of a class is a test image
MAX_PICTURES = 1_000_000
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Picture:
    path: Path
    label: int
    split: str


def read_class_folders(folder: Path, split: str, progress: Progress, remark: Callable[[str], None]) -> Arrays:
    """Images and labels of a ``split``: the classes are the subfolders' names, sorted, of ``folder`` or of its "train"
    and "test"; without these, every fifth picture of a class, sorted by name, is a test image.

    Images are uint8 (N, rows, columns) where all pictures are grey, else (N, 3, rows, columns); all have the size that
    most pictures of both splits have, the others are resized. ``remark`` is called with a line about each of these
    choices. Raises UserError.
    """
    said: list[str] = []
    try:
        pictures = list(islice(found(folder, said.append), MAX_PICTURES + 1))
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}") from error
    if len(pictures) > MAX_PICTURES:
        raise UserError(f"{folder} has more than {MAX_PICTURES} pictures; give fewer")
    chosen = [one for one in pictures if one.split == split]
    if not chosen:
        raise UserError(f"{folder} has no pictures to {split} with; give folders of {KINDS} files, one a class")
    forms = []
    for number, one in enumerate(pictures):
        progress(number, len(pictures), "looking at pictures")
        forms.append(picture_form(one.path))
    grey = all(form.grey for form in forms)
    (size, often), *_ = Counter(form.size for form in forms).most_common()
    columns, rows = size
    check_size(folder, rows, columns)
    if len(chosen) * rows * columns * (1 if grey else 3) > MAX_BYTES:
        raise UserError(
            f"{folder} has {len(chosen)} pictures of {rows}x{columns}; at most {MAX_BYTES >> 20} MiB are read"
        )
    if often < len(pictures):
        said.append(
            f"{folder}: {len(pictures) - often} of {len(pictures)} pictures are resized to {rows}x{columns}, the size "
            "of most"
        )
    if not grey and any(form.grey for form in forms):
        said.append(f"{folder}: grey pictures are taken as colour ones, as others are in colour")
    images = []
    for number, one in enumerate(chosen):
        progress(number, len(chosen), "reading pictures")
        images.append(read_pixels(one.path, PictureForm(size, grey)))
    for line in said:  # now that nothing is refused any more
        remark(line)
    return np.stack(images), np.array([one.label for one in chosen], np.uint8)


def found(folder: Path, remark: Callable[[str], None]) -> Iterator[Picture]:
    """The pictures of both splits. Raises UserError and OSError."""
    halves = [split for split in SPLITS if (folder / split).is_dir()]
    divided = len(halves) == len(SPLITS)
    if halves and not divided:
        raise UserError(f"{folder} has a folder {halves[0]} alone; give both train and test, or a folder a class")
    roots = [folder / split for split in SPLITS] if divided else [folder]
    classes = [one.name for one in subfolders(roots[0])]
    if len(classes) > MAX_CLASSES:
        raise UserError(f"{roots[0]} has {len(classes)} folders; a set has at most {MAX_CLASSES} classes")
    if divided and (more := sorted({one.name for one in subfolders(roots[1])} - set(classes))):
        raise UserError(f"{roots[1]} has a class that {roots[0]} lacks: {more[0]}; name the folders alike")
    if not divided:
        remark(f"{folder}: every fifth picture of a class is a test image; make folders train and test to choose them")
    skipped = 0
    for root in roots:
        for label, name in enumerate(classes):
            if not (root / name).is_dir():
                continue
            paths = sorted(one for one in (root / name).iterdir() if not one.name.startswith("."))
            taken = [one for one in paths if looks_like_picture(one)]
            skipped += len(paths) - len(taken)
            for number, path in enumerate(taken, 1):
                yield Picture(path, label, root.name if divided else SPLITS[number % FIFTH == 0])
    if skipped:
        remark(f"{folder}: {skipped} files are skipped, not pictures")


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name, without hidden ones."""
    return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
