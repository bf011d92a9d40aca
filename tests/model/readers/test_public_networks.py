"""Networks that people keep in public, each in its form: read as what they are, or refused with a line that says why.

They are not trained here; ``make networks`` does that, and takes them through quantization and simulation.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.network import dims
from fivebyfive.model.readers.execution import run
from fivebyfive.model.readers.formats import float_network, has_graph, read_steps
from fivebyfive.model.readers.state_dict.candidates import Candidate
from fivebyfive.model.readers.state_dict.options import ReadingOptions
from fivebyfive.model.readers.state_dict.reading import Ambiguous, Finder, find_reading
from fivebyfive.model.readers.state_dict.scoring import Scorer
from fivebyfive.model.readers.state_dict.weights import read_weights
from fivebyfive.support.errors import UserError

from .public_networks import LISTED, Listed, Rounded, build, scores_of, source_scores, write

BY_NUMBER = {one.number: one for one in LISTED}
REFUSED = {
    15: "never loaded", 71: "never loaded", 17: "the weights take 4,235,850 bytes", 63: "4 to 128 rows and columns",
}  # fmt: skip
STATES = [one for one in LISTED if not one.has_graph]
GRAPHS = [one for one in LISTED if one.has_graph and one.number not in REFUSED]
LONG = {1, 9, 19, 33, 39, 41, 49, 51, 53, 55, 59, 61, 65, 67, 69, 75}  # or like another one


def cases(listed: list[Listed]) -> list:
    marks = {True: [pytest.mark.full], False: []}
    return [pytest.param(one, id=f"{one.number}", marks=marks[one.number in LONG]) for one in listed]


def built(listed: Listed, few: Dataset) -> torch.nn.Sequential:
    """The network, its roundings with the scale of some images."""
    net = build(listed)
    if any(isinstance(part, Rounded) for part in net.modules()):
        net.train()(listed.inputs(few.images))
    return net.eval()


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    return Dataset(digits.name, digits.images[:8], digits.labels[:8])


def close(seen: np.ndarray, wanted: np.ndarray) -> bool:
    return bool(np.abs(seen - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("listed", cases(GRAPHS))
def test_a_file_with_a_graph_is_read_as_what_it_is(listed: Listed, tmp_path: Path, few: Dataset) -> None:
    net = built(listed, few)
    path, images = write(listed, net, tmp_path), listed.inputs(few.images).numpy()
    assert has_graph(path)
    seen = run(float_network(path, read_steps(path)), images)
    assert close(seen, source_scores(listed, net, path, images))
    assert close(scores_of(listed, net, few.images), source_scores(listed, net, path, images)) or "QONNX" in listed.form


@pytest.mark.parametrize("listed", cases(STATES))
def test_the_right_reading_of_a_state_dict_is_among_those_that_are_tried(
    listed: Listed, tmp_path: Path, few: Dataset
) -> None:
    net = built(listed, few)
    path = write(listed, net, tmp_path)
    options = ReadingOptions(input=dims(listed.size) if listed.size[1:] == (45, 45) else None)
    finder = Finder(path, read_weights(path), few, options, lambda *_: None)
    ways = [
        Candidate(geometry, functions, listed.preparation, listed.scaling)
        for geometry in finder.geometries() if geometry.input == listed.size
        for functions in finder.functions(geometry)
    ]  # fmt: skip
    wanted = scores_of(listed, net, few.images)
    scores = Scorer(finder.readings, few).scores(ways, len(few))
    assert any(close(scores[one], wanted) for one in ways), f"none of {len(ways)} ways"


@pytest.mark.parametrize("number", REFUSED)
def test_what_is_refused_says_why(number: int, tmp_path: Path, few: Dataset) -> None:
    listed = BY_NUMBER[number]
    path = write(listed, build(listed), tmp_path)
    with pytest.raises(UserError, match=REFUSED[number]) as caught:
        float_network(path, read_steps(path)) if has_graph(path) else find_reading(path, few)
    assert "\n" not in str(caught.value)


def test_a_network_of_two_classes_is_asked_about(tmp_path: Path, few: Dataset) -> None:
    """MNIST tells nothing of it; its options leave one reading."""
    listed = BY_NUMBER[73]
    net = build(listed)
    path = write(listed, net, tmp_path)
    with pytest.raises(Ambiguous, match="mnist-test has 10 classes and the network 2"):
        find_reading(path, few)
    words = listed.options.split()
    said = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    found = find_reading(path, few, ReadingOptions(**said))
    images = listed.inputs(few.images).numpy()
    assert close(run(found.network, images), scores_of(listed, net, few.images))


def test_forty_networks_are_listed() -> None:
    assert len(BY_NUMBER) == len(LISTED) == 40
    assert len(GRAPHS) + len(STATES) + len(REFUSED) == 40
