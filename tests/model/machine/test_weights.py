"""The weight image: every byte at its place, both ways, at every size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.weights import memory_depths, memory_map, pack, unpack
from fivebyfive.model.network import Layer, Network
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.winograd import transformed

CAFFE = LeNetShape(20, 50, (500, 10))

fc_widths = st.lists(st.integers(1, 50), min_size=1, max_size=4).map(tuple)
shapes = st.builds(LeNetShape, st.integers(1, 30), st.integers(1, 30), fc_widths)
configs = st.one_of(
    *(
        st.builds(
            Config,
            st.just(w),
            st.integers(1, Config.most_outputs(w)),
            st.integers(1, 20),
            st.booleans(),
            packed=st.booleans(),
            skip_zeros=st.booleans(),
        )
        for w in (1, 2, 4)
    )
)


@given(shapes, configs, st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_round_trip(shape, config, seed):
    checkpoint = Checkpoint.random(shape, seed)
    assert unpack(pack(checkpoint, config), shape.network, config).digest == checkpoint.digest


@given(shapes, st.integers(1, 11), st.integers(1, 20), st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_transformed_kernels(shape, outputs, rows, seed):
    """A word has 36 numbers of 16 bits, or 72 biases; the checkpoint comes back."""
    checkpoint, config = Checkpoint.random(shape, seed), Config(4, outputs, rows, winograd=True)
    image = pack(checkpoint, config)
    assert unpack(image, shape.network, config).digest == checkpoint.digest
    word = image.conv[memory_map(shape.network, config)[1].address]
    assert len(word) == 72
    assert np.array_equal(word.view("<i2").reshape(6, 6), transformed(checkpoint.arrays["conv1.weight"][0, 0]))


def test_weights_of_an_input_lie_together():
    """Where activations of zero are skipped: a word of biases for each group of 20 R outputs, then for each input, in
    the order in which activations come, a word for each group."""
    shape, config = LeNetShape(2, 3, (45, 10)), Config(outputs=2, fc_rows=2, skip_zeros=True)
    checkpoint = Checkpoint.random(shape, 1)
    image, order = pack(checkpoint, config).fc, config.fc1_order(shape.network)
    assert image.shape == (2 + 48 * 2 + 1 + 45, 40)
    weights, biases = (checkpoint.arrays[f"fc1.{kind}"] for kind in ("weight", "bias"))
    assert image[:2].ravel().tolist() == [*biases.tolist(), *[0] * 35]
    for number, source in enumerate(order):
        words = image[2 + 2 * number : 4 + 2 * number].ravel()
        assert words.tolist() == [*weights[:, source].tolist(), *[0] * 35]
    assert (image[99:, :10] == checkpoint.arrays["fc2.weight"].T).all()
    assert not image[98:, 10:].any()


def of_kernels(channels, *kernels, outputs=(5, 7), groups=1):
    """A network of two convolutions and one fully-connected layer."""
    first = Layer("a", "conv", channels, kernels[0])
    second = Layer("b", "conv", outputs[-1], kernels[1], groups=groups)
    return Network((1, 12, 12), (first, second, Layer("f", "fc", 3)))


@pytest.mark.parametrize(
    ("network", "config", "at_once"),
    [
        (of_kernels(10, 5, 1), Config(kernel=5), [1, 25]),
        (of_kernels(10, 5, 1), Config(1, 3, kernel=5), [1, 24]),
        (of_kernels(10, 3, 1), Config(1, 4, kernel=3), [1, 8]),
        (of_kernels(10, 3, 1), Config(1, 10, kernel=3), [1, 1]),  # more outputs at once than multipliers of a PE
        (of_kernels(10, 3, 1), Config(2, 1, kernel=3), [1, 1]),
        (of_kernels(10, 3, 1), Config(1, 1, kernel=3, skip_zeros=True), [1, 1]),
        (of_kernels(10, 1, 1), Config(kernel=3), [1, 9]),  # the first one reads the image
        (of_kernels(10, 3, 3), Config(kernel=3), [1, 1]),
    ],
)
def test_channels_at_once(network, config, at_once):
    assert [config.channels_at_once(network, layer) for layer in range(2)] == at_once
    checkpoint = Checkpoint.random(network, 3)
    assert unpack(pack(checkpoint, config), network, config).digest == checkpoint.digest


def test_words_of_channels():
    """1x1 kernels of ten channels lie side by side in a word, those of other groups of channels are zeros."""
    network, config = of_kernels(10, 5, 1, outputs=(20,), groups=2), Config()
    checkpoint = Checkpoint.random(network, 3)
    region = next(region for region in memory_map(network, config) if region.name == "b.weight")
    words, weights = pack(checkpoint, config).conv[region.address : region.end], checkpoint.arrays["b.weight"]
    assert words.shape == (20, 25)
    for output, word in enumerate(words):
        first = 5 * (output // 10)
        assert np.array_equal(word[first : first + 5], weights[output, :, 0, 0])
        assert not word[:first].any()
        assert not word[first + 5 :].any()


def test_words_of_more_channels():
    """By group of two output channels, then eight channels, then output channel."""
    network, config = of_kernels(20, 3, 1, outputs=(3,)), Config(1, 2, kernel=3)
    checkpoint = Checkpoint.random(network, 3)
    region = next(region for region in memory_map(network, config) if region.name == "b.weight")
    words, weights = pack(checkpoint, config).conv[region.address : region.end], checkpoint.arrays["b.weight"]
    order = [(output, first) for group in ((0, 1), (2,)) for first in (0, 8, 16) for output in group]
    assert len(words) == len(order) == 9
    for word, (output, first) in zip(words, order, strict=True):
        expected = weights[output, first : first + 8, 0, 0]
        assert np.array_equal(word, np.pad(expected, (0, 9 - len(expected))))


def test_memory_map_of_the_caffe_lenet():
    """The words that the design counts: 1,023 of 25 bytes and 20,276 of 20 bytes."""
    regions = [(r.memory, r.name, r.address, r.words) for r in memory_map(CAFFE.network, Config())]
    assert regions == [
        ("conv", "conv1.bias", 0, 1),
        ("conv", "conv1.weight", 1, 20),
        ("conv", "conv2.bias", 21, 2),
        ("conv", "conv2.weight", 23, 1000),
        ("fc", "fc1.bias", 0, 25),
        ("fc", "fc1.weight", 25, 20000),
        ("fc", "fc2.bias", 20025, 1),
        ("fc", "fc2.weight", 20026, 250),
    ]


def test_plain_layout():
    """One PE and one row: kernels and rows lie as PyTorch's arrays do."""
    checkpoint = Checkpoint.random(CAFFE, 1)
    image = pack(checkpoint, Config())
    arrays = checkpoint.arrays
    assert np.array_equal(image.conv[0, :20], arrays["conv1.bias"])
    assert not image.conv[0, 20:].any()
    assert np.array_equal(image.conv[1:21], arrays["conv1.weight"].reshape(20, 25))
    assert np.array_equal(image.conv[23 + 7 * 20 + 3], arrays["conv2.weight"][7, 3].ravel())
    assert np.array_equal(image.fc[25 + 9 * 40 + 2], arrays["fc1.weight"][9, 40:60])
    assert np.array_equal(image.fc[20025, :10], arrays["fc2.bias"])


