"""Checkpoints of TensorFlow: their variables become the same layers as those of a state_dict, and files that break a
rule of the format are refused in one line."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.readers.execution import run
from fivebyfive.model.readers.float_errors import Scaling
from fivebyfive.model.readers.folding import fold
from fivebyfive.model.readers.state_dict.candidates import Candidate
from fivebyfive.model.readers.state_dict.options import ReadingOptions
from fivebyfive.model.readers.state_dict.preparation import Preparation
from fivebyfive.model.readers.state_dict.reading import Ambiguous, Finder, find_reading
from fivebyfive.model.readers.state_dict.scoring import Scorer
from fivebyfive.model.readers.state_dict.weights import read_weights
from fivebyfive.model.readers.steps import Steps, Unsupported
from fivebyfive.model.readers.tensorflow import bundle
from fivebyfive.model.readers.tensorflow.crc32c import crc32c
from fivebyfive.model.readers.tensorflow.table import MAX_ENTRIES, MAX_FIELDS, Damaged, Message, read_table
from fivebyfive.support.errors import UserError

from .tensorflow_files import (
    DTYPES,
    GRAPH,
    VALUE,
    Files,
    block,
    checkpoint,
    entry,
    field,
    header,
    plain_crc,
    table,
    variables_of,
    varint,
    with_slots,
)

RNG = np.random.default_rng(11)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.25, shape).astype(np.float32)


SHAPES = ((5, 5, 1, 6), (6,)), ((5, 5, 6, 16), (16,)), ((256, 20), (20,)), ((20, 10), (10,))
LENET = [floats(*shape) for both in SHAPES for shape in both]  # weights and biases in turn
SMALL = {"c/kernel": floats(2, 2, 1, 1), "f/bias": floats(2), "f/kernel": floats(1, 2)}


def named(*names: str) -> dict[str, np.ndarray]:
    """The layers of `LENET` under names, a weight in front of its bias."""
    return dict(zip(names, LENET, strict=True))


def read(tmp_path: Path, variables: dict, **how: int):
    return read_weights(checkpoint(variables, **how).write(tmp_path / "model.ckpt"))


def refused(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def is_lenet(layers) -> bool:
    """Whether layers have the weights of `LENET`, with PyTorch's axes."""
    wanted = [array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T for array in LENET]
    seen = [array for one in layers for array in (one.weight, one.bias)]
    return len(seen) == len(wanted) and all(map(np.array_equal, seen, wanted))


# the format


def test_check_sums() -> None:
    known = {b"": 0, b"a": 0xC1D04330, b"123456789": 0xE3069283, bytes(32): 0x8A9136AA, b"\xff" * 32: 0x62A8AB43}
    assert {data: crc32c(data) for data in known} == known
    for size in (3, 500, 4095, 4096, 4097, 4607, 4608, 4609, 9000):
        data = RNG.bytes(size)
        assert crc32c(data) == plain_crc(data)


def test_prefixes_restarts_and_blocks() -> None:
    pairs = {f"layer_{n // 40}/weights_{n:03d}".encode(): b"x" * (n % 7) for n in range(120)}
    for size in (1, 50, 700, 1 << 18):
        data = table(pairs, size)
        assert read_table(data) == pairs
    assert len(data) < sum(len(key) for key in pairs) + 120 * 4  # prefixes are left out


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_types_of_floats(tmp_path: Path, dtype: str) -> None:
    tensors = {name: torch.from_numpy(array).to(getattr(torch, dtype)) for name, array in SMALL.items()}
    conv, dense = read(tmp_path, tensors)
    assert np.array_equal(conv.weight, tensors["c/kernel"].permute(3, 2, 0, 1).double())
    assert np.array_equal(dense.weight, tensors["f/kernel"].T.double())
    assert np.array_equal(dense.bias, tensors["f/bias"].double())


