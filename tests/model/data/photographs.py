"""Digits of MNIST as people would send them: written with a pen on paper, photographed in some light.

Everything is made by NumPy and Pillow from a seeded generator, so a picture is the same wherever it is made.
"""

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

SKELETON = 84  # side of the square in which a digit is thinned
MARGIN = 0.15  # of a picture's side: what is left free around the digit's square


@dataclass(frozen=True)
class Scene:
    """How a digit is written and photographed. ``pen``: width as a part of the picture's side, None for MNIST's own
    stroke. ``paper`` and ``ink``: grey levels or colours, 0 to 255. ``vignette``: light lost in the corners, 0 to 1.
    ``lamp``: light added in the brightest place, as a part of the paper's. ``noise``: standard deviation in grey
    levels. ``quality`` of a JPEG, None for none. ``size``: side in pixels."""

    size: int = 200
    pen: float | None = None
    paper: object = 220
    ink: object = 40
    vignette: float = 0.0
    lamp: float = 0.0
    noise: float = 0.0
    quality: int | None = None


def photograph(digit: np.ndarray, scene: Scene, rng: np.random.Generator) -> Image.Image:
    """A picture "RGB" of a digit, uint8 (28, 28)."""
    cover = written(digit, scene)[..., np.newaxis]
    paper, ink = (np.broadcast_to(np.asarray(level, float), 3) for level in (scene.paper, scene.ink))
    scenery = paper * (1 - cover) + ink * cover
    lit = scenery * light(scene, rng)[..., np.newaxis] + rng.normal(0, 1, scenery.shape) * scene.noise
    image = Image.fromarray(np.clip(np.round(lit), 0, 255).astype(np.uint8))
    return image if scene.quality is None else compressed(image, scene.quality)


def written(digit: np.ndarray, scene: Scene) -> np.ndarray:
    """How much of each pixel ink covers, 0 to 1, float (size, size)."""
    if scene.pen is None:
        side = max(1, round(scene.size * (1 - 2 * MARGIN)))
        cover = np.zeros((scene.size, scene.size))
        corner = (scene.size - side) // 2
        large = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC))
        cover[corner : corner + side, corner : corner + side] = large / 255
        return cover
    finer = max(1, 400 // scene.size)  # drawn larger, then reduced: smooth edges
    image = Image.new("L", (scene.size * finer, scene.size * finer), 0)
    draw = ImageDraw.Draw(image)
    width = max(1, round(scene.pen * scene.size * finer))
    for first, second in strokes(digit.tobytes()):
        ends = [tuple(image.width * placed(at) for at in end) for end in (first, second)]
        draw.line(ends, fill=255, width=width)
        if width > 2:
            x, y = ends[0]
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return np.asarray(image.reduce(finer), float) / 255


def placed(at: int) -> float:
    """Where a place in the square of SKELETON is, as a part of the picture's side."""
    return MARGIN + (1 - 2 * MARGIN) * at / SKELETON


def light(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """How bright each place is, float (size, size): a vignette around the middle, and a lamp somewhere."""
    y, x = np.mgrid[0 : scene.size, 0 : scene.size] / max(1, scene.size - 1)
    corners = ((x - 0.5) ** 2 + (y - 0.5) ** 2) / 0.5
    row, column = rng.uniform(0.2, 0.8, 2)
    spot = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 0.2**2))
    return (1 - scene.vignette * corners) * (1 + scene.lamp * spot) / (1 + scene.lamp)


def compressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


@cache
def strokes(digit: bytes) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Short lines (x, y) to (x, y) along the middle of a digit's strokes, in a square of SKELETON."""
    large = Image.frombytes("L", (28, 28), digit).resize((SKELETON, SKELETON), Image.Resampling.BICUBIC)
    thin = thinned(np.asarray(large) > 110)
    places = {(int(x), int(y)) for y, x in np.argwhere(thin)}
    ahead = ((1, 0), (0, 1), (1, 1), (-1, 1), (0, 0))
    return [((x, y), (x + i, y + j)) for x, y in sorted(places) for i, j in ahead if (x + i, y + j) in places]


def thinned(mask: np.ndarray) -> np.ndarray:
    """The middle lines of what is in a mask, bool (H, W), one pixel wide (Zhang and Suen)."""
    mask = np.pad(mask, 1).astype(np.uint8)
    while True:
        before = mask.copy()
        for step in (0, 1):
            around = [np.roll(mask, shift, (0, 1)) for shift in
                      ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))]  # fmt: skip
            count = sum(one.astype(int) for one in around)
            turns = sum((one == 0) & (two == 1) for one, two in zip(around, around[1:] + around[:1], strict=True))
            up, right, down, left = around[::2]
            ends = (right & down & (up | left)) if step == 0 else (up & left & (right | down))
            mask = np.where((count >= 2) & (count <= 6) & (turns == 1) & (ends == 0), 0, mask)
        if np.array_equal(mask, before):
            return mask[1:-1, 1:-1].astype(bool)
