"""Shapes as text."""

import pytest

from fivebyfive.model.shape import LeNetShape

TEXTS = ["20-50-500-10", "6-16-120-84-10", "1-1-1", "256-256-4096-4096-4096-64", "784-300-100-10", "784-1"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_and_back(text):
    assert str(LeNetShape.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("20", "written like 20-50-500-10 .*, not 20$"),
        ("20-50", "written like 20-50-500-10 .* or 784-300-100-10 .*, not 20-50$"),
        ("0-0-300-10", "begins with 784, the pixels, not with 0-0"),
        ("800-300-10", "conv1 must have 1 to 256 channels, not 800"),
        ("784", "written like .* or 784-300-100-10"),
        ("784-1-1-1-1-1", "1 to 4 fully-connected"),
        ("784-5000-10", "fc1 must have 1 to 4096"),
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


def test_lenet_300_100():
    shape = LeNetShape.parse("784-300-100-10")
    assert shape == LeNetShape(0, 0, (300, 100, 10))
    assert not shape.has_convolutions
    assert shape.fc_inputs == (784, 300, 100)
    assert shape.layers == tuple(shape.outputs) == tuple(shape.macs) == ("fc1", "fc2", "fc3")
    assert sum(shape.macs.values()) == 266_200
    assert sum(outputs[0] for outputs in shape.outputs.values()) == 410
    parameters = sum(a * b for a, *rest in shape.arrays.values() for b in rest or [1])
    assert parameters == 266_610  # the literature's 267 thousand, 1,070 kB as floats


@pytest.mark.parametrize("text", ["20-50-500-10", "784-300-100-10"])
def test_other_widths_of_the_same_layers(text):
    shape = LeNetShape.parse(text)
    assert shape.with_widths(shape.widths) == shape
    smaller = shape.with_widths(width - 1 for width in shape.widths)
    assert smaller.widths == tuple(width - 1 for width in shape.widths)
    assert smaller.layers == shape.layers


@pytest.mark.parametrize("convs", [(0, 5), (5, 0)])
def test_one_convolution_is_none(convs):
    with pytest.raises(ValueError, match="must have 1 to 256 channels, not 0"):
        LeNetShape(*convs, (10,))
