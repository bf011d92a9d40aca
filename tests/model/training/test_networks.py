"""Networks of any layers are trained: PyTorch with the hardware's rounding computes what the golden model says."""

import json
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fivebyfive.model.checkpoint import load_checkpoint  # noqa: E402
from fivebyfive.model.data.datasets import fit_images  # noqa: E402
from fivebyfive.model.description import describe  # noqa: E402
from fivebyfive.model.golden import forward  # noqa: E402
from fivebyfive.model.readers import execution  # noqa: E402
from fivebyfive.model.readers.steps import Activation  # noqa: E402
from fivebyfive.model.shape import LeNetShape  # noqa: E402
from fivebyfive.model.training.calibration import calibrated, peaks  # noqa: E402
from fivebyfive.model.training.lenet import LeNet, pixels_to_values, to_checkpoint  # noqa: E402
from fivebyfive.model.training.loop import TrainingImages  # noqa: E402
from fivebyfive.model.training.networks import NETWORKS, Trainable, find_network  # noqa: E402
from fivebyfive.model.training.tables import FUNCTIONS, Table  # noqa: E402
from fivebyfive.model.training.train import TrainConfig, train  # noqa: E402
from fivebyfive.support.errors import UserError  # noqa: E402

from ..random_descriptions import random_checkpoint  # noqa: E402


def equal(net: LeNet, pixels: np.ndarray) -> bool:
    """Whether PyTorch and the golden model say the same of images, and nothing wraps."""
    with torch.no_grad():
        logits = net(pixels_to_values(torch.tensor(pixels)), quantized=True)[0]
    trace = forward(to_checkpoint(net), fit_images(pixels, net.network.input))
    if any(trace.wraps.values()):
        return False
    np.testing.assert_array_equal((64 * logits).numpy(), trace.logits)
    return True


@pytest.mark.parametrize("name", NETWORKS)
def test_pytorch_equals_the_golden_model(name: str, few_digits) -> None:
    trainable = NETWORKS[name]
    net = trainable.start(torch.Generator().manual_seed(1))
    images = TrainingImages.of(few_digits)
    calibrated(net, images, 1.0)
    assert max(peaks(net, images).values()) == pytest.approx(1.5, rel=0.01)
    assert equal(net, few_digits.images[:20])


def test_any_network_equals_the_golden_model(few_digits) -> None:
    """Padding, fill, stride, groups, pools that overlap and any order: networks drawn at random."""
    compared = 0
    for seed in range(60):
        network = random_checkpoint(seed)[0].network
        if min(network.input[1:]) < 28 or network.input[0] > 3:
            continue
        functions = {
            layer.name: (Activation(sorted(FUNCTIONS)[seed % len(FUNCTIONS)]),)
            for layer in network.layers
            if layer.has_table
        }
        net = LeNet(network, torch.Generator().manual_seed(seed), functions)
        calibrated(net, TrainingImages.of(few_digits), 1.0)
        compared += equal(net, few_digits.images[:5])
    assert compared >= 3


@pytest.mark.parametrize(
    ("name", "layer", "free"),
    [("fire", "expand", 12 * 6 + 12 * 6 * 9), ("shuffle", "pointwise", 18 * 3), ("shift", "shift", 18)],
)
def test_weights_outside_a_mask_stay_zero(name: str, layer: str, free: int, few_digits) -> None:
    result = train(TrainConfig(shape=NETWORKS[name], epochs=2, seed=1), few_digits)
    weight = result.checkpoint.arrays[f"{layer}.weight"]
    mask = NETWORKS[name].masks[layer](weight.shape)
    assert mask.sum() == free
    assert not weight[mask == 0].any()
    assert np.count_nonzero(weight) > 0.5 * free


@pytest.mark.parametrize("name", ["d2l-tanh", "caffe", "separable", "shift"])
def test_scaling_changes_no_class(name: str, few_digits) -> None:
    trainable = NETWORKS[name]
    net = trainable.start(torch.Generator().manual_seed(2))
    values = pixels_to_values(torch.tensor(few_digits.images[:50]))
    with torch.no_grad():
        before = net(values)[0]
        temperature = calibrated(net, TrainingImages.of(few_digits), 1.0)
        after = net(values)[0]
    torch.testing.assert_close(temperature * after, before, rtol=1e-3, atol=1e-3)


