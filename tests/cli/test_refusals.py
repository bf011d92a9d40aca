"""What a person may give that cannot be used: one line, exit code 2, nothing left behind."""

import os
import pickle
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fivebyfive.api import load
from fivebyfive.commands.folders.read_folder import read_folder
from fivebyfive.model.checkpoint import Checkpoint

from .conftest import SMALL, error_of, python_m

READERS = ("evaluate", "generate", "simulate")


class Bomb:
    """Unpickling it makes a file."""

    def __reduce__(self):
        return Path("unpickled").touch, ()


def arrays(**changed) -> dict[str, np.ndarray]:
    """Arrays of a small checkpoint, some changed; None takes one away."""
    given = dict(Checkpoint.random(SMALL, seed=1).arrays) | changed
    return {name: array for name, array in given.items() if array is not None}


def archive(path: Path, content: dict) -> Path:
    np.savez(path, allow_pickle=True, **content)
    return path


BAD_ARRAYS = {
    "missing": ({"conv2.bias": None}, "conv2.bias is missing"),
    "extra": ({"conv3.weight": np.zeros(3, np.int8)}, "conv3.weight does not belong"),
    "shape": ({"fc1.weight": np.zeros((7, 47), np.int8)}, "fc1.weight must have shape (7, 48)"),
    "dimensions": ({"fc1.weight": np.zeros(7, np.int8)}, "2 dimensions"),
    "dtype": ({"fc1.bias": np.zeros(7, np.int16)}, "fc1.bias must be int8"),
    "float": ({"fc1.bias": np.zeros(7, np.float32)}, "fivebyfive quantize"),
    "objects": ({"fc1.bias": np.array([Bomb()])}, "never loaded"),
    "empty": ({name: None for name in SMALL.arrays}, "conv1.weight is missing"),
}


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_checkpoint_whose_arrays_do_not_fit(refused, command: str, case: str, tmp_path: Path) -> None:
    changed, said = BAD_ARRAYS[case]
    assert said in refused(command, archive(tmp_path / "bad.npz", arrays(**changed)))
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("command", READERS)
def test_checkpoint_that_is_no_npz(refused, command: str, tmp_path: Path, small: Path) -> None:
    bad = tmp_path / "bad.npz"
    assert "No such file" in refused(command, bad)
    assert "it is a folder" in refused(command, tmp_path)
    for content in (b"", b"no archive at all", pickle.dumps(Bomb())):
        bad.write_bytes(content)
        assert "not an .npz file" in refused(command, bad)
    whole = small.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 100, 3):
        bad.write_bytes(whole[:length])
        assert "damaged or truncated" in refused(command, bad)
    assert not Path("unpickled").exists()


def test_state_dict_is_told_how_to_become_a_checkpoint(refused, tmp_path: Path) -> None:
    for suffix in (".pt", ".safetensors"):
        path = tmp_path / f"model{suffix}"
        path.write_bytes(b"PK whatever")
        assert "fivebyfive quantize MODEL.pt --out F.npz" in refused("simulate", path)


