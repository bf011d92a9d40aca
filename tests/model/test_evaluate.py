"""Counting errors, wraps and peaks."""

import json

import numpy as np
import pytest

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.golden import classify, forward, predict
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError


def test_counts_agree_with_the_golden_model(small_checkpoint, few_digits):
    calls = []
    seen = evaluate(small_checkpoint, few_digits, lambda *args: calls.append(args))
    classes = classify(predict(small_checkpoint, few_digits.images))
    trace = forward(small_checkpoint, few_digits.images)
    assert seen.errors == np.count_nonzero(classes != few_digits.labels)
    assert seen.wraps == trace.wraps
    assert seen.peak == trace.peaks
    assert all((seen.peak[layer] > 127) == (seen.wraps[layer] > 0) for layer in seen.wraps)
    for label in range(10):
        expected = np.bincount(classes[few_digits.labels == label], minlength=10)
        assert seen.confusion[label].tolist() == expected.tolist()
    assert calls[-1] == (400, 400, "evaluating on first-400")
    assert [done for done, _, _ in calls] == sorted({done for done, _, _ in calls})


def test_it_can_be_told_in_json(small_checkpoint, few_digits):
    seen = evaluate(small_checkpoint, few_digits)
    report = json.loads(json.dumps(seen.as_dict()))
    assert report["errors"] == seen.errors
    assert report["confusion"] == seen.confusion.tolist()
    assert list(report) == ["images", "errors", "wraps", "confusion", "peak", "interval"]


def test_more_classes_than_labels_are_fine(few_digits):
    seen = evaluate(Checkpoint.random(LeNetShape.parse("1-1-12"), seed=0), few_digits)
    assert seen.confusion.shape == (12, 12)


def test_labels_the_network_does_not_know(few_digits):
    with pytest.raises(UserError, match="first-400 has 400 images of 10 classes, the checkpoint 4 classes"):
        evaluate(Checkpoint.random(LeNetShape.parse("1-1-4"), seed=0), few_digits)


def test_nothing_to_evaluate(small_checkpoint):
    none = Dataset("none", np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8))
    with pytest.raises(UserError, match="none has 0 images"):
        evaluate(small_checkpoint, none)
