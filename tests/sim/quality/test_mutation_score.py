"""The mutation score: what is counted, what is kept of an interrupted run, what the log says."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from fivebyfive.output.provenance import read
from fivebyfive.sim.jobs import sources
from fivebyfive.sim.quality import mutation_score
from fivebyfive.sim.quality.mutants import Mutant
from fivebyfive.sim.quality.mutation_score import Kept, MutantResult, Score, score_machine
from fivebyfive.sim.quality.small_machines import argmax
from fivebyfive.sim.simulator.cache import keep
from fivebyfive.verify import mutants
from fivebyfive.verify.machines import verilog_inputs


@pytest.fixture(autouse=True)
def outcomes(tmp_path: Path, monkeypatch) -> None:
    """Outcomes in a folder of the test's own; compiled simulations stay where those of all tests are."""
    folder = tmp_path / "outcomes"
    folder.mkdir()
    monkeypatch.setattr(mutation_score, "cache_folder", lambda kind: folder)


def nobody(*_) -> None:
    raise AssertionError("this was known")


def test_what_is_known_is_not_done_again(monkeypatch) -> None:
    found = score_machine(argmax, 8, 1)
    assert len(found.results) == 8
    assert found.noticed + found.proved + found.unexplained == 8
    assert found.noticed > 4
    for name in ("try_mutants", "Prover"):
        monkeypatch.setattr(mutation_score, name, nobody)
    assert score_machine(argmax, 8, 1) == found
    with pytest.raises(AssertionError, match="this was known"):
        score_machine(argmax, 9, 1)


@pytest.mark.parametrize("whole", [False, True])
def test_proofs_by_parts_can_be_left_out(monkeypatch, whole: bool) -> None:
    class ByParts:
        def __init__(self, prover) -> None:
            pass

        def equivalent(self, change: str) -> bool:
            sought.append(change)
            return True

    sought = []
    monkeypatch.setattr(mutation_score, "PartProver", ByParts)
    monkeypatch.setattr(mutation_score, "RenamingProver", ByParts)
    monkeypatch.setattr(mutation_score.Prover, "equivalent", lambda self, change: False)
    found = score_machine(argmax, 30, 1, whole=whole)
    assert found.noticed < 30
    assert len(sought) == found.proved == (0 if whole else 30 - found.noticed)


def test_an_interrupted_run_goes_on(monkeypatch) -> None:
    def interrupt(said: str) -> None:
        if "tried 3 of" in said:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_machine(argmax, 8, 1, interrupt)
    asked = []
    real = mutation_score.try_mutants
    monkeypatch.setattr(mutation_score, "try_mutants", lambda *given: (asked.extend(given[3]), real(*given)))
    assert len(score_machine(argmax, 8, 1).results) == 8
    assert asked == [4, 5, 6, 7, 8]


def test_a_bench_depends_on_all_that_it_imports() -> None:
    found = sources.dependencies("fivebyfive.sim.benches.fc.argmax")
    assert {
        f"fivebyfive.{name}"
        for name in ("sim.benchlib.streams", "model.golden", "hw.fc.argmax", "sim.benchlib.testbench")
    } <= found
    assert "fivebyfive.hw.serial.uart" not in found


@pytest.mark.parametrize(("of", "kept", "edited"), [(str, "failed", '""'), (bool, True, "false"), (bool, True, "1")])
def test_outcomes_that_were_edited_are_found_again(of: type, kept: object, edited: str) -> None:
    """Of a mutant that the bench notices, it would be a survivor; of a proof, there would be none."""
    outcomes = Kept("argmax", ["about"], of)
    outcomes["3"] = kept
    assert Kept("argmax", ["about"], of) == {"3": kept}
    text = outcomes.path.read_text()
    outcomes.path.write_text(text.replace(f'"3": {json.dumps(kept)}', f'"3": {edited}'))
    assert outcomes.path.read_text() != text
    assert Kept("argmax", ["about"], of) == {}


def test_outcomes_of_another_type_are_found_again() -> None:
    outcomes = Kept("argmax", ["about"], str)
    outcomes["3"] = "failed"
    keep(outcomes.path, {"3": True})
    assert Kept("argmax", ["about"], str) == {}


