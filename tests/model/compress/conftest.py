"""A small trained network, made once, and a plan run on few digits."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from fivebyfive.model.checkpoint import save_checkpoint
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.training.train import Result, TrainConfig, train


@pytest.fixture(scope="session")
def trained(few_digits, tmp_path_factory) -> Path:
    """4-6-20-10, trained on 320 digits."""
    pytest.importorskip("torch")
    path = tmp_path_factory.mktemp("trained") / "net.npz"
    config = TrainConfig(shape=LeNetShape(4, 6, (20, 10)), epochs=60, seed=3, threads=1, weight_decay=0.01)
    save_checkpoint(path, train(config, few_digits).checkpoint)
    return path


@pytest.fixture
def run(few_digits, trained: Path) -> Callable[..., Result]:
    """Runs the steps of a TOML text, each of twelve short epochs unless it says otherwise, on the module's
    ``trained`` network."""
    pytest.importorskip("constriction")
    from fivebyfive.model.compress.plan import parse_plan
    from fivebyfive.model.compress.run import compress
    from fivebyfive.model.training.resume import States

    def call(text: str, **options) -> Result:
        if "states" in options:
            options["states"] = States(options["states"])
        content = tomllib.loads(text)
        content["step"] = [QUICK | step for step in content["step"]]
        plan = parse_plan({"start": trained.name} | content, trained.parent)
        return compress(plan, few_digits, **options)

    return call


QUICK = {"epochs": 12, "clean_epochs": 4, "warp": 0.0, "learning_rate": 4e-3}
