"""A picture of one's own, of any size and kind, as MNIST would hold it: a bright digit on black, 28x28, centred by its
mass.

A picture of 28x28 pixels whose background is black or white is taken for one of a data set: it is inverted where that
is white, and never scaled or moved. Any other one goes through `mnist_form`: `ink` tells ink from paper, `blobs` what
may be a digit.
"""

import io
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageFilter, ImageOps, UnidentifiedImageError

from fivebyfive.model.shape import IMAGE
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import open_limited, read_limited, read_standard_input

from .blobs import one_digit
from .grid import border
from .ink import ink_of

__all__ = [
    "HEAD", "KINDS", "MAX_PIXELS", "SUFFIXES", "PictureForm", "is_picture", "load_picture", "looks_like_picture",
    "mnist_form", "picture_form", "picture_in", "read_picture", "read_pixels",
    "read_standard_picture",
]  # fmt: skip

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")  # Pillow's names; it tries no others
KINDS = "PNG, JPEG, GIF, WebP, BMP, TIFF, PGM or PPM"
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm", ".pnm")
HEAD = 64  # bytes of a file by which `is_picture` judges
MAGIC = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"
    rb"|II[*+]\0|MM\0[*+]|P[1-6]\s+(#[^\n]*\n\s*)*\d+\s",
    re.DOTALL,
)
MAX_PIXELS = 64_000_000  # of a picture; more than a telephone's camera, and 256 MB once it is unpacked
MAX_BYTES = 256 << 20  # of a file
WORKING = 512  # longer side that a large picture is brought to first, roughly
BOX = 20  # longer side of a digit in MNIST
FINE = 60  # longer side at which a thin pen is made thicker
THIN = 0.03  # of the longer side: a stroke that is thinner; MNIST's are 0.1 to 0.2
THICKER = 5  # pixels of FINE
STROKE = 0.3  # of full ink: more is part of a stroke
MIDDLE = IMAGE // 2  # row and column of its centre of mass
EDGE = 0.03  # of the full ink: what the box around a digit must hold
GREY_LIGHT = 127  # a border above is light
NEAR = 8  # of 255: a background that differs less from black or white is a data set's
DEEP = re.compile(";16[BLN]")  # how Pillow says that a file has 16 bits of colour
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # Pillow's, of pictures without colour
TURNED = (5, 6, 7, 8)  # orientations of EXIF that exchange rows and columns
DEPTHS = (8, 10, 12, 14, 16)  # bits that pixels of more than eight bits may really have

_alone = threading.Lock()


def load_picture(path: Path | str) -> np.ndarray:
    """Pixels of a picture as the network takes them, uint8 (28, 28): `read_picture` without remarks."""
    return read_picture(path)[0]


