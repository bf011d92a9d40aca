"""Keras files as steps: every layer against Keras's semantics, and what is refused."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
import pytest

from fivebyfive.model.readers.keras import hdf5, hdf5_child, keras_reader
from fivebyfive.model.readers.keras.keras_reader import read_keras
from fivebyfive.model.readers.steps import Activation, Affine, Convolution, Dense, Flatten, Pooling, Steps, Unsupported
from fivebyfive.support.errors import UserError

from .keras_files import Spec, config, forward, h5_file, keras_file, named, weights_file, zipped
from .run_steps import run

RANDOM = np.random.default_rng(17)


def some(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


def conv(inputs: int, outputs: int, kernel: tuple[int, int] = (3, 3), **more: Any) -> Spec:
    arrays = {"kernel": some(*kernel, inputs // more.get("groups", 1), outputs)}
    arrays |= {"bias": some(outputs)} if more.get("use_bias", True) else {}
    return Spec("Conv2D", {"filters": outputs, "kernel_size": list(kernel), **more}, arrays)


def dense(inputs: int, outputs: int, **more: Any) -> Spec:
    return Spec("Dense", {"units": outputs, **more}, {"kernel": some(inputs, outputs), "bias": some(outputs)})


def pool(kind: str, size: int = 2, **more: Any) -> Spec:
    return Spec(f"{kind}Pooling2D", {"pool_size": [size, size], **more})


def batch_norm(channels: int, **more: Any) -> Spec:
    arrays = {"gamma": some(channels)} if more.get("scale", True) else {}
    arrays |= {"beta": some(channels)} if more.get("center", True) else {}
    arrays |= {"moving_mean": some(channels), "moving_variance": abs(some(channels)) + 0.1}
    return Spec("BatchNormalization", {"axis": [3] if more.pop("old", False) else -1, **more}, arrays)


def depthwise(inputs: int, multiplier: int, **more: Any) -> Spec:
    arrays = {"depthwise_kernel": some(3, 3, inputs, multiplier), "bias": some(inputs * multiplier)}
    return Spec("DepthwiseConv2D", {"kernel_size": [3, 3], "depth_multiplier": multiplier, **more}, arrays)


def separable(inputs: int, outputs: int, **more: Any) -> Spec:
    arrays = {"depthwise_kernel": some(3, 3, inputs, 2), "pointwise_kernel": some(1, 1, 2 * inputs, outputs)}
    arrays["bias"] = some(outputs)
    given = {"kernel_size": [3, 3], "depth_multiplier": 2, "filters": outputs, **more}
    return Spec("SeparableConv2D", given, arrays)


FLATTEN = Spec("Flatten", {"data_format": "channels_last"})
LENET = [
    conv(1, 4, (5, 5), padding="same", activation="tanh"), pool("Average"), conv(4, 6, (5, 5)), pool("Max"), FLATTEN,
    Spec("Dropout", {"rate": 0.5}), dense(150, 12, activation="relu"), dense(12, 10, activation="softmax"),
]  # fmt: skip
CHAINS: dict[str, tuple[tuple[int, ...], list[Spec]]] = {
    "lenet": ((28, 28, 1), LENET),
    "same, stride 2, odd maps": (
        (9, 11, 2),
        [conv(2, 3, padding="same", strides=[2, 2], use_bias=False, activation="leaky_relu"),
         conv(3, 4, (2, 4), padding="same", strides=[2, 1], groups=1), pool("Max", 3, padding="same", strides=[2, 2]),
         FLATTEN],
    ),
    "same pooling": (
        (7, 7, 3),
        [pool("Average", 2, padding="same"), pool("Average", 3, padding="same", strides=[1, 1]), FLATTEN, dense(48, 3)],
    ),
    "groups": ((6, 6, 4), [conv(4, 6, groups=2), Spec("GlobalAveragePooling2D"), dense(6, 5)]),
    "depthwise": (
        (10, 10, 3),
        [depthwise(3, 2, strides=[2, 2], padding="same", activation="elu"), separable(6, 5, padding="same"),
         Spec("GlobalMaxPooling2D", {"keepdims": True}), FLATTEN, dense(5, 4, activation="sigmoid")],
    ),
    "normalized": (
        (8, 8, 2),
        [Spec("Rescaling", {"scale": 0.0039, "offset": [0.1, -0.2]}),
         Spec("Normalization", {"axis": [-1]}, {"mean": some(2), "variance": abs(some(2)), "count": np.int64(4)}),
         conv(2, 3), batch_norm(3, old=True), Spec("ReLU", {"max_value": 6.0}), FLATTEN, batch_norm(108, scale=False),
         dense(108, 3)],
    ),
    "activations": (
        (6, 6, 1),
        [Spec("Activation", {"activation": "gelu"}), Spec("LeakyReLU", {"negative_slope": 0.2}),
         conv(1, 2, activation="silu"), Spec("ELU", {"alpha": 0.7}), Spec("ReLU", {"negative_slope": 0.1}),
         Spec("ZeroPadding2D", {"padding": [[1, 0], [2, 1]]}), Spec("SpatialDropout2D", {"rate": 0.1}),
         batch_norm(2, center=False), conv(2, 2, activation="hard_sigmoid"), FLATTEN, Spec("Softmax", {"axis": -1})],
    ),
    "dense over channels": ((4, 4, 3), [dense(3, 5, activation="relu"), FLATTEN, dense(80, 2)]),
}  # fmt: skip


@pytest.fixture
def here(monkeypatch) -> None:
    """HDF5 read in this process: quick, and counted in coverage."""

    def answered(file: BinaryIO, output: BinaryIO) -> str:
        size = file.seek(0, 2)
        file.seek(0)
        hdf5_child.answer(file, output, size)
        return ""

    monkeypatch.setattr(keras_reader, "read_hdf5", lambda path, file: hdf5.judged(path, answered, file))


def read(folder: Path, data: bytes, name: str = "model.keras") -> Steps:
    path = folder / name
    path.write_bytes(data)
    return read_keras(path)


def compare(steps: Steps, shape: tuple[int, ...], specs: list[Spec], keras: int = 3) -> None:
    images = RANDOM.uniform(0, 1, (3, *shape))
    wanted = forward(specs, images, keras)
    rank = len(shape)
    seen = run(steps, images.transpose(0, 3, 1, 2) if rank == 3 else images.reshape(3, *steps.input))
    np.testing.assert_allclose(seen, wanted, rtol=0, atol=1e-9 * max(1, abs(wanted).max()))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("form", ["keras", "keras, functional", "h5 of 3", "h5 of 2", "h5 of 2, functional"])
@pytest.mark.parametrize("name", CHAINS)
def test_a_network_computes_what_keras_would(tmp_path: Path, name: str, form: str) -> None:
    shape, specs = CHAINS[name]
    keras = 2 if "of 2" in form else 3
    functional = "functional" in form
    if form.startswith("keras"):
        steps = read(tmp_path, keras_file(specs, shape, functional))
    else:
        steps = read(tmp_path, h5_file(specs, shape, keras, functional), "model.h5")
    assert steps.input == (shape[2], *shape[:2])
    compare(steps, shape, specs, keras)


def test_the_same_by_the_child(tmp_path: Path) -> None:
    for data in (keras_file(LENET, (28, 28, 1), compress_type=zipfile.ZIP_DEFLATED), h5_file(LENET, (28, 28, 1))):
        steps = read(tmp_path, data, "of any suffix")
        compare(steps, (28, 28, 1), LENET)
        assert steps.remarks == ("Dropout left out", "Softmax at the end left out")


@pytest.mark.usefixtures("here")
def test_the_arrays_of_a_network(tmp_path: Path) -> None:
    first, _, second, _, _, _, third, fourth = LENET
    steps = read(tmp_path, keras_file(LENET, (28, 28, 1))).steps
    kinds = [type(step) for step in steps]
    assert kinds == [Convolution, Activation, Pooling, Convolution, Pooling, Flatten, Dense, Activation, Dense]
    assert steps[0].name == "conv2d_0"
    assert steps[0].padding == (2, 2, 2, 2)
    assert steps[0].weight.dtype == np.float64
    for step, spec in ((steps[0], first), (steps[3], second)):
        np.testing.assert_array_equal(step.weight, spec.arrays["kernel"].transpose(3, 2, 0, 1))
        np.testing.assert_array_equal(step.bias, spec.arrays["bias"])
    for step, spec in ((steps[6], third), (steps[8], fourth)):
        np.testing.assert_array_equal(step.weight, spec.arrays["kernel"].T)
    assert steps[2] == Pooling("average", (2, 2), (2, 2), counts_padding=False)
    assert steps[5] == Flatten((1, 2, 0))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("shape", "specs", "wanted"),
    [
        ((28, 28), [Spec("Reshape", {"target_shape": [28, 28, 1]}), conv(1, 2), FLATTEN, dense(1352, 3)], (1, 28, 28)),
        ((784,), [Spec("Reshape", {"target_shape": [28, 28, 1]}), conv(1, 2), FLATTEN, dense(1352, 3)], (1, 28, 28)),
        ((28, 28, 1), [Spec("Reshape", {"target_shape": [-1]}), dense(784, 3)], (1, 28, 28)),
        ((28, 28), [Spec("Rescaling", {"scale": 0.5}), FLATTEN, dense(784, 3)], (1, 28, 28)),
        ((784,), [Spec("Normalization", {"axis": None, "mean": 0.1, "variance": 0.3}), dense(784, 3)], (1, 28, 28)),
    ],
)  # fmt: skip
def test_inputs_of_other_shapes(tmp_path: Path, shape, specs, wanted) -> None:
    steps = read(tmp_path, keras_file(specs, shape))
    assert steps.input == wanted
    compare(steps, shape, specs)


@pytest.mark.usefixtures("here")
def test_channels_first(tmp_path: Path) -> None:
    """Maps as they are; Flatten moves the channels behind only where its own format says so."""
    for form, order in (("channels_last", (0, 1, 2)), ("channels_first", (1, 2, 0))):
        specs = [
            conv(2, 3, data_format="channels_first"), pool("Max", data_format="channels_first"),
            Spec("BatchNormalization", {"axis": 1}, batch_norm(3).arrays), Spec("Flatten", {"data_format": form}),
        ]  # fmt: skip
        steps = read(tmp_path, keras_file(specs, (2, 8, 6)))
        assert steps.input == (2, 8, 6)
        assert [step for step in steps.steps if isinstance(step, Flatten)] == [Flatten(order)]
        assert next(step for step in steps.steps if isinstance(step, Affine)).scale.shape == (3,)
        wanted = forward([Spec(one.kind, one.config, one.arrays) for one in specs[:3]],
                         images := RANDOM.uniform(0, 1, (2, 8, 6, 2)))  # fmt: skip
        wanted = (wanted if form == "channels_first" else wanted.transpose(0, 3, 1, 2)).reshape(2, -1)
        np.testing.assert_allclose(run(steps, images.transpose(0, 3, 1, 2)), wanted, atol=1e-9)


@pytest.mark.usefixtures("here")
def test_models_inside_a_model_and_older_layouts(tmp_path: Path) -> None:
    """A model is one of the layers; Keras 2.12 called the folder otherwise, with Windows' separator on Windows."""
    inner, outer = named([conv(1, 2), batch_norm(2)]), dense(72, 3)
    whole = config(named([FLATTEN, outer]), (8, 8, 1), 3)
    whole["config"]["layers"].insert(1, config(inner, (8, 8, 1), 3))
    compared = [*inner, FLATTEN, outer]

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file, h5py.File(io.BytesIO(weights_file(inner)), "r") as first:
        first.copy("layers", file.create_group("layers/sequential"))
        for number, array in enumerate(outer.arrays.values()):
            file[f"layers/dense/vars/{number}"] = array
    compare(read(tmp_path, zipped(json.dumps(whole), weights.getvalue())), (8, 8, 1), compared)

    legacy = io.BytesIO()
    with h5py.File(legacy, "w") as file:
        file.attrs["model_config"] = json.dumps(whole)
        for group, layers in (("net", inner), ("dense_1", [Spec("Dense", {}, outer.arrays, "dense_1")])):
            names = [f"{one.name}/{role}:0" for one in layers for role in one.arrays]
            for name, array in zip(names, (a for one in layers for a in one.arrays.values()), strict=True):
                file[f"model_weights/{group}/{name}"] = array
            file[f"model_weights/{group}"].attrs["weight_names"] = [name.encode() for name in names]
    compare(read(tmp_path, legacy.getvalue()), (8, 8, 1), compared)

    plain = json.dumps(config(named(LENET), (28, 28, 1), 3))
    old = weights_file(named(LENET), "_layer_checkpoint_dependencies")
    compare(read(tmp_path, zipped(plain, old)), (28, 28, 1), LENET)
    windows = io.BytesIO()
    with h5py.File(windows, "w") as file, h5py.File(io.BytesIO(old), "r") as first:
        for name, group in first["_layer_checkpoint_dependencies"].items():
            first.copy(group, file, f"_layer_checkpoint_dependencies\\{name}")
    compare(read(tmp_path, zipped(plain, windows.getvalue())), (28, 28, 1), LENET)


