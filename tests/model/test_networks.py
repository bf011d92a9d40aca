"""Any list of layers: the golden model equals PyTorch in float64, and its description says all."""

import json
import pickle
import random
import re
from math import prod

import numpy as np
import pytest

from fivebyfive.api import load
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.description import POOLS, describe, parse, read_network, written
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.golden import forward, predict
from fivebyfive.model.network import Network, Pool
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.jobs.transport import checkpoint_of, checkpoint_texts
from fivebyfive.support.errors import UserError

from .random_descriptions import random_checkpoint, random_network

CONV = {"name": "c", "kind": "conv", "outputs": 2, "kernel": 5}
FC = {"name": "f", "kind": "fc", "outputs": 10}


def description(*layers: dict, size=(1, 28, 28), **more) -> str:
    return json.dumps({"input": list(size), "layers": list(layers)} | more)


def reference(checkpoint: Checkpoint, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Every layer by PyTorch: doubles hold these sums exactly."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x = torch.from_numpy(pixels // 2).double().reshape(-1, *checkpoint.network.input)
    outputs = {}
    for layer in checkpoint.network.layers:
        arrays = {name: torch.from_numpy(array).double() for name, array in checkpoint.arrays.items()}
        weight, bias = arrays[f"{layer.name}.weight"], 64 * arrays[f"{layer.name}.bias"]
        if layer.kind == "conv":
            top, left, bottom, right = layer.padding
            fill = torch.tensor(layer.fill).double().expand(x.shape[1])[:, None, None]
            x = functional.pad(x - fill, (left, right, top, bottom)) + fill  # the fill around, what was there inside
            x = functional.conv2d(x, weight, bias, layer.stride, groups=layer.groups)
        else:
            x = functional.linear(x.flatten(1), weight, bias)
        x = torch.remainder(torch.floor(x / 64) + 128, 256) - 128
        for step in layer.then:
            if step == "relu":
                x = functional.relu(x)
            elif step == "table":
                x = arrays[f"{layer.name}.table"][(x + 128).long()]
            elif step.kind == "max":
                x = functional.max_pool2d(x, step.size, step.stride)
            else:
                x = torch.floor(functional.avg_pool2d(x, step.size, step.stride, divisor_override=1) / step.size**2)
        outputs[layer.name] = x.numpy()
    return outputs


def check(seed: int) -> None:
    checkpoint, images = random_checkpoint(seed)
    ours, theirs = forward(checkpoint, images), reference(checkpoint, images)
    assert list(ours.outputs) == list(theirs)
    for place in checkpoint.network:
        name = place.layer.name
        assert ours.outputs[name].shape == (len(images), *place.outputs)
        assert ours.outputs[name].dtype == np.int8
        np.testing.assert_array_equal(ours.outputs[name], theirs[name], f"seed {seed}, {name}")
    np.testing.assert_array_equal(ours.logits, predict(checkpoint, images))
    assert ours.logits.shape == (len(images), checkpoint.network.classes)


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_golden_model_equals_pytorch(first: int) -> None:
    for seed in range(first, first + 20):
        check(seed)


@pytest.mark.full
@pytest.mark.parametrize("first", range(100, 1100, 100))
def test_golden_model_equals_pytorch_a_thousand_times(first: int) -> None:
    for seed in range(first, first + 100):
        check(seed)


def test_the_draw_has_everything() -> None:
    """All that a description may say occurs among the first hundred networks."""
    networks = [random_network(random.Random(seed)) for seed in range(100)]
    layers = [layer for network in networks for layer in network.layers]
    pools = [layer.pool for layer in layers if layer.pool]
    assert {layer.kernel for layer in layers if layer.kind == "conv"} == {1, 2, 3, 5, 7}
    assert {pool.kind for pool in pools} == set(POOLS)
    assert any(pool.stride < pool.size for pool in pools)
    assert any(layer.stride == 2 for layer in layers)
    assert any(layer.groups == layer.outputs > 1 for layer in layers)
    assert any(len(set(layer.padding)) > 1 for layer in layers)
    assert any(len(layer.fill) > 1 and any(layer.padding) for layer in layers)
    assert any(layer.then and layer.then[0] == "table" and layer.pool for layer in layers)
    assert any(network.layers[-1].kind == "conv" for network in networks)
    assert any(network.layers[0].kind == "fc" for network in networks)


def test_a_description_says_all(tmp_path) -> None:
    for seed in range(100):
        checkpoint, images = random_checkpoint(seed)
        assert parse(describe(checkpoint.network)) == checkpoint.network
        save_checkpoint(tmp_path / "any.npz", checkpoint)
        again = load_checkpoint(tmp_path / "any.npz")
        assert again.network == checkpoint.network
        assert again.digest == checkpoint.digest
        np.testing.assert_array_equal(predict(again, images), predict(checkpoint, images))


def test_arrays_say_what_the_description_leaves_out() -> None:
    text = description({"name": "c", "kind": "conv"}, {"name": "f", "kind": "fc"})
    network = parse(text, {"c.weight": (4, 1, 3, 3), "f.weight": (10, 2704)})
    assert [layer.outputs for layer in network.layers] == [4, 10]
    assert network.layers[0].kernel == 3
    with pytest.raises(ValueError, match=r"^c: outputs is missing$"):
        parse(text)


@pytest.mark.parametrize("shape", ["20-50-500-10", "6-16-120-84-10", "784-300-100-10"])
def test_the_form_of_the_brief_needs_no_description(shape: str, tmp_path) -> None:
    shape = LeNetShape.parse(shape)
    checkpoint = Checkpoint.random(shape, 1)
    save_checkpoint(tmp_path / "brief.npz", checkpoint)
    with np.load(tmp_path / "brief.npz") as arrays:
        assert "network" not in arrays
        described = {**arrays, "network": np.array(describe(shape.network))}
    np.savez(tmp_path / "described.npz", **described)
    again = load_checkpoint(tmp_path / "described.npz")
    assert (again.shape, again.digest) == (shape, checkpoint.digest)


@pytest.mark.parametrize(
    "change",
    [
        {"input": [1, 32, 32]},
        {"layers": {0: {"padding": 1}}},
        {"layers": {0: {"then": [{"average": 2}, "relu"]}}},
        {"layers": {0: {"then": [{"max": 2}]}}},
        {"layers": {0: {"name": "first"}}},
        {"layers": {2: {"then": []}}},
        {"layers": {3: {"then": ["relu"]}}},
    ],
    ids=str,
)
def test_another_network_is_not_taken_for_the_brief_s(change: dict) -> None:
    """Such networks have arrays of the same shapes, and mean something else."""
    report = json.loads(describe(LeNetShape(20, 50, (500, 10)).network))
    report["input"] = change.get("input", report["input"])
    for number, keys in change.get("layers", {}).items():
        report["layers"][number] |= keys
    network = parse(json.dumps(report))
    assert LeNetShape.of_network(network) is None
    with pytest.raises(UserError, match=r"^this takes networks of two 5x5 convolutions .*; not 1x\d+x\d+, "):
        _ = Checkpoint.random(network, 1).shape


def test_products() -> None:
    """Padding counts, positions that no pool uses do not; groups have a part of the channels each."""
    network = parse(description(
        CONV | {"padding": 2, "then": [{"max": 3}]},  # 28x28, of which 27x27 are used
        CONV | {"name": "d", "outputs": 4, "kernel": 3, "groups": 2, "stride": 2},  # 9x9 become 4x4
        FC,
    ))  # fmt: skip
    assert network.macs == {"c": 27 * 27 * 2 * 25, "d": 4 * 4 * 4 * 1 * 9, "f": 64 * 10}
    assert network.outputs == {"c": (2, 9, 9), "d": (4, 4, 4), "f": (10,)}


ODD = ("zero", "\ud800", "\x1b[31m", *["\U0001f600" * 60] * 7)  # texts that no terminal should get as they are


@pytest.mark.parametrize("network", ["2-3-7-10", description(CONV, FC)])
def test_labels_say_nothing_of_what_is_computed(tmp_path, network: str) -> None:
    """They come back from every form of a checkpoint; the digest, and what machines are made from, have none."""
    plain = Checkpoint.random(read_network(network), seed=1)
    named = plain.labelled(ODD)
    assert (named.network, named.digest, written(named.network)) == (
        plain.network,
        plain.digest,
        written(plain.network),
    )
    save_checkpoint(tmp_path / "named.npz", named)
    found = [
        load_checkpoint(tmp_path / "named.npz").network,
        parse(describe(named.network)),
        pickle.loads(pickle.dumps(named.network)),
        checkpoint_of(*checkpoint_texts(named).values()).network,
    ]
    assert [one.labels for one in found] == [ODD] * 4
    assert [one == plain.network for one in found] == [True] * 4
    assert load_checkpoint(tmp_path / "named.npz").digest == plain.digest


def test_labels_survive_training_and_packing() -> None:
    named = Checkpoint.random(LeNetShape(2, 3, (7, 10)), seed=1).labelled(ODD)
    pytest.importorskip("constriction")
    packed = pytest.importorskip("fivebyfive.model.compress.packing.packed")
    assert packed.unpack(packed.pack(named).data).network.labels == ODD
    lenet = pytest.importorskip("fivebyfive.model.training.lenet")
    assert lenet.to_checkpoint(lenet.from_checkpoint(named)).network.labels == ODD


def test_the_longest_labels_can_be_read_again() -> None:
    network = parse(description(FC | {"outputs": 256}, labels=["\U0001f600" * 60] * 256))
    assert parse(describe(network)).labels == network.labels


WRONG = [
    ("[]", "a network must be an object with input, layers"),
    ("{", "a network's description must be JSON: "),
    ('{"input": [1, 28, 28], "input": [1, 28, 28], "layers": []}', "a network's description has a key twice"),
    ("[" * 5000, "a network's description is nested too deeply"),
    (" " * 270_000, "a network's description has at most 262,144 characters, not 270,000"),
    (description(), "a network must have at least one layer"),
    (description(FC, more=1), "a network has an unknown key 'more'; there is input, layers, labels"),
    ('{"layers": []}', "a network lacks input"),
    (description(FC, labels="zero"), "labels must be a list"),
    (description(FC, labels=[]), "labels must be a list of texts, one a class"),
    (description(FC, labels=[1] * 10), "labels must be a list of texts, one a class"),
    (description(FC, labels=["a"] * 9), "labels must have a text for each of 10 classes, not 9"),
    (description(FC, labels=["a"] * 9 + [""]), "a label has 1 to 60 characters, not 0"),
    (description(FC, labels=["a"] * 9 + ["a" * 61]), "a label has 1 to 60 characters, not 61"),
    (description(FC, size=(28, 28)), "input must be [channels, rows, columns]"),
    (description(FC, size=(17, 28, 28)), "the input must have 1 to 16 channels, not 17"),
    (description(FC, size=(1, 3, 28)), "the input must have 4 to 128 rows and columns, not 3 and 28"),
    (description(FC, size=(1, 28.0, 28)), "input must be a whole number"),
    (description(FC, size=(True, 28, 28)), "input must be a whole number"),
    (description(FC | {"kind": "rnn"}), "layer 1: kind must be conv or fc"),
    (description(7), "layer 1: kind must be conv or fc"),
    (description(FC | {"stride": 1}), "layer 1 has an unknown key 'stride'; there is name, kind, outputs, then"),
    (description({"kind": "fc", "outputs": 1}), "layer 1 lacks name"),
    (description(FC | {"name": 7}), "layer 1: name must be a text"),
    (description(FC | {"name": "../x"}), "a layer's name has letters, digits, _ and ., begins with"),
    (description(FC | {"name": "[/b]"}), "a layer's name has letters, digits, _ and ., begins with"),
    (description(FC | {"name": "f" * 61}), "a layer's name has letters, digits, _ and ., begins with"),
    (description(FC, FC), "two layers are named f"),
    (description(FC, CONV), "all convolutions must come before all fc layers"),
    (description(*[CONV | {"name": f"c{n}", "kernel": 1} for n in range(9)], FC), "there may be 8 conv layers, not 9"),
    (description(*[FC | {"name": f"f{n}"} for n in range(5)]), "there may be 4 fc layers, not 5"),
    (description(*[FC | {"name": f"f{n}"} for n in range(13)]), "there may be 12 layers, not 13"),
    (description(CONV | {"kernel": 8}, FC), "c: kernel must be 1 to 7, not 8"),
    (description(CONV | {"stride": 3}, FC), "c: stride must be 1 to 2, not 3"),
    (description(CONV | {"padding": 5}, FC), "c: padding must be 0 to 4, not 5"),
    (description(CONV | {"padding": [1, 2]}, FC), "c: padding must be one number or [top, left, bottom, right]"),
    (description(CONV | {"padding": "same"}, FC), "c: padding must be a list"),
    (description(CONV | {"fill": 128}, FC), "c: fill must be -128 to 127, not 128"),
    (description(CONV | {"fill": [1, 2]}, FC), "c: fill must be one code, or one for each of 1 channels"),
    (description(CONV | {"groups": 2}, FC), "c: 2 groups do not divide its 1 input channels"),
    (description(CONV | {"groups": 0}, FC), "c: groups must be 1 to 256, not 0"),
    (description(CONV | {"outputs": 257}, FC), "c: outputs must be 1 to 256, not 257"),
    (description(FC | {"outputs": 4097}), "f: outputs must be 1 to 4096, not 4097"),
    (description(FC | {"outputs": 257}), "there must be 1 to 256 classes, not 257"),
    (description(CONV | {"then": "relu"}, FC), "c: then must be a list"),
    (description(CONV | {"then": ["tanh"]}, FC), 'c: then has "relu", "table", {"max": k} and {"average": k}'),
    (description(CONV | {"then": ["table", "table"]}, FC), "c: then has at most one table"),
    (description(CONV | {"then": ["relu"] * 9}, FC), "c: then has at most 8 steps, not 9"),
    (description(CONV | {"then": [{"max": 2}] * 2}, FC), "c: then has at most one pool, and none in an fc layer"),
    (description(FC | {"then": [{"max": 2}]}), "f: then has at most one pool, and none in an fc layer"),
    (description(CONV | {"then": [{"max": 2, "stride": 3}]}, FC), "c: stride of a pool of 2 must be 1 to 2, not 3"),
    (description(CONV | {"then": [{"max": 0}]}, FC), "c: size of a pool must be 1 to 128, not 0"),
    (description(CONV | {"then": [{"max": 2, "pad": 1}]}, FC), "c: a pool has an unknown key 'pad'; there is"),
    (description(CONV | {"then": [{"max": 9}]}, FC), "c: a pool has a size of 1 to 8, or takes the whole map of 24x24"),
    (description(CONV, size=(1, 4, 4)), "c: nothing is left of its maps; a kernel of 5 does not fit in 4x4"),
    (description(CONV | {"then": [{"max": 3}]}, size=(1, 6, 6)), "c: nothing is left of its maps; a pool of 3 does"),
    (description(CONV), "c is the last layer: its maps must be 1x1, not 24x24; pool them or add an fc layer"),
    (description(FC, size=(16, 128, 128)), "f has 262,144 inputs; there may be 16,384"),
    (description(*[FC | {"name": f"f{n}", "outputs": 2000} for n in range(3)], FC), "the weights take 9,"),
    (description(FC | {"outputs": 10**400}), "f: outputs must be 1 to 4096, not 1000"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[said[:40] for _, said in WRONG])
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}") as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_description_that_does_not_fit_its_arrays(tmp_path) -> None:
    network = parse(description(CONV | {"then": ["table"]}, FC))
    arrays = {"network": np.array(describe(network)), **Checkpoint.random(network, 1).arrays}
    for name, array, said in (
        ("c.weight", np.zeros((3, 1, 5, 5), np.int8), "c: outputs is 2, but its weights have 3"),
        ("c.weight", np.zeros((2, 1, 3, 3), np.int8), "c: kernel is 5, but its weights have 3"),
        ("c.weight", np.zeros((2, 3, 5, 5), np.int8), "c.weight must be int8 (2, 1, 5, 5), not int8 (2, 3, 5, 5)"),
        ("c.weight", np.zeros((), np.int8), "c.weight must be int8 (2, 1, 5, 5), not int8 ()"),
        ("c.table", np.zeros(255, np.int8), "c.table must be int8 (256,), not int8 (255,)"),
        ("c.table", None, "array c.table is missing"),
        ("d.weight", np.zeros(1, np.int8), "array d.weight does not belong to the network; remove it"),
        ("network", np.array(7), "network must be a text, a 0-d array of unicode, not int64 ()"),
        ("network", np.array(["x"]), "network must be a text, a 0-d array of unicode, not <U1 (1,)"),
        ("network", np.array("x"), "a network's description must be JSON: "),
    ):
        changed = {key: value for key, value in (arrays | {name: array}).items() if value is not None}
        np.savez(tmp_path / "wrong.npz", **changed)
        with pytest.raises(UserError, match=re.escape(said)) as caught:
            load_checkpoint(tmp_path / "wrong.npz")
        assert str(caught.value).startswith(str(tmp_path))


LENET_5 = description(
    {"name": "c1", "kind": "conv", "outputs": 6, "kernel": 5, "then": ["table", {"average": 2}]},
    {"name": "c3", "kind": "conv", "outputs": 16, "kernel": 5, "then": ["table", {"average": 2}]},
    {"name": "c5", "kind": "conv", "outputs": 120, "kernel": 5, "then": ["table"]},
    {"name": "f6", "kind": "fc", "outputs": 84, "then": ["table"]},
    {"name": "output", "kind": "fc", "outputs": 10},
    size=(1, 32, 32),
)


def test_images_of_28_are_put_in_the_middle_of_larger_ones(tmp_path) -> None:
    """LeCun's LeNet-5 takes 32x32; MNIST has 28x28."""
    checkpoint = Checkpoint.random(parse(LENET_5), 3)
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (20, 28, 28), np.uint8)
    logits = predict(checkpoint, np.pad(images, ((0, 0), (2, 2), (2, 2))))
    dataset = Dataset("drawn", images, logits.argmax(1).astype(np.uint8))
    assert evaluate(checkpoint, dataset).errors == 0
    save_checkpoint(tmp_path / "lenet5.npz", checkpoint)
    network = load(tmp_path / "lenet5.npz")
    assert repr(network) == "<Network 1x32x32, c1 6x14x14, c3 16x5x5, c5 120x1x1, f6 84, output 10, lenet5.npz>"
    with pytest.raises(UserError, match=r"^images must be uint8 \(N, 32, 32\), not uint8 \(20, 28, 28\)$"):
        network.predict(images)


def test_every_channel_gets_the_same() -> None:
    checkpoint = Checkpoint.random(parse(description(CONV, FC, size=(3, 28, 29))), 3)
    images = np.random.default_rng(3).integers(0, 256, (5, 28, 28), np.uint8)
    logits = predict(checkpoint, np.repeat(np.pad(images, ((0, 0), (0, 0), (0, 1)))[:, None], 3, axis=1))
    dataset = Dataset("drawn", images, logits.argmax(1).astype(np.uint8))
    assert evaluate(checkpoint, dataset).errors == 0


def test_images_that_are_too_large() -> None:
    checkpoint = Checkpoint.random(parse(description(FC, size=(1, 20, 28))), 3)
    dataset = Dataset("drawn", np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8))
    with pytest.raises(UserError, match=r"^the network takes images of 20x28, but these have 28x28; give a set that"):
        evaluate(checkpoint, dataset)


def test_sizes_follow_from_the_layers() -> None:
    network = parse(LENET_5)
    assert isinstance(network, Network)
    assert network.outputs["c3"] == (16, 5, 5)
    assert network.layers[0].pool == Pool("average", 2, 2)
    assert sum(map(prod, network.arrays.values())) == 61_706 + 4 * 256  # LeCun's C3 has fewer connections
