"""The golden model against two strangers to its code: Python integers, and torch in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fivebyfive.model import golden
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.shape import LeNetShape

SHAPES = ["20-50-500-10", "6-16-120-84-10", "5-14-80-10", "1-1-1", "3-2-7-5-4-64", "21-26-19-2", "784-300-100-10"]


# Shapes of both kinds; codes anywhere, or only the extremes.
fc_widths = st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple)
few = st.integers(1, 3)
shapes = st.one_of(st.builds(LeNetShape, few, few, fc_widths), st.builds(LeNetShape, st.just(0), st.just(0), fc_widths))
codes = st.sampled_from([(-128, 127), (-128, -127), (127, 127), (-1, 1)])


def random_images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def byte(value: int) -> int:
    return (value + 128) % 256 - 128


def reference(checkpoint: Checkpoint, image: np.ndarray) -> dict[str, list]:
    """Every layer of one image in plain Python integers, the way the formulas are written."""
    arrays = {name: array.tolist() for name, array in checkpoint.arrays.items()}
    x = [[[int(pixel) // 2 for pixel in row] for row in image]]  # x[channel][row][column]
    layers = {}
    for layer in [name for name in arrays if name in ("conv1.weight", "conv2.weight")]:
        layer = layer.removesuffix(".weight")
        x = [
            plain_conv(x, kernels, bias)
            for kernels, bias in zip(arrays[f"{layer}.weight"], arrays[f"{layer}.bias"], strict=True)
        ]
        layers[layer] = x
    flat = [value for channel in x for row in channel for value in row]
    for layer in [name.removesuffix(".weight") for name in arrays if name.startswith("fc") and "weight" in name]:
        codes = [
            byte(((b << 6) + sum(v * w for v, w in zip(flat, row, strict=True))) >> 6)
            for row, b in zip(arrays[f"{layer}.weight"], arrays[f"{layer}.bias"], strict=True)
        ]
        flat = codes if layer == checkpoint.shape.layers[-1] else [max(code, 0) for code in codes]
        layers[layer] = flat
    return layers


def plain_conv(x: list, kernels: list, bias: int) -> list:
    """One output channel: convolution, wrapping, pooling, ReLU."""
    size = len(x[0]) - 4

    def code(row: int, column: int) -> int:
        acc = bias << 6
        for channel, kernel in zip(x, kernels, strict=True):
            for i in range(5):
                for j in range(5):
                    acc += channel[row + i][column + j] * kernel[i][j]
        return byte(acc >> 6)

    return [
        [max(0, *(code(r + i, c + j) for i in (0, 1) for j in (0, 1))) for c in range(0, size, 2)]
        for r in range(0, size, 2)
    ]


@pytest.mark.parametrize("shape", ["2-3-7-10", "1-1-1", "3-2-7-5-4-6", "784-11-7-10", "784-3"])
def test_equals_plain_python_integers(shape):
    checkpoint = Checkpoint.random(LeNetShape.parse(shape), seed=11)
    for image in random_images(2, seed=1):
        trace = golden.forward(checkpoint, image[np.newaxis])
        for layer, expected in reference(checkpoint, image).items():
            assert trace.outputs[layer][0].tolist() == expected, layer


def drawn(shape: LeNetShape, span: tuple[int, int], seed: int) -> Checkpoint:
    """A network with codes from ``span``, its ends included."""
    rng = np.random.default_rng(seed)
    arrays = {name: rng.integers(*span, size, np.int8, endpoint=True) for name, size in shape.arrays.items()}
    return Checkpoint(shape.network, arrays)


@given(shapes, codes, st.integers(0, 1000))
@settings(deadline=None, max_examples=15)
def test_any_network_equals_plain_python_integers(shape, span, seed):
    checkpoint, images = drawn(shape, span, seed), random_images(1, seed)
    trace = golden.forward(checkpoint, images)
    for layer, expected in reference(checkpoint, images[0]).items():
        assert trace.outputs[layer][0].tolist() == expected, layer


@given(shapes, codes, st.integers(0, 1000), st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_any_network_equals_torch(shape, span, seed, count):
    checkpoint, images = drawn(shape, span, seed), random_images(count, seed)
    trace = golden.forward(checkpoint, images)
    outputs, wraps = torch_layers(checkpoint, images)
    assert all(np.array_equal(trace.outputs[layer], outputs[layer]) for layer in shape.layers)
    assert trace.wraps == wraps


def torch_layers(checkpoint: Checkpoint, images: np.ndarray) -> tuple[dict, dict]:
    """Every layer in float64 convolutions, exact here, and how many values wrapped."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    arrays = {name: torch.from_numpy(array.astype(np.float64)) for name, array in checkpoint.arrays.items()}
    x = torch.from_numpy(images // 2).to(torch.float64)[:, None]
    outputs, wraps = {}, {}
    for layer in checkpoint.shape.layers:
        weight, bias = arrays[f"{layer}.weight"], arrays[f"{layer}.bias"] * 64
        conv = layer.startswith("conv")
        acc = functional.conv2d(x, weight, bias) if conv else functional.linear(x.flatten(1), weight, bias)
        floored = torch.floor(acc / 64)
        x = torch.remainder(floored + 128, 256) - 128
        wraps[layer] = int((floored != x).sum())
        if conv:
            x = functional.max_pool2d(x, 2)
        if layer != checkpoint.shape.layers[-1]:
            x = functional.relu(x)
        outputs[layer] = x.numpy()
    return outputs, wraps


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_torch_for_codes_over_the_whole_range(shape):
    checkpoint, images = Checkpoint.random(LeNetShape.parse(shape), seed=5), random_images(3, seed=2)
    trace = golden.forward(checkpoint, images)
    outputs, wraps = torch_layers(checkpoint, images)
    for layer, expected in outputs.items():
        assert np.array_equal(trace.outputs[layer], expected), layer
        assert trace.outputs[layer].dtype == np.int8
        assert trace.outputs[layer].shape[1:] == checkpoint.shape.outputs[layer]
    assert trace.wraps == wraps


@pytest.mark.parametrize("shape", SHAPES)
def test_the_most_extreme_sums(shape):
    """All weights and biases -128 and all pixels 255: the largest accumulators there can be in the first layer."""
    shape = LeNetShape.parse(shape)
    arrays = {name: np.full(size, -128, np.int8) for name, size in shape.arrays.items()}
    images = np.full((2, 28, 28), 255, np.uint8)
    checkpoint = Checkpoint(shape.network, arrays)
    trace = golden.forward(checkpoint, images)
    layer, terms = shape.layers[0], 25 if shape.has_convolutions else 784
    code = byte((-128 * 64 - 128 * 127 * terms) >> 6)
    assert trace.outputs[layer].tolist() == np.full((2, *shape.outputs[layer]), max(code, 0)).tolist()
    assert trace.wraps[layer] == 2 * shape.widths[0] * (24 * 24 if shape.has_convolutions else 1)
    outputs, wraps = torch_layers(checkpoint, images)
    assert all(np.array_equal(trace.outputs[layer], outputs[layer]) for layer in shape.layers)
    assert trace.wraps == wraps


def test_all_zeros_give_zeros_and_class_zero():
    shape = LeNetShape.parse("20-50-500-10")
    checkpoint = Checkpoint(shape.network, {name: np.zeros(size, np.int8) for name, size in shape.arrays.items()})
    trace = golden.forward(checkpoint, random_images(2))
    assert all(not output.any() for output in trace.outputs.values())
    assert not any(trace.wraps.values())
    assert not any(trace.peaks.values())
    assert golden.classify(trace.logits).tolist() == [0, 0]


def test_a_bias_alone_reaches_the_logits(small_checkpoint):
    arrays = {name: np.zeros_like(array) for name, array in small_checkpoint.arrays.items()}
    arrays["fc2.bias"][:] = np.arange(-5, 5)
    logits = golden.predict(Checkpoint(small_checkpoint.network, arrays), random_images(1))
    assert logits.tolist() == [list(range(-5, 5))]


def test_a_batch_is_its_images_one_by_one(small_checkpoint):
    images = random_images(7)
    together = golden.predict(small_checkpoint, images)
    assert together.tolist() == [golden.predict(small_checkpoint, image[None])[0].tolist() for image in images]
    pieces = list(golden.traces(small_checkpoint, images, batch=3))
    assert [len(piece.logits) for piece in pieces] == [3, 3, 1]
    assert np.concatenate([piece.logits for piece in pieces]).tolist() == together.tolist()


def test_no_images_give_no_logits(small_checkpoint):
    logits = golden.predict(small_checkpoint, random_images(0))
    assert (logits.shape, logits.dtype) == ((0, 10), np.int8)


def test_the_lowest_index_wins_a_tie():
    assert golden.classify(np.array([[1, 5, 5], [-3, -3, -3]], np.int8)).tolist() == [1, 0]


def test_the_lowest_pixel_bit_does_not_count(small_checkpoint):
    images = random_images(1) & 254
    assert np.array_equal(golden.predict(small_checkpoint, images), golden.predict(small_checkpoint, images | 1))


@pytest.mark.parametrize("images", [np.zeros((1, 28, 28), np.int8), np.zeros((28, 28), np.uint8)])
def test_what_are_not_images_is_refused(small_checkpoint, images):
    with pytest.raises(ValueError, match="images must be uint8"):
        golden.predict(small_checkpoint, images)