def read_picture(path: Path | str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels of a picture as the network takes them, uint8 (28, 28), 0 is background, and remarks on it.

    The camera's orientation (EXIF) is obeyed; what is transparent becomes background; of several frames the first is
    taken. Raises UserError, one line, for a file that is no picture, is damaged, is too large (before it is unpacked)
    or shows nothing that can be a digit.
    """
    return picture_in(read_limited(path, MAX_BYTES, "picture"), path)


def read_standard_picture() -> tuple[np.ndarray, tuple[str, ...]]:
    """The same of a picture on standard input."""
    return picture_in(read_standard_input(MAX_BYTES, "picture"), "standard input")


def picture_in(data: bytes, name: Path | str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The same of the bytes of a file, whose ``name`` messages have."""
    with unpacked(data, name) as image:
        image.draft("RGB", (WORKING, WORKING))  # a JPEG is unpacked at a fraction of its size
        plain = opaque(smaller(loaded(image)))
        remarks = frames_remark(image)
    if (ready := as_it_is(plain)) is not None:
        return ready, remarks
    try:
        pixels, more = formed(np.asarray(plain))
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    return pixels, remarks + more


def opened(path: Path) -> AbstractContextManager[ImageFile.ImageFile]:
    """A picture, of which the header is read. Whatever Pillow raises within the block becomes a UserError."""
    return unpacked(read_limited(path, MAX_BYTES, "picture"), path)


@contextmanager
def unpacked(data: bytes, name: Path | str) -> Iterator[ImageFile.ImageFile]:
    """The same of the bytes of a file: in memory, where a chunk that claims to be long costs nothing."""
    try:
        with silent_libraries(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UserError(f"{name} is {width}x{height} pixels; give one of at most {MAX_PIXELS // 10**6} million")
            yield image
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"{name} is not a {KINDS} file; save it as one or take it out of the folder") from error
    except Exception as error:  # a damaged file makes Pillow raise almost anything
        raise UserError(f"{name} is damaged or cannot be read ({error}); save it again") from error


def loaded(image: ImageFile.ImageFile) -> Image.Image:
    """The pixels of a picture as the camera was held, "L", "RGB" or "RGBA"."""
    deep = DEEP.search(str(image.tile)) is not None
    image.load()
    return eight_bits(upright(image), deep)


@dataclass(frozen=True)
class PictureForm:
    """``size``: columns and rows; ``grey``: whether there are no colours."""

    size: tuple[int, int]
    grey: bool


def picture_form(path: Path) -> PictureForm:
    """Size and colours of a picture by its header. Raises UserError."""
    with opened(path) as image:
        grey = image.mode in GREY_MODES
        return PictureForm(image.size[::-1] if turned(image) else image.size, grey)


def read_pixels(path: Path, form: PictureForm) -> np.ndarray:
    """The pixels of a picture as they are, uint8 (rows, columns) or, in colour, (3, rows, columns); resized where it
    has another size. Raises UserError."""
    with opened(path) as image:
        plain = opaque(loaded(image)).convert("L" if form.grey else "RGB")
        if plain.size != form.size:
            plain = plain.resize(form.size, Image.Resampling.BILINEAR)
        pixels = np.asarray(plain, dtype=np.uint8)
    return pixels if form.grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def looks_like_picture(path: Path) -> bool:
    """Whether a folder's entry is taken for a picture; a pipe or a device never is, nor opened."""
    if not path.is_file():
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with open_limited(path, MAX_BYTES, "picture") as file:
            return is_picture(file.read(HEAD))
    except UserError:
        return False


def is_picture(head: bytes) -> bool:
    """Whether a file that begins with ``head``, its first HEAD bytes, is of a kind that can be read."""
    return MAGIC.match(head) is not None


def as_it_is(image: Image.Image) -> np.ndarray | None:
    """A picture of a data set, light on dark, uint8 (28, 28); None for any other one."""
    if image.size != (IMAGE, IMAGE):
        return None
    grey = np.array(image.convert("L"), dtype=np.uint8)
    background = np.median(border(grey))
    if NEAR < background < 255 - NEAR:
        return None
    return 255 - grey if background > GREY_LIGHT else grey


def mnist_form(picture: np.ndarray) -> np.ndarray:
    """A digit in grey levels (H, W) or colours (H, W, 3), 0 to 255, as MNIST's makers did it: fitted into 20x20 with
    its aspect kept, then placed in 28x28 with its centre of mass in the middle; uint8 (28, 28).

    Raises ValueError where nothing stands out from the background, or what does is not one digit.
    """
    return formed(picture)[0]


def formed(picture: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The same, with remarks on it."""
    ink, remarks = one_digit(ink_of(picture))
    rows, columns = (np.flatnonzero((ink > EDGE).any(axis=axis)) for axis in (1, 0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return centred(fitted(digit)), remarks


def fitted(digit: np.ndarray) -> np.ndarray:
    """A digit's box, 0 to 1, scaled so that its longer side is 20 pixels; its strongest place is full ink, uint8. A pen
    that is much thinner than MNIST's is made thicker on the way."""
    if max(digit.shape) > FINE and thickness(digit) < THIN * max(digit.shape):
        fine = Image.fromarray(scaled_to(digit, FINE)).filter(ImageFilter.MaxFilter(THICKER))
        digit = np.asarray(fine) / 255
    return scaled_to(digit, BOX)


def scaled_to(digit: np.ndarray, longer: int) -> np.ndarray:
    """A digit, 0 to 1, with its longer side of that many pixels, its strongest place full ink, uint8."""
    height, width = digit.shape
    size = [max(1, round(side * longer / max(height, width))) for side in (width, height)]
    image = Image.fromarray(np.round(digit * 255).astype(np.uint8))
    filter_ = Image.Resampling.BOX if max(height, width) > longer else Image.Resampling.BILINEAR
    small = np.asarray(image.resize(size, filter_), dtype=float)
    return np.round(small * (255 / small.max())).astype(np.uint8)


def thickness(digit: np.ndarray) -> float:
    """Width of the strokes in pixels: twice the area of ink by the length of its edge."""
    mask = np.pad(digit > STROKE, 1)
    inner = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    area = mask.sum()
    return 2 * area / max(1, area - np.sum(mask[1:-1, 1:-1] & inner))


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


@contextmanager
def silent_libraries() -> Iterator[None]:
    """Nothing on standard error, where only our own line should be: Pillow warns and logs what it dislikes about a
    file, and libtiff writes it there itself. Standard error and warnings are the process's: one thread at a time."""
    with _alone, warnings.catch_warnings(action="ignore"), ExitStack() as undo:
        with suppress(OSError):  # there may be no standard error
            kept = os.dup(2)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, 2)
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
        yield


def upright(image: Image.Image) -> Image.Image:
    """The picture as the camera was held; one whose EXIF data are broken stays as it lies."""
    try:
        return ImageOps.exif_transpose(image)
    except (ValueError, SyntaxError, TypeError, KeyError, ZeroDivisionError):
        return image


def turned(image: Image.Image) -> bool:
    """Whether `upright` exchanges rows and columns."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in TURNED
    except Exception:  # broken EXIF data make Pillow raise almost anything
        return False


def frames_remark(image: Image.Image) -> tuple[str, ...]:
    """What is to be said where a file holds more than one picture. A camera's MPO holds the same one several times."""
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception:  # those behind the first may be damaged
        return ()
    return (f"the first of its {frames} frames is taken",) if frames > 1 and image.format != "MPO" else ()


def eight_bits(image: Image.Image, deep: bool) -> Image.Image:
    """A picture as "L", "RGB" or "RGBA"; ``deep``: its file has more bits of colour, of which Pillow keeps eight."""
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(scaled(np.asarray(image)))
    mode = "RGBA" if has_alpha(image) else "L" if image.mode in ("1", "L") else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    if not deep:
        return image
    colours = Image.fromarray(scaled(np.asarray(image.convert("RGB")), lost=8))
    if mode == "RGBA":
        colours.putalpha(image.getchannel("A"))
    return colours


def scaled(values: np.ndarray, lost: int = 0) -> np.ndarray:
    """Pixels of more than eight bits, of which the ``lost`` lower ones are gone, as uint8: by the bits that the largest
    of them needs, since a camera's twelve bits may be in sixteen. Those from 0 to 1 are parts of the whole range."""
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
    largest = (float(values.max()) + 1) * 2**lost - 1
    bits = next((one for one in DEPTHS if largest < 2**one), 32)
    factor = 255.0 if largest <= 1 else 2.0 ** (8 + lost - bits)
    levels = np.multiply(values, factor, dtype=np.float32)
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def smaller(image: Image.Image) -> Image.Image:
    """A large picture at a fraction of its size, each pixel the mean of those it stands for."""
    factor = max(image.size) // WORKING
    return image.reduce(factor) if factor >= 2 else image


def has_alpha(image: Image.Image) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def opaque(image: Image.Image) -> Image.Image:
    """A picture with its transparency filled: with the border's own colour where most of that can be seen, else with
    the opposite of the ink, black or white."""
    if image.mode != "RGBA":
        return image
    alpha = np.asarray(image.getchannel("A"), dtype=float)
    colours = image.convert("RGB")
    seen = border(alpha) > GREY_LIGHT
    if seen.mean() > 0.5:
        fill = np.median(border(np.asarray(colours))[seen], axis=0)
    else:
        grey = np.asarray(colours.convert("L"), dtype=float)
        ink = float((grey * alpha).sum() / max(alpha.sum(), 1))
        fill = np.full(3, 255 if ink <= GREY_LIGHT else 0)
    below = Image.new("RGBA", image.size, (*(round(float(one)) for one in fill), 255))
    return Image.alpha_composite(below, image).convert("RGB")
