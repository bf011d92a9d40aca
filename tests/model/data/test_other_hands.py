"""Digits of other hands: the sets are the defined ones, and what the shipped network makes of them is known."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from fivebyfive.model.checkpoint import load_checkpoint
from fivebyfive.model.data import datasets, named_sets
from fivebyfive.model.data.datasets import load_dataset, load_test_sets
from fivebyfive.model.data.other_hands import ALTERATIONS
from fivebyfive.model.evaluate import evaluate
from fivebyfive.support.errors import UserError

PIXELS = {
    "soft": "626a3cd81cfbb7b147ceb24560ecc39a7d2842a8dd96e108108aa6f40ac51dd0",
    "crisp": "26bd2f7e7b1159119f80adfc6f6d4937d988b59a08abb39fad5e37bb2de51694",
    **{name: one.digest for name, one in ALTERATIONS.items()},
}
ERRORS = {"soft": 38, "crisp": 80, "thinned": 31, "thickened": 28, "blurred": 19, "turned": 35, "faint": 9}


def test_the_shipped_network_misses_these() -> None:
    """As its card says. Version 0.1.0 missed 203, 129, 193, 87, 134, 37 and 56 of them."""
    sets = load_test_sets("other-hands")
    assert list(sets) == ["mnist", *(f"other-hands-{name}" for name in ERRORS)]
    network = load_checkpoint()
    for name, errors in ERRORS.items():
        found = sets[f"other-hands-{name}"]
        assert len(found) == (1797 if name in ("soft", "crisp") else 2000)
        assert sha256(found.images.tobytes()).hexdigest() == PIXELS[name]
        assert evaluate(network, found).errors == errors, name


def test_rules_on_a_single_dot() -> None:
    """A dot in the middle, and one in the corner."""
    dot = np.zeros((2, 28, 28), np.uint8)
    dot[0, 10, 12] = dot[1, 0, 0] = 200
    altered = {name: one.rule(dot) for name, one in ALTERATIONS.items()}
    assert not altered["thinned"].any()
    assert np.argwhere(altered["thickened"][0]).tolist() == [
        [row, column] for row in (9, 10, 11) for column in (11, 12, 13)
    ]
    assert altered["thickened"][1].sum() == 4 * 200
    assert altered["blurred"][0].sum() == pytest.approx(200, abs=6)
    assert altered["blurred"][0, 10, 12] == round(200 * (6 / 16) ** 2)
    assert altered["faint"].max() == 90
    assert all(one.dtype == np.uint8 and one.shape == dot.shape for one in altered.values())


def test_a_line_is_turned_counter_clockwise() -> None:
    line = np.zeros((1, 28, 28), np.uint8)
    line[0, 14, 14:26] = 255
    rows, columns = np.nonzero(ALTERATIONS["turned"].rule(line)[0])
    assert rows[columns.argmax()] < rows[columns.argmin()]  # its end is higher than its beginning


def test_pixels_that_came_out_otherwise_are_refused(monkeypatch) -> None:
    known = named_sets.NAMED_SETS["other-hands-faint"]
    other = replace(known.alteration, rule=lambda images: images)
    monkeypatch.setitem(named_sets.NAMED_SETS, "other-hands-faint", replace(known, alteration=other))
    with pytest.raises(UserError, match="differ from the defined ones"):
        load_dataset("other-hands-faint")


@pytest.mark.parametrize("name", ["other-hands-soft", "other-hands-thinned"])
def test_nothing_to_train_on(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} has test images alone, none to train on"):
        load_dataset(name, "train")


def test_several_sets_are_not_one() -> None:
    with pytest.raises(UserError, match=r"other-hands is several test sets, .*: mnist, other-hands-soft, "):
        load_dataset("other-hands")


def test_a_file_that_the_package_lacks(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(datasets, "SHIPPED_DATA", tmp_path)
    monkeypatch.setattr(datasets, "cache_folder", lambda name: tmp_path / name)
    monkeypatch.delenv(datasets.DATA_VARIABLE, raising=False)
    with pytest.raises(UserError, match="soft-images-idx3-ubyte of other-hands is missing from the package; install"):
        load_dataset("other-hands-soft")
