"""Ink and paper told apart: how much ink is at each place of a picture, whatever the light, the pen and its colour.

`ink_of` is called once a picture. The background is a smooth surface that is fitted without what stands out from it.
Ink is what stands out further, darker or lighter; of a colour picture, in the channel in which it does so most.
"""

from dataclasses import dataclass

import numpy as np

from .blobs import grown
from .grid import box_sum, enlarged, pooled

__all__ = ["ink_of"]

FAINT = 25  # of 255: what stands out less from the background is not ink
CELLS = 40  # longer side of the grid on which a background is fitted
DEGREES = (1, 3, 5)  # of the polynomials that a background is first taken for: corners in the shade, a lamp
ROUNDS = 4  # of fitting with each degree: what is far from the surface counts less in the next
FRAME = 0.08  # of the shorter side: an outer part that is more likely background
FRAME_WEIGHT = 3.0
EXTREMES = (0.05, 0.2, 1.0)  # percentiles, whose mean says how far the picture stands out to either side
LOOKED_AT = 192  # longer side of the grid on which that is measured
COLOUR_GAIN = 1.5  # a single channel is taken where ink stands out this many times as far as in grey
NEARBY = 0.06  # of the longer side: how far from ink the background around it is averaged
NOISE = 5  # standard deviations of the background's noise that ink must exceed
SAMPLES = 40_000
LUMA = (0.299, 0.587, 0.114)
MOST = 255


@dataclass(frozen=True)
class View:
    """One channel of a picture, float (H, W). ``background``: its levels without ink. ``dark``: ink is darker than
    that. ``strength``: how far ink stands out, in levels."""

    levels: np.ndarray
    background: np.ndarray
    dark: bool
    strength: float

    def contrast(self) -> np.ndarray:
        """How far each place stands out in the direction of ink, 0 to 255. Dark ink takes a part of the light that
        falls on it, so it is measured as a part of the background's level there."""
        if self.dark:
            return (1 - self.levels / np.maximum(self.background, 1)) * MOST
        return self.levels - self.background


def ink_of(picture: np.ndarray) -> np.ndarray:
    """How much ink is at each place, 0 to 1, float (H, W), of grey levels (H, W) or colours (H, W, 3), 0 to 255.

    Raises ValueError where nothing stands out from the background.
    """
    contrast = local(strongest_view(picture)).contrast()
    full = float(contrast.max())
    if full < FAINT:
        raise ValueError("nothing in it stands out from its background; give a digit on an even background")
    quiet = some(contrast)
    quiet = quiet[quiet < full / 3]
    floor = min(NOISE * spread(quiet - np.median(quiet)), full / 2) if quiet.size else 0.0
    return np.clip((contrast - floor) / (full - floor), 0, 1)


def strongest_view(picture: np.ndarray) -> View:
    """Grey, or the colour channel in which something stands out much further than in grey."""
    levels = np.asarray(picture, np.float32)
    if levels.ndim == 2:
        return view_of(levels)
    grey = view_of(levels @ np.asarray(LUMA, np.float32))
    if np.ptp(levels, axis=2).max() < FAINT:
        return grey
    colours = [view_of(levels[..., channel]) for channel in range(3)]
    best = max(colours, key=lambda one: one.strength)
    return best if best.strength > COLOUR_GAIN * grey.strength else grey


def view_of(levels: np.ndarray) -> View:
    background = enlarged(surface(pooled(levels, CELLS, np.mean)), CELLS, levels.shape)
    above = levels - background
    darkest = pooled(above, LOOKED_AT, np.min)
    lightest = pooled(above, LOOKED_AT, np.max)
    dark = -float(np.percentile(darkest, EXTREMES).mean())
    light = float(np.percentile(lightest, [100 - one for one in EXTREMES]).mean())
    return View(levels, background, dark > light, max(dark, light))


def surface(cells: np.ndarray) -> np.ndarray:
    """A smooth background of a picture's cells, float (h, w): a polynomial fitted again and again, with little weight
    for what was far from it the time before."""
    frame = np.ones(cells.shape, bool)
    margin = max(1, round(FRAME * min(cells.shape)))
    frame[margin:-margin, margin:-margin] = False
    trusted = np.where(frame, FRAME_WEIGHT, 1.0)
    weight, fitted = frame.astype(float), cells
    for degree in DEGREES:
        terms = polynomial_terms(cells.shape, degree)
        for _ in range(ROUNDS):
            weighted = terms * weight.reshape(-1, 1)
            square = weighted.T @ terms + 1e-9 * np.eye(terms.shape[1])  # few cells may leave some of it open
            fitted = (terms @ np.linalg.solve(square, weighted.T @ cells.ravel())).reshape(cells.shape)
            away = cells - fitted
            scale = 1.5 * max(2.0, spread(away), spread(away[frame]))
            weight = trusted / (1 + (away / scale) ** 2) ** 2
    return fitted


def polynomial_terms(shape: tuple[int, int], degree: int) -> np.ndarray:
    """All products of powers of row and column up to a degree, each from -1 to 1, float (h * w, terms)."""
    row, column = ((2 * np.arange(size) + 1) / size - 1 for size in shape)
    powers = [np.outer(row**i, column**j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    return np.stack(powers, axis=-1).reshape(-1, len(powers))


def local(view: View) -> View:
    """The same with a background that follows what is left of the light between the strokes."""
    contrast = view.contrast()
    strong = max(float(contrast.max()) / 4, 4 * spread(contrast - np.median(some(contrast))))
    free = ~grown(pooled(contrast > strong, CELLS, np.mean) > 0.02)
    off = pooled(view.levels - view.background, CELLS, np.mean)
    radius = max(2, round(NEARBY * max(free.shape)))
    near = box_sum(free.astype(float), radius)
    rest = np.where(near > 0, box_sum(np.where(free, off, 0), radius) / np.maximum(near, 1), 0)
    return View(view.levels, view.background + enlarged(rest, CELLS, view.levels.shape), view.dark, view.strength)


def spread(values: np.ndarray) -> float:
    """Standard deviation of values around 0, by the median, so that a few large ones do not count."""
    return 1.4826 * float(np.median(np.abs(some(values))))


def some(values: np.ndarray) -> np.ndarray:
    """Values from everywhere in an array, few enough to be sorted at once."""
    return values.ravel()[:: 1 + values.size // SAMPLES]
