"""compress: a method with options, a plan, and what is refused."""

import json
import tomllib
from pathlib import Path

import pytest

from fivebyfive.commands.compress import median_seed
from fivebyfive.model.checkpoint import load_checkpoint
from fivebyfive.model.compress.methods import METHODS

from .conftest import error_of, python_m

pytest.importorskip("torch")
pytest.importorskip("constriction")


def test_a_method_and_the_plan_it_leaves(answer, cli, small: Path, few_digits: Path) -> None:
    words = ("compress", "magnitude", small, "--keep", "fc1=0.2,conv2=0.5", "--epochs", 1, "--data", few_digits)
    report = answer(*words, "--seed", 3, "--out", "new/g.npz")
    assert sorted(path.name for path in Path("new").iterdir()) == [".g.sha256", "g.npz", "g.toml"]  # no state is left
    card = tomllib.loads(Path("new/g.toml").read_text())
    assert (card["seed"], card["step"][0]["keep"]) == (3, {"fc1": 0.2, "conv2": 0.5})
    assert card["result"]["bytes"] == report["bytes"]
    assert card["result"]["digest"] == load_checkpoint(Path("new/g.npz")).digest == report["digest"]
    assert "test" not in card["result"]
    assert (report["test"], report["hold_out"], card["result"]["held_out"]["images"]) == (None, "drawn", 12)
    assert report["contents"]["fc1"]["nonzero"] <= 68
    again = answer("compress", "--plan", "new/g.toml", "--out", "again/h.npz")
    assert again["digest"] == report["digest"]
    assert tomllib.loads(Path("again/h.toml").read_text())["step"] == card["step"]
    assert answer("pack", "again/h.npz")["bytes"] == report["bytes"]


def test_what_a_person_reads(cli, small: Path, few_digits: Path) -> None:
    said = cli("compress", "ternary", small, "--epochs", 1, "--data", few_digits).stdout
    assert "2-3-7-10 in build/small.npz" in said
    assert "held-out errors" in said
    assert "Packed:" in said


def test_help_lists_methods_and_their_options(cli) -> None:
    said = cli("compress", "--help").stdout
    for name in METHODS:
        assert f"  {name} " in said
        own = cli("compress", name, "--help").stdout
        assert "--learning-rate" in own
        assert "--json" in own
    assert "arXiv:1707.06168" in cli("compress", "lasso", "--help").stdout
    assert "--granularity [fine|vector|kernel|filter]" in cli("compress", "magnitude", "--help").stdout


def test_what_is_refused(refused, small: Path, few_digits: Path) -> None:
    data = ("--data", few_digits)
    assert "name a METHOD or a --plan" in refused("compress")
    assert "No such command 'prune'" in refused("compress", "prune")
    assert "--plan comes without a METHOD" in refused("compress", "--plan", "p.toml", "tune", small)
    assert "cannot read plan p.toml" in refused("compress", "--plan", "p.toml")
    assert "needs one of keep, sensitivity and each" in refused("compress", "magnitude", small, *data)
    assert "keep must be 1e-06 to 1, not 2" in refused("compress", "magnitude", small, *data, "--keep", 2)
    assert "are needed, not much" in refused("compress", "magnitude", small, *data, "--keep", "much")
    assert "'never' is not one of" in refused("compress", "magnitude", small, *data, "--schedule", "never")
    assert "the seed must be" in refused("compress", "tune", small, *data, "--seed", -1)
    assert "no layer fc7" in refused("compress", "magnitude", small, *data, "--keep", "fc7=0.1")
    assert "takes nothing out of it" in refused("compress", "l1", small, *data, "--shape", "2-3-7-10")
    assert "cannot read checkpoint" in refused("compress", "tune", "none.npz", *data)
    assert "cannot read checkpoint" in refused("compress", "tune", small, *data, "--teacher", "none.npz")
    assert "is what the work starts from" in refused("compress", "tune", small, *data, "--out", small)
    Path("plan.toml").write_text("[[step]]\nmethod = 'tune'\nepoch = 3")
    assert "plan.toml: step 1, tune has no epoch; it has epochs" in refused("compress", "--plan", "plan.toml")


