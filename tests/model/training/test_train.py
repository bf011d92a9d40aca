"""A small but real training, and the pieces that it is made of."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.golden import forward
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.training.train import TrainConfig, train
from fivebyfive.support import optional
from fivebyfive.support.errors import UserError

torch = pytest.importorskip("torch")

from fivebyfive.model.training import calibration, lenet, loop, resume, tables  # noqa: E402
from fivebyfive.model.training.resume import States  # noqa: E402

TINY = TrainConfig(shape=LeNetShape(4, 6, (20, 10)), epochs=16, seed=3, threads=1)


@pytest.fixture(scope="module")
def run(few_digits):
    """Sixteen epochs on 320 of 400 images, and what was told on the way."""
    calls = []
    result = train(TINY, few_digits, few_digits, lambda *args: calls.append(args))
    return result, calls


def test_the_report_says_what_the_golden_model_says(run, few_digits):
    result, _ = run
    seen = evaluate(result.checkpoint, few_digits)
    assert result.report["test"] == {
        "images": 400,
        "errors": seen.errors,
        "wraps": seen.wraps,
        "peak": seen.peak,
    }
    assert result.report["held_out"]["images"] == 80
    assert result.report["digest"] == result.checkpoint.digest
    assert result.report["seed"] == 3
    assert result.report["config"]["shape"] == "4-6-20-10"
    assert result.report["versions"]["torch"] == torch.__version__
    assert json.loads(json.dumps(result.report)) == result.report


def test_it_learns(run):
    losses = [record["loss"] for record in run[0].report["epochs"] if "loss" in record]
    assert losses[-1] < losses[0]
    assert run[0].report["test"]["errors"] < 320  # of 400; guessing would miss 360


def test_progress_is_told_in_steps(run):
    _, calls = run
    steps = [call for call in calls if call[1] == 48]
    assert [done for done, _, _ in steps] == list(range(1, 49))  # 320 images: 3 batches an epoch
    texts = [f"{stage}, epoch {n} of {of}" for stage, of in (("float", 6), ("quantized", 10)) for n in range(1, of + 1)]
    assert [text for _, _, text in steps][::3] == texts
    assert calls[-1][0] == calls[-1][1]


def test_the_same_seed_gives_the_same_network(run, few_digits):
    result, _ = run
    assert train(TINY, few_digits).checkpoint.digest == result.checkpoint.digest
    assert train(replace(TINY, seed=4), few_digits).checkpoint.digest != result.checkpoint.digest


class StoppedError(Exception):
    """As if somebody had pressed Ctrl-C."""


def stopped_at(step: int, config: TrainConfig, data: Dataset, folder: Path) -> None:
    """Train until that many batches are done."""

    def stop(done: int, total: int, text: str) -> None:
        if done >= step:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(config, data, None, stop, States(folder))


@pytest.mark.parametrize("step", [2, *(pytest.param(step, marks=pytest.mark.full) for step in (4, 18, 40)), 19, 46])
def test_an_interrupted_training_goes_on_to_the_same_end(run, few_digits, tmp_path, step):
    """Three batches an epoch; six epochs in floats, ten quantized."""
    whole, calls, shown = run[0], [], []
    stopped_at(step, TINY, few_digits, tmp_path / "s")
    torch.rand(3)  # nothing depends on anybody else's randomness
    states = States(tmp_path / "s", shown.append)
    again = train(TINY, few_digits, few_digits, lambda *call: calls.append(call), states)
    done = (step - 1) // 3
    assert again.checkpoint.digest == whole.checkpoint.digest
    assert again.report["resumed"] == states.epochs == done
    assert whole.report["resumed"] == 0
    strip = ("seconds", "resumed")
    assert {k: v for k, v in again.report.items() if k not in strip} == {
        k: v for k, v in whole.report.items() if k not in strip
    }
    assert shown == ([f"going on from {tmp_path / 's'}, where {done} epochs are done"] if done else [])
    batches = [now for now, total, _ in calls if total == 48]
    assert batches[-1] == 48
    assert len(batches) <= 48 - 3 * done + 2  # epochs that were finished are not trained again
    states.forget()
    assert list(tmp_path.iterdir()) == []


def test_the_state_of_other_work_is_not_used(few_digits, tmp_path):
    quick = replace(TINY, epochs=2)
    other = Dataset(few_digits.name, few_digits.images[::-1], few_digits.labels[::-1])
    for config, data in ((replace(quick, seed=4), few_digits), (replace(quick, epochs=3), few_digits), (quick, other)):
        shown = []
        stopped_at(4, quick, few_digits, tmp_path / "s")
        again = train(config, data, states=States(tmp_path / "s", shown.append))
        assert shown == [f"{tmp_path / 's'} is of other work, and is started over"]
        assert again.report["resumed"] == 0
        assert again.checkpoint.digest == train(config, data).checkpoint.digest


def test_a_folder_in_the_way_of_the_state(few_digits, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/thesis.tex").touch()
    with pytest.raises(UserError, match=r"in the way and no state of a training \(thesis\.tex is in it\)"):
        train(TINY, few_digits, states=States(tmp_path / "s"))
    assert (tmp_path / "s/thesis.tex").exists()


@pytest.mark.parametrize("name", [".key.txt.abcdefgh.part", ".001.pt.abcdefgh.part"])
def test_a_kill_while_the_state_was_written(run, few_digits, tmp_path, name):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / name).write_bytes(b"half")
    states = States(tmp_path / "s")
    assert train(TINY, few_digits, states=states).checkpoint.digest == run[0].checkpoint.digest
    states.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_kill_while_the_state_was_thrown_away(run, few_digits, tmp_path, monkeypatch):
    """The key goes last, so that what is left is known as ours at any moment."""
    stopped_at(30, TINY, few_digits, tmp_path / "s")
    unlink = Path.unlink

    def killed_before_the_key(path: Path) -> None:
        if path.name == resume.KEY:
            raise OSError
        unlink(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed_before_the_key)
        States(tmp_path / "s").forget()
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["key.txt"]
    states = States(tmp_path / "s")
    assert train(TINY, few_digits, states=states).checkpoint.digest == run[0].checkpoint.digest
    assert states.epochs == 0


def test_a_damaged_state_is_refused(few_digits, tmp_path):
    stopped_at(4, TINY, few_digits, tmp_path / "s")
    (tmp_path / "s/001.pt").write_bytes(pickle.dumps(print))
    with pytest.raises(UserError, match=r"001\.pt is damaged; delete the folder"):
        train(TINY, few_digits, states=States(tmp_path / "s"))


@pytest.mark.parametrize("name", ["001.pt", "key.txt"])
def test_a_pipe_where_a_state_was(few_digits, tmp_path, name):
    """Nobody waits for its writer; without a key the states are nobody's."""
    stopped_at(4, TINY, few_digits, tmp_path / "s")
    (tmp_path / "s" / name).unlink()
    os.mkfifo(tmp_path / "s" / name)
    if name == "001.pt":
        with pytest.raises(UserError, match=r"^cannot read state .*001\.pt: it is a pipe"):
            train(TINY, few_digits, states=States(tmp_path / "s"))
    else:
        States(tmp_path / "s").begin(TINY, few_digits)
        assert not (tmp_path / "s").exists()


