"""Float networks of any layers become integer ones: in floats they are the file's, in codes the golden model's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.data.datasets import Dataset, fit_images
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.golden import classify, forward, predict
from fivebyfive.model.network import Pool
from fivebyfive.model.readers.execution import run
from fivebyfive.model.readers.float_errors import USUAL_INPUTS, Scaling
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.folding import fold
from fivebyfive.model.readers.pytorch.torch_reader import from_torch
from fivebyfive.model.readers.state_dict.options import ReadingOptions
from fivebyfive.model.readers.steps import Activation, Affine, Convolution, Dense, Flatten, Pooling, Step, Steps
from fivebyfive.model.training.hold_out import DRAWN
from fivebyfive.model.training.quantize import calibrate, quantize, quantized
from fivebyfive.model.training.stage import CALIBRATIONS, QuantizeConfig
from fivebyfive.model.training.train import divide
from fivebyfive.support.errors import UserError
from fivebyfive.support.progress import silent

from ..readers.keras_files import Spec, h5_file, keras_file, named
from ..readers.keras_files import forward as forward_of_keras

torch = pytest.importorskip("torch")

from fivebyfive.model.training.calibration import BALANCE, METHODS, calibrated, kl_threshold, peaks  # noqa: E402
from fivebyfive.model.training.lenet import (  # noqa: E402
    exact_values,
    from_float_network,
    pixels_to_values,
    to_checkpoint,
)
from fivebyfive.model.training.loop import TrainingImages, examine  # noqa: E402

from ..readers.trained_networks import Plan, Trained, errors, save, train  # noqa: E402

NORMALIZED = Scaling(0.1307, 0.3081)
AVERAGE, MAX = Pooling("average", (2, 2), (2, 2)), Pooling("max", (2, 2), (2, 2))
RELU, TANH = Activation("relu"), Activation("tanh")


class Weights:
    """Layers of random weights, spread as those of a trained network are."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.normal(0, np.prod(shape[1:]) ** -0.5, shape)

    def conv(self, outputs: int, inputs: int, kernel: int, stride: int = 1, padding: int = 0) -> Convolution:
        weight, bias = 1.5 * self.normal(outputs, inputs, kernel, kernel), self.normal(outputs)
        return Convolution("c", weight, 0.1 * bias, (stride, stride), (padding,) * 4)

    def fc(self, outputs: int, inputs: int) -> Dense:
        return Dense("f", 1.5 * self.normal(outputs, inputs), 0.1 * self.normal(outputs))

    def norm(self, channels: int) -> Affine:
        return Affine(self.rng.uniform(0.5, 2, channels), self.rng.uniform(-1, 1, channels))


def plain(w: Weights, *then: Step) -> list[Step]:
    """Two convolutions on 28x28, ``then`` behind each of them."""
    return [w.conv(4, 1, 5), *then, w.conv(6, 4, 5), *then, Flatten(), w.fc(20, 96), RELU, w.fc(10, 20)]


KINDS: dict[str, tuple[int, Callable[[Weights], list[Step]]]] = {
    "average": (28, lambda w: plain(w, RELU, AVERAGE)),
    "tanh": (28, lambda w: plain(w, TANH, AVERAGE)),
    "no ReLU": (28, lambda w: plain(w, MAX)),
    "leaky ReLU": (28, lambda w: plain(w, Activation("leaky-relu", {"alpha": 0.2}), MAX)),
    "chain": (28, lambda w: plain(w, Affine(0.5, 0.1), Activation("gelu"), Activation("clip", {"high": 0.6}), MAX)),
    "padding 2": (
        28,
        lambda w: [w.conv(3, 1, 5, padding=2), TANH, AVERAGE, w.conv(4, 3, 5), Activation("sigmoid"), AVERAGE,
                   Flatten(), w.fc(10, 100)],
    ),
    "stride 2": (28, lambda w: [w.conv(4, 1, 5, stride=2), RELU, w.conv(5, 4, 3, 2, 1), Flatten(), w.fc(10, 180)]),
    "one conv": (28, lambda w: [w.conv(5, 1, 5), Activation("sigmoid"), MAX, Flatten(), w.fc(10, 720)]),
    "C5": (
        32,
        lambda w: [w.conv(3, 1, 5), TANH, AVERAGE, w.conv(4, 3, 5), TANH, AVERAGE, w.conv(20, 4, 5), TANH, Flatten(),
                   w.fc(10, 20)],
    ),
    "BatchNorm": (
        28,
        lambda w: [w.conv(4, 1, 5), w.norm(4), RELU, MAX, w.conv(5, 4, 5), TANH, w.norm(5), w.conv(5, 5, 3, padding=1),
                   RELU, w.norm(5), AVERAGE, w.conv(6, 5, 3, padding=1), w.norm(6), MAX, Flatten(), w.fc(10, 24)],
    ),
    "far fills": (
        28,
        lambda w: [w.conv(4, 1, 5), RELU, MAX, Affine(0.05, 1.0), w.conv(5, 4, 5, padding=1), TANH, MAX,
                   Affine(0.05, 0.5), w.conv(6, 5, 3, padding=1), AVERAGE, Flatten(), w.fc(10, 24)],
    ),
    "function at the end": (28, lambda w: [*plain(w, RELU, MAX), Activation("sigmoid")]),
    "scaled": (28, lambda w: [Affine(2.0, -1.0), w.conv(4, 1, 5, padding=2), RELU, MAX, Flatten(), w.fc(10, 784)]),
}  # fmt: skip