COMMAND = "mutate -mode inv -module pair -cell $add$x.v:5$1 -port Y -portbit 3 -src x.v:5.1-5.9 -ctrl mutant 16 7"


@pytest.mark.parametrize(("unexplained", "code"), [(2, 0), (3, 1)])
def test_log_and_exit_code(tmp_path: Path, monkeypatch, unexplained: int, code: int) -> None:
    """98 %: two of a hundred may be left, those that are proved do not count."""

    def results(make, count, seed, report, whole) -> Score:
        outcomes = [(True, False)] * (100 - unexplained) + [(False, False)] * unexplained + [(False, True)] * 50
        return Score(make.__name__, tuple(MutantResult(Mutant(7, COMMAND), *outcome) for outcome in outcomes))

    monkeypatch.setattr(mutants, "score_machine", results)
    log = tmp_path / "mutants.log"
    done = CliRunner().invoke(mutants.main, ["--log", str(log), "--component", "dot_product"])
    assert done.exit_code == code
    text = log.read_text()
    assert text in done.output
    assert f"= {100 - unexplained}.00 %; 98% is asked for" in text
    line = "dot_product 7: inv on pair.$add$x.v:5$1 Y[3], x.v:5: "
    assert text.count(line + "UNEXPLAINED\n") == unexplained
    assert text.count(line + "proved equivalent\n") == 50


def test_one_component_leaves_the_others_in_the_log(tmp_path: Path, monkeypatch) -> None:
    """Their rows, mutants and digests, and what a person wrote into the log; sums are made again."""
    outcomes = {"dot_product": [(True, False)] * 8 + [(False, True)] * 2, "argmax": [(True, False)] * 5}

    def results(make, count, seed, report, whole) -> Score:
        of = outcomes[make.__name__]
        return Score(make.__name__, tuple(MutantResult(Mutant(7, COMMAND), *outcome) for outcome in of))

    def run(*names: str) -> str:
        words = [word for name in names for word in ("--component", name)]
        CliRunner().invoke(mutants.main, ["--log", str(log), *words], catch_exceptions=False)
        return log.read_text()

    def row(*cells: object) -> str:
        return mutants.COLUMNS.format(*cells)

    monkeypatch.setattr(mutants, "score_machine", results)
    log = tmp_path / "mutants.log"
    first = run("argmax", "dot_product")
    assert row("dot_product", 10, 8, 2, 0, "100.0 %") + row("argmax", 5, 5, 0, 0, "100.0 %") in first
    text = first.replace("\nNot noticed", "Of these two.\n\nNot noticed").replace(
        "machine: ", "measured on: today\nmachine: "
    )
    mark = "measured before: 2026-11-23, the Verilog of argmax, dot_product has changed since\n"
    gone = f"measured: verilog of what_is_no_component_any_more: {'0' * 64}\n"
    log.write_text(re.sub("(?m)^(measured: verilog of )(.*): .*$", r"\1\2: " + "0" * 64, text) + gone + mark)
    outcomes["argmax"] = [(True, False)] * 4 + [(False, False)]
    second = run("argmax")
    assert row("dot_product", 10, 8, 2, 0, "100.0 %") + row("argmax", 5, 4, 0, 1, "80.0 %") in second
    assert row("all", 15, 12, 2, 1, "92.3 %") in second
    assert second.count("dot_product 7: inv on") == 2
    assert second.count("argmax 7: inv on") == 1
    assert "Of these two.\n\nNot noticed:" in second
    assert re.search("(?m)^measured on: +today$", second)
    assert re.search("(?m)^tried last: +argmax$", second)
    record = read(log)
    assert record.inputs == {"verilog of dot_product": "0" * 64} | verilog_inputs(["argmax"])
    assert (record.before, record.why) == ("2026-11-23", "the Verilog of dot_product has changed since")
    run("dot_product")
    assert not read(log).before
    shipped = (Path(__file__).parents[3] / "docs/mutants.log").read_text()
    found = mutants.rows(shipped)
    assert " ".join(found["all"].text().split()) in " ".join(shipped.split())
    assert sum(len(one.survivors) for one in found.values()) == found["all"].mutants - found["all"].noticed
