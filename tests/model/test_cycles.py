"""The cycle model against figures that were worked out by hand; `tests/sim` holds it against the hardware."""

import pytest

from fivebyfive.model.config import Config
from fivebyfive.model.cycles import plan
from fivebyfive.model.shape import LeNetShape

CAFFE = LeNetShape(20, 50, (500, 10))


@pytest.mark.parametrize(
    ("config", "conv", "fc"),
    [
        (Config(), 75_520, 20_250),
        (Config(4, 1, 6), 18_880, 3_410),
        (Config(4, 5, 13), 3_776, 1_585),
        (Config(2, 25, 1), 1_568, 20_250),
    ],
)
def test_arithmetic_limits(config, conv, fc):
    """The limits that the design states."""
    cycles = plan(CAFFE, config)
    assert (cycles.limit_conv, cycles.limit_fc) == (conv, fc)
    assert conv < cycles.conv <= conv + 100
    assert fc < cycles.fc <= fc + 60


def test_one_pe():
    cycles = plan(CAFFE, Config())
    assert (cycles.conv, cycles.fc, cycles.latency, cycles.interval) == (75_568, 20_296, 95_868, 75_569)
    assert cycles.utilization(CAFFE, Config()) == pytest.approx(2_293_000 / (75_569 * 45))


def test_pixels_limit_a_small_network():
    """784 pixels take 784 cycles, however fast the engines are."""
    assert plan(LeNetShape(2, 2, (10,)), Config(4, 2)).interval == 784
