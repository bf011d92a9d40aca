"""The command classify against the simulated board: the same code that talks to a real one."""

import os
import tty
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fivebyfive.model.checkpoint import load_checkpoint, save_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.golden import classify, predict
from fivebyfive.model.protocol.link import DIGEST, VERSION, Info

from .conftest import error_of, one_line, python_m


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three digits: as MNIST has them, dark on light, and large."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    digits = [Image.fromarray(digit) for digit in load_dataset().images[:3]]
    digits[0].save(folder / "0.png")
    digits[1].point(lambda value: 255 - value).save(folder / "1.png")
    digits[2].resize((300, 300)).save(folder / "2.jpg")
    return folder


def test_pictures_have_the_golden_classes(answer, small: Path, pictures: Path) -> None:
    report = answer("classify", pictures, "--port", "sim", "--checkpoint", small, "--compare")
    assert (report["failed"], report["different"], len(report["images"])) == (0, 0, 3)
    logits = predict(load_checkpoint(small), load_dataset().images[:2])
    for one, golden in zip(report["images"], logits, strict=False):
        assert one["logits"] == golden.tolist()
        assert one["class"] == one["golden_class"] == int(classify(golden))
    assert all(one["equal"] and one["cycles"] > 0 for one in report["images"])


@pytest.mark.slow
@pytest.mark.parametrize(("corrupt", "least"), [(0.03, 1), pytest.param(0.1, 10, marks=pytest.mark.full)])
def test_corrupted_bytes(answer, small: Path, corrupt: float, least: int) -> None:
    options = "--compare", "--corrupt", corrupt, "--seed", 5
    report = answer("classify", 1, "--port", "sim", "--checkpoint", small, *options)
    assert (report["failed"], report["different"]) == (0, 0)
    assert report["bad_frames"] >= least
    assert all(one["resent"] > 2 * least for one in report["images"])


def test_a_table_for_people(cli, small: Path, pictures: Path) -> None:
    said = cli("classify", pictures / "0.png", 1, "--port", "sim", "--checkpoint", small, "--compare").stdout
    assert "2 of 2 answered" in said
    assert "0 differ from the golden model" in said
    assert said.count("equal") == 2


@pytest.fixture
def silent_port() -> str:
    """A port behind which nobody is."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_a_board_that_does_not_answer(cli, silent_port: str) -> None:
    """That is no fault of what was given: exit code 1."""
    said = one_line(cli("classify", 1, "--port", silent_port, code=1).stderr)
    assert f"no board on port {silent_port}: no answer came" in said


def test_ports_that_cannot_be_used(refused, tmp_path: Path) -> None:
    assert "cannot open port /dev/nowhere" in refused("classify", 1, "--port", "/dev/nowhere")
    (tmp_path / "file").write_text("")
    assert "cannot open port" in refused("classify", 1, "--port", tmp_path / "file")


def test_a_board_with_another_network(refused, monkeypatch, small: Path) -> None:
    from fivebyfive.commands import classify as command

    def other(request, network, stage):
        from contextlib import nullcontext

        return nullcontext((None, None))

    class Stranger:
        info = Info(VERSION, 10, (1, 28, 28), bytes(8))

    monkeypatch.setattr(command, "open_port", other)
    monkeypatch.setattr(command, "open_board", lambda *given: Stranger())
    said = refused("classify", 1, "--port", "any", "--checkpoint", small, "--compare")
    assert "the board holds another network (0000000000000000...) than small.npz" in said


def test_a_board_that_takes_other_images(refused, monkeypatch, small: Path) -> None:
    from contextlib import nullcontext

    from fivebyfive.commands import classify as command

    board = type("Board", (), {"info": Info(VERSION, 10, (3, 32, 32), bytes(8))})
    monkeypatch.setattr(command, "open_port", lambda *given: nullcontext((None, None)))
    monkeypatch.setattr(command, "open_board", lambda *given: board())
    said = refused("classify", 1, "--port", "any", "--checkpoint", small)
    assert "the board takes other images: images must be uint8 (N, 3, 32, 32), not uint8 (1, 28, 28)" in said


def test_a_picture_without_an_answer_is_reported(cli, monkeypatch, small: Path) -> None:
    """Exit code 1; the others are answered, and after three in a row no more are tried."""
    from contextlib import nullcontext

    from fivebyfive.commands import classify as command
    from fivebyfive.host.board import Classified, LinkFailed

    class Moody:
        info = Info(VERSION, 10, (1, 28, 28), bytes(8))
        decoder = type("Decoder", (), {"bad": 7})
        asked = 0

        def classify(self, pixels):
            self.asked += 1
            if self.asked in (2, 4, 5, 6):
                raise LinkFailed("no answer came")
            return Classified(3, np.zeros(10, np.int8), 9, 1, 0.1)

    monkeypatch.setattr(command, "open_port", lambda *given: nullcontext((None, None)))
    monkeypatch.setattr(command, "open_board", lambda *given: Moody())
    said = cli("classify", 8, "--port", "any", "--checkpoint", small, code=1).stdout
    assert "2 of 8 answered" in said
    for name in ("1", "3", "4", "5"):
        assert f"{name}: failed, no answer came" in said
    for name in ("6", "7"):
        assert f"{name}: failed, not tried" in said


def test_labels_of_the_board_s_network(answer, cli, monkeypatch, small: Path) -> None:
    """They are those of the checkpoint, where the board holds it."""
    from contextlib import nullcontext

    from fivebyfive.commands import classify as command
    from fivebyfive.host.board import Classified

    named = load_checkpoint(small).labelled(("zero", "one", "two", "th\x1bree", *"456789"))
    save_checkpoint("named.npz", named)

    class Mine:
        info = Info(VERSION, 10, (1, 28, 28), bytes.fromhex(named.digest)[:DIGEST])
        decoder = type("Decoder", (), {"bad": 0})

        def classify(self, pixels):
            return Classified(3, np.zeros(10, np.int8), 9, 1, 0.1)

    monkeypatch.setattr(command, "open_port", lambda *given: nullcontext((None, None)))
    monkeypatch.setattr(command, "open_board", lambda *given: Mine())
    words = "classify", 3, "--port", "any", "--checkpoint"
    assert [one["class_label"] for one in answer(*words, "named.npz")["images"]] == ["th\x1bree"] * 3
    said = cli(*words, "named.npz").stdout
    assert "2 two" in said  # the second image's label
    assert "3 th\\x1bree" in said
    assert "class_label" not in answer(*words, small)["images"][0]
    Mine.info = Info(VERSION, 10, (1, 28, 28), bytes(DIGEST))  # another network
    assert "class_label" not in answer(*words, "named.npz")["images"][0]


def test_options_out_of_range(refused) -> None:
    assert "--corrupt is a probability" in refused("classify", 1, "--port", "sim", "--corrupt", 1)
    assert "--corrupt is for the simulated line" in refused("classify", 1, "--port", "/dev/x", "--corrupt", 0.1)
    assert "Missing option '--port'" in refused("classify", 1)
    assert "Missing argument 'IMAGE...'" in refused("classify", "--port", "sim")
    assert "cannot read file of images nowhere.npy" in refused("classify", "nowhere.npy", "--port", "sim")


def test_a_missing_simulator_is_said(small: Path) -> None:
    done = python_m("classify", 1, "--port", "sim", "--checkpoint", small, env={"PATH": ""})
    assert done.returncode == 2
    assert "sudo apt install g++ make" in error_of(done)
