"""What a session recorded of an image: the changes of each signal, and what follows from them."""

from dataclasses import dataclass

import numpy as np

from .probes import STATE, Probe

__all__ = ["Changes", "Recording"]

MOST_STATES = 20_000
GRID = 1000  # parts of a run: idle times that are shorter than one are left out


@dataclass(frozen=True)
class Changes:
    """Values of a signal: ``cycles`` (N,), ascending from 0, and ``values`` (N,), each from its cycle on."""

    cycles: np.ndarray
    values: np.ndarray

    def at(self, cycle: int) -> int:
        """Value in a cycle."""
        return int(self.values[self.index(cycle)])

    def index(self, cycle: int) -> int:
        """Number of the change that gave the value of a cycle."""
        return int(np.searchsorted(self.cycles, cycle, side="right")) - 1

    def piece(self, first: int, last: int) -> list[list[int]]:
        """[cycle, value] of each change from ``first`` to ``last``, both included; the value at ``first`` begins it."""
        begin, end = self.index(first), self.index(last) + 1
        cycles = np.maximum(self.cycles[begin:end], first)
        return [[int(cycle), int(value)] for cycle, value in zip(cycles, self.values[begin:end], strict=True)]


@dataclass(frozen=True)
class Recording:
    """Signals in the ``cycles`` of a run, of which the first ``recorded`` were kept."""

    cycles: int
    recorded: int
    signals: tuple[tuple[Probe, Changes], ...]

    @property
    def bytes(self) -> int:
        """Of memory."""
        return sum(changes.cycles.nbytes + changes.values.nbytes for _, changes in self.signals)

    @property
    def state(self) -> tuple[Probe, Changes] | None:
        """State of the conv controller, which a machine without convolutions does not have."""
        return next((one for one in self.signals if one[0].name == STATE), None)

    def states(self) -> list[list[int]]:
        """[cycle, state] of each change of the conv controller's state, empty without one; of very many the last one in
        each of MOST_STATES parts of the run."""
        if not self.state:
            return []
        changes = self.state[1]
        if len(changes.cycles) > MOST_STATES:
            part = changes.cycles.astype(np.int64) * MOST_STATES // self.recorded
            kept = np.append(np.diff(part) > 0, True)
            changes = Changes(np.append(0, changes.cycles[kept][1:]), changes.values[kept])
        return changes.piece(0, self.recorded - 1)

    def busy(self) -> dict[str, list[list[int]]]:
        """For each unit the intervals [first cycle, last cycle] in which it is busy, ascending; those with less than a
        thousandth of the run between them are one."""
        found: dict[str, list[np.ndarray]] = {}
        for probe, changes in self.signals:
            spans = found.setdefault(probe.unit, [])
            if probe.busy:
                spans.append(self.spans(probe, changes))
        grid = self.cycles // GRID
        return {unit: merged(np.concatenate(spans), grid) if spans else [] for unit, spans in found.items()}

    def spans(self, probe: Probe, changes: Changes) -> np.ndarray:
        """Intervals (N, 2) in which one signal says that its unit is busy."""
        if probe.busy == "change":
            return np.stack([changes.cycles[1:], changes.cycles[1:]], axis=1)
        ends = np.append(changes.cycles[1:], self.recorded)
        spans = np.stack([changes.cycles, ends - 1], axis=1)
        return spans[changes.values != 0]

    def busy_at(self, cycle: int) -> list[str]:
        """The units that are busy in a cycle."""
        busy: dict[str, bool] = {}
        for probe, changes in self.signals:
            index = changes.index(cycle)
            moved = index > 0 and changes.cycles[index] == cycle
            now = {"level": changes.values[index] != 0, "change": moved}.get(probe.busy, False)
            busy[probe.unit] = busy.get(probe.unit, False) or bool(now)
        return [unit for unit, now in busy.items() if now]


def merged(spans: np.ndarray, gap: int) -> list[list[int]]:
    """Intervals (N, 2) as few ascending ones: joined where they overlap or have at most ``gap`` cycles between them."""
    if not len(spans):
        return []
    spans = spans[np.argsort(spans[:, 0], kind="stable")].astype(np.int64)
    ends = np.maximum.accumulate(spans[:, 1])
    begins = np.flatnonzero(np.append(True, spans[1:, 0] > ends[:-1] + gap + 1))
    lasts = ends[np.append(begins[1:], len(ends)) - 1]
    return [[int(first), int(last)] for first, last in zip(spans[begins, 0], lasts, strict=True)]
