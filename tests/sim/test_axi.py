"""The AXI core between independent bus models, on both simulators."""


from fivebyfive.hw.axi_core import AxiCore
from fivebyfive.hw.verilog import to_verilog
from fivebyfive.hw.vivado import TOP
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.config import Config
from fivebyfive.model.cycles import plan
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.weights import pack

SEED = 11
TINY = LeNetShape(1, 1, (10,))
DEEP = LeNetShape(2, 2, (5, 3))
# Icarus simulates some 500 cycles a second: each thing once.
AMOUNTS = {
    "verilator": {"images": 12, "resets": 6, "frames": 5, "addresses": 998},
    "icarus": {"images": 2, "resets": 1, "frames": 1, "addresses": 20},
}


def axi_core(shape: LeNetShape, config: Config, pixel_bytes: int):
    """The core of random weights, and what its bench is to know of it."""
    checkpoint = Checkpoint.random(shape, SEED)
    core = AxiCore(shape, config, pack(checkpoint, config), pixel_bytes)
    cycles = plan(shape, config)
    given = {
        "conv1": shape.conv1, "conv2": shape.conv2, "fc": shape.fc, "seed": SEED, "pixel_bytes": pixel_bytes,
        "config": vars(config), "image_cycles": max(784, cycles.conv, cycles.fc), "stalls": 0.3,
    }  # fmt: skip
    return core, given


def test_32_bits(bench, simulator):
    core, given = axi_core(TINY, Config(), 4)
    bench(to_verilog(core, TOP), "axi_core", **given, **AMOUNTS[simulator])


def test_8_bits(bench, simulator):
    core, given = axi_core(DEEP, Config(fc_rows=3), 1)
    tests = ("images", "wrong_frames") if simulator == "icarus" else ()
    bench(to_verilog(core, TOP), "axi_core", tests=tests, **given, **AMOUNTS[simulator])
