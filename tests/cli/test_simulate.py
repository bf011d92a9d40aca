"""simulate: images through the RTL, and where it differs."""

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fivebyfive.api import load
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.weights import memory_map
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.simulator.simulators import find
from fivebyfive.support.errors import UserError

from .conftest import SMALL


def test_every_image_is_equal_and_its_cycles_are_told(answer, small: Path) -> None:
    report = answer("simulate", small, "--images", 12, "--seed", 9, "--out", "new/logits.npy")
    assert report["equal"]
    assert report["difference"] is None
    assert (report["images"], report["multipliers"], report["simulator"], report["seed"]) == (12, 45, "verilator", 9)
    for clock in ("conv", "fc"):
        assert report[f"{clock}_limit_cycles"] < report[f"{clock}_cycles"] < report[f"{clock}_limit_cycles"] + 200
    assert report["latency_cycles"] > report["conv_cycles"]
    assert report["interval_cycles"] >= report["conv_cycles"]
    assert report["utilization"] == report["macs"] / report["interval_cycles"] / 45
    digits = load_dataset()
    logits = np.load("new/logits.npy", allow_pickle=False)
    assert (logits.dtype, logits.shape) == (np.int8, (12, 10))
    np.testing.assert_array_equal(logits, load(small).predict(digits.images[:12]))
    assert report["errors"] == (logits.argmax(1) != digits.labels[:12]).sum()


@pytest.mark.full  # README's blocks simulate it
def test_the_shipped_lenet_within_its_budget(answer) -> None:
    report = answer("simulate", "--images", 3)
    assert report["equal"]
    assert report["errors"] == 0
    assert report["conv_cycles"] <= 76_300
    assert report["fc_cycles"] <= 20_460


def test_images_come_from_npy_and_pngs_alike(answer, small: Path) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (2, 28, 28), dtype=np.uint8)
    pixels[:, [0, -1]] = pixels[:, :, [0, -1]] = 0  # a picture with a light border would be taken for dark on light
    np.save("images.npy", pixels)
    Path("pngs").mkdir()
    for name, image in zip(("b", "a"), pixels, strict=True):
        Image.fromarray(image).save(f"pngs/{name}.png")
    for spec, out in (("images.npy", "1.npy"), ("pngs", "2.npy")):
        report = answer("simulate", small, "--images", spec, "--out", out)
        assert report["equal"]
        assert report["errors"] is None
    np.testing.assert_array_equal(np.load("1.npy"), load(small).predict(pixels))
    np.testing.assert_array_equal(np.load("2.npy"), np.load("1.npy")[::-1])  # sorted by name


@pytest.mark.full  # of its parts: tests/sim/quality/test_coverage.py
def test_coverage_of_the_verilog(answer, cli, refused, small: Path, tmp_path: Path) -> None:
    """Of a network without convolutions, whose counters Verilator compiles in a third of the time."""
    tiny = tmp_path / "tiny.npz"
    save_checkpoint(tiny, Checkpoint.random(LeNetShape(0, 0, (10,)), 1))
    report = answer("simulate", tiny, "--images", 2, "--coverage", "--seed", 1)
    assert report["equal"]
    for what in ("blocks", "toggles"):
        counts = report["coverage"][what]
        assert 0.7 * counts["all"] < counts["seen"] < counts["all"]
    assert report["coverage"]["never_toggled"]["lenet_counters"]["now"] == "23:10"  # so few cycles
    assert "coverage" not in answer("simulate", small, "--images", 1)
    said = cli("simulate", tiny, "--images", 2, "--coverage", "--seed", 1).stdout
    ran, toggles = (f"{report['coverage'][what]['seen']:,} of" for what in ("blocks", "toggles"))
    assert re.search(rf"^coverage of the Verilog: {ran} .* blocks ran .*, {toggles} ", said, re.M)
    assert "not of a --netlist" in refused("simulate", small, "--coverage", "--netlist", "ecp5")
    assert "icarus cannot measure coverage" in refused("simulate", small, "--coverage", "--simulator", "icarus")


def test_icarus(answer, small: Path) -> None:
    try:
        find("icarus")
    except UserError as error:
        pytest.skip(str(error))
    report = answer("simulate", small, "--images", 2, "--simulator", "icarus")
    assert report["equal"]
    assert report["simulator_version"].startswith("Icarus Verilog")


