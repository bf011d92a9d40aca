"""What follows from recorded changes: values, pieces, and when units are busy."""

import numpy as np
import pytest

from fivebyfive.sim.session import recording
from fivebyfive.sim.session.probes import STATE, Probe
from fivebyfive.sim.session.recording import Changes, Recording, merged
from fivebyfive.sim.session.taps import fields, runs


def changes(*pairs: tuple[int, int]) -> Changes:
    cycles, values = zip(*pairs, strict=True)
    return Changes(np.array(cycles, np.uint32), np.array(values, np.uint64))


def probe(name: str, unit: str, busy: str) -> Probe:
    return Probe(name, 8, {}, unit, busy, ("top", name))


def test_values_and_pieces() -> None:
    one = changes((0, 5), (3, 6), (9, 7))
    assert [one.at(cycle) for cycle in (0, 2, 3, 8, 9, 100)] == [5, 5, 6, 6, 7, 7]
    assert one.piece(0, 2) == [[0, 5]]
    assert one.piece(2, 9) == [[2, 5], [3, 6], [9, 7]]
    assert one.piece(3, 3) == [[3, 6]]


def test_intervals_are_joined() -> None:
    spans = np.array([[10, 20], [0, 1], [3, 4], [12, 13], [30, 30]])
    assert merged(spans, 0) == [[0, 1], [3, 4], [10, 20], [30, 30]]
    assert merged(spans, 1) == [[0, 4], [10, 20], [30, 30]]
    assert merged(spans, 9) == [[0, 30]]
    assert merged(np.array([[0, 4], [5, 6]]), 0) == [[0, 6]]
    assert merged(np.empty((0, 2), np.int64), 3) == []


def test_busy_units() -> None:
    level, change = probe("a.valid", "a", "level"), probe("a.address", "a", "change")
    quiet = probe("b.word", "b", "")
    signals = (
        (level, changes((0, 0), (4, 3), (8, 0), (40, 1))),
        (change, changes((0, 7), (8, 8), (20, 9))),
        (quiet, changes((0, 1))),
    )
    one = Recording(50, 50, signals)
    assert one.busy() == {"a": [[4, 8], [20, 20], [40, 49]], "b": []}
    for cycle in range(50):
        assert one.busy_at(cycle) == (["a"] if 4 <= cycle <= 8 or cycle == 20 or cycle >= 40 else [])
    assert one.states() == []
    assert one.bytes == 8 * 12


def test_a_recording_that_is_full() -> None:
    """The rest of the run is unknown."""
    one = Recording(1000, 10, ((probe("a.valid", "a", "level"), changes((0, 0), (4, 1))),))
    assert one.busy() == {"a": [[4, 9]]}


def test_very_many_states_are_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_STATES", 4)
    state = changes(*((cycle, cycle % 7) for cycle in range(100)))
    one = Recording(100, 100, ((probe(STATE, "conv control", "level"), state),))
    assert one.states() == [[0, 24 % 7], [49, 49 % 7], [74, 74 % 7], [99, 99 % 7]]


def test_fields_and_runs() -> None:
    layout = {
        "toggle": {"offset": 0, "width": 1},
        "cell": {"offset": 1, "width": 11},
        "values[0]": {"offset": 12, "width": 8},
    }
    words = np.array([1 | 5 << 1 | 200 << 12, 2047 << 1 | 7 << 12], "<u4").view(np.uint8).reshape(2, 4)
    found = {name: values.tolist() for name, values in fields(layout, words).items()}
    assert found == {"toggle": [1, 0], "cell": [5, 2047], "values[0]": [200, 7]}
    pieces = list(runs("c1", np.array([4, 9, 3]), np.array([1, 2, 3], np.int8), np.array([10, 20, 30])))
    assert [(one.first, one.values.tolist(), one.cycle) for one in pieces] == [(3, [3, 1], 30), (9, [2], 20)]
