"""Digits as other hands might have written them, in three steps: ones with a flag (`flagged`); rotated, scaled,
shifted, sheared and smoothly bent (`augment`); and with another pen, on other paper (`inked`).

Warps after Simard, Steinkraus and Platt, Best practices for convolutional neural networks applied to visual
document analysis (ICDAR 2003). All images of a batch are changed at once, warped by one bilinear lookup; every image
gets its own changes.
"""

from dataclasses import dataclass
from math import ceil, pi

import torch
import torch.nn.functional as F  # noqa: N812 (everybody's name for it)

__all__ = ["DIGITS", "PENS", "Ink", "Warp", "augment", "flagged", "inked"]

CHUNK = 5000  # images changed at once: about 100 MB at work
FULL = 255.0  # of ink
BINOMIAL = (0.25, 0.5, 0.25)


@dataclass(frozen=True)
class Warp:
    """How far a warp of strength 1 may go: each image draws evenly within plus or minus these."""

    rotation_degrees: float = 12.0
    scale: float = 0.12  # of the size
    shift_pixels: float = 2.2
    shear: float = 0.15  # columns a row
    elastic_pixels: float = 0.7  # standard deviation of the bending at its knots
    elastic_knots: int = 6  # a side: one bend in about five pixels


DIGITS = Warp()


@dataclass(frozen=True)
class Ink:
    """How far ink of strength 1 may change. Each share is of the images that are changed so; how far each one goes is
    drawn evenly from nothing to the amount beside it."""

    thinner_share: float = 0.4  # least of a 2x2 square, mixed with the pixel itself
    thicker_share: float = 0.3  # greatest of a 3x3 square, likewise; no image is both
    stroke: float = 1.0  # of the mixture
    blur_share: float = 0.3
    blur: float = 2.0  # binomial filters of 3x3
    steep_share: float = 0.3  # of the slope of levels, about a quarter to a half of the greatest: edges are crisp
    steep: float = 3.0  # more than 1
    contrast_share: float = 0.3
    contrast: float = 1.0  # of the power that levels are raised to, as a natural logarithm, to either side
    faint_share: float = 0.3
    faint: float = 0.65  # of the ink that is gone
    uneven_share: float = 0.3
    uneven: float = 0.6  # of the ink that is gone where there is least
    uneven_knots: int = 4  # a side
    centred_share: float = 0.5  # moved as `model.data.pictures` does: centre of mass nearest to the middle


PENS = Ink()


def augment(
    images: torch.Tensor, generator: torch.Generator, strength: float = 1.0, warp: Warp = DIGITS
) -> torch.Tensor:
    """A warped copy of images, uint8 (N, rows, columns) or (N, channels, rows, columns); what comes in from outside is
    background (0).

    ``strength`` multiplies every amount of ``warp``; with 0 the images come back as they are.
    """
    if strength == 0:
        return images
    return torch.cat([_warped(chunk, generator, strength, warp) for chunk in images.split(CHUNK)])