def test_groups_of_outputs():
    """Kernels of channels that compute together follow each other; fc1's inputs come in the order they finish."""
    shape, config = LeNetShape(3, 5, (4,)), Config(2, 2, 3)
    checkpoint = Checkpoint.random(shape, 2)
    image = pack(checkpoint, config)
    conv2 = next(r for r in memory_map(shape.network, config) if r.name == "conv2.weight")
    order = [
        (0, 0),
        (1, 0),
        (0, 1),
        (1, 1),
        (0, 2),
        (1, 2),
        (2, 0),
        (3, 0),
        (2, 1),
        (3, 1),
        (2, 2),
        (3, 2),
        (4, 0),
        (4, 1),
        (4, 2),
    ]
    for word, (output, channel) in zip(image.conv[conv2.address :], order, strict=True):
        assert np.array_equal(word, checkpoint.arrays["conv2.weight"][output, channel].ravel())
    assert config.fc1_order(shape.network)[:6] == [0, 16, 1, 17, 2, 18]
    assert config.fc1_order(shape.network)[-2:] == [78, 79]
    fc1 = next(r for r in memory_map(shape.network, config) if r.name == "fc1.weight")
    weights = checkpoint.arrays["fc1.weight"]
    first = image.fc[fc1.address]
    assert first[[0, 1, 20, 41]].tolist() == [weights[0, 0], weights[0, 16], weights[1, 0], weights[2, 16]]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((3, 1, 1), "windows must be 1, 2 or 4 (of a 2x2 pool cell), not 3"),
        ((4, 13, 1), "outputs must be 1 to 11 with 4 windows, not 13"),
        ((1, -1, 1), "outputs must be 1 to 59 with 1 windows, not -1"),
        ((2, 0, 1), "outputs must be 1 to 27 with 2 windows, not 0"),
        ((1, 1, 26), "fc_rows must be 1 to 25, not 26"),
    ],
)
def test_sizes_out_of_range(sizes, message):
    with pytest.raises(ValueError, match="must be") as caught:
        Config(*sizes)
    assert str(caught.value) == message


