"""Somebody's own float LeNet, in both file formats, and everything that is not one."""

import json
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.readers.float_errors import Scaling
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.state_dict.options import ReadingOptions
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.training.quantize import quantize as run_quantize
from fivebyfive.model.training.quantize import read_model
from fivebyfive.model.training.stage import QuantizeConfig
from fivebyfive.model.training.train import Result
from fivebyfive.support.errors import UserError

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from fivebyfive.model.readers.state_dict import tensors  # noqa: E402
from fivebyfive.model.training import calibration, lenet, loop  # noqa: E402

SHAPE = LeNetShape(4, 6, (20, 10))
QUICK = QuantizeConfig(epochs=1, threads=1, warp=0.0)
MEAN, STD = 0.1307, 0.3081
LENET = ReadingOptions(
    pool="max2", activation="relu", padding="0"
)  # the one reading of such tensors as the brief's form


@pytest.fixture(scope="module")
def trained(few_digits):
    """A plain float training, as anyone might do it: normalized pixels, Adam, no care for any range."""
    net = lenet.LeNet(SHAPE, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    x = (torch.from_numpy(few_digits.images.copy())[:, None] / 255 - MEAN) / STD
    y = torch.from_numpy(few_digits.labels.astype("int64"))
    for _ in range(12):
        for start in range(0, 400, 50):
            loss = torch.nn.functional.cross_entropy(net(x[start : start + 50])[0], y[start : start + 50])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    return tensors, int((net(x)[0].argmax(1) != y).sum())


@pytest.fixture
def good(trained):
    return dict(trained[0])


def saved(path, tensors):
    if path.suffix == ".safetensors":
        safetensors.save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


def taking_codes(path, mean: float, std: float) -> lenet.LeNet:
    """The network of a file, of pixels / 128."""
    return lenet.from_float_network(Scaling(mean, std).for_codes(read(path)))


def read(path) -> FloatNetwork:
    return read_model(path, reading=LENET).network


def quantize(path, config, training, test=None) -> Result:
    return run_quantize(path, config, training, test, reading=LENET)


def refused(path, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_float_network_becomes_an_integer_one(tmp_path, trained, few_digits):
    tensors, float_errors = trained
    result = quantize(saved(tmp_path / "net.pt", tensors), QUICK, few_digits, few_digits)
    report = result.report
    assert result.checkpoint.shape == SHAPE
    assert abs(report["float"]["test"]["errors"] - float_errors) <= 12  # the usual inputs lie close together
    assert sum(report["rounded"]["test"]["wraps"].values()) > 1000  # naive rounding overflows...
    assert sum(report["rescaled"]["test"]["wraps"].values()) == 0  # ...which rescaling cures
    assert report["test"]["errors"] <= report["rounded"]["test"]["errors"]
    seen = evaluate(result.checkpoint, few_digits)
    assert (report["test"]["errors"], report["test"]["wraps"]) == (seen.errors, seen.wraps)
    assert sum(seen.wraps.values()) == 0
    assert report["model"] == "net.pt"
    assert json.loads(json.dumps(report)) == report


def test_both_formats_give_the_same(tmp_path, good, few_digits):
    first, second = (
        quantize(saved(tmp_path / name, good), QUICK, few_digits).checkpoint.digest
        for name in ("net.pth", "net.safetensors")
    )
    assert first == second


def test_without_epochs_it_is_rescaled_and_rounded(tmp_path, good, few_digits):
    config = replace(QUICK, epochs=0, mean=MEAN, std=STD)
    report = quantize(saved(tmp_path / "net.pt", good), config, few_digits, few_digits).report
    assert report["test"] == report["rescaled"]["test"]
    assert report["input"] == {"mean": MEAN, "std": STD}


@pytest.mark.parametrize("scale", [(0.0, 1.0), (MEAN, STD), (0.5, 0.5), (0.0, 1 / 255)])
def test_the_input_scale_is_folded_exactly(tmp_path, good, few_digits, scale):
    net = lenet.LeNet(SHAPE)
    net.load_state_dict(good)
    pixels = torch.from_numpy(few_digits.images[:20].copy())
    mean, std = scale
    wanted = net((pixels[:, None] / 255 - mean) / std)[0]
    folded = taking_codes(saved(tmp_path / "net.pt", good), *scale)
    assert torch.allclose(folded(lenet.exact_values(pixels))[0], wanted, rtol=1e-4, atol=1e-3)


def test_rescaling_keeps_float_errors(tmp_path, good, few_digits):
    net = taking_codes(saved(tmp_path / "net.pt", good), MEAN, STD)
    images = loop.TrainingImages.of(few_digits)
    before = loop.examine(net, images, 1.0, quantized=False).errors
    calibration.calibrated(net, images, 1.0)
    assert abs(loop.examine(net, images, 1.0, quantized=False).errors - before) <= 1


@pytest.mark.parametrize("prefix", ["", "module.", "model.net."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
def test_prefixes_and_wrappers(tmp_path, good, prefix, wrapper):
    tensors = {prefix + name: tensor for name, tensor in good.items()}
    content = tensors if wrapper is None else {wrapper: tensors, "epoch": 3, "optimizer": {"lr": 0.1}}
    found = read(saved(tmp_path / "net.pt", content))
    assert found.network == SHAPE.network
    assert all(np.array_equal(found.arrays[name], good[name].numpy()) for name in SHAPE.arrays)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats(tmp_path, good, dtype):
    for name in ("net.pt", "net.safetensors"):
        path = saved(tmp_path / name, {key: tensor.to(dtype) for key, tensor in good.items()})
        found = read(path).arrays
        assert all(np.array_equal(found[key], good[key].to(dtype).double().numpy()) for key in good)


SPARSE = {
    "coo": lambda tensor: tensor.to_sparse(),
    "coo, of rows": lambda tensor: tensor.to_sparse(1),
    "csr": lambda tensor: tensor.to_sparse_csr(),
    "csc": lambda tensor: tensor.to_sparse_csc(),
    "bsr": lambda tensor: tensor.to_sparse_bsr((2, 4)),
    "bsc": lambda tensor: tensor.to_sparse_bsc((2, 4)),
}
PLAIN = {
    "float8": lambda tensor: tensor.to(torch.float8_e4m3fn),
    "float8, wide": lambda tensor: tensor.to(torch.float8_e5m2),
    "float16": lambda tensor: tensor.half(),
    "bfloat16": lambda tensor: tensor.bfloat16(),
    "float64": lambda tensor: tensor.double(),
    "parameter": torch.nn.Parameter,
    "one value": lambda tensor: torch.zeros(1).expand(tensor.shape),
    "transposed": lambda tensor: tensor.t().contiguous().t(),
}


@pytest.mark.filterwarnings(r"ignore:Sparse \w+ tensor support is in beta")  # of the first kind that a process makes
@pytest.mark.parametrize("kind", SPARSE | PLAIN)
def test_tensors_of_any_kind_that_has_values(tmp_path, good, kind):
    tensor = (SPARSE | PLAIN)[kind](good["fc1.weight"] * (good["fc1.weight"].abs() > 0.05))
    found = read(saved(tmp_path / "net.pt", good | {"fc1.weight": tensor})).arrays["fc1.weight"]
    wanted = tensor.to_dense() if kind in SPARSE else tensor
    assert np.array_equal(found, wanted.detach().to(torch.float64).numpy())


def sparse(values, shape):
    """One value at row 0, column 1."""
    return torch.sparse_coo_tensor([[0], [1]], values, shape, check_invariants=True)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested", "ignore:torch.quantize_per_tensor")
def test_tensors_without_values_or_a_shape(tmp_path, good):
    weight = good["fc1.weight"]
    rows = [weight[0], weight[1][:20]]
    for tensor, word in (
        (weight.to("meta"), "has a shape but no values"),
        (torch.nested.nested_tensor(rows), "is a nested tensor"),
        (torch.nested.nested_tensor(rows, layout=torch.jagged), "is a nested tensor"),
        (weight.to(torch.complex64), "is torch.complex64, not a float"),
        (torch.quantize_per_tensor(weight, 0.1, 0, torch.quint8), "is torch.quint8, not a float"),
        (weight > 0, "is torch.bool, not a float"),
        (sparse(torch.ones(1).to(torch.float8_e4m3fn), weight.shape), "which PyTorch does not convert; save it"),
        (sparse(torch.ones(1), (1 << 40, 1 << 20)), "there is room for 4,194,304 weights"),
    ):
        refused(saved(tmp_path / "net.pt", good | {"fc1.weight": tensor}), word)


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_sparse_tensors_whose_places_are_outside(tmp_path, good):
    """PyTorch would write there."""
    far, shape = torch.tensor([10**9]), good["fc1.weight"].shape
    rows = torch.tensor([0] + [1] * shape[0])
    for tensor in (
        torch.sparse_coo_tensor(torch.stack([far, far]), torch.ones(1), shape, check_invariants=False),
        torch.sparse_csr_tensor(rows, far, torch.ones(1), shape, check_invariants=False),
        torch.sparse_csr_tensor(rows * far, far - far, torch.ones(1), shape, check_invariants=False),
    ):
        refused(saved(tmp_path / "net.pt", good | {"fc1.weight": tensor}), "is damaged")


@pytest.mark.parametrize("name", ["conv1.weight", "fc1.weight", "fc2.bias"])
@pytest.mark.parametrize("value", [1e13, 1e30, -1e30, 1e300, float("inf"), float("nan")])
def test_values_that_no_training_gives(tmp_path, good, name, value):
    for file in ("net.pt", "net.safetensors"):
        tensor = good[name].double().clone()
        tensor.view(-1)[0] = value
        refused(saved(tmp_path / file, good | {name: tensor}), f"{name} holds", "the training went wrong")


@pytest.mark.parametrize("config", [QUICK, replace(QUICK, mean=0.0, std=1e-38), replace(QUICK, mean=1e38, std=0.5)])
def test_a_network_that_leaves_float32(tmp_path, good, few_digits, config):
    """Each value is one that can be, but not what comes of them."""
    large = {name: tensor * 1e11 if name.endswith("weight") else tensor for name, tensor in good.items()}
    path = saved(tmp_path / "net.pt", large)
    with pytest.raises(UserError, match=r"net\.pt: the values of \w+ leave the range of float32; .*--mean and --std"):
        quantize(path, config, few_digits, few_digits)


def test_large_weights_are_rescaled(tmp_path, good, few_digits):
    """As far as float32 goes: the classes are those of the same network, smaller."""
    config = replace(QUICK, epochs=0, mean=MEAN, std=STD)
    reports = []
    for scale in (1.0, 1e9):
        scaled = good | {name: good[name] * scale for name in ("fc2.weight", "fc2.bias")}
        reports.append(quantize(saved(tmp_path / "net.pt", scaled), config, few_digits, few_digits).report)
    assert reports[0]["test"] == reports[1]["test"]


def test_an_archive_that_unpacks_to_too_much(tmp_path, good, monkeypatch):
    path = saved(tmp_path / "net.pt", good)
    monkeypatch.setattr(tensors, "MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data/99", bytes(1 << 20))
    refused(path, "net.pt unpacks to", "a model has at most 1048576")


def test_a_file_that_is_missing_or_strange(tmp_path):
    refused(tmp_path / "none.pt", "cannot read model", "No such file")
    (tmp_path / "net.h5").write_bytes(b"x")
    refused(tmp_path / "net.h5", "says what its layers are; only a state_dict takes --pool")
    (tmp_path / "net").write_bytes(b"x")
    refused(tmp_path / "net", "is damaged or not a PyTorch file")
    for name in ("net.pt", "net.pth", "net.safetensors"):
        for content in (b"", b"hello", b"PK\3\4" + bytes(100), bytes(1000)):
            (tmp_path / name).write_bytes(content)
            refused(tmp_path / name, "damaged")


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
def test_a_truncated_file(tmp_path, good, name):
    path = saved(tmp_path / name, good)
    path.write_bytes(path.read_bytes()[:-100])
    refused(path, "damaged")


def test_a_whole_model_is_not_unpickled(tmp_path, good):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "net.pt")
    refused(tmp_path / "net.pt", "more than tensors", "torch.save(model.state_dict(), 'model.pt')")


def test_nothing_is_ever_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    torch.save({"conv1.weight": Bomb()}, tmp_path / "net.pt")
    refused(tmp_path / "net.pt", "never loaded")
    (tmp_path / "net.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    refused(tmp_path / "net.pt", "never loaded")
    assert not (tmp_path / "exploded").exists()


def test_things_that_are_no_state_dict(tmp_path, good):
    for content in ([1, 2], {"epoch": 3}, torch.zeros(3), good | {"epoch": 3}):
        refused(saved(tmp_path / "net.pt", content), "is not a state_dict")
    refused(saved(tmp_path / "net.pt", {}), "there is no layer")


def test_tensors_that_are_no_lenet(tmp_path, good):
    def check(tensors, *words):
        refused(saved(tmp_path / "net.pt", tensors), *words)

    check(good | {"bn1.weight": torch.zeros(4)}, "bn1.weight, of shape (4,), does not belong")
    check({"features.0.weight": torch.zeros(4, 1, 5, 5)}, "have pools of --pool max2")
    check(good | {"conv1.weight": torch.zeros(4, 1, 15, 15)}, "pools of --pool max2")
    check(good | {"conv2.weight": torch.zeros(6, 3, 5, 5)}, "do not follow one another")
    check(good | {"fc1.weight": torch.zeros(20, 401)}, "give fc1 its 401 inputs")
    check(good | {"b": torch.zeros(1)}, "b, of shape (1,), does not belong")
    check({name: tensor.to(torch.int8) for name, tensor in good.items()}, "not a float")
    check(good | {"fc2.bias": torch.full((10,), float("nan"))}, "not finite")


def test_labels_the_network_does_not_know(tmp_path, few_digits):
    net = lenet.LeNet(LeNetShape(2, 2, (5,)))
    with pytest.raises(UserError, match="has 5 classes"):
        quantize(saved(tmp_path / "net.pt", net.state_dict()), QUICK, few_digits)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"epochs": -1}, "epochs must be 0 to 10000"),
        ({"mean": 0.5}, "mean and std belong together"),
        ({"mean": 0.5, "std": 0.0}, "std must be above 0"),
        ({"mean": 0.5, "std": float("inf")}, "std must be above 0 and finite"),
        ({"mean": 0.5, "std": float("nan")}, "std must be above 0 and finite"),
        ({"mean": float("nan"), "std": 0.5}, "mean must be finite"),
        ({"warp": float("inf")}, "warp must be 0 or above"),
        ({"warp": -1.0}, "warp must be 0 or above"),
        ({"seed": -1}, "the seed must be"),
    ],
)
def test_numbers_out_of_range(wrong, words):
    with pytest.raises(ValueError, match=words):
        QuantizeConfig(**wrong)


