"""Two networks for one image: the second is asked only where the first one's two best classes are close.

Execution that depends on the input, as in Viola and Jones 2001 (Rapid object detection using a boosted cascade) and,
for deep networks, Park et al. 2015 (Big/little deep neural network for ultra low power inference).
"""

from dataclasses import dataclass

import numpy as np

from .checkpoint import Checkpoint
from .golden import predict
from .shape import summary

__all__ = ["MAX_MARGIN", "Answers", "Choice", "answer", "check_pair", "choices", "margins"]

MAX_MARGIN = 256  # above every distance of two codes: the second network is always asked


@dataclass(frozen=True)
class Answers:
    """``logits``: int8 (N, classes), of the network that answered; ``second``: bool (N,), where that is the second."""

    logits: np.ndarray
    second: np.ndarray


def check_pair(first: Checkpoint, second: Checkpoint, margin: int) -> None:
    """Raise ValueError unless the networks take the same images and know the same classes, at least two, and the margin
    is from 0 (the second is never asked) to `MAX_MARGIN`."""
    one, other = first.network, second.network
    if one.input != other.input or one.classes != other.classes:
        raise ValueError(
            f"both networks must take the same images and know as many classes; {summary(one)} takes {one.input} and "
            f"has {one.classes}, {summary(other)} takes {other.input} and has {other.classes}"
        )
    if one.classes < 2:
        raise ValueError("a network of one class has no second best; a cascade needs two classes")
    if type(margin) is not int or not 0 <= margin <= MAX_MARGIN:
        raise ValueError(f"margin is a whole number from 0 to {MAX_MARGIN}, not {margin}")


def margins(logits: np.ndarray) -> np.ndarray:
    """Distance of the two largest codes of each row, int64 (N,), 0 to 255; of int8 (N, classes)."""
    best = np.sort(logits.astype(np.int64), axis=1)
    return best[:, -1] - best[:, -2]


def answer(first: Checkpoint, second: Checkpoint, margin: int, pixels: np.ndarray) -> Answers:
    """What the two networks say of images, as `golden.predict` takes them: the second where the first one's two best
    logits are less than ``margin`` codes apart. Raises ValueError as `check_pair`."""
    check_pair(first, second, margin)
    logits = predict(first, pixels)
    asked = margins(logits) < margin
    if asked.any():
        logits = logits.copy()
        logits[asked] = predict(second, pixels[asked])
    return Answers(logits, asked)


@dataclass(frozen=True)
class Choice:
    """A margin: how many of ``images`` go on to the second network, and how many are wrong in the end."""

    margin: int
    images: int
    asked: int
    errors: int


def choices(first: Checkpoint, second: Checkpoint, pixels: np.ndarray, labels: np.ndarray) -> list[Choice]:
    """Each margin from 0 at which other images go on, on labelled images: uint8 (N, ...), (N,)."""
    check_pair(first, second, 0)
    little, large = predict(first, pixels), predict(second, pixels)
    distance = margins(little)
    wrong = [logits.argmax(1) != labels for logits in (little, large)]
    found = []
    for margin in [0, *(np.unique(distance) + 1).tolist()]:
        asked = distance < margin
        errors = int(np.where(asked, wrong[1], wrong[0]).sum())
        found.append(Choice(margin, len(labels), int(asked.sum()), errors))
    return found