@pytest.fixture(params=KINDS)
def network(request) -> FloatNetwork:
    size, steps = KINDS[request.param]
    return fold(Steps((1, size, size), tuple(steps(Weights(3)))))


def scores(network: FloatNetwork, pixels: np.ndarray, scaling: Scaling) -> np.ndarray:
    """What the file's network says of images."""
    return run(network, scaling.apply(fit_images(pixels, network.network.input)[:, np.newaxis]))


def test_floats_are_the_file_s_and_codes_the_golden_model_s(network: FloatNetwork, few_digits) -> None:
    """Before scaling and behind it; the padding of the first layer holds the mean pixel."""
    net = from_float_network(NORMALIZED.for_codes(network))
    pixels = few_digits.images[:50]
    wanted = scores(network, pixels, NORMALIZED)
    with torch.no_grad():
        torch.testing.assert_close(
            net(exact_values(torch.tensor(pixels)))[0].double().numpy(), wanted, rtol=0, atol=1e-4
        )
        temperature = calibrated(net, TrainingImages.of(few_digits), 1.0, BALANCE)
        scaled = temperature * net(exact_values(torch.tensor(pixels)))[0].double().numpy()
        np.testing.assert_allclose(scaled, wanted, rtol=0, atol=2e-4)
        assert max(peaks(net, TrainingImages.of(few_digits)).values()) == pytest.approx(1.5, rel=0.01)
        net.clip()
        logits = net(pixels_to_values(torch.tensor(pixels)), quantized=True)[0]
    checkpoint = to_checkpoint(net)
    trace = forward(checkpoint, fit_images(pixels, network.network.input))
    assert not any(trace.wraps.values())
    np.testing.assert_array_equal((64 * logits).numpy(), trace.logits)
    for name, fill in net.fills.items():
        assert (net.fill(name, quantized=True) - fill).abs().max() <= 1 / 128  # rounded, not clamped
    layers = [replace(layer, fill=(0,)) for layer in checkpoint.network.layers]
    assert layers == list(network.network.layers)


def test_any_network_is_quantized(network: FloatNetwork, few_digits) -> None:
    config = QuantizeConfig(epochs=1, threads=1, warp=0.0, mean=NORMALIZED.mean, std=NORMALIZED.std)
    few = Dataset("few", few_digits.images[:150], few_digits.labels[:150])
    result = quantized("any.onnx", network, None, config, few, few, silent, None)
    wrong = classify(scores(network, few.images, NORMALIZED)) != few.labels
    report = result.report
    assert report["float"]["test"] == {"images": 150, "errors": wrong.sum()}
    assert report["float"]["errors"] == wrong.sum()
    seen = evaluate(result.checkpoint, few)
    assert (report["after"]["errors"], report["after"]["wraps"]) == (seen.errors, seen.wraps)
    assert report["before"] == report["rescaled"]["test"]
    assert not any(report["before"]["wraps"].values())
    assert Checkpoint.from_arrays(stored(result.checkpoint)).digest == result.checkpoint.digest


