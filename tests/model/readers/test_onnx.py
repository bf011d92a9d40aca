"""ONNX graphs as exporters write them, against onnxruntime; and files that say something else than they should."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fivebyfive.model.network import Pool
from fivebyfive.model.readers.execution import run
from fivebyfive.model.readers.folding import fold
from fivebyfive.model.readers.onnx.onnx_reader import read_onnx
from fivebyfive.model.readers.steps import Activation, Unsupported
from fivebyfive.support.errors import UserError

QONNX = "qonnx.custom_op.general"


class Graph:
    """Builds a graph node by node; ``last`` is the name of what the last one made."""

    def __init__(self, opset: int = 17, shape: tuple = ("n", 1, 12, 12), seed: int = 1) -> None:
        self.opset, self.shape, self.last = opset, shape, "x"
        self.rng = np.random.default_rng(seed)
        self.nodes: list = []
        self.constants: list = []

    def array(self, values: object, kind: type = np.float32, name: str = "") -> str:
        name = name or f"w{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def op(self, operator: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes) -> str:
        """A node of ``inputs``, the last value where there are none."""
        names = [f"v{len(self.nodes)}.{number}" for number in range(outputs)]
        node = helper.make_node(
            operator, inputs or [self.last], names, f"/{operator}_{len(self.nodes)}", domain=domain, **attributes
        )
        self.nodes.append(node)
        self.last = names[0]
        return self.last

    def conv(self, outputs: int, inputs: int, *sizes: int, **attributes) -> str:
        weight = self.rng.normal(size=(outputs, inputs, *(sizes * 2)[:2])) / 4
        names = self.array(weight), self.array(self.rng.normal(size=outputs))
        return self.op("Conv", self.last, *names, **attributes)

    def gemm(self, outputs: int, inputs: int) -> str:
        weight = self.array(self.rng.normal(size=(outputs, inputs)) / inputs**0.5, name=f"fc{len(self.nodes)}.weight")
        return self.op("Gemm", self.last, weight, self.array(self.rng.normal(size=outputs)), transB=1)

    def scalar(self, operator: str, value: float, *, first: bool = True) -> str:
        constant, last = self.array(value), self.last
        return self.op(operator, *((last, constant) if first else (constant, last)))

    def model(self) -> onnx.ModelProto:
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)]
        outputs = [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def save(self, folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(self.model().SerializeToString())
        return path


def scores(graph: Graph, images: np.ndarray) -> np.ndarray:
    """What onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        graph.model().SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": images.astype(np.float32)})[0]


def agree(graph: Graph, folder: Path, wanted: np.ndarray | None = None) -> None:
    """Steps and layers compute what onnxruntime does."""
    steps = read_onnx(graph.save(folder))
    network = fold(steps)
    count = graph.shape[0] if isinstance(graph.shape[0], int) else 3
    images = np.random.default_rng(9).normal(size=(count, *graph.shape[1:]))
    wanted = scores(graph, images) if wanted is None else wanted
    if len(graph.shape) == 4 and graph.shape[1:] != steps.input:
        images = images.transpose(0, 3, 1, 2)
    for network_or_steps in (steps, network):
        made = run(network_or_steps, images.reshape(count, *steps.input))
        np.testing.assert_allclose(made, wanted.reshape(count, -1), atol=1e-4 * max(1, np.abs(wanted).max()))


def viewed(graph: Graph) -> None:
    """x.view(x.size(0), -1), as PyTorch exports it."""
    x = graph.last
    graph.op("Shape", x)
    graph.op("Gather", graph.last, graph.array(0, np.int64))
    if graph.opset >= 13:
        graph.op("Unsqueeze", graph.last, graph.array([0], np.int64))
    else:
        graph.op("Unsqueeze", graph.last, axes=[0])
    graph.op("Concat", graph.last, graph.array([-1], np.int64), axis=0)
    graph.op("Reshape", x, graph.last)


FUNCTIONS: dict[str, Callable[[Graph], object]] = {
    "Relu": lambda g: g.op("Relu"),
    "LeakyRelu": lambda g: g.op("LeakyRelu", alpha=0.2),
    "Clip": lambda g: g.op("Clip", g.last, g.array(-0.5), g.array(2.0)),
    "Tanh": lambda g: g.op("Tanh"),
    "Sigmoid": lambda g: g.op("Sigmoid"),
    "HardSwish": lambda g: g.op("HardSwish"),
    "HardSigmoid": lambda g: g.op("HardSigmoid", alpha=0.25),
    "Elu": lambda g: g.op("Elu", alpha=0.7),
    "Selu": lambda g: g.op("Selu"),
    "Softplus": lambda g: g.op("Softplus"),
    "PRelu": lambda g: g.op("PRelu", g.last, g.array([0.3])),
    "Min": lambda g: g.scalar("Min", 1.5),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str, tmp_path: Path) -> None:
    graph = Graph()
    graph.conv(4, 1, 3)
    FUNCTIONS[name](graph)
    viewed(graph)
    graph.gemm(3, 400)
    agree(graph, tmp_path)


