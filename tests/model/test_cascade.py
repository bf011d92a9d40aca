"""The golden model of two networks for one image."""

import numpy as np
import pytest

from fivebyfive.model.cascade import MAX_MARGIN, answer, choices, margins
from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.golden import predict
from fivebyfive.model.shape import LeNetShape


def test_margins_are_the_distance_of_the_two_largest():
    logits = np.array([[3, -128, 127], [127, 127, 0], [-128, 127, -128]], np.int8)
    assert margins(logits).tolist() == [124, 0, 255]


def test_the_second_answers_where_the_first_is_unsure(noise):
    first, second = (Checkpoint.random(LeNetShape.parse(shape), 2) for shape in ("2-2-8-10", "3-3-8-10"))
    little, large = predict(first, noise), predict(second, noise)
    distance = margins(little)
    for margin in (0, int(distance.min()) + 1, int(distance.max()) + 1, MAX_MARGIN):
        got = answer(first, second, margin, noise)
        assert got.second.tolist() == [value < margin for value in distance]
        for row, (logits, asked) in enumerate(zip(got.logits, got.second, strict=True)):
            assert logits.tolist() == (large if asked else little)[row].tolist()


def test_what_cannot_be_joined(noise):
    first = Checkpoint.random(LeNetShape.parse("2-2-8-10"), 2)
    with pytest.raises(ValueError, match="know as many classes; 2-2-8-10 takes"):
        answer(first, Checkpoint.random(LeNetShape.parse("2-2-8-9"), 2), 3, noise)
    for margin in (-1, 257, 1.5, True):
        with pytest.raises(ValueError, match="margin is a whole number from 0 to 256"):
            answer(first, first, margin, noise)
    one = Checkpoint.random(LeNetShape.parse("2-2-8-1"), 2)
    with pytest.raises(ValueError, match="a network of one class has no second best"):
        answer(one, one, 3, noise)


def test_a_margin_of_each_share():
    """On images of the test set's beginning: figures of the golden model, by another way."""
    images = load_dataset("mnist", "test")
    pixels, labels = images.images[:300], images.labels[:300]
    first, second = (load_checkpoint(SHIPPED.with_name(name)) for name in ("narrow.npz", "lenet.npz"))
    found = choices(first, second, pixels, labels)
    assert [one.margin for one in found] == sorted({one.margin for one in found})
    assert (found[0].margin, found[0].asked, found[-1].asked) == (0, 0, 300)
    for one in (found[0], found[1], found[len(found) // 2], found[-1]):
        got = answer(first, second, one.margin, pixels)
        assert (one.asked, one.errors) == (got.second.sum(), (got.logits.argmax(1) != labels).sum())
