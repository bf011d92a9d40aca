"""What a user asks for reaches the machine, and the machine is the best that there is."""

from dataclasses import fields, replace
from inspect import signature

import numpy as np
import pytest

from fivebyfive.cli import main
from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.sizing import Size, conv_machines, sized
from fivebyfive.model.machine.weight_form import CODES, Engines, WeightForm
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.shape import LeNetShape

SHAPE = LeNetShape(2, 4, (10,))


def test_size_has_the_arguments_of_sized() -> None:
    arguments = set(signature(sized).parameters) - {"model"}
    assert {field.name for field in fields(Size)} == arguments | {"dense_engines"}
    chosen = {"windows", "outputs", "kernel", "engines"}  # by `sized` and `fitted`
    sizes = {field.name for field in fields(Config)} - chosen
    assert arguments == sizes | {"conv_pes", "multipliers", "dsps", "fps", "clock_mhz"}


def test_commands_ask_for_sizes_by_these_names() -> None:
    options = {parameter.name for parameter in main.commands["generate"].params}
    assert {field.name for field in fields(Size)} <= options


def test_every_size_reaches_the_machine() -> None:
    network = Checkpoint.random(SHAPE, 1)
    size = Size(conv_pes=4, fc_rows=3, early_fc=True, overlap=False, packed=True)
    config = size.config(network)
    assert config.conv_multipliers == 4 * 25
    assert (config.fc_rows, config.early_fc, config.overlap, config.packed) == (3, True, False, True)
    assert Size().config(network) == Config()


def sparse(seed: int) -> Checkpoint:
    """A random network with kernels of zeros, and few weights in its fully-connected layers."""
    rng = np.random.default_rng(seed)
    network = Checkpoint.random(LeNetShape(4, 9, (33, 10)), seed)
    arrays = dict(network.arrays)
    arrays["conv2.weight"] = arrays["conv2.weight"] * rng.integers(0, 2, (9, 4, 1, 1), dtype=np.int8)
    arrays["fc1.weight"] = arrays["fc1.weight"] * (rng.random((33, 144)) < 0.1)
    return Checkpoint(network.network, {name: array.astype(np.int8) for name, array in arrays.items()})


@pytest.mark.parametrize(
    "options", [{}, {"packed": True}, {"early_fc": True}, {"overlap": False}, {"pixels": 4}], ids=str
)
def test_no_machine_within_the_limits_is_better(options) -> None:
    """Against all of them, without the bounds that leave most out."""
    checkpoint = sparse(3)
    rows = range(1, 8)
    every = [
        fitted(checkpoint, replace(conv, fc_rows=count))
        for conv in conv_machines(checkpoint.network, Config(**options), 12)
        for count in rows
    ]
    cycles = {config: plan(checkpoint.network, config) for config in every}

    def key(config: Config) -> tuple:
        return cycles[config].interval, cycles[config].latency, config.multipliers

    assert key(sized(checkpoint, 12, 7, **options)) == min(map(key, every))
    for name, most in (("multipliers", 190), ("dsps", 120)):
        within = [config for config in every if getattr(config, name) <= most]
        assert key(sized(checkpoint, 12, 7, **options, **{name: most})) == min(map(key, within))
    enough = [config for config in every if cycles[config].interval <= 2_000]
    chosen = sized(checkpoint, 12, 7, fps=50_000, clock_mhz=100, **options)
    assert chosen.multipliers == min(config.multipliers for config in enough)
    assert cycles[chosen].interval <= 2_000


@pytest.mark.parametrize(
    ("name", "size", "split", "interval"),
    [
        ("bank-kernel", {"conv_pes": 10, "fc_rows": 3}, (4, 2, 3), 3_112),  # before engines counted: 4,669
        ("deep-compression", {"conv_pes": 2}, (2, 1, 1), 16_353),  # as 1 x 2: 16,767
        ("lenet", {"conv_pes": 4}, (4, 1, 1), 20_309),
        ("lenet", {"multipliers": 260}, (4, 2, 3), 9_496),
        ("lenet", {"fps": 10_000, "clock_mhz": 100}, (4, 2, 3), 9_496),
    ],
)
def test_sizes_of_shipped_checkpoints(name, size, split, interval) -> None:
    checkpoint = load_checkpoint(SHIPPED.with_name(f"{name}.npz"))
    config = sized(checkpoint, **size)
    assert (config.windows, config.outputs, config.fc_rows) == split
    assert plan(checkpoint.network, config).interval == interval


def test_signs_take_no_dsps() -> None:
    binary = load_checkpoint(SHIPPED.with_name("binary.npz"))
    config = sized(binary, dsps=0)
    assert config.dsps == 0
    assert config.multipliers > 1_000


def test_winograd_takes_36_multipliers_for_four_windows() -> None:
    config = sized(SHAPE.network, winograd=True)
    assert config == Config(4, winograd=True)
    assert (config.conv_multipliers, config.dsps) == (36, 56)
    assert sized(SHAPE.network, winograd=True, multipliers=112).outputs == 2
    assert sized(SHAPE.network, winograd=True, packed=True).dsps == 46
    direct = Config(4)
    assert plan(SHAPE.network, config) == plan(SHAPE.network, direct)
    assert plan(SHAPE.network, config).utilization(SHAPE.network, config) < 1


WITHOUT_CELLS = Network((1, 12, 12), (Layer("a", "conv", 2, 5), Layer("f", "fc", 3)))
SMALLER = Network((1, 12, 12), (Layer("a", "conv", 2, 3, then=(Pool("max", 2, 2),)), Layer("f", "fc", 3)))


@pytest.mark.parametrize(
    ("network", "options", "said"),
    [
        (SHAPE.network, {"conv_pes": 2}, "winograd computes four windows at once, not 1; ask for 4 conv PEs or more"),
        (WITHOUT_CELLS, {}, "winograd computes cells of a pool: a has no 2x2 pool of stride 2 behind a convolution of"),
        (SMALLER, {}, "winograd is for kernels of 5x5, not of 3x3; leave it out"),
        (LeNetShape.parse("784-12-10").network, {}, "winograd is for convolutions; 784-12-10 has none; leave it out"),
    ],
)
def test_what_winograd_is_not_for(network, options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sized(network, winograd=True, **options)


def test_winograd_stores_no_other_forms_of_weights() -> None:
    with pytest.raises(ValueError, match="winograd takes transformed weights"):
        Config(4, winograd=True, engines=Engines(conv=WeightForm("codebook", ((0, 3), (1, 2)))))
    ternary = load_checkpoint(SHIPPED.with_name("ternary.npz"))
    config = sized(ternary, winograd=True)
    assert (config.engines.conv, config.engines.fc.kind) == (CODES, "signs")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"multipliers": 44}, "2-4-10 takes at least 45 multipliers, more than 44"),
        ({"dsps": 10}, "2-4-10 takes at least 45 dsps, more than 10"),
        ({"dsps": 2.5}, "dsps must be a whole number, not 2.5"),
        ({"fps": 100}, "give --clock MHZ with --fps"),
        ({"fps": 0, "clock_mhz": 50}, "fps must be more than 0, not 0"),
        ({"fps": 1, "clock_mhz": float("nan")}, "clock_mhz must be more than 0, not nan"),
        ({"fps": 1e6, "clock_mhz": 100}, "2-4-10 takes 784 cycles an image at least, not 100; ask for fewer"),
    ],
)  # fmt: skip
def test_machines_there_are_not(wanted: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sized(SHAPE.network, **wanted)