def digit_network(few: Dataset, scaling: Scaling) -> FloatNetwork:
    """Average pooling and tanh, padding 2, trained for a few epochs on normalized pixels."""
    torch.manual_seed(1)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 5, padding=2), torch.nn.Tanh(), torch.nn.AvgPool2d(2), torch.nn.Conv2d(4, 8, 5),
        torch.nn.Tanh(), torch.nn.AvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(200, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    x = torch.from_numpy(scaling.apply(few.images[:, np.newaxis])).float()
    y = torch.from_numpy(few.labels.astype("int64"))
    for _ in range(8):
        for part in torch.arange(len(few)).split(50):
            loss = torch.nn.functional.cross_entropy(module(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return fold(from_torch(module, x[:1]))


def test_a_trained_network_stays_as_good(few_digits) -> None:
    """Its scaling is found; read as ReLU and maximum it would fail on most digits."""
    network = digit_network(few_digits, NORMALIZED)
    report = quantized(
        "t.pt2", network, None, QuantizeConfig(1, threads=1, warp=0), few_digits, few_digits, silent, None
    )
    found = report.report["input"]
    wrong = {scaling: (classify(scores(network, few_digits.images, scaling)) != few_digits.labels).sum() for scaling in
             USUAL_INPUTS}  # fmt: skip
    float_errors = report.report["float"]["errors"]
    assert float_errors == wrong[Scaling(**found)]
    assert float_errors <= wrong[NORMALIZED] + 4
    assert report.report["after"]["errors"] <= float_errors + 6


def test_images_without_labels(tmp_path, monkeypatch) -> None:
    """Of the network's own size and colours: errors are images of another class than the float network's."""
    w = Weights(5)
    steps = [w.conv(6, 3, 3), TANH, AVERAGE, w.conv(8, 6, 3), RELU, Flatten(), w.fc(10, 128)]
    read = Steps((3, 14, 14), tuple(steps))
    network = fold(read)
    monkeypatch.setattr("fivebyfive.model.training.quantize.read_steps", lambda path: read)
    path, pixels = tmp_path / "x.npy", np.random.default_rng(1).integers(0, 256, (60, 3, 14, 14), dtype=np.uint8)
    np.save(path, pixels)
    config = QuantizeConfig(0, mean=0.5, std=0.25)
    result = calibrate("any.onnx", config, path)
    held_out = Dataset("x.npy", pixels, np.zeros(60, np.uint8)).split(12, 5000)[1].images
    classes = classify(run(network, Scaling(0.5, 0.25).apply(held_out)))
    differ = int((predict(result.checkpoint, held_out).argmax(1) != classes).sum())
    assert result.report["after"]["errors"] == differ < 6
    assert result.report["float"] == {"held_out": {"images": 12, "errors": 0}, "test": None, "errors": 0}
    assert not any(result.report["after"]["wraps"].values())
    with pytest.raises(UserError, match=r"^any.onnx: without labels .*; give --mean and --std$"):
        calibrate("any.onnx", QuantizeConfig(0), path)
    with pytest.raises(UserError, match=r"^the network takes images of 14x14, but these have 28x28; "):
        divide(network.network, Dataset("digits", np.zeros((20, 28, 28), np.uint8), np.zeros(20, np.uint8)), None)
    monkeypatch.setattr("fivebyfive.model.description.MAX_WEIGHTS", 1000)
    with pytest.raises(UserError, match=r"^any.onnx: the weights take 2,154 bytes; there is room for 1,000$"):
        quantize("any.onnx", config, Dataset("x.npy", pixels, np.zeros(60, np.uint8)))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_of_keras(tmp_path, few_digits, suffix: str) -> None:
    write = keras_file if suffix == ".keras" else h5_file
    w = Weights(2)
    kernel = np.moveaxis(w.normal(3, 1, 5, 5), (0, 1), (3, 2))
    conv = {"filters": 3, "kernel_size": [5, 5], "strides": [1, 1], "padding": "same", "activation": "tanh"}
    specs = named([
        Spec("Conv2D", conv, {"kernel": kernel, "bias": w.normal(3)}), Spec("AveragePooling2D", {"pool_size": [2, 2]}),
        Spec("Flatten", {}), Spec("Dense", {"units": 10}, {"kernel": w.normal(588, 10), "bias": w.normal(10)}),
    ])  # fmt: skip
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(write(specs, (28, 28, 1)))
    few = Dataset("few", few_digits.images[:50], few_digits.labels[:50])
    result = quantize(path, QuantizeConfig(0, threads=1, mean=0.0, std=1.0), few, few)
    wanted = forward_of_keras(specs, few.images[..., np.newaxis] / 255).argmax(1)
    assert result.report["float"]["errors"] == (wanted != few.labels).sum()
    assert result.checkpoint.network.layers[0].then == ("table", Pool("average", 2, 2))


def test_the_threshold_of_least_divergence() -> None:
    """Few values far away are given up for finer codes, and none of those that fill the range evenly."""
    bell = np.exp(-0.5 * (np.arange(2048) / 150) ** 2) * 1e4
    far = torch.tensor(bell.round())
    far[2047] = 3
    assert 300 < kl_threshold(far) < 900
    assert kl_threshold(torch.full((2048,), 5.0)) == 2048


def test_ranges_by_divergence(few_digits) -> None:
    """What lies beyond the threshold, and only that, leaves the range."""
    network = fold(Steps((1, 28, 28), tuple(KINDS["tanh"][1](Weights(3)))))
    images = TrainingImages.of(few_digits)
    wraps = {}
    for method in CALIBRATIONS:
        net = from_float_network(NORMALIZED.for_codes(network))
        calibrated(net, images, 1.0, BALANCE, method)
        wraps[method] = sum(examine(net, images, 1.0, quantized=True).wraps.values())
        if method == "kl":
            reached = peaks(net, images).values()
            assert max(reached) > 2
            assert min(reached) == pytest.approx(127 / 64)  # the logits, which fill their range
    assert wraps["max"] == 0
    assert 0 < wraps["kl"] < 0.02 * len(images) * sum(np.prod(place.map) for place in network.network)
    assert set(METHODS) == set(CALIBRATIONS)


def stored(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint's file."""
    described = {} if checkpoint.description is None else {"network": np.array(checkpoint.description)}
    return checkpoint.arrays | described


def renamed(net: Trained, path: Path) -> Path:
    """The network as a state_dict with the names and shapes of the brief's form."""
    names = ["conv1", "conv2", "fc1", "fc2"]
    modules = dict.fromkeys(name.rpartition(".")[0] for name in net.state_dict())
    new = dict(zip(modules, names, strict=True))
    torch.save({f"{new[m]}.{k}": v for n, v in net.state_dict().items() for m, _, k in [n.rpartition(".")]}, path)
    return path


UNTRAINED = QuantizeConfig(epochs=0, threads=1)
SMALL = Plan(((4, 5, 0, 2), (8, 5, 0, 2)), (32, 10))


def test_a_state_dict_is_quantized_as_it_is_read(tmp_path: Path, digits: Dataset) -> None:
    """0.1.0 took these tensors for max pooling and ReLU."""
    net = train(replace(SMALL, pool="average", conv="tanh", fc="tanh"), digits, 300, rate=3e-3)
    result = quantize(renamed(net, tmp_path / "net"), UNTRAINED, digits)
    conv1, conv2, fc1, _ = result.checkpoint.network.layers
    assert conv1.then == conv2.then == ("table", Pool("average", 2, 2))
    assert fc1.then == ("table",)
    assert "5x5 4, tanh, average 2, 5x5 8, tanh, average 2, fc 32, tanh, fc 10" in result.report["remarks"][-1]
    _, held_out = DRAWN.divide(digits)
    assert result.report["float"]["held_out"]["errors"] == errors(net, held_out)


@pytest.mark.parametrize("how", [{"resized": True, "size": (1, 32, 32)}, {"inverted": True}], ids=list)
def test_images_are_prepared_as_the_network_took_them(tmp_path: Path, digits: Dataset, how: dict) -> None:
    net = train(replace(SMALL, **how), digits, 200)
    size = "x".join(map(str, net.plan.size))
    known = ReadingOptions(pool="max2", activation="relu", padding="0", input=size, mean=0.1307, std=0.3081)
    report = quantize(save(net, tmp_path / "net"), UNTRAINED, digits, reading=known).report
    *_, said = report["remarks"]
    made = f"28x28 {next(iter(how))}"
    assert said == f"it takes images of {made}; give the machine, evaluate and simulate images made so"
    _, held_out = DRAWN.divide(digits)
    assert report["float"]["held_out"]["errors"] == errors(net, held_out)
