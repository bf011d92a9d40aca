"""What a float network gets wrong on labelled images, and how their pixels were scaled for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fivebyfive.model.data.datasets import Dataset, fit_images
from fivebyfive.model.golden import classify

from .execution import run
from .float_network import FloatNetwork
from .steps import Steps

__all__ = ["USUAL_INPUTS", "Scaling", "count_errors", "find_scaling", "float_scores"]

BATCH = 100  # images
TRIED = 100  # images that choose a scaling


@dataclass(frozen=True)
class Scaling:
    """The network's file takes (pixel / 255 - ``mean``) / ``std``."""

    mean: float = 0.0
    std: float = 1.0

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        return (pixels - 255 * self.mean) / (255 * self.std)  # exact where 255 std is a power of two

    def for_codes(self, network: FloatNetwork) -> FloatNetwork:
        """The network of pixel / 128, which are the values of the machine's input codes."""
        return network.taking(128 / 255 / self.std, -self.mean / self.std)


# What people feed a LeNet
USUAL_INPUTS = (
    Scaling(),  # 0 to 1, torchvision's ToTensor
    Scaling(0.1307, 0.3081),  # mean and deviation of MNIST
    Scaling(0.5, 0.5),  # -1 to 1
    Scaling(0.2860, 0.3530),  # mean and deviation of Fashion-MNIST
    Scaling(0.0, 1 / 255),  # raw pixels
    Scaling(0.0, 128 / 255),  # the hardware's own input: pixel / 128
)


def float_scores(network: FloatNetwork, images: np.ndarray) -> Iterator[np.ndarray]:
    """Scores, float64 (N, classes), of images as the file's network takes them, some at a time."""
    for start in range(0, len(images), BATCH):
        yield run(network, images[start : start + BATCH])


def count_errors(network: FloatNetwork | Steps, dataset: Dataset, scaling: Scaling) -> int:
    """Errors on a data set; its images are put into the input as `evaluate` does. Raises UserError where they do not
    fit."""
    assert network.input
    errors = 0
    for start in range(0, len(dataset), BATCH):
        images = fit_images(dataset.images[start : start + BATCH], network.input)
        scores = run(network, scaling.apply(images.reshape(-1, *network.input)))
        errors += int((classify(scores) != dataset.labels[start : start + BATCH]).sum())
    return errors


def find_scaling(network: FloatNetwork, dataset: Dataset, scalings: Sequence[Scaling] = USUAL_INPUTS) -> Scaling:
    """The scaling with the fewest errors on the first images of a data set."""
    few = Dataset(dataset.name, dataset.images[:TRIED], dataset.labels[:TRIED])
    return min(scalings, key=lambda scaling: count_errors(network, few, scaling))
