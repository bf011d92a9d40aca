"""inspect: what it reads of an ONNX file, in tables and as JSON, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.golden import predict

NARROW = SHIPPED.parent / "narrow.npz"


def save_onnx(path: Path, arrays: dict[str, np.ndarray], *nodes: tuple, shape: tuple = ("n", 1, 28, 28)) -> Path:
    """A graph of nodes (operator, names of constants, attributes), one behind the other."""
    last, made = "x", []
    for number, (operator, constants, attributes) in enumerate(nodes):
        made.append(helper.make_node(operator, [last, *constants], [f"v{number}"], **attributes))
        last = f"v{number}"
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in (("x", shape), (last, None))
    ]
    tensors = [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in arrays.items()]
    graph = helper.make_graph(made, "g", values[:1], values[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), str(path))
    return path


def layer(operator: str, name: str, **attributes) -> tuple:
    return operator, (f"{name}.weight", f"{name}.bias"), attributes


POOL = ("MaxPool", (), {"kernel_shape": [2, 2], "strides": [2, 2]})
RELU, FLATTEN, SOFTMAX = ("Relu", (), {}), ("Flatten", (), {}), ("Softmax", (), {})


@pytest.fixture
def small_onnx() -> Path:
    """A shipped network's codes as floats, of pixels / 128."""
    arrays = {key: array / 64 for key, array in load_checkpoint(NARROW).arrays.items()}
    layers = [layer("Conv", "conv1"), POOL, RELU, layer("Conv", "conv2"), POOL, RELU, FLATTEN]
    dense = [key.removesuffix(".bias") for key in arrays if key.startswith("fc") and key.endswith(".bias")]
    for key in dense:
        layers += [layer("Gemm", key, transB=1), RELU]
    return save_onnx(Path("small.onnx"), arrays, *layers[:-1], SOFTMAX)


def test_a_network_is_read_as_what_it_is(answer, cli, small_onnx: Path) -> None:
    report = answer("inspect", small_onnx)
    shape = load_checkpoint(NARROW).network
    assert report["status"] == "read"
    assert [one["outputs"] for one in report["network"]["layers"]] == [one.outputs for one in shape.layers]
    assert report["network"]["layers"][0]["then"] == [{"max": 2}, "relu"]
    assert [one["macs"] for one in report["layers"]] == list(shape.macs.values())
    assert report["input"]["mean"] == 0
    assert report["images"] == 1000
    assert report["float_errors"] < 20
    assert report["machine"]["multipliers"] == {"conv": 25, "fc": 20}
    assert report["remarks"] == ["Softmax at the end left out"]
    said = cli("inspect", small_onnx).stdout
    assert f"In floats: {report['float_errors']} errors of 1,000 on mnist-test" in said
    assert f"{report['machine']['interval']:,} cycles an image" in said


def test_scores_that_the_owner_has(answer, cli, small_onnx: Path) -> None:
    pixels = load_dataset("mnist", "test").images[:20]
    np.save("x.npy", pixels / 128)
    codes = predict(load_checkpoint(NARROW), pixels)
    np.save("y.npy", codes / 64)  # floored at every layer: near, not equal
    words = ("inspect", small_onnx, "--mean", 0, "--std", 128 / 255, "--images", "x.npy", "--check", "y.npy")
    report = answer(*words, code=1)
    assert not report["check"]["equal"]
    assert report["check"]["difference"] < 1
    assert "DIFFERENT" in cli(*words, code=1).stdout


def test_scores_behind_softmax_of_images_in_any_order(answer) -> None:
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(3, 192))
    dense = layer("Gemm", "fc", transB=1)
    model = save_onnx(
        Path("m.onnx"), {"fc.weight": weight, "fc.bias": np.zeros(3)}, FLATTEN, dense, SOFTMAX, shape=(1, 3, 8, 8)
    )
    images = rng.normal(size=(5, 3, 8, 8)).astype(np.float32)
    scores = images.reshape(5, -1) @ weight.T
    softmax = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    for number, (x, y) in enumerate([(images, scores), (images.transpose(0, 2, 3, 1), softmax)]):
        np.save("x.npy", x)
        np.save("y.npy", y)
        report = answer("inspect", model, "--images", "x.npy", "--check", "y.npy")
        assert report["check"]["equal"]
        assert report["check"]["behind"] == ("", "Softmax")[number]
    assert report["images"] == 0  # the shipped ones do not fit
    assert report["float_errors"] is None


