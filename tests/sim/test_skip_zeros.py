"""Accelerators in which windows and activations of zero take no cycle: every layer and every counter of each image."""

import random
from dataclasses import asdict, replace

import numpy as np
import pytest

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.hw.generate import generate
from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.description import written
from fivebyfive.model.image_cycles import cycles_of_images
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.benchlib.random_images import with_zeros
from fivebyfive.sim.simulate import simulate

from .random_machines import random_images, random_machine

SEED = 5
FULL = pytest.mark.full
on_verilator = pytest.mark.on("verilator", alone=True)
MAX2, AVERAGE2 = Pool("max", 2, 2), Pool("average", 2, 2)
SMALL = LeNetShape(3, 4, (12, 5)).network
TINY = Network(
    (1, 12, 12),
    (
        Layer("a", "conv", 3, 3, 1, (0, 0, 0, 0), (0,), 1, (MAX2, "relu")),
        Layer("b", "conv", 2, 3, 1, (1, 1, 1, 1), (0,), 1, ("relu",)),
        Layer("f", "fc", 4),
    ),
)
# The fully-connected layers take longer than the convolutions of the next image.
LONG = Network((1, 12, 12), (*TINY.layers[:2], Layer("f", "fc", 400, then=("relu",)), Layer("g", "fc", 4)))
# Three convolutions: padding, of a fill that is not zero, too; no pool, a pool that overlaps; several input channels.
THREE = Network(
    (1, 14, 12),
    (
        Layer("a", "conv", 4, 3, 1, (1, 1, 1, 1), (0,), 1, ("relu", AVERAGE2)),
        Layer("b", "conv", 5, 3, 1, (1, 2, 0, 1), (9, 0, 0, 0), 1, ("relu",)),
        Layer("c", "conv", 3, 2, 1, (0, 0, 0, 0), (0,), 1, (Pool("max", 3, 2),)),
        Layer("f", "fc", 4),
    ),
)
COLOURS = Network(
    (3, 9, 10),
    (Layer("a", "conv", 4, 3, 2, (1, 1, 1, 1), (0,), 1, ("relu",)), Layer("f", "fc", 25), Layer("g", "fc", 3)),
)
DEPTHWISE = Network(
    (2, 12, 12),
    (
        Layer("a", "conv", 4, 3, 1, (0, 0, 0, 0), (0,), 2, ("relu",)),
        Layer("b", "conv", 4, 3, 1, (1, 1, 1, 1), (0,), 4, ("relu", MAX2)),
        Layer("c", "conv", 6, 3, 1, (0, 0, 0, 0), (0,), 1, ()),
        Layer("f", "fc", 3),
    ),
)
# Without convolutions: pixels are activations; three groups of outputs, then one.
FLAT = LeNetShape.parse("784-45-22-3").network
# A convolution that skips nothing; layers behind it of which one has a table, one nothing.
TABLES = Network(
    (1, 9, 9),
    (
        Layer("a", "conv", 5, 3, 1, (0, 0, 0, 0), (0,), 1, (MAX2,)),
        Layer("f", "fc", 41, then=("table",)),
        Layer("g", "fc", 30),
        Layer("h", "fc", 4, then=("relu",)),
    ),
)
MACHINES = [
    (TINY, Config(kernel=3)),
    # Its logits come twelve cycles before those of twelve more rows would be written.
    (TINY, Config(1, 1, 13, early_fc=True, kernel=3)),
    pytest.param(SMALL, Config(), marks=FULL),
    (THREE, Config(1, 2, kernel=3)),
    pytest.param(SMALL, Config(2, 2, 2, early_fc=True), marks=FULL),
    pytest.param(SMALL, Config(4, 3, 1, packed=True, overlap=False), marks=FULL),
    pytest.param(COLOURS, Config(1, 3, 2, kernel=4, early_fc=True), marks=FULL),
    pytest.param(DEPTHWISE, Config(kernel=3), marks=FULL),
    pytest.param(SMALL, Config(1, 3, 3, pixels=4), marks=FULL),
    pytest.param(SMALL, Config(2, 1, 1, packed=True), marks=FULL),
    (LONG, Config(kernel=3)),
    (FLAT, Config(1, 0)),
    pytest.param(FLAT, Config(1, 0, 2, overlap=False, pixels=4), marks=FULL),
    pytest.param(TABLES, Config(kernel=3), marks=FULL),
    pytest.param(TABLES, Config(1, 3, 1, early_fc=True, kernel=3), marks=FULL),
    pytest.param(LeNetShape(2, 30, (200, 64)).network, Config(2, 25, 3), marks=FULL),
    pytest.param(LeNetShape(2, 30, (200, 64)).network, Config(2, 25, 20, early_fc=True), marks=FULL),
    pytest.param(SMALL, Config(4, 1, 1), marks=FULL),
    pytest.param(THREE, Config(1, 1, kernel=5), marks=FULL),
    pytest.param(SMALL, Config(4, 2, 1, winograd=True), marks=FULL),
    pytest.param(LeNetShape(20, 50, (500, 10)).network, Config(2, 5, 3), marks=FULL),
]