@pytest.mark.usefixtures("here")
def test_halves(tmp_path: Path) -> None:
    """float16, and bfloat16 as Keras keeps it: two opaque bytes."""
    layer = dense(4, 3)
    model = json.dumps(config(named([layer]), (4,), 3))
    upper = (layer.arrays["kernel"].view(np.uint32) >> 16).astype(np.uint16)
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file["layers/dense/vars/0"] = upper.view("V2")
        file["layers/dense/vars/0"].attrs["dtype"] = "bfloat16"
        file["layers/dense/vars/1"] = layer.arrays["bias"].astype(np.float16)
    step = read(tmp_path, zipped(model, weights.getvalue())).steps[-1]
    np.testing.assert_array_equal(step.weight, (upper.astype(np.uint32) << 16).view(np.float32).T)
    np.testing.assert_array_equal(step.bias, layer.arrays["bias"].astype(np.float16))


def changed(specs: list[Spec], shape: tuple[int, ...], change: Callable[[dict], object]) -> bytes:
    """A .keras file whose configuration is not what its layers make."""
    model = config(named(specs), shape, 3)
    change(model)
    return zipped(json.dumps(model), weights_file(named(specs)))


def layer_as(number: int, **values: Any) -> Callable[[dict], object]:
    return lambda model: model["config"]["layers"][number].update(values)


