"""The plans that ship can be read, each as it says of itself."""

from pathlib import Path

import pytest

from fivebyfive.model.compress.plan import read_plan

PLANS = sorted((Path(__file__).parents[3] / "model/compress/plans").glob("*.toml"))


def test_there_are_plans() -> None:
    assert len(PLANS) >= 8


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_that_ships(path: Path) -> None:
    plan = read_plan(path)
    assert plan.start_path.is_file()
    assert plan.threads == 1  # as it is to be repeated
    for step in plan.steps:
        assert step.config.teacher == "start"
        assert 0 < step.config.clean_epochs <= step.config.epochs
    assert path.read_text().startswith("# ")
