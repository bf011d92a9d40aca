"""What each command does and says."""

import hashlib
import json
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fivebyfive.api import load
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.data.named_sets import SUITES
from fivebyfive.model.network import Pool
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.statistics import mcnemar


def test_help_names_every_command(cli) -> None:
    said = cli("--help").stdout
    for command in ("train", "evaluate", "generate", "simulate", "quantize", "demo"):
        assert re.search(rf"^  {command} +\w", said, re.M)
        assert "--json" in cli(command, "--help").stdout


def test_version(cli) -> None:
    assert cli("--version").stdout == f"fivebyfive {version('fivebyfive')}\n"


def test_evaluate_counts_on_a_folder_of_images(answer, cli, small: Path, few_digits: Path) -> None:
    report = answer("evaluate", small, "--data", few_digits)
    assert report["images"] == 20
    assert report["network"] == "2-3-7-10"
    assert list(report["wraps"]) == ["conv1", "conv2", "fc1", "fc2"]
    assert min(report["wraps"].values()) > 0  # random codes
    confusion = np.array(report["confusion"])
    assert confusion.sum() == 20
    assert report["errors"] == 20 - confusion.trace()
    said = cli("evaluate", small, "--data", few_digits).stdout
    assert f"errors: {report['errors']} ({5 * report['errors']:.2f} %)" in said
    assert re.search(rf"^fc2 +{report['wraps']['fc2']} ", said, re.M)
    low, high = (100 * share for share in report["interval"])
    assert low < 5 * report["errors"] < high
    assert f"%), 95 % interval {low:.2f} to {high:.2f} %" in said
    labels = ["[b]", "\x1b[31m", *"CDEFGHIJ"]
    save_checkpoint("named.npz", load_checkpoint(small).labelled(tuple(labels)))
    named = answer("evaluate", "named.npz", "--data", few_digits)
    assert named == report | {"checkpoint": "named.npz", "labels": labels}
    said = cli("evaluate", "named.npz", "--data", few_digits).stdout
    assert re.search(r"^0 \[b\] .*\n1 \\x1b\[31m .*\n2 C ", said, re.M)


def test_two_checkpoints_on_two_sets(
    answer, cli, refused, monkeypatch, small: Path, few_digits: Path, more_digits: str
) -> None:
    """A row a set and checkpoint; the second is compared with the first image by image."""
    names = (str(few_digits), more_digits)
    monkeypatch.setitem(SUITES, "other-hands", names)
    save_checkpoint("b.npz", Checkpoint.random(LeNetShape(1, 2, (10,)), seed=3))
    words = ("evaluate", small, "b.npz", "--data", "other-hands")
    report = answer(*words)
    rows = report["results"]
    assert [(row["set"], row["checkpoint"]) for row in rows] == [
        (name, which) for name in names for which in ("small.npz", "b.npz")
    ]
    wrong = {}
    for which in (small, Path("b.npz")):
        for name in names:
            data = load_dataset(name)
            wrong[name, which.name] = load(which).classify(data.images) != data.labels
    lines = [" ".join(line.split()) for line in cli(*words).stdout.splitlines()]
    for row in rows:
        mine = wrong[row["set"], row["checkpoint"]]
        assert row["errors"] == mine.sum()
        assert ("against_first" in row) == (row["checkpoint"] == "b.npz")
        if against := row.get("against_first"):
            first = wrong[row["set"], "small.npz"]
            alone = (int((first & ~mine).sum()), int((mine & ~first).sum()))
            assert alone == (against["first_alone"], against["other_alone"])
            assert against["p"] == mcnemar(*alone)
            percent = f"{100 * mine.mean():.2f}"
            start = f"{row['set']} b.npz {row['images']:,} {row['errors']:,} {percent} "
            (line,) = (line for line in lines if line.startswith(start))
            assert line.endswith(f" {alone[0]} {alone[1]} {against['p']:.2g}")
    assert "McNemar" in lines[-1]
    assert "is given twice" in refused("evaluate", small, small)
    assert "several test sets" in refused("train", "--data", "other-hands")


def test_generate_lists_what_it_wrote(answer, cli, small: Path) -> None:
    report = answer("generate", small, "--out", "v")
    manifest = json.loads(Path("v/manifest.json").read_text())
    assert report["manifest"] == manifest
    assert sorted(report["files"]) == sorted(path.name for path in Path("v").iterdir())
    for name, digest in manifest["files"].items():
        assert hashlib.sha256(Path("v", name).read_bytes()).hexdigest() == digest
    assert manifest["checkpoint"]["name"] == "small.npz"
    said = cli("generate", small).stdout
    assert re.search(rf"^build/lenet/lenet.v +{Path('v/lenet.v').stat().st_size:,} ", said, re.M)
    assert "25 + 20 multipliers." in said
    assert "100 + 20 multipliers in 50 + 10 DSP blocks." in cli("generate", small, "--conv-pes", 4, "--packed").stdout
    squares = answer("generate", small, "--conv-pes", 2, "--packed", "--dsp-size", "18x18", "--out", "s")["manifest"]
    assert (squares["config"]["dsp_size"], squares["dsps"]) == ("18x18", {"conv": 25, "fc": 10})


