"""Sets of other sizes and of colours, through every command that takes --data."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.data.datasets import fit_images
from fivebyfive.model.description import parse
from fivebyfive.model.golden import predict
from fivebyfive.model.shape import LeNetShape

from .conftest import one_line

RNG = np.random.default_rng(1)
COLOURS = RNG.integers(0, 256, (40, 12, 14, 3), dtype=np.uint8)
LABELS = np.arange(40) % 5
DESCRIPTION = {
    "input": [3, 16, 14],
    "layers": [
        {"name": "a", "kind": "conv", "outputs": 4, "kernel": 3, "padding": 1, "then": ["relu", {"max": 2}]},
        {"name": "b", "kind": "fc", "outputs": 5},
    ],
}


@pytest.fixture
def colours() -> Path:
    np.savez("colours.npz", x_train=COLOURS[:30], y_train=LABELS[:30], x_test=COLOURS[30:], y_test=LABELS[30:, None])
    return Path("colours.npz")


@pytest.fixture
def network() -> Path:
    """A network that takes colours, with room around the images."""
    Path("network.json").write_text(json.dumps(DESCRIPTION))
    save_checkpoint(Path("f.npz"), Checkpoint.random(parse(json.dumps(DESCRIPTION)), seed=3))
    return Path("f.npz")


def errors_of(path: Path, images: np.ndarray = COLOURS[30:]) -> int:
    checkpoint = load_checkpoint(path)
    maps = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images
    classes = predict(checkpoint, fit_images(maps, checkpoint.network.input)).argmax(1)
    return int((classes != LABELS[30:]).sum())


def test_evaluate_and_compare(answer, colours: Path, network: Path) -> None:
    assert answer("evaluate", network, "--data", colours)["errors"] == errors_of(network)
    pytest.importorskip("constriction")
    words = ("compare", network, "--data", colours, "--no-synthesis", "--rtl-images", 0, "--workers", 1, "--out", "c")
    assert answer(*words)["results"][0]["errors"] == errors_of(network)


def test_train_and_compress(answer, colours: Path, network: Path) -> None:
    pytest.importorskip("torch")
    words = ("--data", colours, "--epochs", 2, "--threads", 1)
    report = answer("train", "--network", "network.json", *words, "--out", "g.npz")
    assert (report["test"], report["held_out"]["images"]) == (None, 6)
    assert answer("evaluate", "g.npz", "--data", colours)["errors"] == errors_of(Path("g.npz"))
    report = answer("compress", "magnitude", network, "--keep", "b=0.5", *words[:4], "--out", "h.npz")
    assert (report["test"], report["held_out"]["images"]) == (None, 6)
    assert answer("evaluate", "h.npz", "--data", colours)["errors"] == errors_of(Path("h.npz"))


def test_compress_takes_smaller_images_of_any_size(answer) -> None:
    """A method that looks at a layer's inputs, of which the first are the pixels."""
    pytest.importorskip("torch")
    grey = COLOURS[..., 0]
    np.savez("grey.npz", x_train=grey[:30], y_train=LABELS[:30], x_test=grey[30:], y_test=LABELS[30:])
    save_checkpoint(Path("f.npz"), Checkpoint.random(LeNetShape.parse("784-12-10"), seed=3))
    answer("compress", "svd", "f.npz", "--data", "grey.npz", "--epochs", 1, "--rank", 4, "--out", "g.npz")
    assert answer("evaluate", "g.npz", "--data", "grey.npz")["errors"] == errors_of(Path("g.npz"), grey[30:])


def test_inspect_and_quantize(answer, cli, colours: Path) -> None:
    """A graph, and tensors alone, of three channels."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(120, 5)).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 12, 14),)), "net.pt2")
    torch.save(net.state_dict(), "net.pt")
    pixels = torch.tensor(COLOURS[30:].transpose(0, 3, 1, 2) / 255, dtype=torch.float32)
    errors = int((net(pixels).argmax(1).numpy() != LABELS[30:]).sum())
    scaling = ("--mean", 0, "--std", 1)
    said = ("--pool", "max2", "--activation", "relu", "--padding", 0, *scaling)
    report = answer("inspect", "net.pt2", "--data", colours, *scaling)
    assert (report["images"], report["float_errors"]) == (10, errors)
    report = answer("inspect", "net.pt", "--data", colours, *said)
    assert (report["status"], report["network"]["input"], report["images"]) == ("read", [3, 12, 14], 40)
    for model, how in (("net.pt2", scaling), ("net.pt", said)):
        report = answer("quantize", model, "--data", colours, *how, "--epochs", 0, "--out", f"{model}.npz")
        assert report["float"]["errors"] == errors
        assert report["after"]["errors"] == errors_of(Path(f"{model}.npz"))
    refused = one_line(cli("inspect", "net.pt2", "--data", "mnist", code=2).stderr)
    assert "mnist-test has 10 classes, the network 5" in refused


def test_grey_pictures_for_a_network_of_colours(cli, answer, network: Path) -> None:
    for number, pixels in enumerate(COLOURS[30:, :, :, 0]):
        for split in ("train", "test"):
            folder = Path("pictures", split, f"class {LABELS[30 + number]}")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    Image.fromarray(COLOURS[0, :9, :, 0]).save("pictures/train/class 0/other.png")
    report = answer("evaluate", network, "--data", "pictures")
    order = np.argsort(LABELS[30:], kind="stable")
    assert report["images"] == 10
    maps = fit_images(COLOURS[30:, :, :, 0], (3, 16, 14))[order]
    checkpoint = load_checkpoint(network)
    assert report["errors"] == int((predict(checkpoint, maps).argmax(1) != LABELS[30:][order]).sum())
    assert (
        "1 of 21 pictures are resized to 12x14, the size of most\n"
        in cli("evaluate", network, "--data", "pictures").stderr
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("evaluate",), "the network takes grey images, but these have 3 channels; give a set that fits with --data"),
        (
            ("compare", "small.npz", "--no-synthesis"),
            "grey images, but these have 3 channels; compare small without",
        ),
        (("train", "--shape", "1-1-10", "--out", "x.npz"), "grey images, but these have 3 channels; give a set"),
        (("compress", "magnitude", "small.npz", "--keep", "fc1=0.5"), "grey images, but these have 3 channels; give a"),
        (("inspect", "grey.pt"), "grey images, but these have 3 channels; give a set that fits"),
        (("quantize", "grey.pt", "--out", "x.npz"), "grey images, but these have 3 channels; give a set that fits"),
    ],
    ids=lambda one: one[0] if isinstance(one, tuple) else "",
)
def test_colours_for_a_network_of_one_channel(refused, colours: Path, small: Path, words, said: str) -> None:
    Path("small.npz").write_bytes(small.read_bytes())
    if words[0] not in ("evaluate", "compare"):
        torch = pytest.importorskip("torch")
        sizes = {"a.weight": (4, 1, 5, 5), "a.bias": (4,), "b.weight": (5, 4 * 12 * 12), "b.bias": (5,)}
        torch.save({name: torch.ones(size) for name, size in sizes.items()}, "grey.pt")
    assert said in refused(*words, "--data", colours)
