"""The cycle model against figures that were worked out by hand; `tests/sim` holds it against the hardware."""

from dataclasses import replace

import pytest

from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import Work, cycles_of_run, layers_end, plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.training.networks import NETWORKS

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
    cycles = plan(CAFFE.network, config)
    assert (cycles.limit_conv, cycles.limit_fc) == (conv, fc)
    assert conv < cycles.conv <= conv + 100
    assert fc < cycles.fc <= fc + 60


def test_one_pe():
    cycles = plan(CAFFE.network, Config())
    assert (cycles.conv, cycles.fc, cycles.latency, cycles.interval) == (75_579, 20_308, 95_892, 75_580)
    assert cycles.utilization(CAFFE.network, Config()) == pytest.approx(2_293_000 / (75_580 * 45))


def test_activations_of_zero():
    """fc1 has 25 groups of 20 outputs and 40 words of activations, fc2 one group and 25 words."""
    network, config = CAFFE.network, Config(skip_zeros=True)
    visits = (None, None)  # all positions
    few = tuple([3, *[0] * 38, 1]), tuple([20, 0, 7, *[0] * 22])
    none = (0,) * 40, (0,) * 25
    every, some, black = (cycles_of_run(network, config, [Work(visits, one)])[0] for one in (None, few, none))
    assert (every.conv, every.fc) == (plan(network, config).conv, plan(network, config).fc)
    assert black.fc < 2 * (25 + 1) + 40 + 25 + 60
    assert some.fc - black.fc == 3 * 25 - 1 + 25 - 1 + 20 - 1 + 7 - 1
    assert every.fc - black.fc == 800 * 25 - 40 + 500 - 25
    assert every.latency - black.latency == every.fc - black.fc


@pytest.mark.parametrize("config", [Config(4, 1, 1), Config(4, 5, 6), Config(2, 10, 3)], ids=str)
def test_packing_costs_no_throughput(config):
    """At most what a last group of outputs has more to round up, where rows are split."""
    plain, packed = plan(CAFFE.network, config), plan(CAFFE.network, replace(config, packed=True))
    assert packed.limit_conv == plain.limit_conv
    assert plain.limit_fc <= packed.limit_fc <= 1.01 * plain.limit_fc
    assert plain.interval - 2 <= packed.interval <= 1.01 * plain.interval


def test_packed_hundred_and_twenty():
    """60 DSP blocks keep the pace that the design asks of 120 multipliers."""
    assert plan(CAFFE.network, Config(4, 1, 1, packed=True)).interval <= 20_460
    early = plan(CAFFE.network, Config(4, 1, 1, early_fc=True, packed=True))
    assert early.interval <= 20_460
    assert early.latency <= 24_000


def test_pixels_limit_a_small_network():
    """784 pixels take 784 cycles, however fast the engines are."""
    assert plan(LeNetShape(2, 2, (10,)).network, Config(4, 2)).interval == 784


LENET_300_100 = LeNetShape.parse("784-300-100-10")


@pytest.mark.parametrize(("rows", "limit"), [(1, 13_550), (2, 6_775), (5, 2_710), (25, 545)])
def test_without_convolutions(rows, limit):
    """40, 15 and 5 words for each group of outputs; never faster than its pixels come."""
    config = Config(1, 0, rows)
    cycles = plan(LENET_300_100.network, config)
    assert (cycles.conv, cycles.limit_conv, cycles.limit_fc) == (0, 0, limit)
    assert limit < cycles.fc <= limit + 100
    assert cycles.interval == max(784, cycles.fc + 1)
    assert cycles.fc < cycles.latency <= cycles.fc + 20


def test_sizes_without_convolutions():
    assert sized(LENET_300_100.network, fc_rows=3) == Config(1, 0, 3)
    with pytest.raises(ValueError, match="784-300-100-10 has no convolutions, so no work for 4 conv PEs"):
        sized(LENET_300_100.network, 4)
    with pytest.raises(ValueError, match="takes pixels"):
        sized(LENET_300_100.network, early_fc=True)


def test_separable_layers():
    """docs/cycles.md: the share of the multipliers' products in depthwise and pointwise layers that are of weights."""
    for name, channels, cycles, share, interval in (
        ("separable", 10, (672, 1_307), 0.582, 7_767), ("separable-hidden", 11, (736, 1_307), 0.620, 8_407),
    ):  # fmt: skip
        network, config = NETWORKS[name].network, Config()
        ends, _ = layers_end(network, config)
        assert (ends[1] - ends[0], ends[2] - ends[1]) == cycles
        products = 64 * channels * (25 + 20)
        assert products / (25 * sum(cycles)) == pytest.approx(share, abs=5e-4)
        assert plan(network, config).interval == interval
