"""Digits as other hands might have written them: rotated, scaled, shifted, sheared and smoothly bent.

After Simard, Steinkraus and Platt, Best practices for convolutional neural networks applied to visual
document analysis (ICDAR 2003). All images of a batch are warped at once by one bilinear lookup; every image
gets its own warp.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (everybody's name for it)

__all__ = ["DIGITS", "Warp", "augment"]

CHUNK = 5000  # images warped at once: about 100 MB at work


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
