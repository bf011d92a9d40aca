"""Strokes of the ten digits, as a person draws them, and five styles of drawing them.

A stroke is a list of points (x, y) of a square of side 1, y downwards.
"""

from collections.abc import Callable
from itertools import pairwise
from math import cos, pi, sin
from random import Random

__all__ = ["DIGITS", "STYLES", "Strokes"]

Stroke = list[tuple[float, float]]
Strokes = list[Stroke]


def arc(x: float, y: float, across: float, down: float, start: float, end: float) -> Stroke:
    """Points of an ellipse's arc around (x, y); angles in degrees, clockwise from three o'clock."""
    angles = [(start + (end - start) * step / 16) * pi / 180 for step in range(17)]
    return [(x + across * cos(angle), y + down * sin(angle)) for angle in angles]


DIGITS: dict[int, Strokes] = {
    0: [arc(0.50, 0.50, 0.24, 0.36, -80, 285)],
    1: [[(0.38, 0.26), (0.53, 0.14), (0.50, 0.86)]],
    2: [[*arc(0.50, 0.34, 0.23, 0.20, -165, 35), (0.28, 0.85), (0.76, 0.84)]],
    3: [[*arc(0.47, 0.31, 0.22, 0.18, -150, 90), *arc(0.47, 0.67, 0.25, 0.19, -90, 150)]],
    4: [[(0.40, 0.13), (0.25, 0.55), (0.75, 0.54)], [(0.62, 0.20), (0.58, 0.88)]],
    5: [[(0.35, 0.15), (0.32, 0.46), *arc(0.46, 0.65, 0.24, 0.21, -110, 145)], [(0.35, 0.15), (0.72, 0.14)]],
    6: [[(0.62, 0.13), (0.42, 0.32), *arc(0.49, 0.65, 0.21, 0.21, 190, -175)]],
    7: [[(0.25, 0.17), (0.74, 0.16), (0.55, 0.50), (0.44, 0.87)]],
    8: [
        [
            *arc(0.50, 0.32, 0.18, 0.17, -60, -270), *arc(0.50, 0.68, 0.21, 0.19, -90, 270),
            *arc(0.50, 0.32, 0.18, 0.17, 90, -60),
        ]
    ],
    9: [[*arc(0.48, 0.34, 0.20, 0.20, -20, -375), (0.66, 0.55), (0.58, 0.87)]],
}  # fmt: skip


def moved(strokes: Strokes, move: Callable[[float, float], tuple[float, float]]) -> Strokes:
    return [[move(x, y) for x, y in stroke] for stroke in strokes]


def slanted(strokes: Strokes) -> Strokes:
    """Leaning to the right, by 17 degrees."""
    return moved(strokes, lambda x, y: (x + 0.3 * (0.5 - y), y))


def in_a_corner(strokes: Strokes) -> Strokes:
    """A third as large, at the upper left."""
    return moved(strokes, lambda x, y: (0.03 + 0.36 * x, 0.03 + 0.36 * y))


def wobbly(strokes: Strokes) -> Strokes:
    """By a hand that trembles: every piece of a stroke in short steps, each a little off."""
    random = Random(5)
    shaken = []
    for stroke in strokes:
        points = []
        for (x, y), (to_x, to_y) in pairwise(stroke):
            steps = max(1, round(max(abs(to_x - x), abs(to_y - y)) / 0.06))
            points += [(x + (to_x - x) * step / steps, y + (to_y - y) * step / steps) for step in range(steps)]
        shaken.append([(x + random.gauss(0, 0.012), y + random.gauss(0, 0.012)) for x, y in [*points, stroke[-1]]])
    return shaken


# The pen's width on the page's slider, of 280 for the whole pad, and what becomes of the strokes.
STYLES: dict[str, tuple[int, Callable[[Strokes], Strokes]]] = {
    "thin": (8, lambda strokes: strokes),
    "thick": (38, lambda strokes: strokes),
    "slanted": (22, slanted),
    "small in a corner": (10, in_a_corner),
    "wobbly": (22, wobbly),
}
