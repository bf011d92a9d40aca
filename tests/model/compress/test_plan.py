"""Plans: what they may hold, where their paths begin, and work that goes on after an interruption."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from fivebyfive.model.compress.operations.options import ByLayer, Tuning
from fivebyfive.model.compress.plan import Plan, Step, parse_plan, read_plan, write_plan
from fivebyfive.model.training.hold_out import DRAWN, HoldOut
from fivebyfive.support.errors import UserError

pytest.importorskip("tomli_w")

GOOD = """
seed = 7
start = "../net.npz"
[[step]]
method = "magnitude"
keep = { conv2 = 0.1, fc1 = 0.02 }
schedule = "gradual"
teacher = "start"
[[step]]
method = "kmeans"
bits = 5
teacher = "big.npz"
"""

GRADUAL = "[[step]]\nmethod = 'magnitude'\nkeep = 0.1\nschedule = 'gradual'\n"


def refused(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "plan.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        read_plan(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_plan_is_read(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(GOOD)
    plan = read_plan(tmp_path / "plan.toml")
    assert (plan.seed, plan.threads, plan.data) == (7, 1, "mnist")
    assert plan.start_path == tmp_path / "../net.npz"
    first, second = plan.steps
    assert (first.method, second.method) == ("magnitude", "kmeans")
    assert first.config.keep.chosen(("conv1", "conv2", "fc1")) == {"conv2": 0.1, "fc1": 0.02}
    assert second.config.bits.chosen(("conv1", "conv2")) == {"conv1": 5, "conv2": 5}
    assert first.config.epochs == Tuning().epochs


def test_a_plan_beside_a_result_is_a_plan(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/plan.toml").write_text(GOOD)
    plan = read_plan(tmp_path / "a/plan.toml")
    write_plan(tmp_path / "b/c/card.toml", plan, {"bytes": 5, "held_out": {"errors": 3}})
    again = read_plan(tmp_path / "b/c/card.toml")
    assert again.start_path.resolve() == (tmp_path / "net.npz").resolve()
    first, second = again.steps
    assert first == plan.steps[0]
    assert (again.folder / second.config.teacher).resolve() == (tmp_path / "a/big.npz").resolve()
    assert again.seed == 7
    write_plan(tmp_path / "b/c/twice.toml", again, {"bytes": 5, "held_out": {"errors": 3}})
    assert (tmp_path / "b/c/twice.toml").read_text() == (tmp_path / "b/c/card.toml").read_text()


@pytest.mark.parametrize("name", ["a\n\t\x1b\x7f\"'.npz", "ü\u2028\N{GRINNING FACE}.npz", "[old] #\\.npz", "\ufeff"])
def test_any_name_in_a_plan(tmp_path: Path, name: str) -> None:
    write_plan(tmp_path / "plan.toml", Plan((Step("tune", Tuning(teacher=name)),), name, folder=tmp_path), {})
    again = read_plan(tmp_path / "plan.toml")
    assert (again.start, again.steps[0].config.teacher) == (name, name)


def test_a_plan_whose_paths_are_not_utf_8(tmp_path: Path) -> None:
    """Known before the work: the plan of a result could not be written, and a result without it is nobody's."""
    plan = Plan((Step("tune", Tuning()),), "bytes\udcff.npz", folder=tmp_path)
    with pytest.raises(UserError, match=r"a plan is UTF-8, but a path in it is not \(.*bytes\\udcff\.npz.*\); rename"):
        write_plan(tmp_path / "plan.toml", plan, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ['start = "a\\u0000"', 'data = "\\u0000"', 'teacher = "a\\u0000b"'])
def test_a_plan_with_a_zero_byte(tmp_path: Path, text: str) -> None:
    step = '[[step]]\nmethod = "tune"\n'
    assert "take the zero byte out" in refused(tmp_path, step + text if "teacher" in text else f"{text}\n{step}")


