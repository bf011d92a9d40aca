"""Which engines are chosen for which weights."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.engines import choose, fitted
from fivebyfive.model.machine.unused import built
from fivebyfive.model.machine.weight_form import CODES, DENSE, Engines, WeightForm
from fivebyfive.model.machine.weights import pack, unpack
from fivebyfive.model.network import Layer, Network
from fivebyfive.model.shape import LeNetShape

SHAPE = LeNetShape(4, 6, (30, 10))
WHOLE = LeNetShape(4, 5, (40, 10))  # whose words of inputs are full


def changed(shape: LeNetShape = SHAPE, **arrays: np.ndarray) -> Checkpoint:
    """A random network with other arrays, named with _ for the dot. No output is always zero."""
    network = Checkpoint.random(shape, 1)
    for name in network.network.names[:-1]:
        network.arrays[f"{name}.bias"][:] = 127
    return Checkpoint(shape.network, network.arrays | {name.replace("_", "."): array for name, array in arrays.items()})


def drawn(name: str, values: tuple[int, ...], shape: LeNetShape = SHAPE) -> np.ndarray:
    return np.random.default_rng(2).choice(np.array(values, np.int8), shape.arrays[name])


def of_values(prefix: str, *values: tuple[int, ...], shape: LeNetShape = SHAPE) -> dict[str, np.ndarray]:
    return {f"{prefix}{n}_weight": drawn(f"{prefix}{n}.weight", one, shape) for n, one in enumerate(values, 1)}


def test_any_weights_take_the_dense_engines() -> None:
    assert choose(load_checkpoint(), Config()) == DENSE
    assert choose(Checkpoint.random(LeNetShape(1, 1, (10,)), 1), Config()) == DENSE
    assert fitted(load_checkpoint(), Config(4, 5)) == Config(4, 5)


@pytest.mark.parametrize(
    ("values", "kind", "bits"),
    [
        ((-32, 0, 32), "signs", 2), ((-64, 64), "signs", 1), ((-48, 0, 48), "codebook", 2), ((-64, 32), "powers", 1),
        (tuple(range(-3, 2)), "codebook", 3), ((-128, -64, -1, 0, 2, 16), "powers", 3),
    ],
)  # fmt: skip
def test_few_values_are_stored_in_few_bits(values, kind, bits) -> None:
    arrays = of_values("conv", values, values, shape=WHOLE) | of_values("fc", values, values, shape=WHOLE)
    engines = choose(changed(WHOLE, **arrays), Config())
    assert (engines.conv, engines.fc) == (WeightForm(kind, (values, values)),) * 2
    assert engines.fc.bits == bits


def test_a_zero_where_words_are_not_full() -> None:
    """30 inputs are a word and a half: lanes without an input need a weight that is zero."""
    engines = choose(changed(**of_values("fc", (-64, 64), (-1, 5))), Config())
    assert engines.fc == WeightForm("codebook", ((-64, 0, 64), (-1, 0, 5)))


def test_a_value_is_looked_up_in_a_cycle_of_its_own() -> None:
    network = changed(**of_values("conv", (-64, 64), (-1, 1)))
    assert choose(network, Config(4, 10)).conv.kind == "signs"
    assert choose(network, Config(4, 11)).conv == CODES
    with pytest.raises(ValueError, match="outputs must be less than 11"):
        Config(4, 11, engines=Engines(conv=WeightForm("signs", ((-64, 64), (-1, 1)))))


def test_a_codebook_must_be_worth_it() -> None:
    """conv1 of four kernels has 100 weights: seven values are too many for a codebook."""
    few = (-64, 0, 64)
    assert choose(changed(**of_values("conv", tuple(range(7)), few)), Config()).conv == CODES
    assert choose(changed(**of_values("conv", tuple(range(6)), few)), Config()).conv.kind == "codebook"


def test_signs_have_no_multiplier_to_share() -> None:
    network = changed(**of_values("conv", (-64, 0, 64), (-32, 32)))
    assert choose(network, Config()).conv.kind == "signs"
    assert choose(network, Config(2, 1, packed=True)).conv.kind == "codebook"
    assert fitted(network, Config()).conv_dsps == 0
    with pytest.raises(ValueError, match="powers of two have none"):
        replace(fitted(network, Config()), packed=True)


def test_powers_of_two_have_no_multiplier_to_share() -> None:
    network = changed(**of_values("conv", (-64, 0, 32), (-2, 1)))
    assert choose(network, Config(2, 1, packed=True)).conv.kind == "codebook"
    assert (fitted(network, Config()).engines.conv.kind, fitted(network, Config()).conv_dsps) == ("powers", 0)


def test_kernels_of_zeros_are_not_swept() -> None:
    kernels = Checkpoint.random(SHAPE, 1).arrays["conv2.weight"].copy()
    kernels[0, 2] = kernels[1, 2] = kernels[4, 0] = kernels[5, 0] = 0
    kernels[3] = 0
    network = changed(conv2_weight=kernels)
    every = (0, 1, 2, 3)
    assert choose(network, Config()).sweeps == ((), ((0, 1, 3), (0, 1, 3), every, (0,), (1, 2, 3), (1, 2, 3)))
    # Two PEs share a window: what one of them needs is swept.
    assert choose(network, Config(1, 2)).sweeps == ((), ((0, 1, 3), every, (1, 2, 3)))


def test_words_are_as_many_as_the_fullest_lane_has_weights() -> None:
    fc1, fc2 = np.zeros((30, 96), np.int8), drawn("fc2.weight", tuple(range(1, 100)))
    fc1[:, :20] = 5  # one in each lane
    fc1[3, 45] = fc1[3, 65] = fc1[7, 95] = -1  # lane 5 has three weights; lane 15 two
    fc1[29, 32::16] = 1  # all channels are read, in four other lanes
    engines = choose(changed(fc1_weight=fc1, fc2_weight=fc2), Config())
    ones = [1] * 30
    ones[3], ones[7], ones[29] = 3, 2, 2
    assert engines.words == (tuple(ones), (2,) * 10)
    by_three = choose(changed(fc1_weight=fc1, fc2_weight=fc2), Config(fc_rows=3))
    assert by_three.words == ((1, 3, 2, *[1] * 6, 2), (2,) * 4)
    for config in (Config(packed=True), Config(early_fc=True)):
        assert choose(changed(fc1_weight=fc1, fc2_weight=fc2), config).words == ()


@pytest.mark.parametrize("rows", [71, 72])
def test_a_lane_has_as_many_places_as_a_byte_names(rows: int) -> None:
    """5,041 inputs have 253 places in a lane, 5,184 have 260."""
    layers = Layer("f1", "fc", 8, then=("relu",)), Layer("f2", "fc", 10)
    checkpoint = Checkpoint.random(Network((1, rows, rows), layers), 1)
    weight = checkpoint.arrays["f1.weight"]
    weight[:, np.arange(rows**2) % 30 > 0] = 0
    weight[:, -1] = 1
    config = fitted(checkpoint, Config())
    assert bool(config.engines.words) == (rows == 71)
    assert unpack(pack(checkpoint, config), checkpoint.network, config).digest == built(checkpoint, config).digest


def test_lanes_follow_the_order_in_which_channels_come() -> None:
    fc1 = np.zeros((30, 96), np.int8)
    fc1[0, [0, 16]] = 1  # the first cell of channels 0 and 1: places 0 and 1 where two come at once, else 0 and 16
    fc1[1, [0, 20]] = 1
    fc1[2, ::16] = 1  # all channels are read
    network = changed(fc1_weight=fc1)
    assert choose(network, Config()).words[0][:2] == (1, 2)
    assert choose(network, Config(1, 2)).words[0][:2] == (1, 1)


def test_a_configuration_comes_back_from_json() -> None:
    fc1 = np.eye(30, 96, dtype=np.int8)
    fc1[0, :64:16] = 1  # two channels of six are read by nothing
    network = changed(**of_values("conv", (-64, 0, 64), (-32, 32)), fc1_weight=fc1)
    config = fitted(network, Config(1, 2, 3))
    assert Config(**json.loads(json.dumps(asdict(config)))) == config
    assert config.engines.names == (
        "conv signs, 2 bits", f"bank-balanced fc, {sum(map(sum, config.engines.words)):,} words",
        "outputs computed: 4, 4, 30",
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"conv": {"kind": "fast"}}, {"conv": {"kind": "signs"}}, {"conv": {"values": [[1]]}}, {"sweeps": [[[]]]},
        {"conv": {"kind": "signs", "values": [[-3, 0, 3]]}}, {"conv": {"kind": "codebook", "values": [[2, 1]]}},
        {"fc": {"kind": "powers", "values": [[-4, 0, 3]]}},
        {"conv": {"kind": "codebook", "values": [[1, 200]]}}, {"sweeps": [[[2, 1]]]}, {"words": [[0]]},
        {"words": [[1]], "fc": {"kind": "codebook", "values": [[0, 1]]}}, {"sweeps": [[["a"]]]}, {"sweeps": [[], []]},
        {"sweeps": [[0, 1]]}, {"kept": [[0, 0]]}, {"kept": [[-1]]}, {"kept": [["a"]]},
    ],
)  # fmt: skip
def test_what_no_engine_can_be_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"must|stor|signs|powers|codebook|at least"):
        Engines(**wrong)
