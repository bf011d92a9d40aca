"""PyTorch modules as steps: against the modules themselves, from Python and from .pt2 files, and what is refused."""

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fivebyfive.model.readers.pytorch.torch_graph import Graph, Node, Ref, steps_of
from fivebyfive.model.readers.pytorch.torch_reader import from_torch, graph_of, read_pt2
from fivebyfive.model.readers.steps import Activation, Affine, Convolution, Dense, Flatten, Pooling, Unsupported
from fivebyfive.support.errors import UserError

from .run_steps import run


class Written(nn.Module):
    """A module whose forward is a function of it."""

    def __init__(self, forward: Callable, **parts: nn.Module | torch.Tensor):
        super().__init__()
        for name, part in parts.items():
            self.register_buffer(name, part) if isinstance(part, torch.Tensor) else self.add_module(name, part)
        self.function = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)


def normed(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        nn.init.uniform_(values, 0.3, 2)
    return norm


def every_activation(module: Written, x: torch.Tensor) -> torch.Tensor:
    x = functional.leaky_relu(torch.tanh(module.c(x)), 0.3)
    x = functional.gelu(functional.gelu(x * 3, approximate="tanh") - 0.2)
    x = functional.hardswish(functional.hardtanh(x, -0.5, 0.8)) + 0.1
    x = functional.elu(functional.silu(x), 0.7).clamp(max=0.9)
    x = torch.sigmoid(functional.hardsigmoid(x)) - 1
    return functional.softplus(functional.selu(functional.relu6(-x))).view(x.shape[0], -1)


def nested() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 5, padding=2, bias=False), normed(3), nn.ReLU(inplace=True), nn.Dropout2d(), nn.AvgPool2d(2),
        nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding="valid"), nn.Tanh(), nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4 * 4 * 7, 10)), nn.LogSoftmax(1),
    )  # fmt: skip


def scaled(module: Written, x: torch.Tensor) -> torch.Tensor:
    x = (x - module.mean.view(1, 3, 1, 1)) / torch.tensor([0.2, 0.3, 0.4]).reshape(3, 1, 1)
    x = functional.pad(1 - x * 2, (1, 2, 0, 1), value=-1.0)
    x = functional.adaptive_avg_pool2d(module.c(x), 1)
    return torch.flatten(x, 1)


MODULES: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "nested": ((1, 28, 28), nested),
    "scaled": (
        (3, 9, 8), lambda: Written(scaled, c=nn.Conv2d(3, 6, 3, padding="same", groups=3), mean=torch.rand(3))),
    "activations": ((2, 6, 6), lambda: Written(every_activation, c=nn.Conv2d(2, 3, 3))),
    "pools": (
        (2, 12, 12),
        lambda: nn.Sequential(nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AvgPool2d(2, 2, 1),
                              nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 3))),
    "vectors": (
        (28, 28), lambda: Written(lambda m, x: m.f(functional.relu(m.e(x.view(-1, 784)))), e=nn.Linear(784, 12),
                                  f=nn.Linear(12, 10))),
    "unsqueezed": (
        (8, 8), lambda: Written(lambda m, x: m.c(x.unsqueeze(1).float() / 255).mean((2, 3)), c=nn.Conv2d(1, 4, 3))),
    "products": (
        (4, 1, 1), lambda: Written(lambda m, x: torch.addmm(m.b, x.squeeze(3).squeeze(2), m.w) @ m.w, b=torch.rand(4),
                                   w=torch.rand(4, 4))),
}  # fmt: skip


