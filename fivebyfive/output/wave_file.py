"""What signals of a waveform file (VCD or FST) do at the rising edges of a clock.

The file is read by pywellen in a process of its own, as a damaged file may end that process: this module is also its
program. It reads a request on standard input and writes an answer on standard output, both JSON.
"""

import json
import re
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fivebyfive.support.errors import Failure, UserError, how_it_ended
from fivebyfive.support.inputs import open_limited
from fivebyfive.support.optional import require
from fivebyfive.support.parent_death import bound_to_parent

__all__ = ["FORMATS", "Samples", "Wanted", "read_waves"]

LARGEST = 1 << 33  # bytes of a waveform file: some twenty images of the shipped network as VCD
FORMATS = ("hex", "dec", "signed", "bin")
BEFORE = 2  # cycles in view before the one that was looked for
WRITTEN = re.compile(r"(?P<base>.+?)(?:\[(?P<high>\d{1,5})(?::(?P<low>\d{1,5}))?\])?(?::(?P<format>\w+))?", re.S)
DRIVER = "$rootio"  # Verilator's copy of the ports, beside the top module
COMMAND = (sys.executable, "-P", "-m", "fivebyfive.output.wave_file")
SHOWN = 4  # names in a message
DAMAGED = 3  # exit code of the process for a file that pywellen does not read


class Damaged(Exception):  # noqa: N818 (what happened)
    """pywellen does not read this file."""


class NotThere(Exception):  # noqa: N818 (what happened)
    """A request that this file has no answer to; the text is for the user."""


@dataclass(frozen=True)
class Wanted:
    """A signal to read: its ``name``, from the top module down or below it, ``bits`` of it (high and low, None for
    all), the ``format`` to show it in, and the ``label`` to show instead of what was asked for."""

    name: str
    bits: tuple[int, int] | None = None
    format: str = "hex"
    label: str = ""

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """A signal as a user writes it: NAME, NAME[7:0], NAME:dec or NAME[7:0]:dec. Raises UserError."""
        found = WRITTEN.fullmatch(text)
        if found is None or not text.isprintable():
            raise UserError(
                f"no signal can be called {text!r}; write it as conv.controller.state or i__payload[7:0]:dec"
            )
        if found["format"] not in (None, *FORMATS):
            raise UserError(f"a signal is shown as {', '.join(FORMATS)}, not {found['format']} ({text})")
        bits = None
        if found["high"]:
            bits = high, low = int(found["high"]), int(found["low"] or found["high"])
            if low > high:
                raise UserError(f"the bits of {text} must be written with the highest first, such as [7:0]")
        label = text.removesuffix(f":{found['format']}") if found["format"] else text
        return cls(found["base"], bits, found["format"] or "hex", label)


@dataclass(frozen=True)
class Samples:
    """``first``: number of the first clock cycle. ``values``: of each signal that was wanted, in order, a string of
    bits (0, 1, x, z; highest first) for each cycle: what a flip-flop takes at the rising edge that ends it."""

    first: int
    values: Sequence[Sequence[str]]


def read_waves(
    path: Path,
    wanted: Sequence[Wanted],
    clock: str,
    *,
    first: int | None = None,
    when: str | None = None,
    count: int = 24,
    signals_optional: bool = False,
    when_optional: bool = False,
) -> tuple[list[Wanted], Samples]:
    """``count`` cycles of ``clock`` from number ``first`` on, or from shortly before the first one from there on in
    which ``when`` is not 0; the signals found, and what they do.

    ``signals_optional``: signals that are not in the file are left out. ``when_optional``: where that signal is not
    there, or stays 0, the window begins with the file. Raises UserError where the file cannot be read, or lacks what
    was asked for.
    """
    require("pywellen", "reading waveforms needs", "pywellen", "plot")
    request = {"wanted": [asdict(one) for one in wanted], "clock": clock, "first": first, "when": when}
    request |= {"count": count, "signals_optional": signals_optional, "when_optional": when_optional}
    with open_limited(path, LARGEST, "waveform") as file:
        answer = ask(file.fileno(), request, path)
    if "refused" in answer:
        raise UserError(f"{path}: {answer['refused']}")
    return [wanted[index] for index in answer["found"]], Samples(answer["first"], answer["values"])


def ask(handle: int, request: Mapping, path: Path) -> dict:
    """The answer of a process that reads the open file ``handle``."""
    command = bound_to_parent([*COMMAND, str(handle)])
    done = subprocess.run(
        command, input=json.dumps(request).encode(), capture_output=True, pass_fds=[handle], check=False
    )
    if done.returncode == 0:
        return json.loads(done.stdout)
    if done.returncode == DAMAGED:
        raise UserError(f"{path} is not a VCD or FST file, or it is damaged or truncated; simulate again with --waves")
    raise Failure(f"the process that reads {path} {how_it_ended(done.returncode)}")


# In the other process.