def check(checkpoint: Checkpoint, config: Config, images: np.ndarray, simulator: str, **options) -> None:
    """Every layer is the golden model's, and without pauses all counters are those of the cycle model."""
    result = simulate(checkpoint, generate(checkpoint, config), images, simulator=simulator, seed=SEED, **options)
    assert result.difference is None, str(result.difference)
    assert result.images == len(images)
    model = cycles_of_images(checkpoint, config, images)
    counters = result.counters.tolist()
    assert [(conv, fc) for conv, fc, _, _ in counters] == [(one.conv, one.fc) for one in model]
    if not options.get("pause"):
        assert [latency for _, _, latency, _ in counters] == [one.latency for one in model]
        assert [interval for *_, interval in counters[1:]] == [one.interval for one in model[1:]]
    most = plan(checkpoint.network, config).conv
    assert all(one.conv <= most for one in model)


def images_of(network: Network, count: int) -> np.ndarray:
    """A black image, one without a zero, and others."""
    images = with_zeros(random_images(network, count, SEED), np.random.default_rng(SEED))
    images[0], images[1] = 0, np.maximum(random_images(network, 1, SEED)[0], 2)
    return images


@pytest.mark.parametrize(("network", "config"), MACHINES, ids=lambda value: str(value)[:60])
def test_every_layer_and_counter(simulator, network, config):
    checkpoint, config = Checkpoint.random(network, SEED), replace(config, skip_zeros=True)
    check(checkpoint, config, images_of(network, 6 if simulator == "verilator" else 2), simulator)


SIZES = [(TINY, Config(kernel=3)), pytest.param(SMALL, Config(2), marks=FULL)]
UPSETS = ("pauses", "receiver_asleep", "resets", "frames_of_wrong_length", "other_weights")


@on_verilator
@pytest.mark.parametrize(("network", "config"), [*SIZES, (LONG, Config(kernel=3))], ids=lambda value: str(value)[:60])
def test_pauses(simulator, network, config):
    checkpoint, config = Checkpoint.random(network, SEED), replace(config, skip_zeros=True)
    check(checkpoint, config, images_of(network, 3), simulator, pause=0.3)


@on_verilator
@pytest.mark.parametrize(("network", "config"), SIZES, ids=lambda value: str(value)[:60])
def test_upsets(bench, simulator, network, config):
    """Resets in the middle of an image, wrong frames, sleeping receivers, other weights; and counters where images take
    longer than a receiver sleeps."""
    config = replace(config, skip_zeros=True)
    design = to_verilog(Accelerator(network, config, pack(Checkpoint.random(network, SEED), config)), "lenet")
    cycles = plan(network, config)
    bench(
        design, "accelerator", tests=UPSETS if network == TINY or simulator == "icarus" else (), resets=6, seed=SEED,
        network=written(network), config=asdict(config), image_cycles=cycles.limit_conv + 400, timeout_s=900,
    )  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param("narrow", marks=FULL), pytest.param("lenet", marks=FULL)])
def test_digits(simulator, name):
    """Shipped networks, and digits."""
    checkpoint = load_checkpoint(SHIPPED.with_name(f"{name}.npz"))
    images = load_dataset("mnist", "test").images[: 5 if simulator == "verilator" else 1]
    check(checkpoint, sized(checkpoint, skip_zeros=True), images, simulator)


@FULL
@pytest.mark.parametrize("seed", range(40))
def test_machines_at_random(simulator, seed):
    machine = random_machine(seed, 20, 3 * 10**7)
    config = replace(machine.config, skip_zeros=True)
    if not config.has_zeros_to_skip(machine.checkpoint.network):
        pytest.skip("nothing can be left out")
    network, rng = machine.checkpoint.network, random.Random(seed)
    count = 5 if simulator == "verilator" else 1
    images = with_zeros(random_images(network, count, seed), np.random.default_rng(rng.getrandbits(32)))
    check(machine.checkpoint, config, images, simulator)
