"""Shapes as text."""

import pytest

from fivebyfive.model.shape import LeNetShape


@pytest.mark.parametrize("text", ["20-50-500-10", "6-16-120-84-10", "1-1-1", "256-256-4096-4096-4096-64"])
def test_text_and_back(text):
    assert str(LeNetShape.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("20-50", "written like 20-50-500-10"),
        ("", "written like"),
        ("20-50-x-10", "written like"),
        ("20--50-10", "written like"),
        ("-1-50-10", "written like"),
        ("20-50-10000000", "far too large"),
        ("0-50-10", "conv1 must have 1 to 256"),
        ("20-257-10", "conv2 must have 1 to 256"),
        ("20-50-5000-10", "fc1 must have 1 to 4096"),
        ("20-50-65", "1 to 64 classes"),
        ("1-1-1-1-1-1-1", "1 to 4 fully-connected"),
    ],
)
def test_what_is_no_shape(text, reason):
    with pytest.raises(ValueError, match=reason):
        LeNetShape.parse(text)


def test_the_shipped_shape_costs_what_the_books_say():
    shape = LeNetShape(20, 50, (500, 10))
    assert sum(shape.macs.values()) == 2_293_000
    assert shape.fc_inputs == (800, 500)
