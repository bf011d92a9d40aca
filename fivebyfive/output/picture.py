"""One picture of digits and of everything that the RTL computed from them, drawn with Pillow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fivebyfive.model.data.images import Images
from fivebyfive.model.shape import ceil_div
from fivebyfive.support.errors import shown
from fivebyfive.support.files import replacing

from .provenance import Record, png_text

if TYPE_CHECKING:
    from fivebyfive.sim.simulate import Simulation

__all__ = ["GAMMA", "PALETTE", "Digit", "Range", "code_range", "colours", "draw_digits", "simulated_digits"]

SCALE = 2  # pixels of the picture for one unit below: sharp on dense screens
MARGIN, GAP, ROW = 36, 34, 112  # around everything; between columns; height of what a digit shows
MAPS_WIDTH = 560  # of a convolution's maps, about
ROW_GAP, TITLE, HEADER = 26, 58, 46
LONGEST_NAME = 18  # of a layer
Colour = tuple[int, int, int]  # red, green, blue
Range = tuple[int, int]  # of codes: the smallest and the largest
BACKGROUND, PANEL, INK, FAINT = (16, 18, 24), (26, 29, 38), (232, 234, 240), (140, 146, 160)
BAR, BEST = (92, 104, 138), (255, 190, 92)
# From code 0, lighter than the background so that every map has its frame, to a layer's largest code.
STOPS = (
    (30, 33, 46),
    (74, 34, 118),
    (150, 42, 128),
    (218, 72, 98),
    (250, 138, 76),
    (254, 210, 130),
    (255, 252, 236),
)
GAMMA = 0.65  # small codes are many; this lifts them out of the dark


@dataclass(frozen=True)
class Digit:
    """``pixels`` uint8 (rows, columns) or (channels, rows, columns); ``outputs``: layer to int8 codes of one image;
    words to stand beside it."""

    title: str
    note: str
    pixels: np.ndarray
    outputs: dict[str, np.ndarray]


def simulated_digits(images: Images, result: "Simulation", what: str = "image") -> list[Digit]:
    """What the RTL computed of each image that it finished; ``what``: an image is called beside its name."""
    digits = []
    for index in range(result.images):
        label = "" if images.labels is None else f"\nlabel {int(images.labels[index])}"
        outputs = {name: codes[index] for name, codes in result.outputs.items()}
        note = f"{what} {shown(images.names[index])}{label}"
        digits.append(Digit(f"class {int(result.classes[index])}", note, images.pixels[index], outputs))
    return digits


def draw_digits(
    path: Path, title: str, subtitle: str, digits: Sequence[Digit], measured: Mapping[str, str] = {}
) -> None:
    """Write a PNG with a row for each digit: its pixels, each layer's maps, its logits as bars. A text chunk has the
    digests of what was ``measured`` (`provenance`).

    Brightness goes from the smallest code of the layer in the whole picture, 0 at most, to the largest; bars likewise.
    Raises UserError where ``path`` cannot be written.
    """
    ranges = {name: code_range([digit.outputs[name] for digit in digits]) for name in digits[0].outputs}
    columns = make_columns(digits[0], ranges)
    width = 2 * MARGIN + sum(column.width for column in columns) + GAP * (len(columns) - 1)
    height = 2 * MARGIN + TITLE + HEADER + len(digits) * (ROW + ROW_GAP) - ROW_GAP
    sheet = Sheet(width, height)
    sheet.text(MARGIN, MARGIN, title, 22)
    sheet.text(MARGIN, MARGIN + 31, subtitle, 13, FAINT)
    x: float = MARGIN
    for column in columns:
        column.draw(sheet, x, MARGIN + TITLE, digits)
        x += column.width + GAP
    with replacing(path) as file:
        sheet.image.quantize(256, dither=Image.Dither.NONE).save(
            file, format="PNG", optimize=True, pnginfo=png_text(Record(measured))
        )


def code_range(outputs: Sequence[np.ndarray]) -> Range:
    """The smallest of codes, 0 at most, and the largest, 1 at least."""
    return min(0, *(int(codes.min()) for codes in outputs)), max(1, *(int(codes.max()) for codes in outputs))


def make_columns(digit: Digit, ranges: Mapping[str, Range]) -> list["Column"]:
    """A column for the labels, the pixels, each layer but the last, and the logits."""
    layers = list(digit.outputs)
    columns: list[Column] = [Labels(), Pixels(digit.pixels)]
    for name in layers[:-1]:
        codes = digit.outputs[name]
        columns.append(Maps(name, ranges[name], codes) if codes.ndim == 3 else Values(name, ranges[name], codes))
    peak = max(map(abs, ranges[layers[-1]]))
    return [*columns, Bars(layers[-1], peak, len(digit.outputs[layers[-1]]))]


class Sheet:
    """The picture while it is drawn, in units of ``SCALE`` pixels."""

    def __init__(self, width: float, height: float):
        self.image = Image.new("RGB", (round(width * SCALE), round(height * SCALE)), BACKGROUND)
        self.pen = ImageDraw.Draw(self.image)

    def text(self, x: float, y: float, words: str, size: float, colour: Colour = INK, anchor: str = "la") -> None:
        font = ImageFont.load_default(size * SCALE)
        self.pen.text((x * SCALE, y * SCALE), words, colour, font, anchor=anchor)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        corner = ((x + width) * SCALE - 1, (y + height) * SCALE - 1)
        self.pen.rectangle((x * SCALE, y * SCALE, *corner), colour)

    def tile(self, x: float, y: float, codes: np.ndarray, limits: Range, size: float) -> None:
        """Codes (H, W) as a block of squares, ``size`` units each; of more codes than there are pixels some are left
        out."""
        low, high = limits
        shades = PALETTE[(codes.astype(int) - low) * 255 // (high - low)]
        rows, columns = (np.arange(max(1, round(count * size * SCALE))) / (size * SCALE) for count in codes.shape)
        block = np.ascontiguousarray(shades[rows.astype(int)][:, columns.astype(int)])
        self.image.paste(Image.fromarray(block), (round(x * SCALE), round(y * SCALE)))


def colours(pixels: np.ndarray) -> np.ndarray:
    """Pixels of an image, uint8 (rows, columns, 3): three channels are red, green and blue, another number is shown as
    its mean."""
    if pixels.ndim == 2 or len(pixels) != 3:
        grey = pixels if pixels.ndim == 2 else pixels.mean(axis=0).astype(np.uint8)
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def make_palette() -> np.ndarray:
    """256 colours, uint8 (256, 3), along the stops."""
    places = np.linspace(0, 1, len(STOPS))
    level = (np.arange(256) / 255) ** GAMMA
    channels = [np.interp(level, places, channel) for channel in zip(*STOPS, strict=True)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


PALETTE = make_palette()


class Column:
    """One thing of every digit, below one another. ``width`` in units."""

    width: float
    heading: tuple[str, str] = ("", "")

    def draw(self, sheet: Sheet, x: float, y: float, digits: Sequence[Digit]) -> None:
        name = self.heading[0]
        sheet.text(x, y, name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}...", 15)
        sheet.text(x, y + 19, self.heading[1], 11.5, FAINT)
        for index, digit in enumerate(digits):
            self.cell(sheet, x, y + HEADER + index * (ROW + ROW_GAP), digit)

    def cell(self, sheet: Sheet, x: float, y: float, digit: Digit) -> None:
        raise NotImplementedError


class Labels(Column):
    """Which digit it is, and what the RTL says of it."""

    width = 96

    def cell(self, sheet: Sheet, x: float, y: float, digit: Digit) -> None:
        sheet.text(x, y + 30, digit.title, 20)
        for line, words in enumerate(digit.note.splitlines()):
            sheet.text(x, y + 58 + 15 * line, words, 11, FAINT)


class Pixels(Column):
    """The image itself."""

    def __init__(self, pixels: np.ndarray):
        *channels, rows, columns = pixels.shape
        size = "x".join(map(str, [*(count for count in channels if count > 1), rows, columns]))
        self.heading = ("input", f"{size} pixels")
        self.side = max(1, ROW * SCALE // max(rows, columns))  # of a pixel
        self.width = max(ROW, self.side * columns / SCALE)

    def cell(self, sheet: Sheet, x: float, y: float, digit: Digit) -> None:
        block = np.repeat(np.repeat(colours(digit.pixels), self.side, axis=0), self.side, axis=1)
        sheet.image.paste(Image.fromarray(block), (round(x * SCALE), round(y * SCALE)))


class Maps(Column):
    """The feature maps of a convolution, as the next layer sees them."""

    def __init__(self, name: str, limits: Range, codes: np.ndarray):
        self.name, self.limits = name, limits
        channels, height, width = codes.shape
        self.heading = (name, f"{channels} maps of {height}x{width}, codes {limits[0]} to {limits[1]}")
        rows = ceil((channels * ROW / MAPS_WIDTH) ** 0.5)
        self.down = rows + 1 if channels % rows and channels % (rows + 1) == 0 else rows
        self.across = ceil_div(channels, self.down)
        self.pitch = (ROW + 3) // self.down
        room, longer = (self.pitch - 3) * SCALE, max(height, width)
        self.size = (room // longer or room / longer) / SCALE
        self.width = max(self.across * self.pitch - 3, 210)

    def cell(self, sheet: Sheet, x: float, y: float, digit: Digit) -> None:
        for channel, codes in enumerate(digit.outputs[self.name]):
            row, column = divmod(channel, self.across)
            sheet.tile(x + column * self.pitch, y + row * self.pitch, codes, self.limits, self.size)


class Values(Column):
    """The outputs of a fully-connected layer, in reading order."""

    def __init__(self, name: str, limits: Range, codes: np.ndarray):
        self.name, self.limits = name, limits
        self.across = ceil((len(codes) * 1.3) ** 0.5)
        rows = ceil_div(len(codes), self.across)
        self.size = min(8 * SCALE, ROW * SCALE // rows) / SCALE
        self.heading = (name, f"{len(codes)} codes {limits[0]} to {limits[1]}")
        self.width = max(self.across * self.size, 130)

    def cell(self, sheet: Sheet, x: float, y: float, digit: Digit) -> None:
        codes = digit.outputs[self.name]
        padded = np.zeros(ceil_div(len(codes), self.across) * self.across, np.int8)
        padded[: len(codes)] = codes
        sheet.tile(x, y, padded.reshape(-1, self.across), self.limits, self.size)


class Bars(Column):
    """The logits as bars to both sides of zero, the largest one lit."""

    def __init__(self, name: str, peak: int, classes: int):
        self.name, self.peak = name, peak
        self.pitch = max(4, min(22, 300 / classes))
        self.heading = ("logits", f"{name}, codes -{peak} to {peak}")
        self.width = max(classes * self.pitch, 170)
        self.numbered = classes <= 16

    def cell(self, sheet: Sheet, x: float, y: float, digit: Digit) -> None:
        codes = digit.outputs[self.name].ravel().astype(int)
        best = int(codes.argmax())
        half = (ROW - 14) / 2
        space = min(4, self.pitch * 0.3)  # between two bars
        sheet.box(x, y, len(codes) * self.pitch, ROW - 14, PANEL)
        for index, code in enumerate(codes):
            left, length = x + index * self.pitch + space / 2, max(1.0, abs(code) / self.peak * half)
            top = y + half - length if code >= 0 else y + half
            sheet.box(left, top, self.pitch - space, length, BEST if index == best else BAR)
            if self.numbered:
                middle = x + (index + 0.5) * self.pitch
                sheet.text(middle, y + ROW - 11, str(index), 11, BEST if index == best else FAINT, "ma")
        sheet.box(x, y + half, len(codes) * self.pitch, 0.5, FAINT)
