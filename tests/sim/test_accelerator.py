"""The whole accelerator on both simulators: every layer equals the golden model, and nothing upsets it."""

import tempfile
from dataclasses import asdict, replace

import numpy as np
import pytest

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.hw.generate import generate
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.golden import forward
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import CyclePlan, plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.unused import as_computed, unread_outputs
from fivebyfive.model.machine.weight_form import DENSE
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.benchlib.random_networks import random_network
from fivebyfive.sim.simulate import Simulation, simulate
from fivebyfive.sim.simulator.process import SimulationFailed

SEED = 5
ICARUS_LIMIT = 700  # multipliers
TINY = LeNetShape(1, 2, (6, 3))
SMALL = LeNetShape(3, 4, (30, 10))
LENET5 = LeNetShape(6, 16, (120, 84, 10))
NARROW = LeNetShape(5, 14, (80, 10))
CAFFE = LeNetShape(20, 50, (500, 10))
PIXELS_IN = LeNetShape(0, 0, (22, 10))
LENET_300_100 = LeNetShape.parse("784-300-100-10")

FULL = pytest.mark.full  # each property of such a size is that of another one, too
BOTH = pytest.mark.both

# Shape and size: whole and short last groups, one to four FC layers, one class and sixty-four, more than 25 channels,
# more outputs than lanes, activations that straddle words.
SIZES = [
    pytest.param(SMALL, Config(1, 2, 1, early_fc=True, overlap=False), marks=BOTH),
    pytest.param(NARROW, Config(), marks=FULL),
    (LeNetShape(3, 2, (1,)), Config(1, 4, 2)),
    pytest.param(LeNetShape(7, 9, (33, 21, 10, 64)), Config(2, 3, 7), marks=FULL),
    pytest.param(LeNetShape(26, 27, (20,)), Config(1, 13, 2), marks=FULL),
    pytest.param(LENET5, Config(4, 5, 6, early_fc=True), marks=FULL),
    pytest.param(LeNetShape(2, 3, (50,)), Config(4, 1, 1, early_fc=True), marks=FULL),
    pytest.param(LeNetShape(1, 1, (60, 10)), Config(1, 1, 25), marks=FULL),
    pytest.param(LENET5, Config(overlap=False), marks=FULL),
    (LeNetShape(3, 4, (25, 10)), Config(packed=True)),  # conv multipliers have no pair, the row is split
    (LeNetShape(4, 6, (20, 10)), Config(4, 1, 4, packed=True)),
    # output channels and rows by pairs, one left over
    (LeNetShape(3, 4, (15, 13)), Config(1, 3, 11, packed=True)),
    # the row is split, with partial sums
    (LeNetShape(2, 3, (23, 11)), Config(2, 1, 3, early_fc=True, packed=True, dsp_size="18x18")),
    pytest.param(LeNetShape(2, 3, (23, 11)), Config(2, 1, 3, early_fc=True, packed=True), marks=FULL),
    pytest.param(LeNetShape(3, 4, (15, 13)), Config(1, 3, 11, packed=True, dsp_size="18x18"), marks=FULL),
    pytest.param(LeNetShape(4, 6, (20, 10)), Config(4, 1, 4, packed=True, dsp_size="18x18"), marks=FULL),
    pytest.param(LENET5, Config(2, 3, 6, packed=True, dsp_size="18x18"), marks=FULL),
    (SMALL, Config(4, 1, 1, winograd=True)),
    pytest.param(LENET5, Config(4, 5, 6, early_fc=True, winograd=True), marks=FULL),
    pytest.param(NARROW, Config(4, 2, overlap=False, packed=True, winograd=True), marks=FULL),
    (PIXELS_IN, Config(outputs=0)),  # without convolutions
    pytest.param(LeNetShape(0, 0, (33, 21, 10, 64)), Config(1, 0, 5), marks=FULL),  # faster than its pixels come
    (LeNetShape(0, 0, (10,)), Config(1, 0, 3, packed=True, overlap=False)),
    pytest.param(LENET5, Config(), marks=FULL),
    pytest.param(LENET5, Config(4, 5, 6), marks=FULL),
    pytest.param(NARROW, Config(4, 2), marks=FULL),
    pytest.param(LeNetShape(26, 51, (20,)), Config(2, 25, 20), marks=FULL),
    pytest.param(NARROW, Config(early_fc=True), marks=FULL),
    pytest.param(LeNetShape(7, 9, (33, 21, 10, 64)), Config(2, 3, 7, early_fc=True), marks=FULL),
    pytest.param(LeNetShape(2, 3, (8, 5)), Config(4, 1, 4, early_fc=True), marks=FULL),
    pytest.param(LeNetShape(2, 3, (8, 5)), Config(1, 3, 5), marks=FULL),
    pytest.param(SMALL, Config(2, 3, 4, overlap=False), marks=FULL),
]


