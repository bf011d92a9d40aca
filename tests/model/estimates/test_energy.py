"""The energy estimate: operations counted by hand for a small network, and what each engine saves."""

from dataclasses import replace

import pytest

from fivebyfive.model.estimates.energy import energy, operations
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.weight_form import Engines, WeightForm
from fivebyfive.model.shape import LeNetShape

SHAPE = LeNetShape(2, 3, (10,))
PRODUCTS = 2 * 25 * 576 + 6 * 25 * 64 + 480
SIGNS = WeightForm("signs", ((-32, 0, 32), (-64, 0, 64)))


def test_a_dense_network_does_every_product_once() -> None:
    report = operations(SHAPE.network, Config())
    assert PRODUCTS == sum(SHAPE.macs.values())
    assert report["multiplications"] == report["additions"] == PRODUCTS
    assert report["weight_bits"] == 8 * (8 * 25 + 480)
    assert report["activation_bits"] == 8 * (2 * 784 + 6 * 144 + 10 * 48)
    assert report["comparisons"] == 2 * 576 + 3 * 64


def test_the_figures_are_horowitz_s() -> None:
    report = energy(SHAPE.network, Config())
    assert report["multiplications"] == pytest.approx(0.2 * PRODUCTS)
    assert report["additions"] == pytest.approx(0.1 * PRODUCTS + 0.03 * (2 * 576 + 3 * 64))
    assert report["weights"] == pytest.approx(5 * 2 * 680 / 8)
    assert report["dram"] == pytest.approx(128 * report["weights"])
    parts = ("multiplications", "additions", "weights", "activations")
    assert report["total"] == pytest.approx(sum(report[name] for name in parts))


def test_what_is_computed_at_once_shares_its_reads() -> None:
    one, more = operations(SHAPE.network, Config()), operations(SHAPE.network, Config(1, 3, 2))
    assert more["multiplications"] == one["multiplications"]
    assert more["weight_bits"] == one["weight_bits"]
    assert more["activation_bits"] == 8 * (784 + 2 * 144 + 5 * 48)


def test_signs_need_no_multiplier() -> None:
    report = operations(SHAPE.network, Config(engines=Engines(conv=SIGNS)))
    assert (report["multiplications"], report["additions"]) == (480, PRODUCTS)
    assert report["weight_bits"] == 2 * 8 * 25 + 8 * 480


def test_kernels_of_zeros_are_not_swept() -> None:
    report = operations(SHAPE.network, Config(engines=Engines(sweeps=((), ((0,), (1,), (0, 1))))))
    assert report["multiplications"] == PRODUCTS - 2 * 25 * 64
    assert report["weight_bits"] == 8 * (6 * 25 + 480)
    assert report["activation_bits"] == 8 * (2 * 784 + 4 * 144 + 10 * 48)


def test_banks_store_a_place_beside_each_weight() -> None:
    """48 inputs are three places in a lane: two bits."""
    report = operations(SHAPE.network, Config(engines=Engines(words=((1,) * 9 + (2,),))))
    assert report["multiplications"] == PRODUCTS - 480 + 20 * 11
    assert report["weight_bits"] == 8 * 200 + 10 * 220
    assert report["activation_bits"] == 8 * (2 * 784 + 6 * 144 + 220)
    rows = operations(SHAPE.network, Config(fc_rows=4, engines=Engines(words=((1, 1, 2),))))
    assert rows["additions"] == PRODUCTS - 480 + 20 * (4 + 4 + 2 * 2)


def test_a_network_without_convolutions() -> None:
    shape = LeNetShape.parse("784-12-10")
    report = operations(shape.network, Config(1, 0))
    assert (report["multiplications"], report["comparisons"]) == (784 * 12 + 120, 0)
    codebook = replace(Config(1, 0), engines=Engines(fc=WeightForm("codebook", ((-3, 5), (0, 1, 2)))))
    assert energy(shape.network, codebook)["weights"] == pytest.approx(
        energy(shape.network, Config(1, 0))["weights"] / 4
    )