def test_a_state_that_was_changed_is_refused(tmp_path):
    """A bit of a weight, which PyTorch does not notice; or the state of another stage."""
    one, other = (resume.State(tmp_path / f"00{number}.pt", "key") for number in (1, 2))
    one.save({"net": torch.ones(1000)})
    assert torch.equal(one.load()["net"], torch.ones(1000))
    content = one.path.read_bytes()
    other.path.write_bytes(content)
    ones, twos = (torch.full((3,), value).numpy().tobytes() for value in (1.0, 2.0))
    changed = resume.State(tmp_path / "003.pt", "key")
    changed.save({"net": torch.ones(1000)})
    changed.path.write_bytes(changed.path.read_bytes().replace(ones, twos, 1))
    assert torch.load(changed.path)["net"].sum() == 1003
    for state in (other, changed, resume.State(one.path, "other key")):
        with pytest.raises(UserError, match=r"00\d\.pt is damaged; delete the folder"):
            state.load()


def test_a_disk_too_full_for_the_state(few_digits, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        train(TINY, few_digits, states=States(tmp_path / "s"))
    assert list(tmp_path.iterdir()) == []


def test_the_test_set_decides_nothing(run, few_digits):
    wrong = Dataset("wrong", few_digits.images, (few_digits.labels + 1) % 10)
    other = train(TINY, few_digits, wrong)
    assert other.checkpoint.digest == run[0].checkpoint.digest
    assert other.report["test"]["errors"] != run[0].report["test"]["errors"]


@pytest.mark.parametrize("shape", ["3-2-10", "3-2-9-8-7-12", "784-12-10", "784-10"])
def test_any_number_of_layers(few_digits, shape):
    result = train(replace(TINY, shape=LeNetShape.parse(shape)), few_digits)
    assert str(result.checkpoint.shape) == shape


def test_data_that_do_not_fit(few_digits):
    with pytest.raises(UserError, match="labels up to 9, but the network 4-6-5 has 5 classes"):
        train(replace(TINY, shape=LeNetShape(4, 6, (5,))), few_digits)
    few = Dataset("few", few_digits.images[:9], few_digits.labels[:9])
    with pytest.raises(UserError, match="few has only 9 images"):
        train(TINY, few)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"epochs": 1}, "epochs must be 2 to 10000"),
        ({"seed": -1}, "the seed must be"),
        ({"threads": 0}, "threads must be"),
        ({"warp": -0.1}, "warp must be 0 to 4, not -0.1"),
        ({"ink": 5.0}, "ink must be 0 to 4, not 5"),
    ],
)
def test_numbers_out_of_range(wrong, words):
    with pytest.raises(ValueError, match=words):
        TrainConfig(**wrong)