def fill(shape: LeNetShape, code: int) -> Checkpoint:
    return Checkpoint(shape.network, {name: np.full(dims, code, np.int8) for name, dims in shape.arrays.items()})


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, 256, (count, 28, 28), np.uint8)


def check(checkpoint: Checkpoint, pixels: np.ndarray, simulator: str, config: Config | None = None, **options):
    """Simulate and insist that every layer of every image is right; what nothing reads may be left out as zeros."""
    result = simulate(checkpoint, generate(checkpoint, config), pixels, simulator=simulator, seed=SEED, **options)
    assert result.difference is None, str(result.difference)
    assert result.images == len(pixels)
    expected = as_computed(forward(checkpoint, pixels).outputs, unread_outputs(checkpoint, config or Config()))
    assert list(result.outputs) == list(expected)
    assert all(np.array_equal(result.outputs[name], expected[name]) for name in expected)
    if not options.get("pause"):
        check_cycles(result, plan(checkpoint.network, config or Config()))
    return result


def check_cycles(result: Simulation, model: CyclePlan) -> None:
    """The hardware's counters equal the cycle model, for every image."""
    assert result.counters[:, :2].tolist() == [[model.conv, model.fc]] * len(result.counters)
    assert result.cycles.latency == model.latency
    assert set(result.counters[2:, 3].tolist()) <= {model.interval}


@pytest.mark.parametrize(("shape", "config"), SIZES, ids=lambda value: str(value).replace("Config", ""))
def test_sizes(simulator, shape, config):
    """Random weights over the whole range, where nearly every sum wraps."""
    if simulator == "icarus" and config.multipliers > ICARUS_LIMIT:
        pytest.skip(f"Icarus takes minutes for {config.multipliers} multipliers; Verilator checks this size")
    images = noise(4 if simulator == "verilator" else 1)
    check(Checkpoint.random(shape, SEED), images, simulator, config)


# Networks that engines are made for: what is in their weights, and sizes at which the engines differ.
FITTED = [
    (LeNetShape(4, 6, (30, 10)), "kernels", Config()),
    (LeNetShape(7, 9, (33, 21, 10, 64)), "kernels+banks+codebook", Config(2, 3, 7)),
    pytest.param(LENET5, "banks", Config(4, 5, 6), marks=FULL),
    pytest.param(NARROW, "codebook", Config(4, 2, early_fc=True), marks=FULL),
    pytest.param(NARROW, "ternary+kernels", Config(2, 3, 2), marks=FULL),
    pytest.param(NARROW, "binary", Config(overlap=False), marks=FULL),
    pytest.param(NARROW, "ternary+kernels", Config(4, 2, winograd=True), marks=FULL),
    pytest.param(LENET5, "binary", Config(overlap=False), marks=FULL),
    (LeNetShape(4, 6, (20, 10)), "codebook", Config(4, 1, 4, packed=True)),
    (PIXELS_IN, "banks", Config(outputs=0)),
    pytest.param(LeNetShape(0, 0, (33, 21, 10, 64)), "ternary", Config(1, 0, 5), marks=FULL),
]


@pytest.mark.parametrize(("shape", "kind", "config"), FITTED, ids=lambda value: str(value).replace("Config", ""))
def test_engines_of_certain_weights(simulator, shape, kind, config):
    """Every layer and every cycle of the engines that are made for a network."""
    if simulator == "icarus" and config.multipliers > 100:
        pytest.skip(f"Icarus takes minutes for {config.multipliers} multipliers; Verilator checks this size")
    network = random_network(shape, SEED, kind)
    config = fitted(network, config)
    assert config.engines != DENSE
    check(network, noise(4 if simulator == "verilator" else 1), simulator, config)


PAUSED = [
    (TINY, Config(), 0.3),
    pytest.param(SMALL, Config(4, 2, 3), 0.05, marks=FULL),
    (SMALL, Config(4, 2, 3), 0.6),
    pytest.param(PIXELS_IN, Config(outputs=0), 0.3, marks=FULL),
]


@pytest.mark.on("verilator", alone=True)
@pytest.mark.parametrize(("shape", "config", "pause"), PAUSED, ids=str)
def test_pauses(simulator, shape, config, pause):
    check(Checkpoint.random(shape, SEED), noise(4), simulator, config, pause=pause)


@pytest.mark.on("verilator", alone=True)
@pytest.mark.parametrize("code", [-128, pytest.param(0, marks=FULL), pytest.param(127, marks=FULL)])
def test_extremes(simulator, code):
    """Weights all alike, with all-maximum and all-zero pixels."""
    images = np.stack([np.full((28, 28), 255, np.uint8), np.zeros((28, 28), np.uint8)])
    check(fill(NARROW, code), images, simulator)


