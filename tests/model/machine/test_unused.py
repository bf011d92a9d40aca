"""What no logit depends on is left out, and nothing else."""

import random
from dataclasses import replace

import numpy as np
import pytest

from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.golden import forward
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.unused import always_zero, built, kept_outputs, outputs_left_out, unread_outputs
from fivebyfive.model.machine.weight_form import Engines
from fivebyfive.model.machine.weights import pack, unpack
from fivebyfive.model.network import Layer, Network
from fivebyfive.model.shape import LeNetShape
from tests.model.random_descriptions import random_network

SHAPE = LeNetShape(6, 8, (12, 10))


def shipped(name: str) -> Checkpoint:
    return load_checkpoint(SHIPPED.with_name(f"{name}.npz"))


def pruned(network, seed: int) -> Checkpoint:
    """Random codes; of some outputs all weights are zero, others are not read, some weights are small."""
    rng = np.random.default_rng(seed)
    arrays = {name: array.copy() for name, array in Checkpoint.random(network, seed).arrays.items()}
    for place in network:
        name, channels = place.layer.name, place.inputs[0]
        weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
        weight[rng.random(len(weight)) < 0.3] = 0
        weight[rng.random(len(weight)) < 0.2] //= 32
        if place.layer.groups == 1:
            weight.reshape(len(weight), channels if len(place.inputs) > 1 else weight.shape[1], -1)[
                :, rng.random(channels) < 0.2
            ] = 0
        weight[rng.random(weight.shape[:2]) < 0.3] = 0
        bias[rng.random(len(bias)) < 0.5] //= -16
    return Checkpoint(network, arrays)


def check(checkpoint: Checkpoint, config: Config, images: np.ndarray) -> int:
    """Layer by layer on images; how many outputs are left out."""
    whole, less = forward(checkpoint, images), forward(built(checkpoint, config), images)
    unread, zero = unread_outputs(checkpoint, config), always_zero(checkpoint)
    kept = [*config.engines.kept, range(checkpoint.network.classes)]
    left_out = outputs_left_out(checkpoint.network, config)
    for name, outputs, out in zip(checkpoint.network.names, kept, [*left_out, np.zeros(0, bool)], strict=True):
        np.testing.assert_array_equal(whole.outputs[name][:, list(outputs)], less.outputs[name])
        assert not whole.outputs[name][:, zero[name]].any()
        if name in unread:
            assert not (unread[name] & ~out).any()
    return int(sum(out.sum() for out in left_out))


@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(n, marks=pytest.mark.full) for n in range(12, 400))])
def test_no_logit_changes(seed: int) -> None:
    rng = random.Random(seed)
    network = random_network(rng)
    while len(network.layers) < 2:
        network = random_network(rng)
    checkpoint = pruned(network, seed)
    images = np.random.default_rng(seed).integers(0, 256, (20, *network.input), np.uint8)
    images[0], images[1] = 0, 255
    for outputs in (1, 3):
        engines = Engines(kept=kept_outputs(checkpoint, outputs))
        if engines.kept:
            check(checkpoint, Config(engines=engines), images)


def test_some_are_left_out() -> None:
    """So that what the test above compares is something."""
    left_out = 0
    for seed in range(12):
        checkpoint = pruned(random_network(random.Random(seed)), seed)
        kept = kept_outputs(checkpoint)
        left_out += sum(place.layer.outputs - len(one) for place, one in zip(checkpoint.network, kept, strict=False))
    assert left_out > 20


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"weight": 0, "bias": -3}, False),  # ReLU makes it zero
        ({"weight": 0, "bias": 0}, False),
        ({"weight": 0, "bias": 1}, True),  # a constant, which next biases of 8 bits need not hold
        ({"weight": -1, "bias": 0}, False),  # of pixels, which are never negative
        ({"weight": -128, "bias": 0}, True),  # 25 products of -128 and 127 wrap
    ],
)
def test_which_outputs_are_always_zero(change: dict, kept: bool) -> None:
    checkpoint = Checkpoint.random(SHAPE, 1)
    checkpoint.arrays["conv1.weight"][2] = change["weight"]
    checkpoint.arrays["conv1.bias"][2] = change["bias"]
    found = kept_outputs(checkpoint) or (tuple(range(6)),)
    assert (2 in found[0]) == kept


