"""What a simulation spends its time on: cycles a second, and the part that is Python."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from cocotb import simulator

__all__ = ["Speed", "Stopwatch"]

PREFIX, SUFFIX = "register_", "_callback"


@dataclass(frozen=True)
class Speed:
    """Of a simulation, from the first to the last cycle of its test: ``seconds``, of which ``python_seconds`` were
    spent in Python, and ``cycles`` of the clock."""

    cycles: int
    seconds: float
    python_seconds: float

    @property
    def cycles_per_second(self) -> float:
        return self.cycles / self.seconds

    @property
    def python_share(self) -> float:
        """0 to 1: the bench's part; the rest is the simulator's."""
        return self.python_seconds / self.seconds


class Stopwatch:
    """Times Python inside a simulator.

    The simulator enters Python by callbacks alone, and all of them are registered through functions of one module:
    from now on each callback is timed. Inside the simulator's process only.
    """

    def __init__(self) -> None:
        self.python_seconds = 0.0
        self._started = self._entered = perf_counter()  # we are in a callback now
        for name in dir(simulator):
            if name.startswith(PREFIX) and name.endswith(SUFFIX):
                setattr(simulator, name, self._timed(getattr(simulator, name)))

    def stop(self, cycles: int) -> Speed:
        """The speed so far; ``cycles`` of the clock since the start."""
        now = perf_counter()
        return Speed(cycles, now - self._started, self.python_seconds + now - self._entered)

    def _timed(self, register: Callable[..., Any]) -> Callable[..., Any]:
        """``register`` with the callback, the only function among its arguments, replaced by a timed one."""

        def with_timed_callback(*arguments: Any) -> Any:
            return register(*(self._around(given) if callable(given) else given for given in arguments))

        return with_timed_callback

    def _around(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            self._entered = perf_counter()
            try:
                return callback(*arguments)
            finally:
                self.python_seconds += perf_counter() - self._entered

        return timed