def test_functions_and_padding_behind_normalization_are_described(answer) -> None:
    arrays = {"c.weight": np.ones((4, 1, 5, 5)), "c.bias": np.ones(4), "fc.weight": np.ones((10, 784))}
    arrays |= {"fc.bias": np.zeros(10), "mean": np.array(0.1307), "std": np.array(0.3081)}
    layers = [layer("Conv", "c", pads=[2, 2, 2, 2]), ("Tanh", (), {}), POOL, FLATTEN, layer("Gemm", "fc", transB=1)]
    save_onnx(Path("m.onnx"), arrays, ("Sub", ("mean",), {}), ("Div", ("std",), {}), *layers)
    report = answer("inspect", "m.onnx", "--mean", 0, "--std", 1)
    first = report["network"]["layers"][0]
    assert first == {
        "name": "c", "kind": "conv", "outputs": 4, "kernel": 5, "padding": 2, "fill": 17,
        "then": [{"function": "tanh"}, {"max": 2}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["inspect", "none.onnx"], "No such file"),
        (["inspect", "text.onnx"], "text.onnx is damaged or not an ONNX file"),
        (["inspect", "text.pdf"], "text.pdf is damaged or not a PyTorch file, and has no suffix of .onnx"),
        (["inspect", "lrn.onnx"], "lrn.onnx: LRN v0: this operator is not supported"),
        (["inspect", "small.onnx", "--mean", "1"], "mean and std belong together"),
        (["inspect", "small.onnx", "--check", "text.pdf"], "--check and --images belong together"),
        (["inspect", "small.onnx", "--check", "text.pdf", "--images", "text.pdf"], "text.pdf is damaged or no"),
        (["inspect", "small.onnx", "--data", "nowhere"], "no data set called nowhere"),
    ],
)  # fmt: skip
def test_what_is_refused(cli, small_onnx: Path, words: list[str], said: str) -> None:
    Path("text.onnx").write_text("no network\n")
    Path("text.pdf").write_text("no network\n")
    save_onnx(Path("lrn.onnx"), {}, ("LRN", (), {"size": 3}))
    error = cli(*words, code=2).stderr
    assert said in error
    assert error.count("\n") == 1


def test_a_state_dict_is_read_by_what_is_said_of_it(answer, cli) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    sizes = {"a.0.weight": (8, 784), "a.0.bias": (8,), "a.2.weight": (10, 8)}
    torch.save({"net": {name: torch.randn(size) for name, size in sizes.items()}}, "checkpoint")
    report = answer("inspect", "checkpoint", "--activation", "tanh", "--mean", 0, "--std", 1)
    assert report["status"] == "read"
    assert report["network"]["layers"][0]["then"] == [{"function": "tanh"}]
    assert (report["images"], report["input"]) == (5000, {"mean": 0, "std": 1})
    assert report["float_errors"] > 3000  # they were never trained
    report = answer("inspect", "checkpoint", code=2)
    assert (report["status"], report["images"]) == ("ambiguous", 5000)
    assert report["network"]["input"] == [1, 28, 28]
    error = cli("inspect", "checkpoint", code=2)
    assert error.stdout == ""
    assert "no reading is good on mnist-test" in error.stderr
    Path("said.json").write_text(json.dumps(report["network"]))
    said = cli("inspect", "checkpoint", "--network", "said.json").stdout
    assert "read as: 28x28, fc 8" in said
    Path("said.json").write_text("{}")
    assert "must have the layers of the file" in cli("inspect", "checkpoint", "--network", "said.json", code=2).stderr
    assert "a pool is max or average" in cli("inspect", "checkpoint", "--pool", "most", code=2).stderr


def test_options_of_state_dicts_are_of_nothing_else(cli, small_onnx: Path) -> None:
    assert "only a state_dict takes --pool" in cli("inspect", small_onnx, "--pool", "max", code=2).stderr
