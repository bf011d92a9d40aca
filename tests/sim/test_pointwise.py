"""1x1 convolutions as dot products over channels: each layer equals the golden model, each counter the cycle model."""

import random

import pytest

from fivebyfive.model.description import POOLS
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.sim.benchlib.random_networks import random_network as with_kinds
from tests.model.random_descriptions import random_steps

from .random_machines import KINDS, Machine
from .test_networks import STEADY, check, upset

FULL = pytest.mark.full
SEEDS = range(60, 70)  # of every test run: they have everything (`test_the_draw_has_everything`)
MORE = [pytest.param(seed, marks=FULL) for seed in range(70, 120)]


def random_pointwise(seed: int) -> Machine:
    """A small machine of up to four convolutions behind the first, most of them 1x1."""
    rng = random.Random(seed)
    while True:
        layers = [Layer("a", "conv", rng.randint(1, 30), 3, then=random_steps(rng, None))]
        for name in "bcd"[: rng.randint(1, 3)]:
            layers.append(random_conv(rng, name, layers[-1].outputs))
        layers.append(Layer("f", "fc", rng.randint(2, 12)))
        try:
            network = Network((rng.randint(1, 2), rng.randint(5, 9), rng.randint(5, 9)), tuple(layers))
            parts = stages(network).convs
            kernel = rng.choice((3, 3, 3, 4, 5))
            outputs, packed = rng.choice((1, 1, 2, 3, rng.randint(1, 12))), rng.random() < 0.2
            config = Config(1, outputs, 1, packed=packed, overlap=rng.random() < 0.7, kernel=kernel)
            config.check(network)
        except ValueError:
            continue
        if not any(config.channels_at_once(network, layer) > 1 for layer in range(len(parts))):
            continue
        kind = rng.choice(("", *KINDS))
        checkpoint = with_kinds(network, seed, kind)
        config = fitted(checkpoint, config) if kind else config
        if plan(network, config).latency * config.multipliers < 120_000:
            return Machine(checkpoint, kind, config)


def random_conv(rng: random.Random, name: str, inputs: int) -> Layer:
    """A convolution behind ``inputs`` maps, of 1x1 more often than not."""
    kernel = rng.choice((1, 1, 1, 3))
    groups = rng.choice((1, 1, 1, *(n for n in range(2, inputs + 1) if inputs % n == 0)))
    size = rng.randint(2, 3)
    pool = rng.choice((None, None, Pool(rng.choice(POOLS), size, rng.randint(1, size))))
    outputs, stride = groups * rng.randint(1, max(1, 30 // groups)), rng.choice((1, 1, 2))
    return Layer(name, "conv", outputs, kernel, stride, groups=groups, then=random_steps(rng, pool))


@pytest.mark.parametrize("seed", [*SEEDS, *MORE])
def test_random_networks(icarus_or_verilator, seed):
    """Images one by one, or a run until its interval is steady, or with pauses."""
    machine = random_pointwise(seed)
    print(machine)
    images, pause = ((2, 0.0), (STEADY + 2, 0.0), (2, 0.3))[seed % 3]
    check(machine.checkpoint, machine.config, icarus_or_verilator, images, seed, pause)


@pytest.mark.on("icarus", alone=True)
@pytest.mark.parametrize("seed", [100, 101, *(pytest.param(seed, marks=FULL) for seed in range(102, 120))])
def test_upsets_of_random_networks(bench, simulator, seed):
    machine = random_pointwise(seed)
    upset(bench, machine.checkpoint, machine.config, seed, machine.kind)


def test_the_draw_has_everything():
    """Of the machines of every test run."""
    machines = [random_pointwise(seed) for seed in SEEDS]
    found = set()
    for machine in machines:
        config, network = machine.config, machine.config.built(machine.checkpoint.network)
        convs = stages(network).convs
        found |= {"packed"} if config.packed else set()
        found |= {f"weights as {config.engines.conv.kind}"}
        over = [layer for layer in range(len(convs)) if config.channels_at_once(network, layer) > 1]
        found |= {"two memories"} if {layer % 2 for layer in over} == {0, 1} else set()
        found |= {"two maps in a memory"} if {1, 3} <= set(over) else set()
        for layer in over:
            stage, sets = convs[layer], config.channel_sets(network, layer)
            found |= {"several sets"} if sets > 1 else set()
            found |= {"several outputs"} if config.outputs > 1 else set()
            found |= {"listed"} if not config.sweeps_all(network, layer) else set()
            found |= {"groups"} if stage.layer.groups > 1 else set()
            found |= {"stride"} if stage.layer.stride > 1 and stage.rows > 1 else set()
            found |= {"pool"} if stage.pool else set()
            found |= {"table"} if stage.layer.has_table else set()
            found |= {"behind 1x1"} if layer - 1 in over else set()
    assert found >= {
        "packed", "weights as codes", "weights as codebook", "weights as signs", "two memories", "two maps in a memory",
        "several sets", "several outputs", "listed", "groups", "stride", "pool", "table", "behind 1x1",
    }  # fmt: skip
