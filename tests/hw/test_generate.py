# amaranth: UnusedElaboratable=no
"""What `generate` promises: the same bytes for the same network, and a manifest that tells the truth."""

import hashlib
import json

import pytest

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.generate import MANIFEST, generate
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.simulator.lint import lint

SHAPE = LeNetShape(3, 4, (30, 10))


@pytest.fixture(scope="module")
def shipped():
    return generate(load_checkpoint(), source="lenet.npz")


def test_deterministic(tmp_path, shipped):
    """Twice, into two folders: equal bytes, and no folder's name in them."""
    again = generate(load_checkpoint(), source="lenet.npz")
    folders = [tmp_path / "one", tmp_path / "two" / "deep"]
    for folder, generated in zip(folders, (shipped, again), strict=True):
        generated.write(folder)
    names = sorted(path.name for path in folders[0].iterdir())
    assert names == sorted([*shipped.manifest["files"], MANIFEST])
    for name in names:
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second
        assert str(tmp_path).encode() not in first
        assert b"/home/" not in first
        assert b"site-packages" not in first


def test_weights_do_not_change_the_verilog():
    """Another checkpoint of the same shape is another set of .mem files: a simulation is built once."""
    one, two = (generate(Checkpoint.random(SHAPE, seed)).design for seed in (1, 2))
    assert one.verilog == two.verilog
    assert one.memories.keys() == two.memories.keys()
    assert all(one.memories[name] != two.memories[name] for name in one.memories)


def test_manifest(tmp_path, shipped):
    shipped.write(tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert manifest["checkpoint"] == {
        "name": "lenet.npz",
        "network": "20-50-500-10",
        "sha256": load_checkpoint().digest,
    }
    assert manifest["multipliers"] == manifest["dsps"] == {"conv": 25, "fc": 20}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    ports = {port["name"]: port for port in manifest["ports"]}
    assert ports["i__payload"]["fields"] == {"value": {"offset": 0, "width": 8}, "last": {"offset": 8, "width": 1}}
    assert ports["o__payload"]["fields"]["logits[9]"] == {"offset": 72, "width": 8}
    header = shipped.design.verilog.split("module lenet(")[1].split(")")[0]
    assert [name.strip() for name in header.split(",")] == list(ports)
    assert manifest["memory_map"][3] == {"memory": "conv", "name": "conv2.weight", "address": 23, "words": 1000}


def test_memory_files_hold_the_weight_image(shipped):
    """Word by word, lowest address first, byte 0 in the lowest bits."""
    image = pack(load_checkpoint(), Config())
    banks = [f"lenet_fc_weights_bank_{number}.mem" for number in range(10)]
    assert set(shipped.design.memories) == {"lenet_conv_weights_words.mem", *banks}
    for names, words in ((["lenet_conv_weights_words.mem"], image.conv), (banks, image.fc)):
        lines = [line for name in names for line in shipped.design.memories[name].split()]
        assert [bytes.fromhex(line)[::-1] for line in lines] == [word.tobytes() for word in words]


@pytest.mark.parametrize(
    "config",
    [
        None,
        Config(4, 3, 6),
        Config(2, 3, 2),
        Config(1, 3, 3, packed=True),
        Config(4, 1, 1, packed=True),
        Config(4, 2, winograd=True),
    ],
    ids=str,
)
def test_lint(shipped, config):
    """Nothing for ``verilator --lint-only -Wall`` to warn of but what the waivers name."""
    generated = generate(Checkpoint.random(SHAPE, 1), config) if config else shipped
    assert lint(generated.design) == []


def test_lint_can_fail(shipped):
    """Without its waivers the linter has something to say."""
    assert lint(shipped.design, waivers=None)


def test_weights_of_another_size_are_refused():
    image = pack(Checkpoint.random(SHAPE, 1), Config(fc_rows=2))
    with pytest.raises(ValueError, match=r"fc weights must be \(\d+, 20\) bytes for 3-4-30-10, not \(\d+, 40\)"):
        Accelerator(SHAPE.network, Config(), image)
