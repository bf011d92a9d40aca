"""Recordings of the last runs, for as much memory as they may take."""

import itertools
import threading
from collections import OrderedDict
from typing import Any

from fivebyfive.sim.session.recording import Recording

from .diagram import unit_name
from .guard import Refused

__all__ = ["Runs"]

MOST_BYTES = 512 << 20
MOST_SPAN = 2000  # cycles of a piece
NUMBER = 32  # bits of a signal whose values are numbers of JSON


class Runs:
    """Recordings by the names of runs; the oldest go when they take too much memory. For any thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.kept: OrderedDict[str, Recording] = OrderedDict()

    def new(self) -> str:
        """The name of another run."""
        return f"r{next(self.numbers)}"

    def keep(self, run: str, recording: Recording) -> None:
        with self.lock:
            self.kept[run] = recording
            while len(self.kept) > 1 and sum(one.bytes for one in self.kept.values()) > MOST_BYTES:
                self.kept.popitem(last=False)

    def __getitem__(self, run: str) -> Recording:
        with self.lock:
            if run not in self.kept:
                raise Refused(404, "this run is no longer kept; have the digit read again")
            self.kept.move_to_end(run)
            return self.kept[run]

    def wave(self, run: str, cycle: int, span: int) -> dict[str, Any]:
        """What signals do in ``span`` cycles around a cycle. Raises Refused."""
        recording = self[run]
        if not 0 <= cycle < recording.recorded:
            raise Refused(404, f"cycles 0 to {recording.recorded - 1:,} were recorded; choose one of them")
        if not 1 <= span <= MOST_SPAN:
            raise Refused(400, f"a piece of a waveform has 1 to {MOST_SPAN:,} cycles; choose fewer")
        first = max(0, min(cycle - span // 2, recording.recorded - span))
        last = min(first + span, recording.recorded) - 1
        state = recording.state
        return {
            "first": first,
            "last": last,
            "signals": [
                {"name": probe.name, "bits": probe.bits, "changes": shown(probe.bits, changes.piece(first, last))}
                for probe, changes in recording.signals
            ],
            "state": state[0].values[state[1].at(cycle)] if state else None,
            "busy": [unit_name(unit) for unit in recording.busy_at(cycle)],
        }


def shown(bits: int, changes: list[list[int]]) -> list[list[int | str]]:
    """Changes with the values of wide signals in hexadecimal: a browser's numbers have 53 bits."""
    return [[cycle, value if bits <= NUMBER else f"{value:#x}"] for cycle, value in changes]
