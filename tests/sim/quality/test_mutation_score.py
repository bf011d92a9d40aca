"""The mutation score: what is counted, what is kept of an interrupted run, what the log says."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fivebyfive.sim.jobs import sources
from fivebyfive.sim.quality import mutation_score
from fivebyfive.sim.quality.mutants import Mutant
from fivebyfive.sim.quality.mutation_score import Kept, MutantResult, Score, score_machine
from fivebyfive.sim.quality.small_machines import argmax
from fivebyfive.sim.simulator.cache import keep
from fivebyfive.verify import mutants


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

    def results(make, count, seed, report) -> Score:
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