@pytest.mark.full  # sizes: tests/sim/test_accelerator.py
def test_a_larger_machine_takes_fewer_cycles(answer, small: Path) -> None:
    report = answer("simulate", small, "--images", 2, "--conv-pes", 2, "--fc-rows", 2, "--early-fc", "--no-overlap")
    assert report["equal"]
    assert report["multipliers"] == 90
    asked = Config(windows=2, outputs=1, fc_rows=2, early_fc=True, overlap=False)  # random weights: dense engines
    assert report["config"] == json.loads(json.dumps(asdict(asked)))
    assert report["conv_limit_cycles"] == (576 * 2 + 64 * 2 * 3) // 2


@pytest.mark.full  # likewise: tests/sim/test_skip_zeros.py
def test_windows_of_zeros(answer, small: Path) -> None:
    report = answer("simulate", small, "--images", 3, "--skip-zeros")
    assert report["equal"]
    assert report["config"]["skip_zeros"]
    checkpoint = load_checkpoint(small)
    assert report["interval_cycles"] < plan(checkpoint.network, Config()).interval
    assert report["utilization"] is None  # of products, those with zeros are left out


@pytest.mark.full  # likewise
def test_packed(answer, small: Path) -> None:
    report = answer("simulate", small, "--images", 2, "--conv-pes", 4, "--packed")
    assert report["equal"]
    assert (report["multipliers"], report["dsps"], report["config"]["packed"]) == (120, 60, True)


def test_winograd(answer, small: Path) -> None:
    report = answer("simulate", small, "--images", 2, "--winograd")
    assert report["equal"]
    assert (report["multipliers"], report["dsps"], report["config"]["winograd"]) == (56, 56, True)
    macs = load_checkpoint(small).network.macs
    products = 0.36 * (macs["conv1"] + macs["conv2"]) + macs["fc1"] + macs["fc2"]
    assert report["utilization"] == pytest.approx(products / (56 * report["interval_cycles"]))


def test_a_table_for_people(cli, small: Path) -> None:
    """Labels of classes, where a network has some, stand beside their index."""
    labels = tuple(f"digit {word}" for word in "abcdefghij")
    save_checkpoint("named.npz", load_checkpoint(small).labelled(labels))
    said = cli("simulate", "named.npz", "--images", 2).stdout
    assert "2 images, every value of conv1, conv2, fc1, fc2: equal" in said
    digits = load_dataset()
    for label, found in zip(digits.labels[:2], load(small).classify(digits.images[:2]), strict=True):
        assert re.search(rf" {label} {labels[label]} +{found} {labels[found]} +equal ", said)
    assert "last pixel accepted to result valid" in said
    assert said.count(" equal ") == 2


def break_weight(folder: Path, memory: str, word: int, byte: int) -> None:
    """Flip the sign of one byte in a .mem file."""
    (path,) = folder.glob(f"*_{memory}_weights_words.mem")
    lines = path.read_text().split("\n")
    place = len(lines[word]) - 2 * byte - 2
    code = int(lines[word][place : place + 2], 16) ^ 0x80
    lines[word] = f"{lines[word][:place]}{code:02x}{lines[word][place + 2 :]}"
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(("memory", "layer"), [("conv", "conv1"), pytest.param("fc", "fc2", marks=pytest.mark.full)])
def test_the_first_difference_is_found(answer, cli, small: Path, memory: str, layer: str) -> None:
    """One bias broken by hand: the first value that it changes is named."""
    name = f"{layer}.bias"
    cli("generate", small, "--out", "v")
    (region,) = (region for region in memory_map(SMALL.network, Config()) if region.name == name)
    break_weight(Path("v"), memory, region.address, byte=1)
    report = answer("simulate", small, "--verilog", "v", "--images", 3, "--out", "logits.npy", code=1)
    checkpoint = load(small).checkpoint
    broken = dict(checkpoint.arrays)
    broken[name] = broken[name].copy()
    broken[name][1] ^= -128
    changed = load(small)
    object.__setattr__(changed.checkpoint, "arrays", broken)
    pixels = load_dataset().images[:3]
    got, expected = changed.trace(pixels).outputs[layer], load(small).trace(pixels).outputs[layer]
    first = tuple(np.argwhere(got[0] != expected[0])[0])
    found = report["difference"]
    assert not report["equal"]
    assert (found["image"], found["layer"]) == (0, layer)
    assert tuple(found[key] for key in ("channel", "row", "column", "output") if key in found) == first
    assert (found["expected"], found["got"]) == (expected[0][first], got[0][first])
    assert not Path("logits.npy").exists()
    said = cli("simulate", small, "--verilog", "v", code=1).stdout
    assert f"first difference: image 0, layer {layer}" in said
    assert "--waves" in said


