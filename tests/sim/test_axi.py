"""The AXI core between independent bus models, on both simulators."""

import pytest

from fivebyfive.hw.axi_core import AxiCore
from fivebyfive.hw.verilog import to_verilog
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.config import Config
from fivebyfive.model.cycles import plan
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.weights import pack

SEED = 11
TINY = LeNetShape(2, 2, (10,))


def axi_core(shape: LeNetShape, config: Config, pixel_bytes: int):
    """The core of random weights, and what its bench is to know."""
    checkpoint = Checkpoint.random(shape, SEED)
    core = AxiCore(shape, config, pack(checkpoint, config), pixel_bytes)
    cycles = plan(shape, config)
    given = {
        "conv1": shape.conv1, "conv2": shape.conv2, "fc": shape.fc, "seed": SEED, "pixel_bytes": pixel_bytes,
        "config": vars(config), "image_cycles": max(784, cycles.conv, cycles.fc), "images": 12, "stalls": 0.3,
        "resets": 4,
    }  # fmt: skip
    return core, given


@pytest.mark.parametrize(
    ("shape", "config", "pixel_bytes"),
    [(TINY, Config(), 4), (LeNetShape(1, 2, (5, 3)), Config(2, 2, 3), 1)],
    ids=["32 bits", "8 bits"],
)
def test_axi_core(bench, shape, config, pixel_bytes):
    core, given = axi_core(shape, config, pixel_bytes)
    bench(to_verilog(core, "axi_core"), "axi_core", **given)