def test_images_of_a_wrong_kind(refused, tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    cases = {
        "float64 (2, 28, 28)": np.zeros((2, 28, 28)),
        "int8 (2, 28, 28)": np.zeros((2, 28, 28), np.int8),
        "uint8 (2, 27, 28)": np.zeros((2, 27, 28), np.uint8),
        "uint8 (28, 28)": np.zeros((28, 28), np.uint8),
        "uint8 (2, 3, 28, 28)": np.zeros((2, 3, 28, 28), np.uint8),
        "0 images": np.zeros((0, 28, 28), np.uint8),
    }
    for said, array in cases.items():
        np.save(path, array)
        assert said in refused("simulate", "--images", path)
    np.save(path, np.array([Bomb()]), allow_pickle=True)
    assert "never loaded" in refused("simulate", "--images", path)
    assert not Path("unpickled").exists()


def test_images_that_are_no_npy(refused, tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    assert "No such file" in refused("simulate", "--images", path)
    path.write_bytes(pickle.dumps(Bomb()))
    assert "not a .npy file" in refused("simulate", "--images", path)
    np.save(path, np.zeros((2, 28, 28), np.uint8))
    whole = path.read_bytes()
    for length in (len(whole) - 1, 129, 100, 20, 8):
        path.write_bytes(whole[:length])
        assert "damaged or truncated" in refused("simulate", "--images", path)
    path.write_bytes(whole.replace(b"(2, 28, 28)", b"(2**99,28,)"))
    assert "damaged or truncated" in refused("simulate", "--images", path)
    path.write_bytes(whole.replace(b"(2, 28, 28), }    ", b"(20000, 28, 28), }"))
    assert "damaged or truncated" in refused("simulate", "--images", path)


def test_numbers_of_images_there_are_not(refused) -> None:
    for count in ("0", "-3", "10001", "9" * 30):
        assert "from 1 to 10000" in refused("simulate", f"--images={count}")


def test_folders_of_pngs_that_cannot_be_used(refused, tmp_path: Path) -> None:
    folder = tmp_path / "pngs"
    folder.mkdir()
    assert "has 0 pictures; give a folder" in refused("simulate", "--images", folder)
    Image.new("L", (28, 28)).save(folder / "a.png")
    Image.new("L", (20, 28)).save(folder / "b.png")
    assert "b.png: nothing in it stands out" in refused("simulate", "--images", folder)
    Image.new("1", (9000, 8000)).save(folder / "b.png")
    assert "b.png is 9000x8000 pixels" in refused("simulate", "--images", folder)
    Image.effect_noise((28, 28), 50).save(folder / "b.png")
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[: len(whole) // 2])
    assert "b.png is damaged" in refused("simulate", "--images", folder)
    (folder / "b.png").write_bytes(b"GIF89a")
    assert "b.png is not a PNG, JPEG, GIF" in refused("simulate", "--images", folder)


def test_simulators_there_are_not(refused, monkeypatch) -> None:
    assert "choose one of: verilator, icarus" in refused("simulate", "--simulator", "modelsim")
    monkeypatch.setenv("PATH", "")
    assert "sudo apt install g++ make" in refused("simulate")
    assert "sudo apt install iverilog" in refused("simulate", "--simulator", "icarus")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--conv-pes", 51), "conv PEs must be 1 to 50, not 51"),
        (("--conv-pes", 0), "conv PEs must be 1 to 50, not 0"),
        (("--conv-pes", "four"), "'four' is not a valid integer"),
        (("--fc-rows", 26), "fc_rows must be 1 to 25"),
        (("--multipliers", 44), "20-50-500-10 takes at least 45 multipliers, more than 44"),
        (("--dsps", "few"), "'few' is not a valid integer"),
        (("--fps", 1000), "give --clock MHZ with --fps"),
        (("--dsp-size", "18x18"), "dsp_size 18x18 is for packed machines; add packed, or leave it out"),
        (("--winograd", "--conv-pes", 3), "winograd computes four windows at once, not 1; ask for 4 conv PEs or more"),
        (("--clock", 100), "--clock is the frequency of --fps"),
        (("--pause", 1), "--pause is a probability"),
        (("--pause", "nan"), "--pause is a probability"),
        (("--seed", -1), "--seed is 0 to"),
        (("--seed", "abc"), "'abc' is not a valid integer"),
        (("--bogus",), "No such option"),
        (("a.npz", "b.npz"), "unexpected extra argument"),
    ],
)
def test_options_out_of_range(refused, words: tuple, said: str) -> None:
    assert said in refused("simulate", *words)


def test_commands_there_are_not(refused) -> None:
    assert "No such command 'simulat'" in refused("simulat")


def test_training_is_refused_before_it_begins(refused, few_digits: Path) -> None:
    data = ("--data", few_digits)
    assert "a shape is written like 20-50-500-10" in refused("train", *data, "--shape", "20-50")
    assert "epochs must be" in refused("train", *data, "--epochs", 0)
    assert "5 classes" in refused("train", *data, "--shape", "2-3-5")
    assert "no data set called nowhere" in refused("train", "--data", "nowhere")
    assert "it is a folder" in refused("train", *data, "--out", few_digits)
    assert "cannot read model" in refused("quantize", "nowhere.pt", *data)
    Path("model.pt").write_bytes(pickle.dumps(Bomb()))
    assert "state_dict" in refused("quantize", "model.pt", *data)
    assert not Path("unpickled").exists()


def test_training_without_pytorch_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('as if it were not installed')")
    for words in (("train",), ("quantize", "model.pt")):
        done = python_m(*words, env={"PYTHONPATH": str(tmp_path)})
        assert done.returncode == 2
        assert "pip install 'fivebyfive[train]'" in error_of(done)


def test_folder_that_generate_did_not_write(refused, tmp_path: Path, cli, small: Path) -> None:
    assert "cannot read" in refused("simulate", "--verilog", tmp_path / "nowhere")
    cli("generate", small, "--out", tmp_path / "v")
    assert "is a 2-3-7-10, the checkpoint a 20-50-500-10" in refused("simulate", "--verilog", tmp_path / "v")
    manifest = tmp_path / "v" / "manifest.json"
    whole = manifest.read_text()
    for text, said in (
        (whole[:-10], "not JSON"),
        ("[]", "not what generate writes"),
        ("{}", "not what generate writes"),
        (whole.replace('"lenet.v"', '"../lenet.v"'), "outside its folder"),
        (whole.replace('"lenet.v"', '"other.v"'), "cannot read"),
        ("[" * 100_000, "not JSON"),
        (whole.replace('"windows": 1', '"windows": true'), "windows cannot be True"),
        (whole.replace('"width": 1,', '"width": "1",'), "port clk is 'input' of '1' bits"),
    ):
        manifest.write_text(text)
        assert said in refused("simulate", small, "--verilog", tmp_path / "v")


def sparse(path: Path) -> None:
    """2 GiB, of which a disk holds nothing."""
    path.touch()
    os.truncate(path, 2 << 30)


ODD = {  # what may stand where a file is expected, and what is said of it
    "pipe": (os.mkfifo, "it is a pipe"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "folder": (Path.mkdir, "it is a folder"),
    "loop": (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
    "large": (sparse, "bytes; a "),
}
WANTED = {  # every argument and option that takes a file: the command, and the file's name
    "checkpoint": (("evaluate",), "odd.npz"), "of generate": (("generate",), "odd.npz"),
    "of simulate": (("simulate",), "odd.npz"), "of measure": (("measure", "--estimate"), "odd.npz"),
    "of explore": (("explore", "--part", "lfe5u-85f", "--estimate"), "odd.npz"), "of pack": (("pack",), "odd.npz"),
    "of compare": (("compare",), "odd.npz"), "of build": (("build", "--board", "ulx3s-85f"), "odd.npz"),
    "of classify": (("classify", "1", "--port", "sim", "--checkpoint"), "odd.npz"),
    "packed": (("unpack",), "odd.bin"), "model": (("quantize",), "odd.pt"), "safe": (("quantize",), "odd.safetensors"),
    "plan": (("compress", "--plan"), "odd.toml"), "images": (("simulate", "--images"), "odd.npy"),
    "picture": (("simulate", "--images"), "odd.png"), "to classify": (("classify", "--port", "sim"), "odd.jpg"),
}  # fmt: skip
TAKES_FOLDERS = ("images", "picture", "to classify")


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_plain_file(refused, tmp_path: Path, few_digits: Path, wanted: str, kind: str) -> None:
    """Said at once: nobody waits for a pipe's writer, and no device is read to its end."""
    words, name = WANTED[wanted]
    make, said = ODD[kind]
    make(tmp_path / name)
    data = ("--data", few_digits) if words[0] == "quantize" else ()
    line = refused(*words, tmp_path / name, *data)
    assert (said if kind != "folder" or wanted not in TAKES_FOLDERS else "give a folder with") in line


@pytest.fixture(scope="session")
def generated(small: Path, tmp_path_factory) -> Path:
    """What generate makes of the small checkpoint; not to be changed."""
    folder = tmp_path_factory.mktemp("generated") / "v"
    load(small).accelerator().write_verilog(folder)
    return folder


@pytest.fixture
def verilog(generated: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(generated, tmp_path / "v")


FILES = ("manifest.json", "lenet.v", "lenet_conv_weights_words.mem")


@pytest.mark.parametrize("kind", ["pipe", "endless", "folder"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_plain_file_in_a_folder_of_verilog(refused, verilog: Path, small: Path, name, kind) -> None:
    (verilog / name).unlink()
    make, said = ODD[kind]
    make(verilog / name)
    assert (said if kind != "endless" else "is a link that leads out of") in refused(
        "simulate", small, "--verilog", verilog
    )


@pytest.mark.parametrize("name", FILES)
def test_a_folder_of_verilog_with_links_out_of_it(refused, verilog: Path, small: Path, name: str) -> None:
    elsewhere = (verilog / name).rename(verilog.parent / "elsewhere")
    (verilog / name).symlink_to(elsewhere)
    assert "is a link that leads out of" in refused("simulate", small, "--verilog", verilog)
    (verilog / name).unlink()
    elsewhere.rename(verilog / "other")
    (verilog / name).symlink_to("other")
    read_folder(verilog)


def test_a_folder_of_verilog_that_is_too_large(refused, verilog: Path, small: Path) -> None:
    for name, said in (("lenet.v", "a generated file has at most"), ("manifest.json", "has at most 4194304")):
        sparse(verilog / name)
        assert said in refused("simulate", small, "--verilog", verilog)


@pytest.mark.parametrize("kind", ["pipe", "endless", "folder", "large"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_is_no_plain_file_of_a_data_set(refused, tmp_path: Path, small: Path, kind: str, suffix: str) -> None:
    make, said = ODD[kind]
    make(tmp_path / f"t10k-images-idx3-ubyte{suffix}")
    assert said in refused("evaluate", small, "--data", tmp_path)


def test_a_packed_file_where_a_checkpoint_is_wanted(refused, tmp_path: Path, small: Path, cli) -> None:
    pytest.importorskip("constriction")
    path = tmp_path / "my network.bin"
    cli("pack", small, "--out", path)
    line = refused("evaluate", path)
    assert line.endswith(f"is a packed checkpoint; unpack it first: fivebyfive unpack '{path}' --out 'my network.npz'.")
    cli(*shlex.split(line.removesuffix(".").partition("fivebyfive ")[2]))
    cli("measure", "--estimate", "my network.npz")


def test_a_plan_that_names_what_no_file_can_be_called(refused, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    plan = tmp_path / "plan.toml"
    for text in ('start = "a\\u0000b"', 'start = "\\u0000"'):
        plan.write_text(f'{text}\n[[step]]\nmethod = "ternary"\n')
        assert "zero byte" in refused("compress", "--plan", plan)
