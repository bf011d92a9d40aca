"""Magnitudes of a float network's numbers, against plain NumPy."""

import numpy as np

from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.steps import Activation
from fivebyfive.model.readers.value_ranges import EDGES, Magnitudes, value_ranges


def test_ranges_of_two_layers() -> None:
    """Values are those before functions and pool, over all images, however many are taken at once."""
    rng = np.random.default_rng(3)
    layers = Layer("c", "conv", 2, kernel=4, then=("table", Pool("max", 2, 2))), Layer("f", "fc", 3, then=("relu",))
    network = Network((1, 5, 5), layers)
    arrays = {name: rng.normal(size=shape) for name, shape in network.arrays.items() if not name.endswith("table")}
    arrays["f.bias"] = np.array([0.0, -9.0, 1.0])  # larger than the weights
    floats = FloatNetwork(network, arrays, {"c": (Activation("tanh"),)}, {}, np.ones(1), np.zeros(1))
    images = rng.normal(size=(23, 1, 5, 5))
    images[-1] *= 100
    windows = np.lib.stride_tricks.sliding_window_view(images[:, 0], (4, 4), axis=(1, 2))
    maps = np.einsum("nrckl,okl->norc", windows, arrays["c.weight"][:, 0]) + arrays["c.bias"].reshape(-1, 1, 1)
    scores = np.tanh(maps).max(axis=(2, 3)) @ arrays["f.weight"].T + arrays["f.bias"]
    first, last = value_ranges(floats, images)
    for found, numbers in ((first.values, maps), (last.values, scores)):
        assert np.isclose(found.largest, np.abs(numbers).max(), rtol=1e-12)
        np.testing.assert_array_equal(found.counts, np.histogram(np.abs(numbers), EDGES)[0])
    assert (first.name, last.name) == ("c", "f")
    assert last.weights.multiple == 4.5
    assert last.weights.counts.sum() == 6 + 3 - 1  # one bias is 0
    assert [one.values for one in value_ranges(floats, None)] == [None, None]


def test_numbers_beyond_the_bins() -> None:
    found = Magnitudes.of(np.array([1e-30, -1e30, 0.0]))
    assert found.largest == 1e30
    assert (found.counts[0], found.counts[-1], found.counts.sum()) == (1, 1, 2)
