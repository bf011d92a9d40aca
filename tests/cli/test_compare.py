"""compare: what it prints, writes and refuses. Simulation and synthesis are fakes that answer at once, but for some."""

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fivebyfive.hw import generate
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.data.named_sets import SUITES
from fivebyfive.model.estimates.comparison import front
from fivebyfive.model.estimates.energy import energy
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.jobs import compare_jobs
from fivebyfive.sim.jobs.job import from_json, to_json
from fivebyfive.sim.jobs.transport import checkpoint_texts, data_digest
from fivebyfive.sim.simulator.process import RtlDiffers
from fivebyfive.sim.simulator.simulators import find
from fivebyfive.support.errors import UserError

from .conftest import SMALL

pytest.importorskip("constriction")

FILES = [f"compare.{suffix}" for suffix in ("csv", "json", "md", "png", "svg")]


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """Another network of the same shape: hardly any weight is left of its fully-connected layers."""
    checkpoint = Checkpoint.random(SMALL, seed=6)
    for layer in ("fc1", "fc2"):
        checkpoint.arrays[f"{layer}.weight"][:, 1:] = 0
    save_checkpoint(tmp_path / "sparse.npz", checkpoint)
    return tmp_path / "sparse.npz"


def test_all_there_is_to_know(answer, fake_tools: Path, small: Path, sparse: Path, few_digits: Path) -> None:
    words = ("compare", small, sparse, "--data", few_digits, "--clock", 50)
    report = answer(*words)
    dense, skips = report["results"]
    test, checkpoint = load_dataset(few_digits), load_checkpoint(small)
    assert (dense["name"], skips["name"]) == ("small", "sparse")
    assert (dense["errors"], dense["images"]) == (evaluate(checkpoint, test).errors, 20)
    config = fitted(load_checkpoint(sparse), Config())
    assert skips["engines"] == list(config.engines.names) != []
    assert skips["energy_pj"] == energy(SMALL.network, config)["total"] < dense["energy_pj"]
    assert (dense["interval_cycles"], dense["latency_cycles"], dense["rtl_images"]) == (1_000, 1_200, 2)
    assert dense["images_per_s"] == 50_000
    assert (dense["ramb36"], dense["conv_weights_ramb36"], dense["fc_weights_ramb36"], dense["dsp"]) == (40, 7, 30, 45)
    assert dense["products"] == dense["macs"] == sum(SMALL.macs.values()) > skips["products"]
    assert dense["parameters"] == sum(array.size for array in checkpoint.arrays.values())
    assert skips["nonzero_weights"] < 250
    assert skips["bytes"] < dense["bytes"] <= dense["huffman_bytes"]
    assert report["tools"] == ["fake", "fake yosys"]
    assert sorted(os.listdir("build/compare")) == [".compare.sha256", *FILES]
    assert json.loads(Path("build/compare/compare.json").read_text()) == report
    assert Path("build/compare/compare.png").read_bytes().startswith(b"\x89PNG")
    picture = Path("build/compare/compare.svg").read_text()
    assert all(text in picture for text in ("sparse", "bytes stored", "errors of 20 test images"))
    with Path("build/compare/compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (rows[1]["name"], rows[1]["bytes"], rows[0]["engines"]) == ("sparse", str(skips["bytes"]), "")
    table = Path("build/compare/compare.md").read_text()
    assert f"| small | 2-3-7-10 | {dense['errors']} |" in table
    done = len((fake_tools / "done").read_text().splitlines())
    assert done == 4
    assert answer(*words) == report
    assert len((fake_tools / "done").read_text().splitlines()) == done


def test_a_table_for_people_from_the_models(cli, cache: Path, small: Path, sparse: Path, few_digits: Path) -> None:
    """Nothing is simulated, nothing synthesized, and it says so."""
    words = ("compare", small, sparse, "--data", few_digits, "--no-synthesis", "--rtl-images", 0, "--out", "c")
    said = cli(*words).stdout
    lines = [" ".join(line.split()) for line in said.splitlines()]
    cycles = [plan(SMALL.network, fitted(load_checkpoint(path), Config())) for path in (small, sparse)]
    assert "cycles " + " ".join(f"{one.interval:,}" for one in cycles) in lines
    assert "latency " + " ".join(f"{one.latency:,}" for one in cycles) in lines
    assert "RAMB36 - -" in lines
    assert "Cycles by the cycle model: nothing was simulated." in lines
    assert "Nothing was synthesized." in lines
    assert "engines of small: dense" in lines
    assert "c/compare.svg" in lines[-1]
    assert "cycles an image (model)" in Path("c/compare.svg").read_text()


def test_further_test_sets_have_columns(
    answer, cli, cache: Path, monkeypatch, small: Path, few_digits: Path, more_digits: str
) -> None:
    monkeypatch.setitem(SUITES, "other-hands", (str(few_digits), more_digits))
    words = ("compare", small, "--data", "other-hands", "--no-synthesis", "--rtl-images", 0, "--out", "c")
    (row,) = answer(*words)["results"]
    checkpoint = load_checkpoint(small)
    expected = evaluate(checkpoint, load_dataset(more_digits)).errors
    assert row["other_errors"] == {more_digits: expected}
    assert row["errors"] == evaluate(checkpoint, load_dataset(few_digits)).errors
    lines = [" ".join(line.split()) for line in cli(*words).stdout.splitlines()]
    assert lines.index(f"{more_digits} {expected:,}") == lines.index(f"errors {row['errors']}") + 1
    assert "| errors | crooked.npz | parameters |" in Path("c/compare.md").read_text()
    with Path("c/compare.csv").open() as file:
        (figures,) = csv.DictReader(file)
    assert figures[f"errors on {more_digits}"] == str(expected)


NAMES = ("$\\frac{$", "a|b", "two\nlines", "bytes\udcff", "ü \N{GRINNING FACE}", "[old]", "\x1b[31m", 'a,b;"c"')


@pytest.mark.full  # names: tests/cli/test_terminal.py
def test_any_name_of_a_file(answer, fake_tools: Path, few_digits: Path) -> None:
    """It is written into every table and picture: verbatim, or escaped where a text file cannot hold it."""
    for seed, name in enumerate(NAMES):
        save_checkpoint(f"{name}.npz", Checkpoint.random(SMALL, seed))
    data = Path("data\udcff\n")
    data.symlink_to(few_digits)
    report = answer("compare", *(f"{name}.npz" for name in NAMES), "--data", data)
    shown = [*NAMES[:2], "two\\nlines", "bytes\\udcff", *NAMES[4:6], "\\x1b[31m", NAMES[7]]
    assert [one["name"] for one in report["results"]] == shown
    assert json.loads(Path("build/compare/compare.json").read_text()) == report
    with Path("build/compare/compare.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == [one["name"] for one in report["results"]]
    table = Path("build/compare/compare.md").read_text()
    assert r"| a\|b | 2-3-7-10 |" in table
    assert r"test images of data\udcff\n, by the golden model" in table
    ElementTree.parse("build/compare/compare.svg")


@pytest.mark.parametrize("suffix", ["json", *(pytest.param(name, marks=pytest.mark.full) for name in ("csv", "md"))])
def test_old_tables_that_cannot_be_read(
    answer, cli, fake_tools: Path, small: Path, few_digits: Path, suffix: str
) -> None:
    """Of another encoding, or nearly without an end: they are somebody's until --force says otherwise."""
    table = Path(f"build/compare/compare.{suffix}")
    words = ("compare", small, "--data", few_digits)
    answer(*words)
    good = table.read_bytes()
    table.write_bytes("groß".encode("latin-1"))
    answer(*words, "--force")
    assert table.read_bytes() == good
    os.truncate(table, 1 << 40)
    assert "was edited since fivebyfive wrote it" in cli(*words, code=2).stderr
    answer(*words, "--force")
    assert table.read_bytes() == good


def test_a_link_to_itself(refused, fake_tools: Path, small: Path) -> None:
    Path("loop").symlink_to("loop")
    for words in ((small, "loop"), ("loop", small)):
        assert "loop: Too many levels of symbolic links" in refused("compare", *words)


def test_the_front(fake_tools: Path) -> None:
    from fivebyfive.model.estimates.comparison import Compared

    def row(name: str, errors: int, size: int) -> Compared:
        values = dict.fromkeys(Compared.__dataclass_fields__, 0) | {"name": name, "errors": errors, "bytes": size}
        return Compared(**values)

    rows = [row("large", 40, 900), row("beaten", 50, 950), row("small", 60, 100), row("equal", 60, 120)]
    assert [one.name for one in front(rows, "bytes")] == ["large", "small"]


def test_what_is_refused(refused, fake_tools: Path, small: Path, few_digits: Path) -> None:
    Path("text").write_text("hello")
    assert "text is not an .npz file" in refused("compare", small, "text")
    assert "is given twice" in refused("compare", small, small)
    Path("other").mkdir()
    shutil.copy(small, "other/small.npz")
    assert "have the same name, small" in refused("compare", small, "other/small.npz")
    Path("linked.npz").symlink_to(small)
    assert "are the same file" in refused("compare", small, "linked.npz")
    assert "small.npz: conv PEs must be 1 to 50, not 51" in refused("compare", small, "--conv-pes", 51)
    assert "at least 2" in refused("compare", small, "--rtl-images", 1)
    assert "20 test images, fewer than" in refused("compare", small, "--data", few_digits, "--rtl-images", 21)
    assert "a frequency in MHz, not 0" in refused("compare", small, "--clock", 0)
    assert "Missing argument 'F.npz...'" in refused("compare")
    assert "cannot write text/compare.json" in refused("compare", small, "--out", "text")


def last_line(result) -> str:
    """Of standard error: lines of progress may come before it."""
    return result.stderr.splitlines()[-1]


def test_a_failure_has_the_name_of_its_checkpoint(cli, fake_tools: Path, small: Path, few_digits: Path) -> None:
    """Of the simulation, which is no fault of what was given; nothing is written."""
    words = ("compare", small, "--data", few_digits)
    (fake_tools / "differ").write_text("the RTL differs from the golden model: image 1, layer fc2")
    assert last_line(cli(*words, "--no-synthesis", code=1)).startswith("error: small: the RTL differs")
    (fake_tools / "fail").write_text("verilator cannot compile lenet")
    assert last_line(cli(*words, "--no-synthesis", code=2)).startswith("error: small: verilator cannot")
    assert last_line(cli(*words, "--rtl-images", 0, code=2)).startswith("error: small: verilator cannot")
    assert not Path("build").exists()


def test_a_cluster_that_cannot_be_reached(refused, cache: Path, small: Path, monkeypatch) -> None:
    from fivebyfive.sim.jobs import workers

    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "CONNECT_S", 1.0)
    said = refused("compare", small, "--rtl-images", 0, "--no-synthesis", "--scheduler", "nowhere")
    assert "the Dask cluster at nowhere cannot be reached" in said


@pytest.fixture
def trial(monkeypatch, cache: Path, small: Path, few_digits: Path) -> compare_jobs.RtlRun:
    """A real simulation, on Icarus: Verilator takes longer to begin."""
    monkeypatch.setattr(compare_jobs, "SIMULATOR", "icarus")
    codes, digest = checkpoint_texts(load_checkpoint(small)), data_digest(load_dataset(few_digits))
    return compare_jobs.RtlRun(**codes, config=Config(), data=str(few_digits), digest=digest, images=2)


def test_a_real_simulation(trial) -> None:
    """The hardware's counters are those of the cycle model."""
    result, planned = from_json(to_json(trial)).work(), plan(SMALL.network, Config())
    assert (result["conv"], result["fc"], result["images"]) == (planned.conv, planned.fc, 2)
    assert (result["latency"], result["interval"]) == (planned.latency, planned.interval)
    assert result["tools"] == [find("icarus").version]
    trial.check(result)


def test_an_rtl_that_differs(trial, monkeypatch) -> None:
    """It was made of another checkpoint."""
    made, other = generate.generate, Checkpoint.random(SMALL, seed=7)
    monkeypatch.setattr(generate, "generate", lambda checkpoint, config: made(other, config))
    with pytest.raises(RtlDiffers, match="simulation of 2-3-7-10: the RTL differs from the golden model: image 0"):
        trial.work()


def test_another_data_set(trial) -> None:
    with pytest.raises(UserError, match="is another data set here, or has changed"):
        replace(trial, digest="0").work()


@pytest.mark.full
@pytest.mark.slow
def test_a_real_synthesis(answer, cache: Path, tmp_path: Path) -> None:
    """Yosys itself: block RAM of the weights, told apart, is all that there is in a network as small as that."""
    save_checkpoint(tmp_path / "mini.npz", Checkpoint.random(LeNetShape(2, 3, (10,)), seed=1))
    (one,) = answer("compare", tmp_path / "mini.npz", "--rtl-images", 0)["results"]
    assert (one["conv_weights_ramb36"], one["fc_weights_ramb36"], one["ramb36"]) == (3, 2.5, 5.5)
    assert one["dsp"] == 45
