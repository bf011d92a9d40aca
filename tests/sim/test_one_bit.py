"""Activations of few codes: each layer equals the golden model, each counter the cycle model."""

from dataclasses import replace

import pytest

from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.sim.benchlib.random_networks import random_network

from .test_networks import STEADY, check, upset
from .test_skip_zeros import check as check_of_images
from .test_skip_zeros import images_of

FULL = pytest.mark.full
SEED = 3


def signs(*widths: int, size: int = 28, kernel: int = 5) -> Network:
    """Two convolutions and fully-connected layers, with a table behind each but the last."""
    layers = [
        Layer(f"c{n}", "conv", one, kernel, then=(Pool("max", 2, 2), "table")) for n, one in enumerate(widths[:2])
    ]
    layers += [Layer(f"f{n}", "fc", one, then=("table",)) for n, one in enumerate(widths[2:])]
    return Network((1, size, size), (*layers[:-1], replace(layers[-1], then=())))


POINTWISE = Network(
    (1, 12, 10), (
        Layer("a", "conv", 7, 3, then=("table",)), Layer("b", "conv", 6, 1, then=("table", Pool("max", 2, 1))),
        Layer("c", "conv", 5, 1, then=("table",)), Layer("f", "fc", 9),
    ),
)  # fmt: skip
PADDED = Network(
    (2, 11, 11), (
        Layer("a", "conv", 4, 3, padding=(1, 1, 1, 1), then=("table", Pool("average", 2, 2))),
        Layer("b", "conv", 4, 3, padding=(1, 0, 1, 0), fill=(-1,), then=("relu", "table")),
        Layer("c", "conv", 5, 3, then=("table", "relu")), Layer("f", "fc", 11, then=("table",)), Layer("g", "fc", 3),
    ),
)  # fmt: skip
MACHINES = [
    (signs(3, 5, 40, 10), "one-bit", Config(4, 2, 3)),
    (signs(3, 4, 25, 20, 7, size=20, kernel=3), "few-codes", Config(2, 2, 1, kernel=3)),
    (POINTWISE, "few-codes+ternary", Config(1, 2, 1, kernel=3)),
    (PADDED, "few-codes+kernels+banks", Config(1, 3, 2, kernel=3)),
    pytest.param(signs(3, 5, 40, 10), "one-bit", Config(1, 3, 1, early_fc=True), marks=FULL),
    pytest.param(signs(3, 5, 500, 10), "one-bit", Config(1, 1, 25), marks=FULL),
    pytest.param(PADDED, "few-codes", Config(1, 1, 1, kernel=3, overlap=False, packed=True), marks=FULL),
]  # fmt: skip


def names(value: object) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("network", "kind", "config"), MACHINES, ids=names)
def test_few_codes(simulator, network, kind, config):
    checkpoint = random_network(network, SEED, kind)
    config = fitted(checkpoint, config)
    if kind == "one-bit":
        assert config.engines.fc.kind == "xnor"
    check(checkpoint, config, simulator, STEADY + 2 if simulator == "verilator" else 1, SEED)


@FULL
def test_few_codes_where_zeros_are_skipped(simulator):
    checkpoint = random_network(PADDED, SEED, "few-codes")
    config = Config(1, 1, 1, kernel=3, skip_zeros=True)
    check_of_images(checkpoint, config, images_of(PADDED, 6 if simulator == "verilator" else 2), simulator)


@pytest.mark.on("verilator", alone=True)
def test_upsets(bench, simulator):
    checkpoint = random_network(signs(2, 5, 40, 10, size=20, kernel=3), SEED, "one-bit")
    upset(bench, checkpoint, fitted(checkpoint, Config(1, 1, 2, kernel=3)), SEED, "one-bit")
