"""The machine computes any network: those that people build, and networks, weights and sizes drawn at random.

Codes are random over the whole range; every layer of every image equals the golden model, and every counter the cycle
model.
"""

import random
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.hw.generate import generate
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import written
from fivebyfive.model.golden import forward
from fivebyfive.model.machine.config import DSP_SIZES, Config
from fivebyfive.model.machine.cycles import fc_of_images, overtakes, plan
from fivebyfive.model.machine.sizing import Size, fits
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.sim.benchlib.listed_networks import LISTED
from fivebyfive.sim.simulate import simulate
from tests.model.random_descriptions import random_network

from .random_machines import Machine, random_images, random_machine, with_cells

SEED = 5
STEADY = 4  # results until the interval is that of a long run: the buffers are full
SEEDS = range(30, 50)  # of the networks in every test run, which have every engine (`test_the_draw_has_everything`)
TINY, WORK = 12, 50_000  # rows and columns, and multiplications, of networks that Icarus simulates in a second
FULL = pytest.mark.full


def check(checkpoint: Checkpoint, config: Config, simulator: str, images: int, seed: int, pause: float = 0.0) -> None:
    """Simulate, and compare every layer and every counter."""
    network = checkpoint.network
    pixels = random_images(network, images, seed)
    result = simulate(checkpoint, generate(checkpoint, config), pixels, simulator=simulator, seed=seed, pause=pause)
    assert result.difference is None, str(result.difference)
    assert list(result.outputs) == list(forward(checkpoint, pixels).outputs)
    assert result.images == images
    model, counters = plan(network, config), result.counters
    assert counters[:, 0].tolist() == [model.conv] * images
    if pause:
        return
    assert counters[:, 1].tolist() == fc_of_images(network, config, images)
    assert (counters[0, 1], counters[0, 2]) == (model.fc, model.latency)
    assert set(counters[STEADY:, 3].tolist()) <= {model.interval}


def upset(bench: Callable, checkpoint: Checkpoint, config: Config, seed: int, kind: str = "", resets: int = 2) -> None:
    """Pauses on both sides, and resets in the middle of an image."""
    network = checkpoint.network
    design = to_verilog(Accelerator(network, config, pack(checkpoint, config), checkpoint.tables), "lenet")
    bench(
        design, "accelerator", tests=("pauses", "resets"), resets=resets, network=written(network), seed=seed,
        config=asdict(config), kind=kind, image_cycles=plan(network, config).latency, timeout_s=800,
    )  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks(icarus_or_verilator, seed):
    """Any network on any machine; images one by one, or a run until its interval is steady, or with pauses."""
    machine = random_machine(seed, TINY, WORK)
    print(machine)
    images, pause = ((2, 0.0), (STEADY + 2, 0.0), (2, 0.3))[seed % 3]
    check(machine.checkpoint, machine.config, icarus_or_verilator, images, seed, pause)


@pytest.mark.on("icarus", alone=True)
@pytest.mark.parametrize("seed", [60, 61, *(pytest.param(seed, marks=FULL) for seed in range(62, 80))])
def test_upsets_of_random_networks(bench, simulator, seed):
    machine = random_machine(seed, TINY, WORK)
    upset(bench, machine.checkpoint, machine.config, seed, machine.kind)


def conv(outputs: int, kernel: int, *then: str | Pool, name: str = "c", **more) -> Layer:
    return Layer(name, "conv", outputs, kernel, then=then, **more)


def fc(name: str, outputs: int) -> Layer:
    return Layer(name, "fc", outputs, then=("relu",))


CELLS = Network(
    (2, 15, 17),
    (
        conv(3, 5, "table", Pool("average", 2, 2), name="a", padding=(2, 1, 0, 3), fill=(-9,)),
        conv(5, 3, Pool("max", 2, 2), name="b", padding=(1, 1, 1, 1), fill=(-128,)),
        conv(4, 1, Pool("max", 2, 2), name="c"),
        fc("f", 7),
    ),
)  # fmt: skip