@pytest.mark.parametrize("dtype", sorted(set(DTYPES) - {"float32", "float64", "float16", "bfloat16"}))
def test_other_types(tmp_path: Path, dtype: str) -> None:
    made = SMALL | {"f/kernel": np.ones((1, 2), dtype)}
    refused(lambda: read(tmp_path, made), "f.weight is torch.", "not a float")


def test_several_files_of_data(tmp_path: Path) -> None:
    variables = named(*(f"{name}/{part}" for name in "abcd" for part in ("kernel", "bias")))
    assert is_lenet(read(tmp_path, variables, shards=3, block_size=90))
    (tmp_path / "model.ckpt.data-00001-of-00003").unlink()
    refused(lambda: read_weights(tmp_path / "model.ckpt"), "cannot read checkpoint's .data file", "data-00001-of-00003")


def test_paths_that_lead_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint(named("W1", "b1", "W2", "b2", "W3", "b3", "W4", "b4")).write(tmp_path / "model.ckpt-3")
    (tmp_path / "model.ckpt-3.meta").write_bytes(b"graph")
    for end in ("", ".index", ".meta", ".data-00000-of-00001"):
        assert is_lenet(read_weights(tmp_path / f"model.ckpt-3{end}"))
    monkeypatch.chdir(tmp_path)
    assert is_lenet(read_weights(Path("model.ckpt-3")))
    (tmp_path / "model.ckpt-3.index").rename("moved")
    for end in (".data-00000-of-00001", ".index"):
        refused(lambda end=end: read_weights(tmp_path / f"model.ckpt-3{end}"), "cannot read", "model.ckpt-3.index")


def test_a_state_dict_under_such_a_suffix(tmp_path: Path) -> None:
    for name in ("a.index", "a.meta"):
        torch.save({"f.weight": torch.ones(2, 3)}, tmp_path / name)
        assert read_weights(tmp_path / name)[0].weight.shape == (2, 3)
        (tmp_path / name).unlink()


# names