def test_train_writes_a_checkpoint_and_its_report(answer, cli, few_digits: Path) -> None:
    pytest.importorskip("torch")
    words = ("train", "--data", few_digits, "--shape", "1-1-10", "--epochs", 2, "--seed", 3, "--threads", 1)
    report = answer(*words, "--out", "new/f.npz")
    assert report == json.loads(Path("new/f.json").read_text())
    assert str(load("new/f.npz").shape) == report["shape"] == "1-1-10"
    assert (report["seed"], report["config"]["epochs"], report["out"]) == (3, 2, "new/f.npz")
    assert answer("evaluate", "new/f.npz", "--data", few_digits)["images"] == 20
    assert "fivebyfive evaluate build/lenet.npz" in cli(*words).stdout


def test_quantize_makes_a_checkpoint_of_a_state_dict(answer, cli, few_digits: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    shapes = LeNetShape(1, 2, (10,)).arrays
    torch.save({name: torch.randn(shape) for name, shape in shapes.items()}, "model.pt")
    words = ("quantize", "model.pt", "--data", few_digits, "--epochs", 1, "--threads", 1, "--activation", "relu")
    words += ("--pool", "max2", "--padding", 0)
    report = answer(*words, "--out", "q.npz", "--mean", 0.5, "--std", 0.25)
    assert report["input"] == {"mean": 0.5, "std": 0.25}
    assert {"float", "rounded", "rescaled", "held_out", "test"} <= set(report)
    assert str(load("q.npz").shape) == "1-2-10"
    said = cli(*words, "--out", "q.npz").stdout
    assert "read as: 28x28, 5x5 1, relu, max 2, 5x5 2, relu, max 2, fc 10" in said
    assert re.search(rf"^naively rounded +20 test +{report['rounded']['test']['errors'] and ''}\d+", said, re.M)


def test_quantize_takes_what_inspect_shows(answer, cli, refused, few_digits: Path) -> None:
    """Average pooling, tanh and padding stay what they are; networks of no file that is known are refused."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(2)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 5, padding=2), torch.nn.Tanh(), torch.nn.AvgPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(588, 10), torch.nn.Softmax(1),
    )  # fmt: skip
    torch.export.save(torch.export.export(module, (torch.zeros(1, 1, 28, 28),)), "model.pt2")
    words = ("quantize", "model.pt2", "--data", few_digits, "--epochs", 1, "--threads", 1, "--out", "q.npz")
    report = answer(*words, "--mean", 0.1307, "--std", 0.3081)
    conv, dense = load("q.npz").checkpoint.network.layers
    assert (conv.padding, conv.fill, dense.then) == ((2, 2, 2, 2), (17,), ())
    assert conv.then == ("table", Pool("average", 2, 2))
    assert report["float"]["errors"] == report["float"]["test"]["errors"]
    for name, stage in (("before", "rescaled"), ("after", None)):
        assert report[name] == (report[stage] if stage else report)["test"]
    said = cli(*words).stdout
    assert "Softmax at the end left out" in said
    assert re.search(r"^The float network was given \(pixel / 255 - [\d.]+\) / [\d.]+\.$", said, re.M)
    np.save("x.npy", np.random.default_rng(1).integers(0, 256, (30, 28, 28), dtype=np.uint8))
    words = ("quantize", "model.pt2", "--images", "x.npy", "--mean", 0, "--std", 1, "--out", "p.npz")
    report = answer(*words, "--calibrate-only", "--calibration", "kl")
    assert (report["data"], report["float"]["errors"], report["epochs"]) == ("x.npy", 0, [])
    assert "--images have no labels to train with; give --calibrate-only" in refused(*words)
    Path("model.tflite").write_bytes(b"x")
    said = refused("quantize", "model.tflite", "--data", few_digits)
    assert "model.tflite is damaged or not a PyTorch file, and has no suffix of .onnx, .keras, " in said


def test_demo_draws_what_it_simulated(answer) -> None:
    report = answer("demo", "--images", 2)
    assert report["equal"]
    assert (report["images"], report["errors"]) == (2, 0)
    assert Path(report["verilog"]).read_text().startswith("// lenet")
    with Image.open("build/demo.png") as picture:
        assert picture.width > 2000
        assert picture.height > 500


def test_demo_shows_a_row_for_each_digit(cli) -> None:
    said = cli("demo", "--images", 2).stdout
    assert re.search(r"^#3 +0 +0 +equal +75,579 +20,308 ", said, re.M)
    assert re.search(r"^#2 +1 +1 +equal ", said, re.M)
    assert "equal in all 8,380 values" in said
    for place in ("build/lenet", "build/demo.png"):
        assert place in said