@pytest.mark.on("verilator", alone=True)
@pytest.mark.parametrize("outputs", [1, pytest.param(3, marks=FULL)])
def test_winograd_of_smaller_kernels_padding_and_negative_codes(simulator, outputs):
    check(Checkpoint.random(CELLS, SEED), Config(4, outputs, 1, winograd=True), simulator, STEADY + 2, SEED)


@FULL
@pytest.mark.on("verilator", alone=True)
@pytest.mark.parametrize("seed", range(100, 200))
def test_a_hundred_random_networks(simulator, seed):
    """At most 60,000 cycles and 200 kB each."""
    machine: Machine = random_machine(seed, work=20_000_000)
    print(machine)
    check(machine.checkpoint, machine.config, simulator, STEADY + 2 if seed % 2 else 3, seed)


LIST = [pytest.param(name, marks=FULL) for name in LISTED]


@pytest.mark.parametrize("name", LIST)
def test_listed_networks(simulator, name):
    """With one PE, and at a larger size."""
    listed = LISTED[name]
    if simulator == "icarus" and listed.large:
        pytest.skip(
            "Icarus takes minutes; Verilator checks this network, and both simulators a smaller one of its kind"
        )
    checkpoint = listed.checkpoint(SEED)
    convs = "conv" in {layer.kind for layer in listed.network.layers}
    for size in (Size(), Size(4 if convs else 1, 2)) if simulator == "verilator" else (Size(),):
        images = 1 if simulator == "icarus" else 2 if listed.large else STEADY + 2
        check(checkpoint, size.config(checkpoint), simulator, images, SEED)


@pytest.mark.on("verilator", alone=True)
@pytest.mark.parametrize("name", LIST)
def test_upsets_of_listed_networks(bench, simulator, name):
    """Weights and tables are the bench's random ones."""
    listed = LISTED[name]
    checkpoint = Checkpoint.random(listed.network, SEED)
    convs = "conv" in {layer.kind for layer in listed.network.layers}
    config = Size(8 if convs and listed.large else 1).config(checkpoint)
    if simulator == "icarus" and plan(listed.network, config).latency > 10_000:
        pytest.skip("Icarus takes minutes; Verilator checks this network")
    upset(bench, checkpoint, config, SEED, resets=1 if listed.large else 2)