def module_of(name: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(17)
    shape, make = MODULES[name]
    return make().eval(), torch.rand(3, *shape)


def exported(module: nn.Module, example: torch.Tensor, **options) -> torch.export.ExportedProgram:
    with warnings.catch_warnings(action="ignore"):
        return torch.export.export(module, (example,), **options)


def pt2(program: torch.export.ExportedProgram, path: Path) -> Path:
    with warnings.catch_warnings(action="ignore"):
        torch.export.save(program, path)
    return path


def agrees(steps, module: nn.Module, images: torch.Tensor) -> None:
    """Scores within 1e-4 of the module's; before a softmax, as that is left out."""
    with torch.no_grad():
        wanted = module(images).numpy()
    seen = run(steps, images.reshape(len(images), *steps.input).numpy())
    if steps.remarks and "Softmax at the end left out" in steps.remarks:
        seen = torch.log_softmax(torch.tensor(seen), 1).numpy()
    np.testing.assert_allclose(seen, wanted, rtol=0, atol=1e-4 * max(1, abs(wanted).max()))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_and_its_file_compute_the_same(name: str, tmp_path: Path) -> None:
    module, images = module_of(name)
    program = exported(module, images)
    steps = steps_of(graph_of(program))
    agrees(steps, module, images)
    again = read_pt2(pt2(program, tmp_path / "model.pt2"))
    assert [type(step) for step in again.steps] == [type(step) for step in steps.steps]
    agrees(again, module, images)


def test_the_steps_of_a_module() -> None:
    module = nested().train()
    steps = from_torch(module, np.zeros((1, 1, 28, 28)))
    assert module.training  # as it was
    assert module[3].training
    kinds = [Convolution, Affine, Activation, Pooling, Convolution, Activation, Pooling, Flatten, Dense]
    assert [type(step) for step in steps.steps] == kinds
    assert steps.input == (1, 28, 28)
    assert steps.steps[0].name == "0"
    assert steps.steps[0].bias is None
    assert steps.steps[8].name == "8.2"
    np.testing.assert_array_equal(steps.steps[8].weight, module[8][2].weight.detach())
    assert steps.steps[6] == Pooling("max", (3, 3), (2, 2), (1, 1, 1, 1), ceil=True)
    assert steps.remarks == ("Dropout left out", "Softmax at the end left out")


def test_any_number_of_images(tmp_path: Path) -> None:
    """The batch is a symbol in the file."""
    torch.manual_seed(1)
    module = Written(lambda m, x: m.f(m.c(x).view(x.size(0), -1)), c=nn.Conv2d(1, 2, 3), f=nn.Linear(72, 4)).eval()
    images = torch.rand(3, 1, 8, 8)
    program = exported(module, images, dynamic_shapes=({0: torch.export.Dim("batch")},))
    agrees(read_pt2(pt2(program, tmp_path / "model.pt2")), module, images)


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda m, x: m.c(x) + x, "joins two layers; the layers must be a chain"),
        (lambda m, x: functional.interpolate(x, (4, 4)), "is an operator that no layer can be made of"),
        (lambda m, x: functional.softmax(m.c(x).flatten(1), 1) * 2, "is a softmax in front of other layers"),
        (lambda m, x: x.permute(0, 2, 3, 1), "permute.default .* no layer"),
        (lambda m, x: (m.c(x), x), "1 inputs and 2 outputs"),
        (lambda m, x: 1 / x, "is an operator that no layer|divides by values"),
        (lambda m, x: functional.pad(x, (1, 1, 1, 1), mode="reflect"), "pads by reflect"),
        (lambda m, x: m.c(x).reshape(-1, 18), r"stay apart"),
    ],
)
def test_modules_that_are_refused(forward: Callable, said: str) -> None:
    module = Written(forward, c=nn.Conv2d(1, 1, 3, padding=1))
    with pytest.raises(Unsupported, match=said) as refused:
        from_torch(module, torch.rand(2, 1, 6, 6))
    assert "\n" not in str(refused.value)


def test_a_module_that_cannot_be_followed(capfd) -> None:
    module = Written(lambda m, x: x if x.sum() > 0 else -x)
    with pytest.raises(UserError, match=r"torch\.export cannot follow the module .*torch\.onnx\.export") as refused:
        from_torch(module, torch.rand(1, 1, 6, 6))
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="cannot follow the module"):
        from_torch(nn.Sequential(nn.Flatten(), nn.Linear(7, 3)), torch.rand(1, 1, 6, 6))
    assert capfd.readouterr() == ("", "")  # PyTorch logs tracebacks


CONV = {"input": Ref("x"), "weight": Ref("w")}