def answer(waveform: Any, request: Mapping) -> dict:
    """What `read_waves` asks for, out of a ``pywellen.Waveform``."""
    names = {one.full_name: one for one in waveform.all_vars()}
    found, signals = [], []
    for index, one in enumerate(request["wanted"]):
        try:
            signal = find(names, one["name"])
            check_bits(signal, one["bits"], one["label"] or one["name"])
        except NotThere:
            if not request["signals_optional"]:
                raise
        else:
            found.append(index)
            signals.append((signal, one["bits"]))
    if not signals:
        raise NotThere("it has none of the accelerator's signals; name some with --signal")
    edges, number = rising_edges(find(names, request["clock"]), request["clock"])
    try:
        begin = begin_at(names, request, edges, number)
    except NotThere:
        if not request["when_optional"]:
            raise
        begin = 0
    window = edges[begin : begin + request["count"]]
    values = [sampled(signal, bits, window) for signal, bits in signals]
    return {"found": found, "first": number + begin, "values": values}


def find(names: Mapping[str, Any], name: str) -> Any:
    """The signal of that name: in full, below the top module, or the only one that ends so. Raises NotThere."""
    below = [full for full in names if full.partition(".")[2] == name and not full.startswith(DRIVER)]
    for full in (name, *below):
        if full in names:
            return names[full]
    ends = [full for full in names if full.endswith(f".{name}") and not full.startswith(DRIVER)]
    if len(ends) == 1:
        return names[ends[0]]
    if ends:
        more = ", ..." if len(ends) > SHOWN else ""
        raise NotThere(f"several signals are called {name}: {', '.join(sorted(ends)[:SHOWN])}{more}; write one in full")
    raise NotThere(f"it has no signal {name}; gtkwave or surfer lists those it has")


def check_bits(signal: Any, bits: Sequence[int] | None, name: str) -> None:
    """Raise NotThere where a signal has no bits, or not these."""
    width = signal.bitwidth
    if not width or signal.is_real or signal.is_string:
        raise NotThere(f"{name} is no signal of bits")
    if bits and bits[0] >= width:
        raise NotThere(f"{name}: there are only bits {width - 1} to 0")


def rising_edges(clock: Any, name: str) -> tuple[list[int], int]:
    """Times of the rising edges, and the number of the cycle that the first one ends: its time in periods, so that it
    is the number that `simulate` reports of a difference."""
    if clock.bitwidth != 1:
        raise NotThere(f"{name} has {clock.bitwidth} bits; a clock has one")
    changes = changes_of(clock)
    edges = [
        time for (time, value), before in zip(changes, [(0, 0), *changes], strict=False) if value == 1 != before[1]
    ]
    if len(edges) < 2:
        raise NotThere(f"{name} does not rise twice; name the clock with --clock")
    return edges, edges[0] // (edges[1] - edges[0])


def begin_at(names: Mapping, request: Mapping, edges: Sequence[int], number: int) -> int:
    """Index of the first edge in view. Raises NotThere where the file ends before, or the signal stays 0."""
    last = number + len(edges) - 1
    earliest = max((request["first"] or 0) - number, 0)
    if earliest >= len(edges):
        raise NotThere(f"it ends with cycle {last}; name an earlier one with --from")
    if request["when"] is None:
        return earliest
    signal = find(names, request["when"])
    check_bits(signal, None, request["when"])
    changes = changes_of(signal)
    ends = [*(time for time, _ in changes[1:]), edges[-1]]
    for (begin, value), end in zip(changes, ends, strict=False):
        index = max(bisect_left(edges, begin + 1), earliest)  # the first edge that sees it
        if is_set(value) and index < len(edges) and edges[index] <= end:
            return max(min(index - BEFORE, len(edges) - request["count"]), 0)
    raise NotThere(f"{request['when']} is 0 in all cycles from {number + earliest} to {last}")


def changes_of(signal: Any) -> list[tuple[int, int | str]]:
    """Times and values, in order. Raises Damaged."""
    try:
        return list(signal.tv)
    except RuntimeError as error:
        raise Damaged from error


def is_set(value: int | str | None) -> bool:
    return "1" in value if isinstance(value, str) else bool(value)


def sampled(signal: Any, bits: Sequence[int] | None, edges: Sequence[int]) -> list[str]:
    """A signal's bits as they are just before each edge; x before its first value."""
    changes, width = changes_of(signal), signal.bitwidth
    times = [time for time, _ in changes]
    values = []
    for edge in edges:
        index = bisect_left(times, edge) - 1
        text = in_bits(changes[index][1], width) if index >= 0 else "x" * width
        values.append(text[width - 1 - bits[0] : width - bits[1]] if bits else text)
    return values


def in_bits(value: int | str, width: int) -> str:
    """A value's bits, highest first; of what is not 0, 1 or z it is x."""
    if not isinstance(value, str):
        return format(value, f"0{width}b")
    return re.sub("[^01z]", "x", value.lower().rjust(width, "0"))[-width:]


def opened(path: str) -> Any:
    """The waveform of a file, a ``pywellen.Waveform``. Raises Damaged."""
    import pywellen

    try:
        return pywellen.Waveform(path)
    except RuntimeError as error:
        raise Damaged from error


def main() -> int:
    request = json.load(sys.stdin)
    try:
        report = answer(opened(f"/proc/self/fd/{sys.argv[1]}"), request)
    except NotThere as error:
        report = {"refused": str(error)}
    except Damaged:
        return DAMAGED
    except BaseException as error:
        if isinstance(error, Exception | KeyboardInterrupt):
            raise
        return DAMAGED  # a panic of Rust's, which is no Exception
    json.dump(report, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