def set_in(number: int, **values: Any) -> Callable[[dict], object]:
    return lambda model: model["config"]["layers"][number]["config"].update(values)


LAMBDA = {"class_name": "Lambda", "config": {"name": "lambda", "function": {"class_name": "__lambda__", "config": {}}}}
OWN = {"module": "my.code", "class_name": "function", "config": "relu", "registered_name": "relu"}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["config"]["layers"].insert(1, LAMBDA), r"layer lambda is a Lambda, Python code .* never run"),
        (layer_as(2, class_name="Conv2DTranspose"), "is of class Conv2DTranspose, which cannot be read"),
        (layer_as(2, module="my.layers"), "is of class AveragePooling2D, which cannot be read"),
        (layer_as(1, registered_name="mine>Conv2D"), "is of class Conv2D, which cannot be read"),
        (lambda m: m.update(class_name="MyModel"), "the model is of class MyModel"),
        (set_in(1, activation="mish"), r"layer conv2d_0 \(Conv2D\) has the activation mish"),
        (set_in(1, activation=OWN), "has a function of its own, relu"),
        (set_in(1, dilation_rate=[2, 2]), "has dilated kernels"),
        (set_in(1, kernel_size=[5, -5]), "has kernel_size"),
        (set_in(1, padding="causal"), "has padding causal; valid or same can be read"),
        (set_in(1, filters=5), r"has kernel of shape \[5, 5, 1, 4\], and the network needs \[5, 5, 1, 5\]"),
        (set_in(1, data_format="channels_first"), r"several data formats: \['channels_first', 'channels_last'\]"),
        (set_in(1, dtype={"class_name": "QuantizedDTypePolicy", "config": {"name": "int8_from_float32"}}),
         "computes in int8_from_float32; save the float network"),
        (set_in(3, kernel_size=[5, 5], strides="\x1b[2J\n"), r"has strides \\x1b\[2J\\n, not one or two"),
        (set_in(7, activation="softmax"), "is a softmax in front of others"),
        (set_in(0, batch_shape=[None, None, None, 1]), "an image of fixed size can be read"),
        (set_in(0, batch_shape=[None, 4, 4, 1]), "has a window of 5x5, larger than its map of 2x2"),
        (lambda m: m["config"].update(layers=[]), "has no list of layers"),
        (lambda m: m["config"]["layers"].append(7), "the configuration holds 7, not a layer of Keras"),
        (set_in(5, name="x" * 500, data_format="channels_middle"), r"layer x{57}\.\.\. \(Flatten\) has data_format"),
    ],
)  # fmt: skip
def test_networks_that_are_refused(tmp_path: Path, change: Callable[[dict], object], said: str) -> None:
    with pytest.raises(Unsupported, match=said) as refused:
        read(tmp_path, changed(LENET, (28, 28, 1), change))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 250


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["layers"][3].update(inbound_nodes=c["layers"][3]["inbound_nodes"] * 2), "used more than once"),
        (lambda c: c["layers"][3]["inbound_nodes"][0]["kwargs"].update(training=True), "called with training=True"),
        (lambda c: c["layers"][3].update(inbound_nodes=c["layers"][2]["inbound_nodes"]), "lies beside it"),
        (lambda c: c["layers"][1].update(inbound_nodes=c["layers"][4]["inbound_nodes"]), "go in a circle"),
        (lambda c: c.update(output_layers=[["a", 0, 0], ["b", 0, 0]]), "more than one output"),
        (lambda c: c["layers"][2].update(name="in"), "have the same name"),
    ],
)
def test_graphs_that_are_no_chain(tmp_path: Path, change: Callable[[dict], object], said: str) -> None:
    model = config(named(LENET), (28, 28, 1), 3, functional=True)
    change(model["config"])
    with pytest.raises(Unsupported, match=said):
        read(tmp_path, zipped(json.dumps(model), weights_file(named(LENET))))


