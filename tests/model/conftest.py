"""Small data sets and networks, made once."""

import sys

import numpy as np
import pytest
from hypothesis import settings

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.data.datasets import Dataset, load_dataset
from fivebyfive.model.shape import LeNetShape

settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")

SMALL = LeNetShape(2, 3, (7, 10))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny networks gain nothing from two threads, and lose much where other tests run beside them."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The 10,000 test images that ship."""
    return load_dataset()


@pytest.fixture
def small_checkpoint() -> Checkpoint:
    """2-3-7-10 with codes over the whole range."""
    return Checkpoint.random(SMALL, seed=7)


def first(dataset: Dataset, count: int) -> Dataset:
    return Dataset(f"first-{count}", dataset.images[:count], dataset.labels[:count])


@pytest.fixture(scope="session")
def few_digits(digits: Dataset) -> Dataset:
    """400 test images; to train on in tests only."""
    return first(digits, 400)


@pytest.fixture
def noise() -> np.ndarray:
    """Three images of random pixels, uint8 (3, 28, 28)."""
    return np.random.default_rng(3).integers(0, 256, (3, 28, 28), dtype=np.uint8)