def test_verilog_of_other_weights_is_simulated_with_a_warning(cli, small: Path, tmp_path: Path) -> None:
    from fivebyfive.model.checkpoint import Checkpoint, save_checkpoint

    save_checkpoint("other.npz", Checkpoint.random(SMALL, seed=6))
    cli("generate", "other.npz", "--out", "v")
    result = cli("simulate", small, "--verilog", "v", code=1)
    assert "generated from another checkpoint" in result.stderr
    cli("simulate", "other.npz", "--verilog", "v")


def test_waves_and_a_view_of_them(cli, small: Path) -> None:
    said = cli("simulate", small, "--waves", "--seed", 1).stdout
    (waves,) = Path("build/waves").glob("waves.[fv][sc][td]")
    assert waves.stat().st_size > 100_000
    view = Path("build/waves/waves.gtkw").read_text()
    for signal_name in ("lenet.i__valid", "lenet.conv.controller.state", "lenet.fc_tap", "lenet.o__payload"):
        assert signal_name in view
    assert f'"{waves.name}"' in view
    assert "open it with: cd build/waves && gtkwave waves.gtkw" in said
    assert "1 image," in said


def test_a_marker_stands_where_the_difference_is(answer, cli, small: Path) -> None:
    cli("generate", small, "--out", "v")
    break_weight(Path("v"), "conv", memory_map(SMALL.network, Config())[0].address, byte=1)
    found = answer("simulate", small, "--verilog", "v", "--waves", code=1)["difference"]
    view = Path("build/waves/waves.gtkw").read_text()
    marker = int(re.search(r"^\*-[\d.]+ (\d+) ", view, re.M)[1])
    assert marker == found["cycle"] * 10_000  # picoseconds
    if Path("build/waves/waves.vcd").exists():
        text = Path("build/waves/waves.vcd").read_text()
        tap = re.search(r"\$var wire +\d+ (\S+) conv_tap ", text)[1]
        (changes,) = re.findall(rf"^#{marker}\n((?:[^#].*\n)*)", text, re.M)
        (word,) = re.findall(rf"^b([01]+) {re.escape(tap)}$", changes, re.M)
        assert int(word[:8], 2) == found["got"] % 256  # values are the tap's highest byte


@pytest.mark.full  # a warning
def test_waves_of_many_images_are_warned_of(cli, small: Path) -> None:
    result = cli("simulate", small, "--waves", "--images", 4, "--folder", "w")
    assert result.stderr.startswith("warning: 4 images make a large waveform")
    assert Path("w/waves.gtkw").is_file()


def test_a_machine_that_hangs_is_a_failure_with_a_log(cli, small: Path) -> None:
    cli("generate", small, "--out", "v")
    verilog = Path("v/lenet.v").read_text()
    stuck = verilog.replace("    .o__valid(o__valid),\n", "    .o__valid(),\n", 1)  # no result ever comes
    assert stuck != verilog
    Path("v/lenet.v").write_text(stuck)
    result = cli("simulate", small, "--verilog", "v", "--images", 1, code=1)
    assert result.stdout == ""
    assert "\nerror: failed with seed" in f"\n{result.stderr}"
    assert "the result of image 0: nothing for" in result.stderr
    assert "Traceback" not in result.stderr
    log, remark = result.stderr.rsplit("The whole log: ", 1)[1].split(" ", 1)
    assert Path(log).is_file()
    assert "failed runs are kept" in remark


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.full)]
)
def test_an_interrupted_run_leaves_nothing_running(small: Path, tmp_path: Path, number: int, code: int) -> None:
    folder = tmp_path / "run"
    words = ["simulate", str(small), "--images", "10000", "--folder", str(folder), "--json"]
    command = [sys.executable, "-m", "fivebyfive", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: (folder / "run-done.npy").exists() and int(np.load(folder / "run-done.npy")[0]) > 0)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == ""
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert err.splitlines()[-1] == "error: interrupted"
    done = int(np.load(folder / "run-done.npy")[0])
    time.sleep(0.5)
    assert int(np.load(folder / "run-done.npy")[0]) == done < 10_000


def until(condition, limit_s: float = 300) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_json_is_one_line_alone(small: Path) -> None:
    command = [sys.executable, "-m", "fivebyfive", "simulate", str(small), "--images", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["equal"]
