"""Networks of any layers: the methods that keep the widths, and what the others say."""

import json

import numpy as np
import pytest

from fivebyfive.model.checkpoint import load_checkpoint, save_checkpoint
from fivebyfive.model.description import parse
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.readers.steps import Activation
from fivebyfive.model.training.train import TrainConfig, train
from fivebyfive.support.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("constriction")

from fivebyfive.model.training.lenet import from_checkpoint, to_checkpoint  # noqa: E402
from fivebyfive.model.training.networks import Trainable  # noqa: E402

LAYERS = [
    {"name": "a", "kind": "conv", "outputs": 6, "kernel": 5, "padding": 1, "then": [{"max": 2}, "relu"]},
    {"name": "b", "kind": "conv", "outputs": 10, "kernel": 3, "groups": 2, "then": ["relu", {"average": 2}]},
    {"name": "c", "kind": "fc", "outputs": 24, "then": ["table"]},
    {"name": "d", "kind": "fc", "outputs": 10},
]
STEP = "[[step]]\nepochs = 8\n"
KEEP_WIDTHS = {
    "fine": 'method = "magnitude"\nkeep = { b = 0.5, c = 0.2 }',
    "banks": 'method = "magnitude"\neach = { c = 1 }',
    "kmeans": 'method = "kmeans"\nbits = { b = 3, c = 2 }',
    "linear": 'method = "linear"\nbits = 4',
    "powers": 'method = "powers"',
    "ttq": 'method = "ttq"\nlayers = "b,c"',
    "tune": 'method = "tune"\nteacher = "start"',
}


@pytest.fixture(scope="module")
def trained(few_digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "net.npz"
    network = parse(json.dumps({"input": [1, 28, 28], "layers": LAYERS}))
    wanted = Trainable(network, {"c": (Activation("tanh"),)})
    save_checkpoint(path, train(TrainConfig(shape=wanted, epochs=60, seed=3, threads=1), few_digits).checkpoint)
    return path


@pytest.mark.parametrize(
    "name", [*list(KEEP_WIDTHS)[:3], *(pytest.param(n, marks=pytest.mark.full) for n in list(KEEP_WIDTHS)[3:])]
)
def test_methods_that_keep_the_widths(name: str, run, trained, few_digits) -> None:
    found = run(STEP + KEEP_WIDTHS[name]).checkpoint
    before = evaluate(load_checkpoint(trained), few_digits).errors
    assert evaluate(found, few_digits).errors < before + 40 < 240  # of 400; guessing would miss 360
    weights = found.arrays["c.weight"]
    if name == "fine":
        assert np.count_nonzero(weights) <= 0.2 * weights.size + 1
    if name == "kmeans":
        assert len(np.unique(weights)) <= 4
    assert found.tables.keys() == {"c.table"}


def test_a_checkpoint_comes_back_from_pytorch(trained) -> None:
    checkpoint = load_checkpoint(trained)
    assert to_checkpoint(from_checkpoint(checkpoint)).digest == checkpoint.digest


@pytest.mark.parametrize(
    "text",
    ['method = "l1"\nshape = "3-4-12-10"', 'method = "svd"\nrank = 8', 'method = "ternary"', 'method = "scratch"'],
)
def test_methods_that_cannot(text: str, run) -> None:
    with pytest.raises(UserError) as error:
        run(STEP + text)
    assert "\n" not in str(error.value)