def flagged(images: torch.Tensor, ones: torch.Tensor, generator: torch.Generator, share: float) -> torch.Tensor:
    """A copy of images, uint8 (N, rows, columns) or (N, channels, rows, columns), 0 is background, in which that share
    of the ``ones``, bool (N,), begins with a flag, as printed ones do: a stroke down to the left of 0.15 to 0.35 of the
    digit's height, 30 to 75 degrees below the horizontal, 1.6 to 3.4 pixels wide.

    With a share of 0, or without ones, the images come back as they are, and nothing is drawn.
    """
    if share == 0 or not ones.any():
        return images
    found, (rows, columns) = images[ones], images.shape[-2:]
    n = len(found)
    levels = found.reshape(n, -1, rows, columns).to(torch.float32)
    full = levels.amax((2, 3), keepdim=True)  # (n, channels, 1, 1)
    body = (levels >= full / 2).any(1)  # (n, rows, columns)
    at = body.any(2).to(torch.uint8)  # (n, rows)
    top, bottom = at.argmax(1), rows - 1 - at.flip(1).argmax(1)  # (n,)
    first = body[torch.arange(n), top].to(torch.float32)  # (n, columns)
    left = first @ torch.arange(columns, dtype=torch.float32) / first.sum(1).clamp(min=1)
    chosen, angle, length, width = torch.rand(4, n, 1, 1, generator=generator)
    angle, length = (30 + 45 * angle) * pi / 180, (0.15 + 0.2 * length) * (bottom - top + 1)[:, None, None]
    radius = 0.8 + 0.9 * width
    down = torch.arange(rows)[None, :, None] - (top + 1)[:, None, None]  # (n, rows, 1), from where the flag begins
    across = left[:, None, None] - torch.arange(columns)[None, None, :]  # (n, 1, columns), to the left
    along = (down * angle.sin() + across * angle.cos()).clamp(min=0).minimum(length)
    distance = (down - along * angle.sin()).hypot(across - along * angle.cos())  # of each pixel from the flag's middle
    flags = (radius + 0.5 - distance).clamp(0, 1) * (chosen < share)
    drawn = levels.maximum(flags[:, None] * full).round().to(torch.uint8)
    copy = images.clone()
    copy[ones] = drawn.reshape(found.shape)
    return copy


def _warped(images: torch.Tensor, generator: torch.Generator, strength: float, warp: Warp) -> torch.Tensor:
    n, (rows, columns) = len(images), images.shape[-2:]
    size = torch.tensor([columns, rows])
    matrices = _affine(n, size, generator, strength, warp)
    grid = F.affine_grid(matrices, [n, 1, rows, columns], align_corners=False)  # (N, rows, columns, 2)
    grid = grid + strength * _elastic(n, size, generator, warp)
    pixels = images.reshape(n, -1, rows, columns).to(torch.float32)  # (N, channels, rows, columns)
    warped = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return warped.reshape(images.shape).round().clamp(0, 255).to(torch.uint8)


def _affine(n: int, size: torch.Tensor, generator: torch.Generator, strength: float, warp: Warp) -> torch.Tensor:
    """Matrices from target to source coordinates, which run from -1 to 1; (N, 2, 3). ``size``: (columns, rows)."""
    draw = strength * (torch.rand(6, n, generator=generator) * 2 - 1)  # (6, N)
    angle = draw[0] * torch.pi * warp.rotation_degrees / 180
    scale_x, scale_y = 1 + draw[1] * warp.scale, 1 + draw[2] * warp.scale
    shear = draw[3] * warp.shear
    shift_x, shift_y = draw[4:] * warp.shift_pixels * 2 / size[:, None]
    cos, sin = torch.cos(angle), torch.sin(angle)
    row_x = torch.stack([cos * scale_x, (cos * shear - sin) * scale_y, shift_x], dim=1)
    row_y = torch.stack([sin * scale_x, (sin * shear + cos) * scale_y, shift_y], dim=1)
    return torch.stack([row_x, row_y], dim=1)


def _elastic(n: int, size: torch.Tensor, generator: torch.Generator, warp: Warp) -> torch.Tensor:
    """Smooth displacements in source coordinates, (N, rows, columns, 2): random knots, bicubic between them."""
    columns, rows = size.tolist()
    knots = torch.randn(n, 2, warp.elastic_knots, warp.elastic_knots, generator=generator)
    smooth = F.interpolate(knots, size=(rows, columns), mode="bicubic", align_corners=True)  # (N, 2, rows, columns)
    return smooth.permute(0, 2, 3, 1) * (warp.elastic_pixels * 2 / size)


def inked(images: torch.Tensor, generator: torch.Generator, strength: float = 1.0, ink: Ink = PENS) -> torch.Tensor:
    """A copy of images, uint8 (N, rows, columns) or (N, channels, rows, columns), 0 is background, as another pen would
    have left them: thinner or thicker strokes, blurred, crisp, of other contrast, faint, uneven, centred by their mass.

    ``strength`` multiplies every amount of ``ink``; with 0 the images come back as they are, and nothing is drawn.
    """
    if strength == 0:
        return images
    return torch.cat([_inked(chunk, generator, strength, ink) for chunk in images.split(CHUNK)])