@pytest.mark.parametrize(
    ("target", "arguments", "said"),
    [
        ("aten.conv2d.default", {**CONV, "dilation": [2, 2]}, "dilated"),
        ("aten.conv2d.default", {**CONV, "stride": [1, "a"]}, "has stride"),
        ("aten.conv2d.default", {**CONV, "groups": 2}, "in 2 groups"),
        ("aten.conv2d.default", {**CONV, "weight": Ref("nothing")}, "no constant of the module"),
        ("aten.conv2d.default", {**CONV, "weight": Ref("v")}, r"of shape \[2\], which does not fit"),
        ("aten.conv2d.default", {**CONV, "padding": "same", "stride": [2, 2]}, "padding same and a stride"),
        ("aten.relu.default", {"self": Ref("x"), "turned": 3}, "has turned=3, which cannot be read"),
        ("aten.batch_norm.default", {"input": Ref("x"), "training": True}, r"module\.eval"),
        ("aten.dropout.default", {"input": Ref("x"), "train": True}, r"module\.eval"),
        ("aten.max_pool2d.default", {"self": Ref("x"), "kernel_size": [9, 9]}, "a window of 9"),
        ("aten.adaptive_avg_pool2d.default", {"self": Ref("x"), "output_size": [4, 4]}, "windows of several sizes"),
        ("aten.linear.default", {"input": Ref("x"), "weight": Ref("u")}, "not a vector"),
        ("aten.div.Tensor", {"self": Ref("x"), "other": 0}, "divides by zero"),
        ("aten.mul.Tensor", {"self": Ref("x"), "other": Ref("v")}, r"constant of shape \[2\]"),
        ("aten.mul.Tensor", {"self": Ref("x")}, "has no other"),
        ("aten.view.default", {"self": Ref("x"), "size": [1, 2, 3, 6]}, "only an input can be reshaped so"),
        ("aten.to.dtype", {"self": Ref("x"), "dtype": -1}, "another type"),
        ("aten.arange.default", {"end": 3}, "computes with weights"),
    ],
)
def test_operators_with_arguments_of_no_use(target: str, arguments: dict, said: str) -> None:
    constants = {"w": np.ones((2, 1, 3, 3)), "v": np.ones(2), "u": np.ones((2, 6))}
    graph = Graph("x", (1, 1, 6, 6), "y", (Node(target, arguments, "y"),), constants)
    with pytest.raises(Unsupported, match=said):
        steps_of(graph)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)).eval()
    return pt2(exported(module, torch.rand(1, 1, 8, 8)), tmp_path_factory.mktemp("pt2") / "good.pt2").read_bytes()


def altered(data: bytes, **parts: bytes | Callable[[dict], object] | None) -> bytes:
    """A .pt2 file with parts replaced, changed or left out; keys with __ for / and . for the rest."""
    whole = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(whole, "w") as new:
        for name in old.namelist():
            key = name.partition("/")[2].replace("/", "__").removesuffix(".json")
            change, content = parts.get(key, b"keep"), old.read(name)
            if callable(change):
                change(tree := json.loads(content))
                content = json.dumps(tree).encode()
            elif change != b"keep":
                content = change
            if content is not None:
                new.writestr(name, content)
    return whole.getvalue()


def meta(**values) -> Callable[[dict], object]:
    return lambda table: next(iter(table["config"].values()))["tensor_meta"].update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"models__model": None}, "keeps its weights as pickles, which are never loaded; export it"),
        ({"byteorder": b"big"}, "in another order"),
        ({"models__model": b"{"}, r"is damaged or not a \.pt2 file \(JSONDecodeError\)"),
        ({"models__model": b"[" * 100_000}, "RecursionError"),
        ({"data__weights__weight_0": b"1234"}, "has fewer values than it says"),
        ({"data__weights__weight_0": None}, "has no data/weights/weight_0"),
        ({"data__weights__model_weights_config": meta(strides=[{"as_int": 1 << 30}] * 4)}, "fewer values"),
        ({"data__weights__model_weights_config": meta(sizes=[{"as_int": -1}] * 4)}, "ValueError"),
        ({"data__weights__model_weights_config": lambda t: t["config"]["0.weight"].update(use_pickle=True)},
         "as a pickle, which is never loaded"),
    ],
)  # fmt: skip
def test_files_that_are_damaged(good: bytes, tmp_path: Path, change: dict, said: str) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(altered(good, **change))
    with pytest.raises(UserError, match=said) as refused:
        read_pt2(path)
    assert "\n" not in str(refused.value)


def test_files_that_are_none(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    for data in (b"", b"PK\x03\x04", good[:3000]):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"is damaged or not a \.pt2 file") as refused:
            read_pt2(path)
        assert "\n" not in str(refused.value)
