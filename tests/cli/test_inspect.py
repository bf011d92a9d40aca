"""inspect: what it reads of an ONNX file, in tables and as JSON, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.golden import predict
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weights import pack
from fivebyfive.support import optional

from .conftest import texts

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


def test_no_images_are_looked_at(answer, cli, small_onnx: Path) -> None:
    torch = pytest.importorskip("torch")
    report = answer("inspect", small_onnx, "--data", "none")
    assert (report["status"], report["images"]) == ("read", 0)
    assert [report[key] for key in ("data", "float_errors", "input")] == [None] * 3
    assert report["layers"][0]["range"]["values"] is None
    assert "no errors counted, as no image was looked at" in cli("inspect", small_onnx, "--data", "none").stdout
    torch.save({"c.weight": torch.ones(4, 1, 5, 5), "f.weight": torch.ones(10, 576)}, "net.pt")
    refused = cli("inspect", "net.pt", "--data", "none", code=2)
    assert "its layers can be read in" in refused.stderr
    assert not json.loads(cli("inspect", "net.pt", "--data", "none", "--json", code=2).stdout)["images"]
    said = ("--activation", "relu", "--pool", "max2", "--padding", 0, "--input", "1x28x28")
    assert answer("inspect", "net.pt", "--data", "none", *said)["float_errors"] is None


def test_a_network_that_is_quantized_already(answer, small_onnx: Path) -> None:
    model = onnx.load(str(small_onnx))
    arrays = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer} | {"codes": np.array(64.0)}
    down = [("Mul", ("codes",), {}), ("Floor", (), {}), ("Div", ("codes",), {})]
    nodes = list(down)
    for node in model.graph.node[:-1]:
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        nodes += [(node.op_type, node.input[1:], attributes), *(down if len(node.input) > 1 else [])]
    said = answer("inspect", save_onnx(Path("codes.onnx"), arrays, *nodes))["remarks"][-1]
    assert said == "Quantized already: quantize takes it over as it is, without training"
    said = answer("inspect", save_onnx(Path("codes.onnx"), arrays, *nodes[:3], *nodes[3:4], *nodes[7:]))["remarks"][-1]
    assert said == "Quantized already, but not so that quantize takes it over as it is: nothing rounds what conv1 gives"


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
    assert (report["machine"]["area"], report["machine"]["boards"]) == (None, None)
    assert report["remarks"][-1] == "no estimate of the area: the area model does not know tables, as in c"


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
    tensors = torch.load("checkpoint", weights_only=True)["net"]
    pixels = torch.tensor(load_dataset().images[:200] / 255, dtype=torch.float32).flatten(1)
    values = pixels @ tensors["a.0.weight"].T + tensors["a.0.bias"]
    assert np.isclose(report["layers"][0]["range"]["values"], float(values.abs().max()) / 2)
    report = answer("inspect", "checkpoint", code=2)
    assert (report["status"], report["images"]) == ("ambiguous", 5000)
    assert report["network"]["input"] == [1, 28, 28]
    assert report["layers"][0]["range"]["values"] is None
    error = cli("inspect", "checkpoint", code=2)
    assert error.stdout == ""
    assert "no reading is good on mnist-test" in error.stderr
    labels = list("ABCDEFGHIJ")
    Path("said.json").write_text(json.dumps(report["network"] | {"labels": labels}))
    assert answer("inspect", "checkpoint", "--network", "said.json")["network"]["labels"] == labels
    said = cli("inspect", "checkpoint", "--network", "said.json").stdout
    assert "read as: 28x28, fc 8" in said
    Path("said.json").write_text("{}")
    assert "must have the layers of the file" in cli("inspect", "checkpoint", "--network", "said.json", code=2).stderr
    assert "a pool is max or average" in cli("inspect", "checkpoint", "--pool", "most", code=2).stderr


def test_options_of_state_dicts_are_of_nothing_else(cli, small_onnx: Path) -> None:
    assert "only a state_dict takes --pool" in cli("inspect", small_onnx, "--pool", "max", code=2).stderr


CODES = ("--mean", 0, "--std", 128 / 255)  # pixel / 128: the hardware's own input


def test_numbers_against_the_range(answer, cli, small_onnx: Path) -> None:
    """Of weights exactly, in halves; of the first layer's values by NumPy; a larger pixel scale is in the weights."""
    arrays = load_checkpoint(NARROW).arrays
    report = answer("inspect", small_onnx, *CODES)
    ranges = [one["range"] for one in report["layers"]]
    names = [one["name"] for one in report["layers"]]
    largest = [max(np.abs(arrays[f"{name}.{kind}"].astype(int)).max() for kind in ("weight", "bias")) for name in names]
    assert [one["weights"] for one in ranges] == [code / 64 / 2 for code in largest]
    pixels = load_dataset("mnist", "test").images[:200] / 128
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (5, 5), axis=(1, 2))
    maps = np.einsum("nrckl,okl->norc", windows, arrays["conv1.weight"][:, 0] / 64)
    maps += arrays["conv1.bias"].reshape(-1, 1, 1) / 64
    assert np.isclose(ranges[0]["values"], np.abs(maps).max() / 2)
    assert f"{ranges[0]['values']:.3g} x 2" in cli("inspect", small_onnx, *CODES).stdout
    other = answer("inspect", small_onnx, "--mean", 0, "--std", 1)["layers"][0]["range"]  # of pixel / 255
    weight, bias = (np.abs(arrays[f"conv1.{kind}"].astype(int)).max() / 128 for kind in ("weight", "bias"))
    assert np.isclose(other["weights"], max(weight * 128 / 255, bias))