def test_split_rows():
    """An odd number of packed rows: twice the outputs, ten activations a word, as many words of as many bytes."""
    shape, config = LeNetShape(2, 4, (7, 10)), Config(packed=True)
    checkpoint = Checkpoint.random(shape, 3)
    image = pack(checkpoint, config)
    regions = {region.name: region for region in memory_map(shape.network, config)}
    fc1, weights = regions["fc1.weight"], checkpoint.arrays["fc1.weight"]
    assert [regions[name].words for name in ("fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight")] == [1, 4 * 7, 1, 5]
    assert np.array_equal(image.fc[fc1.address, :10], weights[0, :10])
    assert np.array_equal(image.fc[fc1.address, 10:], weights[1, :10])
    assert np.array_equal(image.fc[fc1.address + 6, :4], weights[0, 60:])
    assert np.array_equal(image.fc[fc1.address + 7, 10:], weights[3, :10])
    assert not image.fc[fc1.end - 1, 10:].any()  # there is no eighth output


def test_multipliers():
    assert Config(4, 5, 6).multipliers == Config(4, 5, 6, packed=True).multipliers == 500 + 120


@pytest.mark.parametrize(
    ("config", "conv", "fc"),
    [
        (Config(4, 5, 6), 500, 120),
        (Config(4, 1, 1, packed=True), 50, 10),
        (Config(4, 5, 6, packed=True), 250, 60),
        (Config(2, 3, 13, packed=True), 75, 140),  # over 20 outputs at once: a row is left over
        (Config(1, 1, 1, packed=True), 25, 10),  # one window of one channel: nothing to pair it with
        (Config(1, 5, 9, packed=True), 75, 90),
    ],
)
def test_dsps(config, conv, fc):
    assert (config.conv_dsps, config.fc_dsps, config.dsps) == (conv, fc, conv + fc)


@given(fc_widths, st.integers(1, 25), st.booleans(), st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_round_trip_without_convolutions(fc, rows, packed, seed):
    network, config = LeNetShape(0, 0, fc).network, Config(1, 0, rows, packed=packed)
    checkpoint = Checkpoint.random(network, seed)
    image = pack(checkpoint, config)
    assert image.conv.shape == (0, 25)
    assert unpack(image, network, config).digest == checkpoint.digest


def test_lenet_300_100():
    """Pixels in their own order, 40 words of them; the last has four, and zeros."""
    shape, config = LeNetShape.parse("784-300-100-10"), Config(outputs=0)
    assert [(r.memory, r.name, r.address, r.words) for r in memory_map(shape.network, config)] == [
        ("fc", "fc1.bias", 0, 15),
        ("fc", "fc1.weight", 15, 12_000),
        ("fc", "fc2.bias", 12_015, 5),
        ("fc", "fc2.weight", 12_020, 1_500),
        ("fc", "fc3.bias", 13_520, 1),
        ("fc", "fc3.weight", 13_521, 50),
    ]
    assert memory_depths(shape.network, config) == {"conv": 0, "fc": 13_571}
    checkpoint = Checkpoint.random(shape, 1)
    words = pack(checkpoint, config).fc
    assert np.array_equal(words[15 + 40 * 7 + 3], checkpoint.arrays["fc1.weight"][7, 60:80])
    assert np.array_equal(words[15 + 40 * 8 - 1], [*checkpoint.arrays["fc1.weight"][7, 780:], *[0] * 16])
    assert (config.multipliers, config.conv_multipliers, config.dsps, config.conv_dsps) == (20, 0, 20, 0)
    assert Config(outputs=0, packed=True, fc_rows=2).dsps == 20


@pytest.mark.parametrize(
    ("text", "sizes", "words"),
    [
        ("784-30-10", {}, "outputs must be 0: it has no convolutions"),
        ("784-30-10", {"outputs": 0, "early_fc": True}, "the first layer of 784-30-10 takes pixels"),
        ("2-3-7-10", {"outputs": 0}, "for 2-3-7-10, outputs must be at least 1"),
    ],
)
def test_machines_of_the_other_kind(text, sizes, words):
    with pytest.raises(ValueError, match=words):
        Config(**sizes).check(LeNetShape.parse(text).network)