MLP = LeNetShape.parse("784-16-10")


@pytest.mark.parametrize("scale", [(MEAN, STD), (0.5, 0.5)])
def test_a_network_without_convolutions(tmp_path, few_digits, scale):
    """The scale of its pixels is folded into fc1, exactly; prefixes are found."""
    net = lenet.LeNet(MLP, torch.Generator().manual_seed(3))
    pixels = torch.from_numpy(few_digits.images[:50].copy())[:, None]
    wanted = net((pixels / 255 - scale[0]) / scale[1])[0].detach()
    path = saved(tmp_path / "net.pt", {f"module.{name}": value for name, value in net.state_dict().items()})
    assert torch.allclose(taking_codes(path, *scale)(pixels / 128)[0], wanted, atol=1e-4)
    result = quantize(path, replace(QUICK, epochs=0), few_digits)
    assert result.checkpoint.shape == MLP
    assert sum(result.report["held_out"]["wraps"].values()) == 0


def test_what_is_no_network_without_convolutions(tmp_path):
    good = lenet.LeNet(MLP).state_dict()
    refused(saved(tmp_path / "a.pt", good | {"fc1.weight": torch.zeros(16, 800)}), "give fc1 its 800 inputs")
    refused(
        saved(tmp_path / "a.pt", good | {"conv1.bias": torch.zeros(4)}), "conv1.bias, of shape (4,), does not belong"
    )
    refused(saved(tmp_path / "a.pt", good | {"bn.weight": torch.zeros(4)}), "bn.weight, of shape (4,), does not belong")
