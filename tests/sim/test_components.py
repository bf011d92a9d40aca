"""Every component's bench on both simulators."""

import random

import pytest

from fivebyfive.hw.activation_memory import ActivationMemory
from fivebyfive.hw.dot_product import DotProduct
from fivebyfive.hw.line_buffer import LineBuffer
from fivebyfive.hw.pooling import Pooling
from fivebyfive.hw.weight_memory import WeightMemory


@pytest.mark.parametrize("terms", [1, 2, 20, 25])
def test_dot_product(bench, terms):
    bench(DotProduct(terms), "dot_product", terms=terms)


@pytest.mark.parametrize("windows", [1, 2, 4])
@pytest.mark.parametrize("outputs", [1, 3])
def test_pooling(bench, outputs, windows):
    sizes = (8, 24, 2)
    bench(Pooling(outputs, windows, sizes), "pooling", outputs=outputs, windows=windows, sizes=sizes)


@pytest.mark.parametrize("windows", [1, 2, 4])
def test_line_buffer(bench, windows):
    sizes = (28, 12)
    bench(LineBuffer(windows, sizes), "line_buffer", windows=windows, sizes=sizes)


def test_line_buffer_of_the_smallest_maps(bench):
    bench(LineBuffer(1, (8, 6)), "line_buffer", windows=1, sizes=(8, 6))


@pytest.mark.parametrize(("width", "depth"), [(25, 300), (20, 70), (40, 5), (25, 1)])
def test_weight_memory(bench, width, depth):
    rng = random.Random(width * depth)
    words = [rng.getrandbits(8 * width) for _ in range(depth)]
    file = "weight_memory_words.mem" if depth > 64 else None
    parameters = {"width": width, "file": file, "words": [f"{word:x}" for word in words]}
    bench(WeightMemory(words, width), "weight_memory", **parameters)


@pytest.mark.parametrize(
    ("inputs", "writers", "counts"),
    [(800, 1, (1,)), (224, 5, (5,)), (96, 6, (6, 4)), (500, 20, (20,)), (84, 25, (25, 9)), (7, 3, (3, 1))],
)
def test_activation_memory(bench, inputs, writers, counts):
    memory = ActivationMemory(inputs, writers, counts)
    bench(memory, "activation_memory", inputs=inputs, writers=writers, counts=counts)