def test_what_the_machine_costs(answer, cli, small_onnx: Path) -> None:
    """As `measure --estimate` and the weight image have it, for a checkpoint that needs no engines of its own."""
    report = answer("inspect", small_onnx, *CODES)["machine"]
    plain = Checkpoint.random(load_checkpoint(NARROW).shape, seed=1)
    save_checkpoint(Path("plain.npz"), plain)
    image = pack(plain, sized(plain.network))
    assert report["weight_bytes"] == {"conv": image.conv.nbytes, "fc": image.fc.nbytes}
    for part, family in (("xc7z020", "xc7"), ("lfe5u-25f", "ecp5")):
        estimated, area = answer("measure", "plain.npz", "--estimate", "--part", part), report["area"][family]
        assert [area[name] for name in ("lut", "lutram", "ff", "dsp", "bram")] == [
            estimated[name] for name in ("lut", "lutram", "ff", "dsp", "bram")
        ]
        assert area["parts"] == estimated["fits_in"]
    assert ("arty-a7-100" in report["boards"]) == ("xc7a100t" in report["area"]["xc7"]["parts"])
    assert ("ulx3s-85f" in report["boards"]) == ("lfe5u-85f" in report["area"]["ecp5"]["parts"])
    said = cli("inspect", small_onnx, *CODES).stdout
    assert f"{report['area']['xc7']['bram']:g} RAMB36E1" in said
    assert f"Boards that have room: {', '.join(report['boards'])}\n" in said


def test_pictures(answer, cli, small_onnx: Path) -> None:
    """They say what the table says, and the same input gives the same bytes."""
    pytest.importorskip("matplotlib")
    words = ("inspect", small_onnx, *CODES, "--picture", "n.svg", "--plot", "p.svg")
    report = answer(*words)
    first = Path("n.svg").read_bytes(), Path("p.svg").read_bytes()
    drawn = texts(Path("n.svg"))
    assert {"input 1x28x28", "10, the scores", "gives 10", "conv1: conv 5x5"} <= drawn
    for one in report["layers"]:
        assert f"{one['parameters']:,} parameters, {one['macs']:,} MACs" in drawn
    drawn = texts(Path("p.svg"))
    for one in report["layers"]:
        assert "weights to {weights:.3g} x 2, values to {values:.3g} x 2".format(**one["range"]) in drawn
        assert one["name"] in drawn
    said = cli(*words).stdout
    assert said.endswith("picture of the network: n.svg\npicture of the ranges: p.svg\n")
    assert (Path("n.svg").read_bytes(), Path("p.svg").read_bytes()) == first


def test_pictures_without_images(answer) -> None:
    """The shipped images do not fit: weights alone; and a layer's name that is long."""
    pytest.importorskip("matplotlib")
    arrays = {"fc.weight": np.ones((3, 192)), "fc.bias": np.zeros(3)}
    save_onnx(Path("m.onnx"), arrays, FLATTEN, layer("Gemm", "fc", transB=1), shape=(1, 3, 8, 8))
    report = answer("inspect", "m.onnx", *CODES, "--picture", "n.png", "--plot", "p.svg")
    assert report["layers"][0]["range"] == {"weights": 0.5, "values": None}
    assert Path("n.png").read_bytes().startswith(b"\x89PNG")
    drawn = texts(Path("p.svg"))
    assert "weights to 0.5 x 2" in drawn
    assert "values before functions, on images" not in drawn


def test_pictures_that_cannot_be_drawn(refused, small_onnx: Path, monkeypatch) -> None:
    pytest.importorskip("matplotlib")
    for option in ("--picture", "--plot"):
        assert "n.pdf says no kind of picture" in refused("inspect", small_onnx, option, "n.pdf")
        assert "cannot write small.onnx/n.svg" in refused("inspect", small_onnx, option, "small.onnx/n.svg")
        Path("x.svg").write_bytes(b"")
        said = refused("inspect", small_onnx, option, "x.svg", "--images", "x.svg", "--check", "x.svg")
        assert said.endswith(f"(x.svg); name another place with {option}.")
    assert "name two files" in refused("inspect", small_onnx, "--picture", "n.svg", "--plot", "./n.svg")
    monkeypatch.setattr(optional.importlib, "import_module", lambda name: exec("raise ImportError"))
    assert "pip install 'fivebyfive[plot]'" in refused("inspect", small_onnx, "--plot", "n.svg")
