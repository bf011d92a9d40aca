"""Two networks in one machine: generate and simulate with --then."""

import json
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.cascade import choose_margin, held_out_of
from fivebyfive.model.cascade import MAX_MARGIN, answer
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.description import parse
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.training.hold_out import DRAWN, HoldOut
from fivebyfive.support.errors import UserError
from fivebyfive.support.progress import silent

LAST = {"name": "f", "kind": "fc", "outputs": 4}
CONV = {"name": "c", "kind": "conv", "outputs": 2, "kernel": 3, "then": ["relu", {"max": 2}]}


@pytest.fixture
def pair() -> tuple[Path, Path, Path]:
    """Two networks that take 10 x 10 pixels, and six images, in files."""
    paths = Path("little.npz"), Path("large.npz")
    for path, layers in zip(paths, ([LAST], [CONV, LAST]), strict=True):
        save_checkpoint(path, Checkpoint.random(parse(json.dumps({"input": [1, 10, 10], "layers": layers})), 3))
    np.save("images.npy", np.random.default_rng(1).integers(0, 256, (6, 10, 10), np.uint8))
    return *paths, Path("images.npy")


def test_simulate_and_generate(answer_of, pair) -> None:
    little, large, images = pair
    line = (little, "--then", large, "--margin", 60, "--early-fc", "--conv-pes", 2)  # the first has no convolutions
    found = answer_of("simulate", *line, "--images", images, "--simulator", "icarus")
    wanted = answer(load_checkpoint(little), load_checkpoint(large), 60, np.load(images))
    assert 0 < found["asked"] == wanted.second.sum() < 6
    assert found["equal"]
    assert found["difference"] is found["errors"] is found["held_out"] is None
    assert found["longest_cycles"] >= found["interval_cycles"] > 100
    assert found["multipliers"] == {"first": {"conv": 0, "fc": 20}, "second": {"conv": 18, "fc": 20}}
    made = answer_of("generate", *line, "--out", "both")
    assert set(made["files"]) == {path.name for path in Path("both").iterdir()}
    manifest = json.loads(Path("both/manifest.json").read_text())
    assert manifest == made["manifest"]
    assert (manifest["top"], manifest["margin"]) == ("cascade", 60)
    assert [manifest[name]["checkpoint"]["name"] for name in ("first", "second")] == ["little.npz", "large.npz"]


@pytest.fixture
def answer_of(answer):
    """The fixture `answer` by another name: here `answer` is the golden model's."""
    return answer


def test_a_difference_is_shown(cli, pair, monkeypatch) -> None:
    """Of RTL that asks at another margin than the golden model."""
    from fivebyfive.sim import cascade

    little, large, images = pair
    monkeypatch.setattr(cascade, "answer", lambda first, second, margin, pixels: answer(first, second, 0, pixels))
    line = ("simulate", little, "--then", large, "--margin", MAX_MARGIN, "--images", images, "--simulator", "icarus")
    shown = cli(*line, code=1).stdout
    assert "every logit, class and choice of the network: differ: image 0, layer answer, output" in " ".join(
        shown.split()
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--margin", 3), "--margin is of two networks; name the second with --then G.npz"),
        (("--then", "large.npz", "--margin", 300), "margin is a whole number from 0 to 256, not 300"),
        (("--then", "other.npz", "--margin", 3), "both networks must take the same images and know as many classes"),
        (
            ("--then", "large.npz", "--margin", 3, "--waves"),
            "with --then go --images, --simulator, --margin and the sizes",
        ),
        (("--then", "none.npz"), "none.npz"),
    ],
)
def test_what_does_not_go_together(cli, pair, words, said) -> None:
    save_checkpoint(Path("other.npz"), Checkpoint.random(LeNetShape.parse("2-2-8-10"), 3))
    result = cli("simulate", pair[0], *words, "--images", pair[2], code=2)
    assert said in " ".join(result.stderr.split())
    if "--waves" not in words:
        assert said in " ".join(cli("generate", pair[0], *words, code=2).stderr.split())
    else:
        vivado = cli("generate", pair[0], *words[:-1], "--target", "vivado", code=2).stderr
        assert "two networks are plain Verilog" in " ".join(vivado.split())


def test_a_margin_is_chosen_on_held_out_images(monkeypatch) -> None:
    """The least at which no more of them are wrong than with the second network alone."""
    from fivebyfive import api

    held_out = digits(80)
    networks = [api.Network(Checkpoint.random(LeNetShape.parse(one), 3), one) for one in ("2-2-8-10", "3-3-8-10")]
    choice = choose_margin(*networks, held_out)
    assert choice.images == 80

    def errors(margin: int) -> int:
        got = answer(networks[0].checkpoint, networks[1].checkpoint, margin, held_out.images)
        return int((got.logits.argmax(1) != held_out.labels).sum())

    assert errors(choice.margin) == choice.errors <= errors(MAX_MARGIN)
    assert all(errors(margin) > errors(MAX_MARGIN) for margin in range(choice.margin))


def digits(count: int) -> Dataset:
    rng = np.random.default_rng(2)
    return Dataset("drawn", rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8))


def test_what_is_held_out_of_both(monkeypatch, tmp_path: Path) -> None:
    """A margin chosen on images that one of the networks has learned from would be too low or too high."""
    from fivebyfive import cascade

    monkeypatch.setattr(cascade, "load_dataset", lambda *about: training)
    training = digits(400)
    np.save(tmp_path / "w.npy", np.arange(400) // 20)
    kinds = {tmp_path / "a.npz": DRAWN, tmp_path / "b.npz": HoldOut("writers", "w.npy"), tmp_path / "c.npz": DRAWN}
    monkeypatch.setattr(cascade, "recorded_hold_out", kinds.get)
    a, b, c = kinds
    with pytest.raises(UserError, match=r"^only 80 images are held out of both networks \(a.npz drawn, c.npz drawn\)"):
        held_out_of((a, c), silent)
    monkeypatch.setattr(cascade, "FEWEST", 10)
    drawn = kinds[a].divide(training)[1]
    found = held_out_of((a, c), silent)
    assert {image.tobytes() for image in found.images} == {image.tobytes() for image in drawn.images}
    written = kinds[b].divide(training, tmp_path)[1]
    both = {image.tobytes() for image in held_out_of((a, b), silent).images}
    assert both == {one.tobytes() for one in written.images} & {one.tobytes() for one in drawn.images}
    assert 10 <= len(both) < len(written)
