"""Images that a person names: the first so many MNIST test images, a .npy file, or a folder of PNGs."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .datasets import load_dataset
from .errors import UserError
from .shape import IMAGE

__all__ = ["Images", "load_images"]

MAX_IMAGES = 1_000_000  # 784 MB of pixels


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
    """Images by what ``spec`` is: a number N, the first N MNIST test images; a folder, its PNGs sorted by
    name; else a .npy file of uint8 (N, 28, 28).

    A PNG is 28x28 pixels, a bright digit on a dark background as in MNIST; colour is made grey, transparency
    black. Raises UserError, one line, for anything else.
    """
    text = str(spec)
    if text.isascii() and text.lstrip("-").isdigit():
        return mnist_images(int(text[:12]))
    path = Path(spec)
    if path.is_dir():
        return png_images(path)
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
    try:
        with path.open("rb") as file:
            head = file.read(6)
        if head != b"\x93NUMPY":
            raise UserError(f"{path} is not a .npy file; {wanted}")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise UserError(f"cannot read images {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, OverflowError, EOFError, SyntaxError) as error:
        if "python objects" in str(error).lower():
            raise UserError(f"{path} holds Python objects, which are never loaded; {wanted}") from error
        raise UserError(f"{path} is damaged or truncated; {wanted}") from error
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[1:] != (IMAGE, IMAGE):
        raise UserError(f"{path} holds {array.dtype} {array.shape}; {wanted}")
    if not 1 <= len(array) <= MAX_IMAGES:
        raise UserError(f"{path} holds {len(array)} images; give 1 to {MAX_IMAGES}")
    return Images(np.array(array), tuple(map(str, range(len(array)))), None, path.name)


def png_images(folder: Path) -> Images:
    """The PNGs of a folder, sorted by name."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png")
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}") from error
    if not 1 <= len(paths) <= MAX_IMAGES:
        raise UserError(f"{folder} has {len(paths)} .png files; give a folder with 1 to {MAX_IMAGES}")
    pixels = np.stack([png_pixels(path) for path in paths])
    return Images(pixels, tuple(path.stem for path in paths), None, f"the PNGs of {folder.name or folder}")


def png_pixels(path: Path) -> np.ndarray:
    """Pixels of a PNG, uint8 (28, 28)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # its size is refused in any case
            image = Image.open(path, formats=["PNG"])
        with image:
            if image.size != (IMAGE, IMAGE):
                width, height = image.size
                raise UserError(f"{path} is {width}x{height} pixels; scale it to {IMAGE}x{IMAGE}")
            image.load()
            return grey(image)
    except UnidentifiedImageError as error:
        raise UserError(f"{path} is not a PNG file; save it as one or take it out of the folder") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is damaged or cannot be read ({error}); save it again") from error


def grey(image: Image.Image) -> np.ndarray:
    """Any kind of pixels as 0..255, uint8."""
    if image.mode.startswith("I"):  # 16 bits of grey
        return (np.asarray(image, dtype=np.uint32) >> 8).astype(np.uint8)
    if "A" in image.getbands() or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return np.asarray(image.convert("L"), dtype=np.uint8)
