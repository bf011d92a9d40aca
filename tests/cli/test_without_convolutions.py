"""A network whose first layer takes pixels, from train to measure, by the commands that every network goes through."""

import json
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.api import load
from fivebyfive.model.checkpoint import Checkpoint, save_checkpoint
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.shape import LeNetShape

SHAPE = LeNetShape.parse("784-12-10")


@pytest.fixture(scope="session")
def pixels_in(tmp_path_factory) -> Path:
    """Random codes: 784-12-10."""
    path = tmp_path_factory.mktemp("checkpoints") / "pixels.npz"
    save_checkpoint(path, Checkpoint.random(SHAPE, seed=6))
    return path


def test_every_image_is_equal(answer, cli, pixels_in: Path) -> None:
    report = answer("simulate", pixels_in, "--images", 12, "--pause", 0.1, "--seed", 3)
    assert report["equal"]
    assert (report["network"], report["multipliers"], report["dsps"]) == ("784-12-10", 20, 20)
    assert (report["conv_cycles"], report["conv_limit_cycles"], report["fc_limit_cycles"]) == (0, 0, 490)
    assert report["fc_cycles"] == plan(SHAPE.network, sized(SHAPE.network)).fc
    assert report["layers_compared"] == ["fc1", "fc2"]
    said = cli("simulate", pixels_in, "--images", 2).stdout
    assert "conv" not in said
    assert "2 images, every value of fc1, fc2: equal" in said


def test_what_is_generated(answer, cli, pixels_in: Path) -> None:
    manifest = answer("generate", pixels_in, "--out", "v")["manifest"]
    assert manifest["multipliers"] == {"conv": 0, "fc": 20}
    assert manifest["config"]["outputs"] == 0
    assert {region["memory"] for region in manifest["memory_map"]} == {"fc"}
    assert "conv_tap" not in {port["name"] for port in manifest["ports"]}
    verilog = Path("v/lenet.v").read_text()
    assert "conv_engine" not in verilog
    assert "0 + 60 multipliers." in cli("generate", pixels_in, "--fc-rows", 3).stdout


def test_the_first_difference_is_found(answer, pixels_in: Path, tmp_path: Path) -> None:
    answer("generate", pixels_in, "--out", "v")
    arrays = {name: array.copy() for name, array in load(pixels_in).checkpoint.arrays.items()}
    arrays["fc2.bias"][5] ^= 1
    save_checkpoint(tmp_path / "other.npz", Checkpoint.from_arrays(arrays))
    report = answer("simulate", tmp_path / "other.npz", "--verilog", "v", "--images", 1, code=1)
    assert (report["difference"]["layer"], report["difference"]["output"]) == ("fc2", 5)


def test_a_core_for_vivado(answer, pixels_in: Path) -> None:
    report = answer("generate", pixels_in, "--target", "vivado", "--out", "core")
    assert report["manifest"]["multipliers"] == {"conv": 0, "fc": 20}
    assert not [name for name in report["files"] if "conv" in name]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--conv-pes", 4), "784-12-10 has no convolutions, so no work for 4 conv PEs; leave them out"),
        (("--skip-zeros", "--packed"), "skip_zeros has no work in 784-12-10: no convolution takes three channels, or"),
        (("--winograd",), "winograd is for convolutions; 784-12-10 has none; leave it out"),
        (("--early-fc",), "early_fc is for networks with convolutions; the first layer of 784-12-10 takes pixels"),
    ],
)
@pytest.mark.parametrize("command", ["generate", "simulate", "measure"])
def test_what_it_has_no_use_for(refused, pixels_in: Path, command: str, words: tuple, said: str) -> None:
    assert said in refused(command, pixels_in, *words)


def test_estimates(answer, pixels_in: Path) -> None:
    report = answer("measure", pixels_in, "--part", "lfe5u-85f", "--estimate")
    assert (report["multipliers"], report["conv_multipliers"], report["dsp"]) == (20, 0, 20)
    assert report["interval_cycles"] == 784
    assert 0 < report["lut"] < 6000
    found = answer("explore", pixels_in, "--part", "xc7z020", "--estimate")
    assert all(one["conv_multipliers"] == 0 for one in found["results"])
    assert found["front"]


def test_train_compress_pack(answer, few_digits: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("constriction")
    report = answer("train", "--shape", "784-9-10", "--data", few_digits, "--epochs", 2, "--out", "f.npz")
    assert report["shape"] == "784-9-10"
    assert json.loads(Path("f.json").read_text()) == report
    words = ("compress", "magnitude", "f.npz", "--keep", "fc1=0.1", "--epochs", 1, "--data", few_digits)
    small = answer(*words, "--out", "g.npz")
    assert small["contents"]["fc1"]["nonzero"] <= 706
    assert answer("pack", "g.npz", "--out", "g.bin")["bytes"] == small["bytes"]
    answer("unpack", "g.bin", "--out", "h.npz")
    again, wanted = load("h.npz"), load("g.npz")
    assert all(np.array_equal(again.checkpoint.arrays[name], a) for name, a in wanted.checkpoint.arrays.items())
