"""Somebody's own float LeNet, in both file formats, and everything that is not one."""

import json
import pickle
from dataclasses import replace

import pytest

from fivebyfive.model.errors import UserError
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.quantize import QuantizeConfig, quantize
from fivebyfive.model.shape import LeNetShape

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from fivebyfive.model import fit, lenet, state  # noqa: E402
from fivebyfive.model.quantize import fold  # noqa: E402

SHAPE = LeNetShape(4, 6, (20, 10))
QUICK = QuantizeConfig(epochs=1, threads=1, warp=0.0)
MEAN, STD = 0.1307, 0.3081


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


def refused(path, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        state.read_state(path)
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
def test_the_input_scale_is_folded_exactly(good, few_digits, scale):
    net = lenet.LeNet(SHAPE)
    net.load_state_dict(good)
    pixels = torch.from_numpy(few_digits.images[:20] & 254)  # the bit that the hardware drops is zero
    mean, std = scale
    wanted = net((pixels[:, None] / 255 - mean) / std)[0]
    fold(net, scale)
    assert torch.allclose(net(lenet.pixels_to_values(pixels))[0], wanted, rtol=1e-4, atol=1e-3)


def test_rescaling_keeps_float_errors(good, few_digits):
    net = lenet.LeNet(SHAPE)
    net.load_state_dict(good)
    fold(net, (MEAN, STD))
    images = fit.Images.of(few_digits)
    before = fit.examine(net, images, 1.0, quantized=False).errors
    fit.calibrated(net, images, 1.0)
    assert abs(fit.examine(net, images, 1.0, quantized=False).errors - before) <= 1


@pytest.mark.parametrize("prefix", ["", "module.", "model.net."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
def test_prefixes_and_wrappers(tmp_path, good, prefix, wrapper):
    tensors = {prefix + name: tensor for name, tensor in good.items()}
    content = tensors if wrapper is None else {wrapper: tensors, "epoch": 3, "optimizer": {"lr": 0.1}}
    shape, found = state.read_state(saved(tmp_path / "net.pt", content))
    assert shape == SHAPE
    assert all(torch.equal(found[name], good[name]) for name in SHAPE.arrays)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats(tmp_path, good, dtype):
    for name in ("net.pt", "net.safetensors"):
        path = saved(tmp_path / name, {key: tensor.to(dtype) for key, tensor in good.items()})
        assert all(tensor.dtype == torch.float32 for tensor in state.read_state(path)[1].values())


def test_a_file_that_is_missing_or_strange(tmp_path):
    refused(tmp_path / "none.pt", "cannot read model", "No such file")
    (tmp_path / "net.h5").write_bytes(b"x")
    refused(tmp_path / "net.h5", "a float model is a .pt, .pth or .safetensors file")
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
    refused(saved(tmp_path / "net.pt", {}), "it has nothing")


def test_tensors_that_are_no_lenet(tmp_path, good):
    def check(tensors, *words):
        refused(saved(tmp_path / "net.pt", tensors), *words)

    without = {name: tensor for name, tensor in good.items() if name != "fc1.bias"}
    check(without, "array fc1.bias is missing", "it needs conv1.weight")
    check(good | {"bn1.weight": torch.zeros(4)}, "bn1.weight does not belong")
    check({"features.0.weight": torch.zeros(4, 1, 5, 5)}, "it has features.0.weight; it needs")
    check(good | {"conv1.weight": torch.zeros(4, 1, 3, 3)}, "must have shape (4, 1, 5, 5)")
    check(good | {"conv1.weight": torch.zeros(4, 3, 5, 5)}, "must have shape (4, 1, 5, 5)")
    check(good | {"fc1.weight": torch.zeros(20, 400)}, "must have shape (20, 96)")
    check(
        {f"a.{name}": tensor for name, tensor in good.items()} | {"b": torch.zeros(1)},
        "does not begin with a.",
    )
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
    shape, tensors = state.read_state(path)
    assert shape == MLP
    net.load_state_dict(tensors)
    fold(net, scale)
    assert torch.allclose(net(pixels / 128)[0], wanted, atol=1e-4)
    result = quantize(path, replace(QUICK, epochs=0), few_digits)
    assert result.checkpoint.shape == MLP
    assert sum(result.report["held_out"]["wraps"].values()) == 0


def test_what_is_no_network_without_convolutions(tmp_path):
    good = lenet.LeNet(MLP).state_dict()
    refused(saved(tmp_path / "a.pt", good | {"fc1.weight": torch.zeros(16, 800)}), "fc1.weight must have 784 columns")
    refused(saved(tmp_path / "a.pt", good | {"conv1.bias": torch.zeros(4)}), "array conv1.weight is missing")
    refused(saved(tmp_path / "a.pt", good | {"bn.weight": torch.zeros(4)}), "bn.weight does not belong")