def test_the_epochs_are_shared_out():
    first, second = TrainConfig(epochs=25).stages
    assert (first.epochs, second.epochs) == (9, 16)
    assert not first.clean_epochs
    assert second.clean_epochs
    assert [stage.epochs for stage in TrainConfig(epochs=2).stages] == [1, 1]
    assert TrainConfig(epochs=2).stages[1].clean_epochs == 1
    assert [stage.warp for stage in TrainConfig(warp=0.5).stages] == [0.5, 0.5]


def test_without_torch(monkeypatch, few_digits):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(UserError, match=r"need PyTorch; install it: pip install 'fivebyfive\[train\]'"):
        optional.require_torch()
    with pytest.raises(UserError, match="need PyTorch"):
        train(TINY, few_digits)


def small_net(scale: float = 1.0) -> lenet.LeNet:
    net = lenet.LeNet(LeNetShape(3, 4, (9, 10)), torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(scale)
    return net


def test_the_quantized_forward_is_the_golden_model_where_nothing_wraps(noise):
    net = small_net(scale=0.8)
    logits, _ = net(lenet.pixels_to_values(torch.from_numpy(noise)), quantized=True)
    trace = forward(lenet.to_checkpoint(net), noise)
    assert not any(trace.wraps.values())
    assert (logits.detach() * 64).tolist() == trace.logits.tolist()


def test_so_it_is_without_convolutions(noise):
    net = lenet.LeNet(LeNetShape.parse("784-20-12-10"), torch.Generator().manual_seed(2))
    net.clip()
    logits, before = net(lenet.pixels_to_values(torch.from_numpy(noise)), quantized=True)
    trace = forward(lenet.to_checkpoint(net), noise)
    assert list(before) == ["fc1", "fc2", "fc3"]
    assert not any(trace.wraps.values())
    assert (logits.detach() * 64).tolist() == trace.logits.tolist()


def test_the_examination_counts_what_the_golden_model_counts(few_digits):
    net = small_net(scale=3.0)
    seen = loop.examine(net, loop.TrainingImages.of(few_digits), 1.0, quantized=True)
    conv1 = forward(lenet.to_checkpoint(net), few_digits.images)
    assert conv1.wraps["conv1"] > 0
    assert seen.wraps["conv1"] == conv1.wraps["conv1"]  # later layers differ: clamped here, wrapped there
    assert seen.peak["conv1"] == conv1.peaks["conv1"]


def test_checkpoints_become_networks_and_back(small_checkpoint):
    again = lenet.to_checkpoint(lenet.from_checkpoint(small_checkpoint))
    assert again.digest == small_checkpoint.digest
    assert isinstance(again, Checkpoint)


def test_gradients_pass_straight_through():
    v = torch.tensor([-2.5, -1.0, 0.3, 1.99, 3.0], requires_grad=True)
    tables.floor_activation(v).sum().backward()
    assert v.grad.tolist() == [0, 1, 1, 1, 0]  # 1.99 floors to 127/64, just inside
    w = torch.tensor([-3.0, 0.3, 5.0], requires_grad=True)
    rounded = tables.round_weight(w)
    rounded.sum().backward()
    assert w.grad.tolist() == [1, 1, 1]
    assert (rounded.detach() * 64).tolist() == [-128, 19, 127]


def test_rescaling_keeps_the_classes_and_fills_the_range(few_digits):
    net, images = small_net(scale=2.0), loop.TrainingImages.of(few_digits)
    before = net(lenet.pixels_to_values(images.pixels))[0]
    temperature = calibration.calibrated(net, images, 5.0)
    after = net(lenet.pixels_to_values(images.pixels))[0]
    assert torch.allclose(after * temperature, before * 5.0, rtol=1e-3, atol=1e-4)
    assert all(abs(peak - calibration.RANGE_TARGET) < 1e-3 for peak in calibration.peaks(net, images).values())


def test_the_penalty_starts_at_the_limit():
    stage = TrainConfig().stages[1]
    inside = {"conv1": torch.full((2, 3, 4, 4), -stage.limit), "fc1": torch.full((2, 5), stage.limit)}
    assert float(loop.penalty(inside, stage)) == 0
    outside = {"conv1": torch.zeros(2, 3, 4, 4), "fc1": torch.full((2, 5), -stage.limit - 0.5)}
    assert float(loop.penalty(outside, stage)) == pytest.approx(stage.fc_penalty * 5 * 0.25)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with loop.threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_the_best_clean_epoch_is_kept(few_digits):
    """With a learning rate that ruins the network, an early epoch is the one that stays."""
    images = loop.TrainingImages.of(few_digits)
    net = small_net()
    stage = replace(TINY.stages[1], epochs=4, clean_epochs=4, learning_rate=0.3)
    records = loop.fit(net, stage, images, images, 8.0, torch.Generator().manual_seed(1), lambda *args: None)
    ranks = [(any(r["wraps"].values()), r["errors"], r["loss"]) for r in records[:-1]]
    assert records[-1]["kept_epoch"] == 1 + ranks.index(min(ranks))
    seen = loop.examine(net, images, 8.0, quantized=True)
    assert (seen.errors, seen.loss) == pytest.approx(min(ranks)[1:])
    assert np.isfinite(seen.loss)