def test_what_wraps_may_be_negative() -> None:
    """The first output of a goes from 0 to 252, and so to -128: of that, b makes 2."""
    layers = (Layer("a", "fc", 2), Layer("b", "fc", 2, then=("relu",)), Layer("c", "fc", 2))
    checkpoint = Checkpoint.random(Network((1, 4, 4), layers), 1)
    for name in ("a", "b"):
        checkpoint.arrays[f"{name}.weight"][:] = checkpoint.arrays[f"{name}.bias"][:] = 0
    checkpoint.arrays["a.weight"][:, 0] = 127, 60
    checkpoint.arrays["b.weight"][:] = np.diag([-1, -1])
    assert [zero.tolist() for zero in always_zero(checkpoint).values()] == [[False] * 2, [False, True], [False] * 2]


def test_padding_that_is_not_zero_keeps_a_channel() -> None:
    """It lies around the zeros of the channel, too."""
    network = SHAPE.network
    for padding, fill, kept in ((0, 17, False), (1, 0, False), (1, 17, True)):
        second = replace(network.layers[1], padding=(padding,) * 4, fill=(fill,))
        checkpoint = Checkpoint.random(replace(network, layers=(network.layers[0], second, *network.layers[2:])), 1)
        checkpoint.arrays["conv1.weight"][2] = checkpoint.arrays["conv1.bias"][2] = 0
        assert (2 in (kept_outputs(checkpoint) or (range(6),))[0]) == kept


def test_what_only_an_unread_output_reads_is_left_out() -> None:
    checkpoint = Checkpoint.random(SHAPE, 1)
    checkpoint.arrays["fc2.weight"][:, [3, 5]] = 0
    checkpoint.arrays["fc1.weight"].reshape(12, 8, 16)[:, 1] = 0
    checkpoint.arrays["fc1.weight"].reshape(12, 8, 16)[3, 1] = 1
    kept = kept_outputs(checkpoint)
    assert [set(range(n)) - {*one} for n, one in zip((6, 8, 12), kept, strict=True)] == [set(), {1}, {3, 5}]
    config = fitted(checkpoint, Config())
    unread = unread_outputs(checkpoint, config)
    assert {name: np.flatnonzero(outputs).tolist() for name, outputs in unread.items()} == {"conv2": [1], "fc1": [3, 5]}
    assert stages(config.built(checkpoint.network)).fc[0].inputs == 7 * 16
    image = pack(checkpoint, config)
    assert unpack(image, checkpoint.network, config).digest == built(checkpoint, config).digest
    other = Checkpoint.random(SHAPE, 2)
    with pytest.raises(ValueError, match="leaves out are not always zero or are read; generate it again"):
        pack(other, config)
    with pytest.raises(ValueError, match="of another network"):
        pack(Checkpoint.random(LeNetShape(6, 6, (12, 10)), 2), config)


def test_weights_that_make_every_output_zero_fit_a_machine_without_the_first() -> None:
    checkpoint = Checkpoint.random(SHAPE, 1)
    checkpoint.arrays["conv1.weight"][0] = checkpoint.arrays["conv1.bias"][0] = 0
    config = fitted(checkpoint, Config())
    assert 0 not in config.engines.kept[0]
    checkpoint.arrays["conv1.weight"][:] = checkpoint.arrays["conv1.bias"][:] = 0
    assert built(checkpoint, config).network.layers[0].outputs == 5


def test_channels_that_read_the_same_go_together() -> None:
    """Output channels 0, 2, 4, 6 read two input channels, the others the other four."""
    checkpoint = Checkpoint.random(SHAPE, 1)
    checkpoint.arrays["conv2.weight"][::2, 2:] = 0
    checkpoint.arrays["conv2.weight"][1::2, :2] = 0
    assert kept_outputs(checkpoint) == ()
    assert kept_outputs(checkpoint, 4)[1] == (1, 3, 5, 7, 0, 2, 4, 6)
    assert fitted(checkpoint, Config(1, 4)).engines.sweeps == ((), ((2, 3, 4, 5), (0, 1)))


@pytest.mark.parametrize(
    ("name", "kept", "interval"),
    [("bank-kernel", [20, 18, 470], 21_180), ("deep-compression", [19, 18, 284], 32_639)],
)
def test_shipped_checkpoints(name: str, kept: list[int], interval: int) -> None:
    """25 + 20 multipliers took 23,228 and 37,311 cycles with all of their channels."""
    checkpoint = shipped(name)
    config = sized(checkpoint)
    assert list(map(len, config.engines.kept)) == kept
    assert plan(checkpoint.network, config).interval == interval
    assert check(checkpoint, config, load_dataset("mnist", "test").images[:100]) == sum((20, 50, 500)) - sum(kept)


@pytest.mark.parametrize("name", ["lenet", "narrow", "smallest", "binary", "codebook-4"])
def test_networks_that_need_everything_stay_as_they_are(name: str) -> None:
    assert sized(shipped(name)).engines.kept == ()