def on_icarus_in_full(function):
    """README's commands run the shipped network on Icarus in every test run, every layer compared."""
    simulators = ["verilator", pytest.param("icarus", marks=FULL)]
    return pytest.mark.parametrize("simulator", simulators, indirect=True)(function)


@pytest.mark.slow
@on_icarus_in_full
def test_shipped_network(simulator):
    """Real digits, and the cycles of one PE and 20 lanes: limits 75,520 and 20,250."""
    images = load_dataset("mnist", "test").images[: 3 if simulator == "verilator" else 1]
    result = check(load_checkpoint(), images, simulator)
    assert result.cycles.conv <= 76_300
    assert result.cycles.fc <= 20_460
    # Every difference from the limits is a known wait; a change of these is a change of the schedule.
    cycles = result.cycles
    assert (cycles.conv, cycles.fc, cycles.latency) == (75_579, 20_308, 95_892)
    assert cycles.interval == (75_580 if len(images) > 1 else None)


@FULL
def test_whole_range_caffe():
    """The shipped shape with random weights, extreme pixels included."""
    images = np.concatenate([noise(2), np.full((1, 28, 28), 255, np.uint8)])
    check(Checkpoint.random(CAFFE, SEED), images, "verilator")


@on_icarus_in_full
def test_lenet_300_100(simulator):
    """The shape of the literature, 20 multipliers; the limit is 13,550."""
    network = Checkpoint.random(LENET_300_100, SEED)
    images = np.concatenate([noise(4 if simulator == "verilator" else 1), np.full((1, 28, 28), 255, np.uint8)])
    result = check(network, images, simulator)
    cycles = result.cycles
    assert (cycles.conv, cycles.fc, cycles.latency, cycles.interval) == (0, 13_619, 13_623, 13_620)


UPSET = [
    (TINY, "", Config()),
    pytest.param(SMALL, "", Config(), marks=FULL),
    pytest.param(SMALL, "", Config(4, 2, 3), marks=FULL),
    (PIXELS_IN, "", Config(outputs=0)),
    pytest.param(LENET5, "kernels+banks+codebook", Config(2, 3, 2), marks=FULL),
    pytest.param(SMALL, "ternary+kernels", Config(), marks=FULL),
]
# Where undefined values could come from; cycles and waits are counted on Verilator.
UPSETS_ON_ICARUS = ("resets", "frames_of_wrong_length", "other_weights")


@pytest.mark.parametrize(("shape", "kind", "config"), UPSET, ids=str)
def test_upsets(bench, simulator, shape, kind, config):
    """Resets, wrong frames, sleeping receivers, other weights."""
    if simulator == "icarus" and shape != TINY:
        pytest.skip("Verilator has seen it, and both simulators a smaller machine or the pixel feeder's own bench")
    upset(bench, shape, kind, config, () if simulator == "verilator" else UPSETS_ON_ICARUS)


@FULL
def test_all_upsets_on_icarus(bench, simulator):
    if simulator == "icarus":
        upset(bench, SMALL, "", Config())


def upset(bench, shape, kind, config, tests=()):
    network = random_network(shape, SEED, kind)
    config = fitted(network, config) if kind else config
    design = to_verilog(Accelerator(shape.network, config, pack(network, config)), "lenet")
    cycles = plan(shape.network, config)
    bench(
        design,
        "accelerator",
        tests=tests,
        resets=2 if tests else 6,
        network=str(shape),
        seed=SEED,
        config=asdict(config),
        kind=kind,
        image_cycles=max(cycles.limit_conv, cycles.limit_fc) + 400,
        timeout_s=900,
    )


def test_the_log_of_a_failed_run_stays(tmp_path, monkeypatch):
    """Without a folder of the caller's the run has a temporary one; what the message names can still be read."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    network = Checkpoint.random(SMALL, SEED)
    generated = generate(network)
    missing = replace(generated, design=replace(generated.design, memories={}))
    with pytest.raises(SimulationFailed, match=r"cannot open \w+\.mem") as caught:
        simulate(network, missing, noise(1))
    assert caught.value.log.is_relative_to(tmp_path)
    assert "cannot open" in caught.value.log.read_text()


@pytest.mark.on("verilator", alone=True)
def test_a_wrong_weight_is_noticed(simulator):
    """One bit of one weight: the first value that differs is named by its place."""
    network = Checkpoint.random(SMALL, SEED)
    arrays = {name: array.copy() for name, array in network.arrays.items()}
    arrays["conv2.weight"][2, 1, 3, 4] ^= 1
    result = simulate(Checkpoint.from_arrays(arrays), generate(network), noise(3), simulator=simulator)
    assert result.difference is not None
    assert result.difference.layer == "conv2"
    assert result.difference.place[0] == 2
    assert "image" in str(result.difference)
    assert "layer conv2, channel 2, row" in str(result.difference)
