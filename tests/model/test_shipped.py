"""The checkpoint that ships: its promise, and that the card beside it tells the truth."""

import tomllib

import numpy as np
import pytest

from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint
from fivebyfive.model.evaluate import evaluate


@pytest.fixture(scope="module")
def shipped(digits):
    return evaluate(load_checkpoint(), digits)


@pytest.fixture(scope="module")
def card():
    return tomllib.loads(SHIPPED.with_suffix(".toml").read_text())


def test_at_most_45_errors_and_no_wrap_on_any_test_image(shipped, digits):
    assert shipped.images == 10_000
    assert shipped.errors <= 45
    assert shipped.wraps == {"conv1": 0, "conv2": 0, "fc1": 0, "fc2": 0}
    assert max(shipped.peak.values()) <= 127
    assert shipped.confusion.sum() == 10_000
    assert shipped.confusion.sum(1).tolist() == np.bincount(digits.labels).tolist()


def test_the_card_belongs_to_it(card):
    checkpoint = load_checkpoint()
    assert card["digest"] == checkpoint.digest
    assert card["shape"] == str(checkpoint.shape) == "20-50-500-10"


def test_the_card_says_what_is_measured(card, shipped):
    report = card["test"]
    assert (report["images"], report["errors"]) == (shipped.images, shipped.errors)
    assert report["wraps"] == shipped.wraps
    assert report["peak"] == shipped.peak


def test_the_card_tells_how_to_make_it_again(card):
    assert card["command"].split()[:2] == ["fivebyfive", "train"]
    assert f"--seed {card['seed']}" in card["command"]
    assert (card["hold_out"], card["held_out"]["images"]) == ("writers", 5060)
    assert set(card["versions"]) >= {"torch", "numpy", "python"}
    assert card["licence"]
