"""How long an answer takes on a line whose speed nobody tells: a serial port's buffers, or a simulation's patience."""

import time

__all__ = ["Pace"]

LEAST_S = 0.002
MARGIN = 4  # an answer that takes that many times as long as those before is asked for again
BURST = 200  # bytes; what is sent at once and is longer than that says how long a byte takes


class Pace:
    """Learns the time of a byte and of a round trip from each answer.

    A byte's time is half learned from an answer to the first question, and hardly from one that had to be asked for
    again: that was rather lost than late. To wait too short a time costs another question and does no harm.

    ``answer_s``: the longest wait behind the time that the bytes need.
    """

    def __init__(self, byte_s: float, answer_s: float):
        self.byte_s, self.answer_s = byte_s, answer_s
        self.round_trip_s = answer_s / MARGIN
        self.free_at = 0.0  # when what was written will be through
        self.burst = 0  # bytes since the last answer
        self.began = self.last = 0.0  # when the first, the last of them were written
        self.misses = 0

    def sent(self, count: int) -> None:
        """Bytes were written."""
        now = time.monotonic()
        if not self.burst:
            self.began = now
        self.last = now
        self.burst += count
        self.free_at = max(now, self.free_at) + count * self.byte_s

    @property
    def until(self) -> float:
        """Until when an answer to what was written may be waited for."""
        return max(time.monotonic(), self.free_at) + min(self.answer_s, MARGIN * self.round_trip_s) + LEAST_S

    def answered(self) -> None:
        """The answer came."""
        now = time.monotonic()
        if self.burst > BURST:
            seen = (now - self.began) / self.burst
            self.byte_s += (min(seen, 2 * self.byte_s) - self.byte_s) / 40 if self.misses else (seen - self.byte_s) / 2
        if self.burst <= BURST or self.misses:
            self.round_trip_s += (now - self.last - self.round_trip_s) / 4
        self.burst, self.misses, self.free_at = 0, 0, now

    def missed(self) -> None:
        """It did not."""
        self.misses += 1