def gelu(graph: Graph) -> None:
    """x * 0.5 * (1 + erf(x / sqrt(2)))."""
    x = graph.last
    graph.scalar("Div", 2**0.5)
    graph.op("Erf")
    inner = graph.scalar("Add", 1.0)
    graph.op("Mul", x, inner)
    graph.scalar("Mul", 0.5)


def gelu_tanh(graph: Graph) -> None:
    x = graph.last
    graph.scalar("Pow", 3.0)
    graph.scalar("Mul", 0.044715)
    graph.op("Add", x, graph.last)
    graph.scalar("Mul", (2 / np.pi) ** 0.5)
    graph.op("Tanh")
    inner = graph.scalar("Add", 1.0)
    graph.last = x
    graph.op("Mul", graph.scalar("Mul", 0.5), inner)


def silu(graph: Graph) -> None:
    graph.op("Mul", graph.last, graph.op("Sigmoid"))


def hard_swish(graph: Graph) -> None:
    x = graph.last
    graph.scalar("Add", 3.0)
    graph.op("Clip", graph.last, graph.array(0.0), graph.array(6.0))
    graph.op("Mul", x, graph.last)
    graph.scalar("Div", 6.0)


@pytest.mark.parametrize(
    ("write", "name"), [(gelu, "gelu"), (gelu_tanh, "gelu-tanh"), (silu, "swish"), (hard_swish, "hard-swish")]
)
def test_functions_that_are_spelt_out(write: Callable[[Graph], None], name: str, tmp_path: Path) -> None:
    graph = Graph()
    graph.conv(4, 1, 3)
    write(graph)
    viewed(graph)
    graph.gemm(3, 400)
    agree(graph, tmp_path)
    (functions,) = fold(read_onnx(tmp_path / "model.onnx")).functions.values()
    assert functions == (Activation(name),)


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 18, 21])
def test_a_lenet_of_every_opset(opset: int, tmp_path: Path) -> None:
    graph = Graph(opset)
    graph.scalar("Sub", 0.13)
    graph.scalar("Div", 0.3)
    graph.conv(4, 1, 5, pads=[2, 2, 2, 2])
    parameters = [graph.array(graph.rng.uniform(0.5, 2, 4)) for _ in range(4)]
    graph.op("BatchNormalization", graph.last, *parameters)
    graph.op("Relu")
    graph.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    graph.conv(6, 4, 3, auto_pad="SAME_UPPER", strides=[1, 1])
    graph.op("Tanh")
    graph.op("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    viewed(graph)
    graph.gemm(8, 54)
    graph.op("Relu")
    graph.op("Dropout")
    graph.op("MatMul", graph.last, graph.array(graph.rng.normal(size=(8, 3))))
    graph.op("Add", graph.last, graph.array(graph.rng.normal(size=3)))
    agree(graph, tmp_path)
    wanted = scores(graph, np.random.default_rng(9).normal(size=(3, 1, 12, 12)))
    graph.op("LogSoftmax", axis=-1) if opset >= 13 else graph.op("Softmax")
    agree(graph, tmp_path, wanted)
    if opset < 13:
        graph.op("Log")
        agree(graph, tmp_path, wanted)
    remarks = read_onnx(tmp_path / "model.onnx").remarks
    assert remarks == (
        "Dropout left out",
        "LogSoftmax at the end left out" if opset >= 13 else "Softmax at the end left out",
    )
    network = fold(read_onnx(tmp_path / "model.onnx"))
    assert network.network.layers[0].then == ("relu", Pool("max", 2, 2))
    assert network.scale == pytest.approx([1 / 0.3])


def test_channels_last_as_tf2onnx_writes_it(tmp_path: Path) -> None:
    graph = Graph(13, ("n", 12, 12, 3))
    graph.op("Transpose", perm=[0, 3, 1, 2])
    graph.conv(4, 3, 3, auto_pad="SAME_LOWER", strides=[2, 2])
    graph.op("Add", graph.last, graph.array(graph.rng.normal(size=(1, 4, 1, 1))))
    graph.op("Relu")
    graph.op("Transpose", perm=[0, 2, 3, 1])
    graph.op("Add", graph.last, graph.array(graph.rng.normal(size=4)))
    graph.op("Reshape", graph.last, graph.array([-1, 144], np.int64))
    graph.op("MatMul", graph.last, graph.array(graph.rng.normal(size=(144, 5))))
    agree(graph, tmp_path)


def test_images_as_vectors_and_whole_maps(tmp_path: Path) -> None:
    graph = Graph(17, (2, 144))
    graph.op("Reshape", graph.last, graph.array([-1, 1, 12, 12], np.int64))
    graph.conv(4, 1, 3, 1)
    graph.conv(4, 4, 1, 2, dilations=[1, 2])
    graph.op("GlobalAveragePool")
    graph.op("Squeeze", graph.last, graph.array([2, 3], np.int64))
    graph.gemm(3, 4)
    agree(graph, tmp_path)
    graph = Graph(18, (2, 12, 12))
    graph.op("Unsqueeze", graph.last, graph.array([1], np.int64))
    graph.op("Pad", graph.last, graph.array([0, 0, 1, 2, 0, 0, 1, 0], np.int64), graph.array(0.5))
    graph.conv(4, 1, 3, group=1)
    graph.op("ReduceMean", graph.last, graph.array([2, 3], np.int64), keepdims=0)
    graph.gemm(3, 4)
    agree(graph, tmp_path)
    graph = Graph(18, (2, 144))
    graph.gemm(3, 144)
    agree(graph, tmp_path)
    assert fold(read_onnx(tmp_path / "model.onnx")).network.input == (1, 12, 12)


def test_convolutions_of_some_channels_are_one(tmp_path: Path) -> None:
    """C3 of LeNet-5."""
    graph = Graph()
    c1 = graph.conv(4, 1, 3)
    parts = []
    graph.op("Split", c1, graph.array([1, 3], np.int64), axis=1, outputs=2)
    graph.last = graph.nodes[-1].output[1]
    graph.conv(2, 3, 3)
    parts.append(graph.op("Tanh"))
    graph.op("Gather", c1, graph.array([0, 3], np.int64), axis=1)
    graph.conv(2, 2, 3)
    parts.append(graph.op("Tanh"))
    first, third = (graph.op("Slice", c1, *(graph.array([n], np.int64) for n in (at, at + 1, 1))) for at in (0, 2))
    graph.op("Concat", first, third, axis=1)
    graph.conv(1, 2, 3)
    parts.append(graph.op("Tanh"))
    graph.op("Concat", *parts, axis=1)
    viewed(graph)
    graph.gemm(3, 320)
    agree(graph, tmp_path)
    assert [layer.outputs for layer in fold(read_onnx(tmp_path / "model.onnx")).network.layers] == [4, 5, 3]


def test_quantized_networks(tmp_path: Path) -> None:
    graph = Graph()
    weight = graph.array(graph.rng.integers(-128, 127, (4, 1, 3, 3)), np.int8)
    scale, zero = graph.array(graph.rng.uniform(0.01, 0.02, 4)), graph.array(np.zeros(4), np.int8)
    graph.op("DequantizeLinear", weight, scale, zero, axis=0)
    graph.op("Conv", "x", graph.last)
    graph.op("Relu")
    level = graph.array(0.0625), graph.array(3, np.uint8)
    graph.op("QuantizeLinear", graph.last, *level)
    graph.op("DequantizeLinear", graph.last, *level)
    viewed(graph)
    graph.gemm(3, 400)
    agree(graph, tmp_path)


def test_quantizers_of_qonnx(tmp_path: Path) -> None:
    graph = Graph()
    weight = graph.array(graph.rng.normal(size=(4, 1, 3, 3)))
    quant = {"domain": QONNX, "signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
    parameters = graph.array(0.25), graph.array(0.0), graph.array(3.0)
    graph.op("Quant", weight, *parameters, **quant)
    graph.op("Conv", "x", graph.last)
    graph.op("Quant", graph.last, *parameters, **(quant | {"signed": 0}))
    viewed(graph)
    flat = graph.last
    weight = graph.array(graph.rng.normal(size=(400, 3)))
    graph.op("MatMul", flat, graph.op("BipolarQuant", weight, graph.array(0.5), domain=QONNX))
    network = fold(read_onnx(graph.save(tmp_path)))
    assert set(np.unique(network.arrays["conv1.weight"])) <= set(range(-3, 4))  # times 4, the next quantizer's
    assert set(np.unique(network.arrays["fc1.weight"])) == {-0.125, 0.125}  # times 1 / 4
    images = np.random.default_rng(1).normal(size=(2, 1, 12, 12))
    np.testing.assert_allclose(run(network, images), run(read_onnx(tmp_path / "model.onnx"), images))
    assert [one.name for one in network.functions["conv1"]] == ["round", "clip"]


def with_external(location: str, folder: Path, **more: str) -> Path:
    """A network whose weights lie in another file."""
    graph = Graph()
    graph.op("Flatten")
    graph.gemm(3, 144)
    model = graph.model()
    tensor = model.graph.initializer[0]
    (folder / "weights.bin").write_bytes(b"skip" + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": "4", "length": str(3 * 144 * 4)} | more
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_file(tmp_path: Path) -> None:
    graph = Graph()
    graph.op("Flatten")
    graph.gemm(3, 144)
    images = np.random.default_rng(1).normal(size=(2, 1, 12, 12))
    np.testing.assert_allclose(
        run(read_onnx(with_external("weights.bin", tmp_path)), images), run(read_onnx(graph.save(tmp_path)), images)
    )


@pytest.mark.parametrize(
    ("location", "more", "said"),
    [
        ("../weights.bin", {}, "not in the model's folder"),
        ("/etc/passwd", {}, "not in the model's folder"),
        ("link", {}, "leads out of"),
        ("none", {}, "cannot read file of weights"),
        ("weights.bin", {"length": "9999999"}, "has 1728 bytes, not 9999999"),
        ("weights.bin", {"offset": "-1"}, "not in the model's folder"),
        ("weights.bin", {"offset": "400"}, "is damaged"),
    ],
)
def test_weights_elsewhere_are_not_read(location: str, more: dict, said: str, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(9999))
    (inner / "link").symlink_to(tmp_path / "weights.bin")
    path = with_external(location, inner, **more)
    with pytest.raises((Unsupported, UserError), match=said):
        read_onnx(path)


def refused(write: Callable[[Graph], object], opset: int = 17, shape: tuple = ("n", 1, 12, 12)) -> Graph:
    graph = Graph(opset, shape)
    write(graph)
    return graph


def residual(graph: Graph) -> None:
    x = graph.last
    graph.op("Add", x, graph.conv(1, 1, 3, pads=[1, 1, 1, 1]))


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (refused(lambda g: (g.op("GlobalAveragePool"), g.op("ReduceMean"))), "something else than whole maps"),
        (refused(lambda g: g.op("LRN", size=3)), "LRN /LRN_0: this operator is not supported"),
        (refused(lambda g: g.op("Relu", domain="com.example")), "the operator Relu of com.example"),
        (refused(residual), "Add /Add_1: two branches of the network meet here"),
        (refused(lambda g: g.op("Relu"), opset=6), "it has opset 6; opsets 7 to"),
        (refused(lambda g: g.conv(4, 1, 3), shape=("n", 1, "h", "w")), "does not say how large its images are"),
        (refused(lambda g: g.conv(4, 3, 3)), "its weights 4x3x3x3 do not fit 1 channels"),
        (refused(lambda g: (g.op("Flatten"), g.op("Softmax"), g.gemm(3, 144))), "behind a Softmax"),
        (refused(lambda g: g.op("Conv", g.last, g.last)), "its weights is not a constant"),
        (refused(lambda g: g.op("Conv", g.last, "nothing")), "nothing makes its input 'nothing'"),
        (refused(lambda g: g.op("Reshape", g.last, g.array([1, -1], np.int64))), "mixes images"),
        (refused(lambda g: g.op("Resize", g.last, "", g.array([1.0, 1, 2, 2]))), "this operator is not supported"),
        (refused(lambda g: g.op("ConstantOfShape", g.array([1 << 30], np.int64))), "0 inputs that its output needs"),
        (refused(lambda g: g.op("Add", g.last, g.op("ConstantOfShape", g.array([1 << 30], np.int64)))), "more than"),
        (refused(lambda g: (g.conv(2, 1, 3), g.op("Exp"), g.op("Flatten"))), "a function of each value"),
    ],
)  # fmt: skip
def test_what_is_not_read(graph: Graph, said: str, tmp_path: Path) -> None:
    with pytest.raises((Unsupported, UserError), match=said) as refusal:
        read_onnx(graph.save(tmp_path))
    assert "\n" not in str(refusal.value)


def test_damaged_files(tmp_path: Path) -> None:
    graph = Graph()
    graph.op("Flatten")
    graph.gemm(3, 144)
    data = graph.save(tmp_path).read_bytes()
    rng = np.random.default_rng(1)
    for number in range(100):
        damaged = bytearray(data if number % 2 else data[: rng.integers(len(data))])
        for place in rng.integers(0, min(len(damaged), 300), 3) if damaged else ():
            damaged[place] = rng.integers(256)
        (tmp_path / "damaged.onnx").write_bytes(damaged)
        said = ""
        try:
            fold(read_onnx(tmp_path / "damaged.onnx"))
        except (Unsupported, UserError) as error:
            said = str(error)
        assert "\n" not in said


def test_onnx_is_missing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UserError, match=r"36 MB.*pip install 'fivebyfive\[onnx\]'"):
        read_onnx(tmp_path / "model.onnx")
