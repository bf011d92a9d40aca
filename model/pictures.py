"""A picture of one's own, of any size, as MNIST would hold it: a bright digit on black, 28x28, centred by its mass.

A picture of exactly 28x28 pixels is taken for one of a data set: it is inverted where its border is light, and never
scaled or moved. Any other one goes through `mnist_form`.
"""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

from .errors import UserError
from .inputs import read_limited
from .shape import IMAGE

__all__ = ["MAX_PIXELS", "SUFFIXES", "load_picture", "mnist_form"]

SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_PIXELS = 64_000_000  # of a picture; more than a telephone's camera, and 256 MB once it is unpacked
MAX_BYTES = 256 << 20  # of a file
WORKING = 512  # longer side that a large picture is brought to first, roughly
DESPECKLE = 100  # shorter side from which single pixels are no part of a digit
BOX = 20  # longer side of a digit in MNIST
MIDDLE = IMAGE // 2  # row and column of its centre of mass
NOISE = 6  # standard deviations of the border that ink must exceed
FAINT = 40  # of 255: what stands out less from the background is none
EDGE = 0.03  # of the full ink: what the box around a digit must hold
GREY_LIGHT = 127  # a border above is light


def load_picture(path: Path | str) -> np.ndarray:
    """Pixels of a PNG or JPEG as the network takes them, uint8 (28, 28), 0 is background.

    The camera's orientation (EXIF) is obeyed; colour is made grey; what is transparent becomes background. Raises
    UserError, one line, for a file that is none, is damaged, is too large (before it is unpacked) or shows nothing.
    """
    path = Path(path)
    data = read_limited(path, MAX_BYTES, "picture")  # in memory, where a chunk that claims to be long costs nothing
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UserError(f"{path} is {width}x{height} pixels; give one of at most {MAX_PIXELS // 10**6} million")
            image.draft("RGB", (WORKING, WORKING))  # a JPEG is unpacked at a fraction of its size
            image.load()
            grey = grey_levels(smaller(upright(image)))
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"{path} is not a PNG or JPEG file; save it as one or take it out of the folder") from error
    except Exception as error:  # a damaged file makes Pillow raise almost anything
        raise UserError(f"{path} is damaged or cannot be read ({error}); save it again") from error
    if grey.shape == (IMAGE, IMAGE):
        return 255 - grey if np.median(border(grey)) > GREY_LIGHT else grey
    try:
        return mnist_form(grey)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def mnist_form(grey: np.ndarray) -> np.ndarray:
    """A digit in grey levels, uint8 (H, W), as MNIST's makers did it: fitted into 20x20 with its aspect kept, then
    placed in 28x28 with its centre of mass in the middle.

    What is ink is told from the border, which shows the background (an even gradient of light included): ink is what
    differs from it, whichever way is the stronger. Raises ValueError where nothing does.
    """
    ink = ink_of(grey)
    rows, columns = (np.flatnonzero((ink > EDGE).any(axis=axis)) for axis in (1, 0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return centred(fitted(digit))


def ink_of(grey: np.ndarray) -> np.ndarray:
    """How much ink is at each place, 0 to 1, float (H, W)."""
    difference = grey - background_of(grey)
    if np.sum(difference * np.abs(difference)) < 0:  # most of what stands out is darker than the border
        difference = -difference
    full = float(difference.max())
    if full < FAINT:
        raise ValueError("nothing in it stands out from its border; give a digit on an even background, with a margin")
    noise = NOISE * float(np.std(border(difference)))
    floor = min(noise, full / 2)
    return np.clip((difference - floor) / (full - floor), 0, 1)


def background_of(grey: np.ndarray) -> np.ndarray:
    """Grey levels of the paper: the plane through the border that is left when what differs most from it is gone."""
    height, width = grey.shape
    rows, columns = np.mgrid[0:height, 0:width]
    terms = np.stack([np.ones(grey.shape), rows / height, columns / width], axis=-1)
    values, places = border(grey).astype(float), border(terms)
    near = np.abs(values - np.median(values)) <= max(8.0, 2 * float(np.std(values)))
    plane, *_ = np.linalg.lstsq(places[near], values[near], rcond=None)
    return terms @ plane


def border(array: np.ndarray) -> np.ndarray:
    """The outermost values of an array (H, W, ...), one after the other."""
    return np.concatenate([array[0], array[-1], array[1:-1, 0], array[1:-1, -1]])


def fitted(digit: np.ndarray) -> np.ndarray:
    """A digit's box, 0 to 1, scaled so that its longer side is 20 pixels; its strongest place is full ink, uint8."""
    height, width = digit.shape
    size = [max(1, round(side * BOX / max(height, width))) for side in (width, height)]
    image = Image.fromarray(np.round(digit * 255).astype(np.uint8))
    filter_ = Image.Resampling.BOX if max(height, width) > BOX else Image.Resampling.BILINEAR
    small = np.asarray(image.resize(size, filter_), dtype=float)
    return np.round(small * (255 / small.max())).astype(np.uint8)


def centred(digit: np.ndarray) -> np.ndarray:
    """A digit's box of at most 20x20 in 28x28, its centre of mass nearest to the middle."""
    image = np.zeros((IMAGE, IMAGE), np.uint8)
    corner = []
    for axis in (0, 1):
        mass = digit.sum(axis=1 - axis, dtype=float)
        centre = float(mass @ np.arange(len(mass)) / mass.sum())
        corner.append(int(np.clip(round(MIDDLE - centre), 0, IMAGE - len(mass))))
    row, column = corner
    image[row : row + digit.shape[0], column : column + digit.shape[1]] = digit
    return image


def upright(image: Image.Image) -> Image.Image:
    """The picture as the camera was held; one whose EXIF data are broken stays as it lies."""
    try:
        return ImageOps.exif_transpose(image)
    except (ValueError, SyntaxError, TypeError, KeyError, ZeroDivisionError):
        return image


def smaller(image: Image.Image) -> Image.Image:
    """A large picture at a fraction of its size, each pixel the mean of those it stands for."""
    factor = max(image.size) // WORKING
    if factor < 2:
        return image
    if image.mode not in ("L", "RGB", "RGBA", "I;16"):
        image = image.convert("RGBA" if has_alpha(image) else "RGB")
    if image.mode == "I;16":
        image = Image.fromarray(upper_byte(image))
    return image.reduce(factor)


def grey_levels(image: Image.Image) -> np.ndarray:
    """Any kind of pixels as 0..255, uint8 (H, W), single specks taken out of a larger picture."""
    if image.mode.startswith("I"):
        image = Image.fromarray(upper_byte(image))
    if has_alpha(image):
        image = opaque(image.convert("RGBA"))
    image = image.convert("L")
    if min(image.size) >= DESPECKLE:
        image = image.filter(ImageFilter.MedianFilter(3))
    return np.asarray(image, dtype=np.uint8)


def has_alpha(image: Image.Image) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def upper_byte(image: Image.Image) -> np.ndarray:
    """16 bits of grey as 8."""
    return (np.asarray(image, dtype=np.uint32) >> 8).astype(np.uint8)


def opaque(image: Image.Image) -> Image.Image:
    """A picture with its transparency filled: with the border's own grey where most of that can be seen, else with
    the opposite of the ink, black or white."""
    alpha = np.asarray(image.getchannel("A"), dtype=float)
    grey = np.asarray(image.convert("RGB").convert("L"), dtype=float)
    seen = border(alpha) > GREY_LIGHT
    if seen.mean() > 0.5:
        fill = round(float(np.median(border(grey)[seen])))
    else:
        ink = float((grey * alpha).sum() / max(alpha.sum(), 1))
        fill = 255 if ink <= GREY_LIGHT else 0
    return Image.alpha_composite(Image.new("RGBA", image.size, (fill, fill, fill, 255)), image)