def test_the_digest_knows_everything_that_matters() -> None:
    def digest(start: str = "x", **options) -> str:
        return Plan((Step("tune", Tuning(**options)),)).digest(start)

    assert len({digest(), digest(epochs=5), digest("y"), digest(soft=0.1)}) == 4
    assert digest() == digest(epochs=6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a plan needs at least one [[step]]"),
        ("hold_out = 'luck'", "images are held out drawn or by writers, not luck"),
        ("fold = 2", "a fold is one of a file of writers"),
        ("sed = 1", "a plan has no sed; it has start, seed, threads, data, hold_out, writers, fold, step, result"),
        ("seed = 'a'", "seed must be a whole number, not a"),
        ("seed = true", "seed must be a whole number"),
        ("seed = -1\n[[step]]\nmethod = 'tune'", "the seed must be 0 to"),
        ("start = 3", "start must be a text"),
        ("step = 3", "steps are written as [[step]]"),
        ("[[step]]\nmethod = 'prune'", "step 1: method must be one of magnitude, l1,"),
        ("[[step]]\nepochs = 1", "step 1: method must be one of"),
        ("[[step]]\nmethod = ['tune']", "step 1: method must be one of"),
        ("[[step]]\nmethod = 'tune'\n[[step]]\nmethod = 'tune'\nrate = 1", "step 2, tune has no rate; it has epochs,"),
        ("[[step]]\nmethod = 'tune'\nepochs = 1.5", "step 1, tune: epochs must be a whole number, not 1.5"),
        ("[[step]]\nmethod = 'tune'\nepochs = -1", "epochs must be 0 to 10000, not -1"),
        ("[[step]]\nmethod = 'tune'\nwarp = nan", "warp must be 0 to 4, not nan"),
        ("[[step]]\nmethod = 'tune'\nteacher = 1", "teacher must be a text"),
        ("[[step]]\nmethod = 'magnitude'", "magnitude needs one of keep, sensitivity and each"),
        ("[[step]]\nmethod = 'magnitude'\nkeep = 0.1\neach = 1", "one of keep, sensitivity and each"),
        ("[[step]]\nmethod = 'magnitude'\nkeep = { fc1 = 1.5 }", "keep must be 1e-06 to 1, not 1.5"),
        ("[[step]]\nmethod = 'magnitude'\nkeep = [1]", "numbers by layer like conv2=0.1,fc1=0.02, are needed"),
        ("[[step]]\nmethod = 'magnitude'\nkeep = true", "are needed, not True"),
        ("[[step]]\nmethod = 'magnitude'\neach = 1.5", "each must be a whole number"),
        ("[[step]]\nmethod = 'magnitude'\nkeep = 0.1\nschedule = 'never'", "schedule must be one of one-shot,"),
        ("[[step]]\nmethod = 'magnitude'\nkeep = 0.1\nregrow = 1", "regrow must be true or false"),
        (GRADUAL + "epochs = 0", "a gradual schedule needs epochs"),
        (GRADUAL + "epochs = 6\nclean_epochs = 5", "clean, ramp must be at most 0.33"),
        ("[[step]]\nmethod = 'l1'\nshape = '8-16'", "a shape is written like 20-50-500-10"),
        ("[[step]]\nmethod = 'l1'", "step 1, l1: one of shape and keep is needed"),
        ("[[step]]\nmethod = 'slimming'\nshape = '2-2-2-10'\nkeep = 0.5", "one of shape and keep is needed"),
        ("[[step]]\nmethod = 'lasso'", "a shape is written like"),
        ("[[step]]\nmethod = 'distill'\nhint_epochs = 2", "hint_epochs begin a new network; it needs a shape"),
        ("[[step]]\nmethod = 'taylor'", "taylor needs one of shape and macs"),
        ("[[step]]\nmethod = 'distill'\nteacher = ''", "distill needs a teacher"),
        ("[[step]", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
    ],
)
def test_what_a_plan_may_not_hold(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in refused(tmp_path, text)


def test_a_plan_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read plan"):
        read_plan(tmp_path)
    assert "a plan has at most" in refused(tmp_path, b"#" * (2 << 20))


def test_numbers_by_layer() -> None:
    layers = ("conv1", "fc1")
    assert ByLayer.parse("0.5").chosen(layers) == {"conv1": 0.5, "fc1": 0.5}
    assert ByLayer.parse(" fc1 = 2, conv1=1").chosen(layers) == {"conv1": 1, "fc1": 2}
    assert ByLayer.parse({"fc1": 2}).chosen(layers) == {"fc1": 2}
    assert ByLayer.parse("").empty
    assert not ByLayer.parse(0).empty
    for wrong in ("a", "fc1=", "fc1=0.1,conv1", [1], None):
        if wrong is not None:
            with pytest.raises(ValueError, match="are needed, not"):
                ByLayer.parse(wrong)
    for value in ("0.25", "fc1=2", ""):
        assert ByLayer.parse(ByLayer.parse(value).plain) == ByLayer.parse(value)


PLAN = """
[[step]]
method = "magnitude"
keep = { fc1 = 0.1 }
schedule = "gradual"
interval = 1
epochs = 3
clean_epochs = 2
[[step]]
method = "l1"
shape = "4-5-16-10"
epochs = 2
[[step]]
method = "kmeans"
bits = 3
epochs = 3
teacher = "start"
[[step]]
method = "distill"
looks = 1.0
epochs = 2
"""


class StoppedError(Exception):
    """As if somebody had pressed Ctrl-C."""


@pytest.mark.parametrize("step", [1, 8, 15, 23, 28])
def test_interrupted_work_goes_on_to_the_same_end(run, tmp_path: Path, step: int, results: dict) -> None:
    torch = pytest.importorskip("torch")
    if "whole" not in results:
        results["whole"] = run(PLAN)
    whole = results["whole"]
    states = tmp_path / "states"

    def stop(done: int, total: int, text: str) -> None:
        if done >= step:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(PLAN, states=states, progress=stop)
    torch.rand(3)  # nothing depends on the state of anybody else's randomness
    calls: list[tuple[int, int, str]] = []
    again = run(PLAN, states=states, progress=lambda *call: calls.append(call))
    assert again.checkpoint.digest == whole.checkpoint.digest
    strip = ("seconds",)
    assert {k: v for k, v in again.report.items() if k not in strip} == {
        k: v for k, v in whole.report.items() if k not in strip
    }
    batches = [done for done, total, _ in calls if total == 30]
    assert batches[-1] == 30
    assert len(batches) <= 30 - 3 * ((step - 1) // 3) + 4  # epochs that were finished are not trained again


@pytest.fixture(scope="module")
def results() -> dict:
    return {}


def test_states_of_other_work_are_not_used(run, tmp_path: Path) -> None:
    text = '[[step]]\nmethod = "tune"\nepochs = 1\n'
    first = run(text, states=tmp_path / "s")
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["001.pt", "key.txt"]
    other = run("seed = 2\n" + text, states=tmp_path / "s")
    assert other.checkpoint.digest != first.checkpoint.digest
    assert run("seed = 2\n" + text).checkpoint.digest == other.checkpoint.digest


def test_damaged_states_are_refused(run, tmp_path: Path) -> None:
    text = '[[step]]\nmethod = "tune"\nepochs = 1\n'
    run(text, states=tmp_path / "s")
    (tmp_path / "s/001.pt").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"001\.pt is damaged; delete the folder"):
        run(text, states=tmp_path / "s")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    with pytest.raises(UserError, match="no state of a training"):
        run(text, states=tmp_path / "mine")
    assert (tmp_path / "mine/thesis.tex").exists()


def test_a_plan_says_what_is_held_out(tmp_path: Path) -> None:
    """Without a word those that the start's card says: of the LeNet that ships those of some writers, drawn ones where
    there is no card; the path of a file moves as others do."""
    step = {"method": "tune"}
    assert parse_plan({"step": [step]}, tmp_path).held_out == HoldOut("writers")
    assert parse_plan({"start": "other.npz", "step": [step]}, tmp_path).held_out == DRAWN
    (tmp_path / "net.json").write_text('{"hold_out": "writers"}')
    of_writers = parse_plan({"start": "net.npz", "step": [step]}, tmp_path)
    assert (of_writers.hold_out, of_writers.held_out) == (None, HoldOut("writers"))
    plan = parse_plan({"hold_out": "writers", "writers": "w.npy", "fold": 2, "step": [step]}, tmp_path)
    assert plan.hold_out == HoldOut("writers", "w.npy", 2)
    assert tmp_path / "w.npy" in plan.inputs
    write_plan(tmp_path / "card.toml", plan, {}, tmp_path / "a" / "b")
    content = tomllib.loads((tmp_path / "card.toml").read_text())
    assert (content["hold_out"], content["writers"], content["fold"]) == ("writers", "../../w.npy", 2)
    named = parse_plan({"hold_out": "writers", "writers": "qmnist", "step": [step]}, tmp_path)
    assert named.moved(tmp_path / "a").hold_out == named.hold_out
    assert plan.digest("") != replace(plan, hold_out=DRAWN).digest("")