def test_without_the_packages(refused, small: Path, tmp_path: Path) -> None:
    for package, extra in (("torch", "train"), ("constriction", "compress"), ("tomli_w", "compress")):
        folder = tmp_path / package
        folder.mkdir()
        (folder / f"{package}.py").write_text("raise ImportError('as if it were not installed')")
        done = python_m("compress", "tune", small, env={"PYTHONPATH": str(folder)})
        assert done.returncode == 2
        assert f"pip install 'fivebyfive[{extra}]'" in error_of(done)


def test_the_object_is_json(cli, small: Path, few_digits: Path) -> None:
    said = cli("compress", "tune", small, "--epochs", 0, "--data", few_digits, "--json").stdout
    assert json.loads(said)["command"] == "compress"


def test_several_seeds(answer, cache: Path, small: Path, few_digits: Path) -> None:
    """Each as a run of its own would be, beside the median; what is done is not done again."""
    Path("plan.toml").write_text(f'data = "{few_digits}"\nstart = "{small}"\nseed = 4\n'
                                 '[[step]]\nmethod = "distill"\nshape = "1-2-10"\nepochs = 1\n')  # fmt: skip
    report = answer("compress", "--plan", "plan.toml", "--seeds", 2, "--out", "new/g")
    names = [f"g{seed}.{suffix}" for seed in ("-s4", "-s5", "") for suffix in ("npz", "toml")]
    names += [f".g{seed}.sha256" for seed in ("-s4", "-s5", "")]
    assert sorted(path.name for path in Path("new").iterdir()) == sorted(names)  # no state is left
    cards = {name: tomllib.loads(Path(f"new/{name}.toml").read_text()) for name in ("g-s4", "g-s5", "g")}
    rows = cards["g"]["result"]["seeds"]
    assert rows == report["seeds"]
    assert [row["seed"] for row in rows] == [4, 5]
    for row in rows:
        name = f"g-s{row['seed']}"
        assert row["digest"] == load_checkpoint(Path(f"new/{name}.npz")).digest == cards[name]["result"]["digest"]
        assert row["held_out"] == cards[name]["result"]["held_out"]["errors"]
        assert row["bytes"] == cards[name]["result"]["bytes"]
    assert rows[0]["digest"] != rows[1]["digest"]
    middle = median_seed(rows)
    assert cards["g"]["seed"] == report["seed"] == middle
    assert Path("new/g.npz").read_bytes() == Path(f"new/g-s{middle}.npz").read_bytes()
    alone = answer("compress", "--plan", "new/g-s5.toml", "--out", "alone.npz")
    assert alone["digest"] == rows[1]["digest"]
    again = answer("compress", "--plan", "plan.toml", "--seeds", 2, "--out", "new/g.npz")
    assert again == report  # its seconds too: nothing was trained


def test_a_method_with_seeds(cli, cache: Path, small: Path, few_digits: Path) -> None:
    said = cli("compress", "tune", small, "--epochs", 0, "--data", few_digits, "--seeds", 1, "--out", "g").stdout
    assert "median" in said
    assert "of seed 1 in g.npz" in said
    assert Path("g-s1.toml").is_file()


def test_the_median_is_of_held_out_errors() -> None:
    def rows(*pairs: tuple[int, int]) -> list[dict]:
        return [{"seed": seed, "held_out": errors, "bytes": size} for seed, (errors, size) in enumerate(pairs, 1)]

    assert median_seed(rows((50, 9), (70, 1), (60, 5))) == 3
    assert median_seed(rows((50, 9), (70, 1))) == 2
    assert median_seed(rows((50, 9), (60, 8), (60, 7), (60, 7), (90, 1))) == 3


def test_seeds_that_are_refused(cli, refused, cache: Path, small: Path, few_digits: Path) -> None:
    words = ("compress", "tune", small, "--data", few_digits)
    assert "0 is not in the range 1<=x<=99" in refused(*words, "--seeds", 0)
    assert "'some' is not a valid integer" in refused(*words, "--seeds", "some")
    assert "are for several --seeds" in refused(*words, "--workers", 2)
    assert "come after the METHOD" in refused("compress", "--seeds", 2, "tune", small)
    Path("g-s2.npz").write_bytes(small.read_bytes())
    words = ("compress", "tune", "g-s2.npz", "--data", few_digits, "--seeds", 2, "--out", "g")
    assert "g-s2.npz is what the work starts from" in refused(*words)
    said = cli("compress", "magnitude", small, "--data", few_digits, "--keep", "fc7=0.1", "--seeds", 1, code=2).stderr
    assert "error: the network has no layer fc7" in said