def _inked(images: torch.Tensor, generator: torch.Generator, strength: float, ink: Ink) -> torch.Tensor:
    n, (rows, columns) = len(images), images.shape[-2:]
    levels = images.reshape(n, -1, rows, columns).to(torch.float32) / FULL  # (N, channels, rows, columns)

    def amount(share: float, most: float) -> torch.Tensor:
        """0 for images that stay as they are, else evenly up to ``most``; (N, 1, 1, 1)."""
        chosen, far = torch.rand(2, n, 1, 1, 1, generator=generator)
        return torch.where(chosen < share, far * strength * most, 0.0)

    levels = _stroked(levels, generator, strength, ink)
    blur = amount(ink.blur_share, ink.blur)
    for done in range(ceil(ink.blur * strength)):
        levels = levels.lerp(_blurred(levels), (blur - done).clamp(0, 1))
    middle = levels.amax((1, 2, 3), keepdim=True) * (1 + torch.rand(n, 1, 1, 1, generator=generator)) / 4
    levels = (levels + amount(ink.steep_share, ink.steep) * (levels - middle)).clamp(0, 1)
    sign = torch.randint(2, (n, 1, 1, 1), generator=generator) * 2 - 1
    levels = levels ** torch.exp(sign * amount(ink.contrast_share, ink.contrast))
    knots = torch.rand(n, 1, ink.uneven_knots, ink.uneven_knots, generator=generator)
    gone = F.interpolate(knots, size=(rows, columns), mode="bicubic", align_corners=True).clamp(0, 1)
    levels = levels * (1 - amount(ink.uneven_share, ink.uneven) * gone).clamp(0, 1)
    levels = levels * (1 - amount(ink.faint_share, ink.faint)).clamp(0, 1)
    centred = torch.rand(n, 1, 1, 1, generator=generator) < ink.centred_share
    levels = torch.where(centred, _centred(levels), levels)
    return (levels * FULL).reshape(images.shape).round().clamp(0, FULL).to(torch.uint8)


def _stroked(levels: torch.Tensor, generator: torch.Generator, strength: float, ink: Ink) -> torch.Tensor:
    """Strokes of some images thinner, of others thicker; (N, channels, rows, columns)."""
    chosen, far = torch.rand(2, len(levels), 1, 1, 1, generator=generator)
    mixture = (far * strength * ink.stroke).clamp(0, 1)
    thinner = -F.max_pool2d(-F.pad(levels, (0, 1, 0, 1)), 2, stride=1)
    thicker = F.max_pool2d(levels, 3, stride=1, padding=1)
    other = torch.where(chosen < ink.thinner_share, thinner, thicker)
    return levels.lerp(other, torch.where(chosen < ink.thinner_share + ink.thicker_share, mixture, 0.0))


def _blurred(levels: torch.Tensor) -> torch.Tensor:
    """A 3x3 binomial filter."""
    weights = torch.tensor(BINOMIAL)
    channels = levels.shape[1]
    kernel = torch.outer(weights, weights).expand(channels, 1, 3, 3)
    return F.conv2d(levels, kernel, padding=1, groups=channels)


def _centred(levels: torch.Tensor) -> torch.Tensor:
    """Images moved by whole pixels so that their centre of mass is nearest to the middle, row and column size // 2."""
    for axis in (2, 3):
        size = levels.shape[axis]
        places = torch.arange(size, dtype=torch.float32)
        mass = levels.sum(dim=(1, 5 - axis))  # (N, size)
        centre = (mass @ places) / mass.sum(1).clamp(min=1e-6)
        source = places.long() - (size // 2 - centre).round().long()[:, None]  # (N, size)
        shape = (len(levels), 1, -1, 1) if axis == 2 else (len(levels), 1, 1, -1)
        index = source.clamp(0, size - 1).reshape(shape).expand_as(levels)
        inside = ((source >= 0) & (source < size)).reshape(shape)
        levels = levels.gather(axis, index) * inside
    return levels