PARAMETERS = {  # other than the usual ones
    "leaky-relu": {"alpha": 0.3}, "elu": {"alpha": 0.7}, "hard-sigmoid": {"alpha": 0.25, "beta": 0.4},
    "clip": {"low": -0.5, "high": 0.8}, "affine": {"scale": -0.5, "shift": 0.25},
}  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_are_those_of_the_readers(function: str) -> None:
    x = np.linspace(-8, 8, 1001)
    for parameters in ({}, PARAMETERS.get(function, {})):
        ours = FUNCTIONS[function](torch.from_numpy(x), parameters)
        np.testing.assert_allclose(ours, execution.FUNCTIONS[function](x, parameters), atol=1e-8)
    assert set(FUNCTIONS) == set(execution.FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("before", [0.4, 6.0])
def test_tables(function: str, before: float) -> None:
    """Entry c + 128 is what becomes of code c, rounded; none is clamped, and one is at the end of the range."""
    table = Table((Activation(function),))
    table.fit(before)
    exact = 64 * FUNCTIONS[function](before * torch.arange(-128, 128) / 64, {}) / table.after
    np.testing.assert_array_equal(table.codes(), exact.round())
    assert table.codes().max() == 127 or table.codes().min() == -128 or not exact.any()
    slopes = []
    for quantized in (True, False):
        values = (torch.arange(-128, 128) / 64).requires_grad_()
        seen = table(values, quantized)
        seen.sum().backward()
        slopes.append(values.grad.numpy())
        if quantized:
            np.testing.assert_array_equal(seen.detach() * 64, table.codes())
    np.testing.assert_array_equal(*slopes)
    assert slopes[0].any()


def test_a_network_with_tables_is_trained(few_digits) -> None:
    result = train(TrainConfig(shape=NETWORKS["lenet-1"], epochs=4, seed=1), few_digits)
    again = train(TrainConfig(shape=NETWORKS["lenet-1"], epochs=4, seed=1), few_digits)
    assert result.checkpoint.digest == again.checkpoint.digest
    assert result.report["shape"] == "1x28x28, c1 4x12x12, c2 12x4x4, f1 10"
    assert result.report["held_out"]["errors"] < 0.6 * result.report["held_out"]["images"]


def test_what_there_is_no_network_of(tmp_path) -> None:
    wrong, table = tmp_path / "wrong.json", tmp_path / "table.json"
    wrong.write_text('{"input": [1, 28, 28], "layers": [{"name": "f", "kind": "fc"}]}')
    table.write_text(describe(NETWORKS["d2l"].network))
    for text, said in (
        ("lenet-6", "there is no network lenet-6; there is lenet-5, lenet-5-cifar, "),
        (str(wrong), f"{wrong}: f: outputs is missing"),
        (str(table), f"{table}: c1 has a table, and a description does not say of which function; train one of d2l, "),
        (str(tmp_path / "none.json"), f"cannot read description {tmp_path / 'none.json'}: "),
    ):
        with pytest.raises(UserError, match=f"^{re.escape(said)}"):
            find_network(text)


def test_a_description_is_trained(tmp_path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(describe(NETWORKS["separable"].network))
    assert find_network(str(path)) == Trainable(NETWORKS["separable"].network)
    path.write_text(json.dumps({"input": [1, 28, 28], "layers": [{"name": "f", "kind": "fc", "outputs": 10}]}))
    assert find_network(str(path)).network.names == ("f",)


def test_names_that_are_shapes() -> None:
    assert LeNetShape.of_network(NETWORKS["lenet-300-100"].network) == LeNetShape(0, 0, (300, 100, 10))
    assert LeNetShape.of_network(NETWORKS["caffe"].network) is None  # no ReLU behind its convolutions


def test_names_in_the_help_are_those_there_are() -> None:
    from fivebyfive.cli import main

    option = next(one for one in main.commands["train"].params if one.name == "network")
    assert ", ".join(NETWORKS) in option.help


def test_the_command(tmp_path, few_digits, monkeypatch) -> None:
    from click.testing import CliRunner

    from fivebyfive.cli import main

    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(main, ["train", "--network", "nothing", "--out", "x.npz"])
    assert said.exit_code == 2
    assert "there is no network nothing; there is lenet-5," in said.output
    assert load_checkpoint().shape == LeNetShape(20, 50, (500, 10))