# Found by networks drawn at random, each as small as shows it.
FOUND = {
    # a word of biases delays the last groups of logits, while the argmax looks at the first ones
    "biases between logits": (Network((1, 4, 4), (fc("f1", 5), fc("f2", 46))), Config(1, 0, 2)),
    # the last layer waits until the class of the image before is found
    "class before": (Network((1, 4, 5), (fc("f1", 30),)), Config(1, 0, 2)),
    # which comes later than the inputs of the next image are done with
    # a row that is split takes the lower half of the only word of inputs
    "half a word": (Network((1, 4, 4), (conv(2, 3, stride=2), fc("f1", 2))), Config(1, 2, 1, packed=True, kernel=3)),
    "overtaking": (
        Network((1, 7, 5), (conv(1, 3, Pool("max", 2, 2)), fc("f1", 1), fc("f2", 51))), Config(2, 1, 3, kernel=3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found(icarus_or_verilator, name):
    network, config = FOUND[name]
    check(Checkpoint.random(network, SEED), config, icarus_or_verilator, STEADY + 2, SEED)


@pytest.mark.on("icarus", alone=True)
@pytest.mark.parametrize("dsp_size", DSP_SIZES)
def test_packed_negative_codes(simulator, dsp_size):
    """From a table, from padding and without ReLU, and nothing but extremes: -128 times -128 all over."""
    around = {"padding": (1, 1, 1, 1), "fill": (-128,)}
    convs = conv(2, 3, "table", name="c1", **around), conv(3, 3, name="c2", **around)
    network, rng = Network((1, 4, 4), (*convs, Layer("f1", "fc", 5))), np.random.default_rng(SEED)
    shapes = {name: array.shape for name, array in Checkpoint.random(network, SEED).arrays.items()}
    arrays = {name: rng.choice(np.array([-128, -128, -1, 127], np.int8), shape) for name, shape in shapes.items()}
    config = Config(1, 2, 1, packed=True, kernel=3, dsp_size=dsp_size)
    check(Checkpoint(network, arrays), config, simulator, 2, SEED)


def test_windows_are_packed_only_where_no_code_is_negative():
    """What the convolutions of networks drawn at random take, by the golden model."""
    rng, taken = random.Random(SEED), {True: 0, False: 0}
    while min(taken.values()) < 12:
        network = with_cells(random_network(rng, 2 * TINY), rng)
        if network is None or len(stages(network).convs) < 2:
            continue
        config = Config(2, 1, 1 if stages(network).fc else 0, packed=True, kernel=7)
        taken[fits(config, network)] += 1
        if fits(config, network):
            outputs = forward(Checkpoint.random(network, SEED), random_images(network, 2, SEED)).outputs
            for before, after in pairwise(stages(network).convs):
                assert outputs[before.name].min() >= 0, f"{after.name} of {network} takes negative codes"
            for layer in (stage.layer for stage in stages(network).convs):
                assert min(layer.fill) >= 0 or not any(layer.padding)


def test_what_was_found_is_what_it_is_said_to_be():
    network, config = FOUND["overtaking"]
    assert overtakes(network, config)
    assert not overtakes(*FOUND["class before"])  # a single layer waits
    network, config = FOUND["half a word"]
    assert (config.fc_lanes, config.input_words(2)) == (10, 1)
    network, config = FOUND["class before"]
    first, *others = fc_of_images(network, config, 6)
    assert max(others) > first


# More activations at once than the FC engine takes in a cycle: positions keep their distance (`Config.pace`).
WIDE = [
    (Network((1, 4, 4), (conv(45, 3, padding=(1, 1, 1, 1)), fc("f1", 3))), Config(1, 45, 1, kernel=3)),
    (Network((1, 6, 5), (conv(59, 3, Pool("max", 2, 1)), fc("f1", 3))), Config(1, 59, 1, kernel=3)),
    (Network((2, 5, 5), (conv(100, 3), fc("f1", 25))), Config(1, 59, 2, True, kernel=3)),
]  # fmt: skip


@FULL
@pytest.mark.on("verilator", alone=True)
@pytest.mark.parametrize(("network", "config"), WIDE, ids=["45", "59 and pool", "59 early"])
def test_many_activations_at_once(simulator, network, config):
    assert config.pace(network, 0) > 1
    check(Checkpoint.random(network, SEED), config, simulator, STEADY + 2, SEED)


def test_the_draw_has_everything():
    """Sizes and engines: what they are for is in the twenty networks of every test run."""
    machines = [random_machine(seed, TINY, WORK) for seed in SEEDS]
    configs = [machine.config for machine in machines]
    assert {config.windows for config in configs} == {1, 2, 4}
    assert {config.packed for config in configs} == {config.early_fc for config in configs} == {True, False}
    assert any(config.overlap and config.packed for config in configs)
    assert any(config.engines.sweeps for config in configs)
    assert any(config.engines.words for config in configs)
    assert any(config.engines.kept for config in configs)
    assert {"codes", "codebook", "signs", "powers"} <= {config.engines.conv.kind for config in configs} | {
        config.engines.fc.kind for config in configs
    }
    assert any(0 in (config.outputs, config.fc_rows) for config in configs)


@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_tables_of_functions(function):
    """Those of the list are what their names say."""
    checkpoint = LISTED[f"d2l, {function} and average"].checkpoint(SEED)
    assert len(checkpoint.tables) == 4
    for table in checkpoint.tables.values():
        assert np.all(np.diff(table.astype(int)) >= 0)
        assert table[128] == (0 if function == "tanh" else 32)


def test_sparse_kernels_are_not_swept():
    checkpoint = LISTED["LeCun's sparse C3"].checkpoint(SEED)
    config = Size().config(checkpoint)
    assert sum(map(len, config.sweeps(checkpoint.network, 1))) == 60