# files that lie


def hostile(write: Callable[[h5py.Group], object]) -> bytes:
    """A good network, but for what ``write`` makes of its kernel's group."""
    weights = io.BytesIO(weights_file(named(LENET)))
    with h5py.File(weights, "r+") as file:
        del file["layers/conv2d/vars/0"]
        write(file["layers/conv2d/vars"])
    return zipped(json.dumps(config(named(LENET), (28, 28, 1), 3)), weights.getvalue())


def virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((5, 5, 1, 4), "f4")
    layout[...] = h5py.VirtualSource("/etc/other.h5", "data", (5, 5, 1, 4))
    group.create_virtual_dataset("0", layout)


LIES = {
    "external link": (lambda g: g.__setitem__("0", h5py.ExternalLink("other.h5", "/x")), "a link that may lead"),
    "soft link": (lambda g: g.__setitem__("0", h5py.SoftLink("/layers/conv2d_1/vars/0")), "a link that may lead"),
    "circle": (lambda g: g.__setitem__("0", g.parent), "too many groups, or too deep ones"),
    "external storage": (
        lambda g: g.create_dataset("0", (5, 5, 1, 4), "f4", external=[("/etc/passwd", 0, 400)]), "external storage"),
    "virtual": (virtual, "a virtual dataset"),
    "huge": (lambda g: g.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(64, 64)), "declares more than"),
    "null": (lambda g: g.__setitem__("0", h5py.Empty("f4")), "which is no array"),
    "type": (lambda g: g.__setitem__("0", np.dtype("f4")), "which is no array"),
}  # fmt: skip
ODD = {
    "missing": (lambda g: None, "has no kernel in the file; save the whole model"),
    "integers": (lambda g: g.__setitem__("0", np.ones((5, 5, 1, 4), np.int8)), "weights of type int8, not floats"),
    "texts": (lambda g: g.__setitem__("0", ["a"]), "weights of type object"),
    "not finite": (lambda g: g.__setitem__("0", np.full((5, 5, 1, 4), np.nan)), "not finite"),
    "too large": (lambda g: g.__setitem__("0", np.full((5, 5, 1, 4), 1e20)), "holds a value of 1e"),
    "another name": (lambda g: g.attrs.__setitem__("name", "conv9"), "layer conv2d_0 are those of conv9"),
}  # fmt: skip


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("write", "said"), LIES.values(), ids=LIES)
def test_weights_that_lead_elsewhere_or_nowhere(tmp_path: Path, write, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(tmp_path, hostile(write))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("write", "said"), ODD.values(), ids=ODD)
def test_weights_of_no_use(tmp_path: Path, write, said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        read(tmp_path, hostile(write))


def test_a_link_is_refused_by_the_child(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a link that may lead elsewhere"):
        read(tmp_path, hostile(LIES["external link"][0]))


@pytest.mark.usefixtures("here")
def test_files_that_are_none(tmp_path: Path) -> None:
    good, legacy = keras_file(LENET, (28, 28, 1)), h5_file(LENET, (28, 28, 1))
    whole = json.dumps(config(named(LENET), (28, 28, 1), 3))
    cases = {
        b"": "is not a Keras file",
        b"\x80\x02}q\x00.": "is not a Keras file",
        good[:5000]: "is damaged or not a Keras file",
        legacy[:3000]: "is damaged or not HDF5",
        weights_file(named(LENET)): "holds weights and no network; save the whole model",
        zipped("{", weights_file([])): "its configuration is no JSON",
        zipped("[" * 100_000, weights_file([])): "its configuration is no JSON",
        zipped(whole, b"\0" * (1 << 20), compress_type=zipfile.ZIP_LZMA): "packed in a way that Keras does not use",
        zipped(whole, b"not HDF5"): "is damaged or not HDF5",
    }  # fmt: skip
    for data, said in cases.items():
        with pytest.raises(UserError, match=said) as refused:
            read(tmp_path, data)
        assert "\n" not in str(refused.value)
    with zipfile.ZipFile(tmp_path / "none.keras", "w") as archive:
        archive.writestr("config.json", whole)
    with pytest.raises(UserError, match=r"has no metadata\.json"):
        read_keras(tmp_path / "none.keras")
    with pytest.raises(UserError, match="cannot read model"):
        read_keras(tmp_path / "nowhere.keras")


@pytest.mark.usefixtures("here")
def test_a_part_that_unpacks_to_more(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(keras_reader, "MAX_BYTES", 100_000)
    data = zipped("{}", b"\0" * (1 << 20), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match=r"unpacks to more than 100000 bytes of model\.weights\.h5"):
        read(tmp_path, data)


def test_a_child_that_does_not_answer(tmp_path: Path, monkeypatch) -> None:
    """A damaged file may crash the library, or keep it busy."""
    path = tmp_path / "model.h5"
    path.write_bytes(h5_file(LENET, (28, 28, 1)))
    bodies = {
        "import os; os.abort()": "its reader ended with -6",
        "import time; time.sleep(60)": "took more than 0.3 seconds",
        "print('{}')": "its reader was cut short",
        'print(\'{"attributes": {}, "arrays": [{"path": "a", "shape": [-1], "floats": "<f4"}]}\')': "cut short",
        'print(\'{"refused": "says\\\\n\\\\u001b[2J this"}\')': r"model.h5 says\\n\\x1b\[2J this",
    }
    for body, said in bodies.items():
        child = tmp_path / "child.py"
        child.write_text(body)
        monkeypatch.setattr(hdf5, "CHILD", child)
        monkeypatch.setattr(hdf5, "LIMIT_S", 0.3 if "sleep" in body else 60)
        with pytest.raises(UserError, match=said):
            read_keras(path)


def test_without_h5py(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(hdf5.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs h5py \(5 MB to download, 17 MB installed\); .*fivebyfive\[keras\]"):
        read(tmp_path, h5_file(LENET, (28, 28, 1)), "a.h5")


def test_the_child_can_open_no_file(tmp_path: Path) -> None:
    """Even if HDF5 followed a link: the limits of its process forbid it."""
    shutil.copy(hdf5.CHILD, tmp_path / "child.py")
    text = (tmp_path / "child.py").read_text().replace("    source = sys.stdin.buffer\n", "    open('/etc/hostname')\n")
    (tmp_path / "child.py").write_text(text)
    done = subprocess.run([sys.executable, tmp_path / "child.py"], capture_output=True, text=True, check=False)
    assert "Too many open files" in done.stderr