PARTS = "kernel", "bias"
NAMES = {
    "tf.layers": [f"{name}/{part}" for name in ("conv2d", "conv2d_1", "dense", "dense_1") for part in PARTS],
    "slim": [f"LeNet/{name}/{part}" for name in ("conv1", "conv2", "fc3", "fc4") for part in ("weights", "biases")],
    "letters in front": [f"{part}_{name}" for name in ("conv1", "conv2", "fc1", "fc2") for part in "Wb"],
    "letters": [f"{part}{name}" for name in ("c1", "c2", "d1", "d2") for part in "wb"],
    "letters behind": [f"{name}_{part}" for name in ("conv1", "conv2", "fc1", "fc2") for part in "Wb"],
    "rooms": [f"{part}/{name}" for name in ("c1", "c2", "f1", "out") for part in ("weights", "biases")],
    "scopes": [f"{name}/Variable{end}" for name in ("layer1", "layer2", "layer3", "layer4") for end in ("", "_1")],
    "unnamed": ["Variable", *(f"Variable_{n}" for n in range(1, 8))],
    "unnamed, weights first": [f"Variable_{n}".removesuffix("_0") for n in (0, 4, 1, 5, 2, 6, 3, 7)],
    "TensorFlow 2": [f"layer_with_weights-{n}/{part}{VALUE}" for n in range(4) for part in PARTS],
    "a model of TensorFlow 2": [f"model/{name}/{part}{VALUE}" for name in ("c1", "c2", "f1", "f2") for part in PARTS],
    "Keras 3": [f"_operations/{n}/{part}{VALUE}" for n in (1, 4, 10, 11) for part in ("_kernel", "bias")],
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_names(tmp_path: Path, case: str) -> None:
    variables = named(*NAMES[case])
    assert is_lenet(read(tmp_path, variables))
    assert is_lenet(read(tmp_path, with_slots(variables), block_size=200))


def test_what_training_needs_is_left_out(tmp_path: Path) -> None:
    variables = named(*NAMES["tf.layers"])
    kernel = LENET[0]
    for slot in ("Momentum", "RMSProp", "RMSProp_1", "Adagrad", "Ftrl_1", "ExponentialMovingAverage"):
        variables[f"conv2d/kernel/{slot}"] = kernel + 1
    variables |= {name: np.array(0.1, np.float32) for name in ("beta1_power_1", "train/beta2_power", "learning_rate")}
    variables |= {"global_step": np.array(3, np.int64), "Variable": np.array(3, np.int32)}
    assert is_lenet(read(tmp_path, variables))
    refused(lambda: read(tmp_path, variables | {"scale": np.array(0.1, np.float32)}), "scale, of shape ()")
    refused(lambda: read(tmp_path, variables | {"x/Adam": np.ones(7, np.float32)}), "x.Adam, of shape (7,)")
    moved = named(*(f"{name}/ExponentialMovingAverage" for name in NAMES["slim"]))
    assert is_lenet(read(tmp_path, moved))


def test_what_training_needs_is_left_out_of_tensorflow_2(tmp_path: Path) -> None:
    variables = named(*NAMES["TensorFlow 2"])
    first = NAMES["TensorFlow 2"][0].removesuffix(VALUE)
    more = {f"{first}/.OPTIMIZER_SLOT/optimizer/{slot}{VALUE}": LENET[0] for slot in "mv"}
    more |= {f"optimizer/_variables/{n}{VALUE}": np.ones(3, np.float32) for n in range(2)}
    more |= {f"optimizer/iter{VALUE}": np.array(1), f"save_counter{VALUE}": np.array(1)}
    more |= {f"opt/{name}{VALUE}": np.array(0.1, np.float32) for name in ("beta_1", "decay", "learning_rate")}
    more |= {f"keras_api/metrics/0/total{VALUE}": np.array(0.1, np.float32)}
    made = checkpoint(variables | more)
    pairs = read_table(made.index) | {GRAPH.encode(): entry(7, (), 0, 0, 9, 1)}
    Files(table(pairs), made.data).write(tmp_path / "model")
    assert is_lenet(read_weights(tmp_path / "model"))


def test_names_that_leave_biases_open(tmp_path: Path) -> None:
    """Two of one size that fit to both layers and have names that say nothing."""
    variables = {"x": floats(4, 3), "y": floats(3, 3), "p": floats(3), "q": floats(3)}
    refused(lambda: read(tmp_path, variables), "p, of shape (3,), does not belong to a layer")
    refused(
        lambda: read(tmp_path, {"c/W": floats(2, 2), "c/kernel": floats(2, 2)}), "c/kernel and c/W are both c.weight"
    )


def test_batch_norm(tmp_path: Path) -> None:
    """Its epsilon is 0.001, and it stands behind its layer, whatever the order of names."""
    values = {name: floats(4) for name in ("gamma", "beta", "moving_mean")} | {"moving_variance": np.abs(floats(4))}
    dense = {"conv1/weights": floats(3, 3, 1, 4), "conv2/weights": floats(3, 3, 4, 4), "fc/weights": floats(16, 3)}
    for scopes in (("conv1/BatchNorm", "conv2/BatchNorm"), ("batch_normalization", "batch_normalization_1")):
        norms = {f"{scope}/{name}": value + n for n, scope in enumerate(scopes) for name, value in values.items()}
        layers = read(tmp_path, dense | norms)
        for n, one in enumerate(layers[:2]):
            gamma, beta, mean, variance = (value.astype(np.float64) + n for value in values.values())
            assert one.norm is not None
            assert np.allclose(one.norm.scale, gamma / np.sqrt(variance + 1e-3))
            assert np.allclose(one.norm.shift, beta - mean * gamma / np.sqrt(variance + 1e-3))


def test_depthwise_kernels(tmp_path: Path) -> None:
    names = (
        "a/kernel",
        "b/depthwise_kernel",
        "b/pointwise_kernel",
        "b/bias",
        "c_depthwise/depthwise_weights",
        "d/kernel",
    )
    shapes = (3, 3, 1, 4), (3, 3, 4, 2), (1, 1, 8, 6), (6,), (3, 3, 6, 1), (6, 2)
    variables = {name: floats(*shape) for name, shape in zip(names, shapes, strict=True)}
    layers = read(tmp_path, variables)
    assert [(one.outputs, one.groups) for one in layers] == [(4, 1), (8, 4), (6, 1), (6, 6), (2, 1)]
    wide = variables["b/depthwise_kernel"]
    assert np.array_equal(layers[1].weight[5, 0], wide[:, :, 2, 1])  # output 5: of input 2, the second one
    assert np.array_equal(layers[2].bias, variables["b/bias"])


# what is computed


ONE = ReadingOptions(pool="max2", activation="relu", padding="0", input="1x28x28", mean=0.0, std=1.0)


def small_net(seed: int, *more: nn.Module) -> nn.Sequential:
    torch.manual_seed(seed)
    parts = nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    return nn.Sequential(*parts, nn.Linear(128, 12), nn.ReLU(), nn.Linear(12, 10)).eval()


def test_vectors_have_channels_last(tmp_path: Path) -> None:
    net = small_net(1)
    path = checkpoint(variables_of(net, (1, 28, 28))).write(tmp_path / "model.ckpt")
    network = find_reading(path, None, ONE).network
    images = RNG.normal(size=(3, 1, 28, 28))
    with torch.no_grad():
        wanted = net.double()(torch.from_numpy(images)).numpy()
    assert np.allclose(run(network, images), wanted, atol=1e-6)
    pooled = ["relu", {"max": 2}]
    description = {"input": [1, 28, 28], "layers": [
        {"name": name, "kind": "conv" if name in "ab" else "fc", "then": then}
        for name, then in zip("abcd", (pooled, pooled, ["relu"], []), strict=True)
    ]}  # fmt: skip
    described = find_reading(path, None, ReadingOptions(description=json.dumps(description)))
    assert np.allclose(run(described.network, images), wanted, atol=1e-6)


def same(x: torch.Tensor, size: int, stride: int, value: float = 0.0) -> torch.Tensor:
    """Maps padded as TensorFlow's SAME says."""
    need = [max(0, (-(-have // stride) - 1) * stride + size - have) for have in x.shape[2:]]
    return functional.pad(x, (need[1] // 2, need[1] - need[1] // 2, need[0] // 2, need[0] - need[0] // 2), value=value)


class Same(nn.Module):
    """Convolutions and pools with padding SAME: a convolution with stride, whose padding is 1 in front and 2 behind; a
    pool of odd maps."""

    def __init__(self, strided: bool) -> None:
        super().__init__()
        self.strided = strided
        sizes = (5, 5) if strided else (3, 3)
        self.convs = nn.ModuleList([nn.Conv2d(1, 6, sizes[0]), nn.Conv2d(6, 12, sizes[1])])
        self.dense = nn.Linear(12 * (49 if strided else 36), 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.convs:
            if self.strided:
                x = torch.relu(functional.conv2d(same(x, 5, 2), conv.weight, conv.bias, 2))
            else:
                x = functional.max_pool2d(same(torch.relu(conv(x)), 2, 2, -torch.inf), 2)
        return self.dense(x.flatten(1))

    def variables(self) -> dict[str, np.ndarray]:
        made = {}
        for number, conv in enumerate(self.convs):
            made |= {f"conv{number}/kernel": conv.weight.permute(2, 3, 1, 0), f"conv{number}/bias": conv.bias}
        rows = 7 if self.strided else 6
        dense = self.dense.weight.reshape(10, 12, rows, rows).permute(0, 2, 3, 1).reshape(10, -1)
        made |= {"dense/kernel": dense.T, "dense/bias": self.dense.bias}
        return {name: np.ascontiguousarray(value.detach().numpy()) for name, value in made.items()}


@pytest.mark.parametrize("strided", [True, False])
def test_padding_same_is_read_right_or_asked_about(tmp_path: Path, digits: Dataset, strided: bool) -> None:
    """Symmetric padding of the same sizes is the same network a pixel aside, which images hardly tell apart."""
    torch.manual_seed(0)
    net, rng = Same(strided), np.random.default_rng(2)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(250):
        chosen = rng.integers(2000, len(digits), 64)
        images = torch.from_numpy(digits.images[chosen, np.newaxis].astype(np.float32)) / 255
        loss = functional.cross_entropy(net(images), torch.from_numpy(digits.labels[chosen].astype(np.int64)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    few = Dataset(digits.name, digits.images[:1000], digits.labels[:1000])
    path = checkpoint(net.variables()).write(tmp_path / "model.ckpt")
    values = RNG.normal(size=(5, 1, 28, 28))
    with torch.no_grad():
        wanted = net.double()(torch.from_numpy(values)).numpy()
    try:
        found = find_reading(path, few)
        assert np.allclose(run(found.network, values), wanted, atol=1e-4)
    except Ambiguous as error:
        print(error)
    options = ReadingOptions(pool="none" if strided else "max2", activation="relu", input="1x28x28", mean=0.0, std=1.0)
    finder = Finder(path, read_weights(path), few, options, lambda *_: None)
    ways = [
        (geometry, steps) for geometry in finder.geometries() for functions in finder.functions(geometry)
        for steps in [finder.readings.steps(geometry, functions)]
    ]  # fmt: skip
    right = [np.allclose(run(Steps(geometry.input, steps), values), wanted, atol=1e-4) for geometry, steps in ways]
    assert sum(right) == 1
    geometry, steps = ways[right.index(True)]
    assert np.allclose(run(fold(Steps(geometry.input, steps)), values), wanted, atol=1e-4)


def test_pools_padded_as_same_score_as_they_compute(tmp_path: Path, digits: Dataset) -> None:
    """Both kinds, in the trial's float32."""
    few = Dataset(digits.name, digits.images[:3], digits.labels[:3])
    path = checkpoint(Same(False).variables()).write(tmp_path / "model.ckpt")
    finder = Finder(path, read_weights(path), few, ReadingOptions(input="1x28x28", padding="0"), lambda *_: None)
    scaling = Scaling(0.0, 1.0)
    ways = [
        Candidate(geometry, functions, Preparation(geometry.input), scaling) for geometry in finder.geometries()
        if any(any(spot.around) for spot in geometry.spots)
        for functions in finder.functions(geometry) if functions.conv in ("relu", "tanh")
    ]  # fmt: skip
    assert {one.functions.pool for one in ways} == {"max", "average"}
    scores = Scorer(finder.readings, few).scores(ways, 3)
    images = scaling.apply(few.images[:, np.newaxis])
    for one in ways:
        steps = Steps(one.geometry.input, finder.readings.steps(one.geometry, one.functions))
        assert np.allclose(scores[one], run(steps, images), rtol=1e-4, atol=1e-4)
        if one.functions.pool == "average":
            with pytest.raises(Unsupported, match="takes in windows that lie partly outside the map"):
                fold(steps)


# damage


def small_files() -> Files:
    return checkpoint(SMALL, block_size=60)


def test_each_byte_of_an_index(tmp_path: Path) -> None:
    """One changed byte gives the right layers, or a line."""
    files, path = small_files(), tmp_path / "model.ckpt"
    good = read_weights(files.write(path))
    outcomes = []
    for place in range(len(files.index)):
        for change in (1, 128, 255):
            broken = bytearray(files.index)
            broken[place] ^= change
            replace(files, index=bytes(broken)).write(path)
            try:
                layers = read_weights(path)
            except UserError as error:
                outcomes.append(str(error))
                continue
            assert all(np.array_equal(one.weight, other.weight) for one, other in zip(layers, good, strict=True))
            outcomes.append("")
    assert len(files.index) > 200
    assert not any("\n" in line for line in outcomes)
    assert outcomes.count("") < len(outcomes) / 4  # the metaindex and the padding of the footer


def test_each_byte_of_the_data(tmp_path: Path) -> None:
    files, path = small_files(), tmp_path / "model.ckpt"
    for place in range(len(files.data[0])):
        broken = bytearray(files.data[0])
        broken[place] ^= 1 << place % 8
        replace(files, data=(bytes(broken),)).write(path)
        refused(lambda: read_weights(path), "has another check-sum")


def test_cut_files(tmp_path: Path) -> None:
    files, path = small_files(), tmp_path / "model.ckpt"
    for size in range(len(files.index)):
        replace(files, index=files.index[:size]).write(path)
        refused(lambda: read_weights(path), "damaged or no checkpoint", "copy or save the checkpoint again")
    for size in range(len(files.data[0])):
        replace(files, data=(files.data[0][:size],)).write(path)
        refused(lambda: read_weights(path), "lies behind the file's end")


VALUES = floats(3, 2).tobytes()
GOOD = dict(dtype=1, shape=(3, 2), shard=0, offset=0, size=24, crc=0)
BAD_ENTRIES = {
    "behind the file": ({"offset": 1}, "lies behind the file's end, at 1"),
    "far behind the file": ({"offset": (1 << 62)}, "lies behind the file's end"),
    "below 0": ({"offset": (1 << 64) - 8}, "a number is missing or below 0"),
    "a size that does not fit": ({"size": 20}, "has 20 bytes for the shape (3, 2)"),
    "a huge shape": ({"shape": (1 << 40, 1 << 40)}, "there is room for 4,194,304 weights"),
    "a shape that overflows": ({"shape": (1 << 32, 1 << 32), "size": 0}, "there is room for 4,194,304 weights"),
    "no values": ({"shape": (0, 2), "size": 0}, "f/kernel, of shape (0, 2), has no values"),
    "a huge size": ({"shape": (0, 1 << 62), "size": 0}, "has no values"),
    "sizes that overflow": ({"shape": (0, 1 << 40, 1 << 40, 2), "size": 0}, "has no values"),
    "a size below 0": ({"shape": ((1 << 64) - 1, 2)}, "a number is missing or below 0"),
    "many axes": ({"shape": (1,) * 9}, "a variable has 9 axes"),
    "another file": ({"shard": 1}, "lies in a .data file that there is not"),
    "complex numbers": ({"dtype": 8}, "f/kernel is of TensorFlow's type 8"),
    "no type": ({"dtype": 0}, "f/kernel is of TensorFlow's type 0"),
    "another check-sum": ({"crc": 1}, "has another check-sum"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ENTRIES)
def test_entries_that_cannot_be(tmp_path: Path, case: str) -> None:
    changes, said = BAD_ENTRIES[case]
    index = table({b"": header(), b"f/kernel": entry(**GOOD | changes)})
    path = Files(index, (VALUES,)).write(tmp_path / "model.ckpt")
    refused(lambda: read_weights(path), said)


def slices() -> bytes:
    return entry(**GOOD) + field(7, field(1, b""))


BAD_TABLES = {
    "no header": ({b"f/kernel": entry(**GOOD)}, "it has no header"),
    "no files": ({b"": header(0)}, "there are 0 .data files"),
    "too many files": ({b"": header(1 << 40)}, ".data files"),
    "highest byte first": ({b"": header(endianness=1)}, "highest byte first"),
    "a newer version": ({b"": header(version=field(1, 3) + field(2, 2))}, "needs a newer reader"),
    "a partitioned variable": ({b"": header(), b"f/kernel": slices()}, "f/kernel is partitioned, of several slices"),
    "no rank": ({b"": header(), b"a": field(1, 1) + field(2, field(3, 1))}, "a variable has no rank"),
    "a number for a message": ({b"": header(), b"a": field(1, 1) + field(2, 7)}, "a number stands for a message"),
    "a message for a number": ({b"": header(), b"a": field(1, b"x")}, "a number is missing"),
    "a group": ({b"": header(), b"a": b"\x0b"}, "a field is of no known kind"),
    "a field that is too long": ({b"": header(), b"a": b"\x0a\x7f"}, "a field lies outside of its message"),
    "a number without end": ({b"": header(), b"a": b"\x08" + b"\xff" * 12}, "a number has no end"),
    "many fields": ({b"": header(), b"a": field(1, 1) * (MAX_FIELDS + 1)}, "a message has more than"),
    "names that are no text": ({b"": header(), b"\xff": b"", b"\xfe": b""}, "two variables have the same name"),
    "nothing": ({b"": header()}, "there is no layer"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TABLES)
def test_tables_that_cannot_be(tmp_path: Path, case: str) -> None:
    pairs, said = BAD_TABLES[case]
    path = Files(table(pairs), (VALUES,)).write(tmp_path / "model.ckpt")
    refused(lambda: read_weights(path), said)


def whole(content: bytes, compression: int = 0, offset: int = 0, size: int | None = None) -> bytes:
    """A table of one block, which the index may say lies elsewhere."""
    trailer = bytes([compression])
    crc = plain_crc(content + trailer)
    made = content + trailer + struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
    index = block([(b"z", varint(offset) + varint(len(content) if size is None else size))] * 2, 1)
    at, crc = len(made), plain_crc(index + b"\0")
    made += index + b"\0" + struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
    footer = varint(0) * 2 + varint(at) + varint(len(index))
    return made + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def restarted(entries: bytes, *restarts: int) -> bytes:
    return entries + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (whole(block([(b"a", b"")]), 1), "it is compressed"),
        (whole(block([(b"a", b"")]), offset=1 << 40), "a block lies outside of it"),
        (whole(block([(b"a", b"")]), size=1 << 63), "a block lies outside of it"),
        (whole(block([(b"a", b"")]), size=2), "a block lies outside of it"),
        (whole(block([])), "a block is empty"),
        (whole(block([(b"a", b"")])), "its blocks overlap"),  # the index has it twice
        (whole(block([(b"b", b""), (b"a", b"")], 1)), "its names are not in order"),
        (whole(restarted(b"\5\1\0a", 0)), "an entry lies outside of its block"),
        (whole(restarted(b"\0\x7f\0a", 0)), "an entry lies outside of its block"),
        (whole(restarted(b"\0\1\x7fa", 0)), "an entry lies outside of its block"),
        (whole(b"\xff" * 12 + struct.pack("<2I", 0, 1)), "a number has no end"),
        (whole(struct.pack("<II", 0, 1 << 31)), "no room for its restarts"),
        (whole(struct.pack("<I", 0)), "no room for its restarts"),
        (whole(restarted(b"\0" + varint(5000) + b"\0" + bytes(5000), 0)), "an entry lies outside of its block"),
        (b"x" * 40 + struct.pack("<Q", 0xDB4775248B80FB57), "a block lies outside of it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_blocks_that_cannot_be(data: bytes, said: str) -> None:
    with pytest.raises(Damaged, match=said):
        read_table(data)


def test_more_entries_than_there_may_be() -> None:
    names = {b"%06d" % n: b"" for n in range(MAX_ENTRIES + 1)}
    with pytest.raises(Damaged, match="more than 2,000 entries"):
        read_table(table(names))


def test_numbers_of_64_bits() -> None:
    assert Message(field(4, (1 << 62) + 5)).number(4) == (1 << 62) + 5
    assert Message(b"").number(4) == 0
    with pytest.raises(Damaged, match="below 0"):
        Message(b"\x20" + b"\xff" * 9 + b"\1").number(4)


def test_files_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small_files().write(tmp_path / "model.ckpt")
    monkeypatch.setattr(bundle, "MAX_INDEX", 100)
    refused(lambda: read_weights(path), "a checkpoint's index has at most 100")
