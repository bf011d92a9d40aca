"""All targets, one after the other: ``python tests/fuzz/run.py [INPUTS] [SEED] [LOG] [LEAST]``.

INPUTS in all are dealt out by the targets' shares; readers of networks get LEAST each if that is more. Ends with 1
where any target crashed; the log is written either way.
"""

import platform
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
FUZZ = (sys.executable, str(HERE / "fuzz.py"))
LIMIT_S = 12 * 3600
READERS = ("float-model", "safetensors", "tensorflow", "onnx", "keras", "pt2")  # and what gets inside their files


@dataclass(frozen=True)
class Outcome:
    """Of a target: ``inputs`` executed; ``grown``: how many of them reached code that none had before; ``memory``: the
    most in use, MB; ``report``: libFuzzer's and Python's last lines where it crashed, else empty."""

    inputs: int
    grown: int
    memory: int
    seconds: float
    report: str


def fuzz(wanted: Mapping[str, int], seed: int, command: Sequence[str] = FUZZ) -> Iterator[tuple[str, Outcome]]:
    """Give each target so many inputs."""
    with tempfile.TemporaryDirectory(prefix="fivebyfive-fuzz-") as folder:
        words = [*command, folder, str(seed), *(f"{name}={runs}" for name, runs in wanted.items())]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
            limit = threading.Timer(LIMIT_S, process.kill)
            limit.start()
            try:
                for name, code, seconds in map(str.split, process.stdout):
                    text = Path(folder, name).read_text(errors="replace")
                    yield name, outcome(text, int(code), wanted[name], float(seconds))
            finally:
                limit.cancel()
        if process.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")


def outcome(text: str, code: int, runs: int, seconds: float) -> Outcome:
    """What libFuzzer's report says."""
    figures = [re.search(rf"stat::{what}: +(\d+)", text) for what in
               ("number_of_executed_units", "new_units_added", "peak_rss_mb")]  # fmt: skip
    inputs, grown, memory = (int(found[1]) if found else 0 for found in figures)
    well = code == 0 and inputs >= runs
    report = "" if well else "\n".join(text.splitlines()[-30:]) or f"exit code {code}"
    return Outcome(inputs, grown, memory, seconds, report)


def dealt(inputs: int, least: int = 0) -> dict[str, int]:
    """How many inputs each target gets; readers of networks ``least`` at least."""
    from targets import TARGETS

    whole = sum(target.share for target in TARGETS.values())
    return {
        name: max(-(-inputs * target.share // whole), least * name.startswith(READERS))
        for name, target in TARGETS.items()
    }


def main() -> int:
    inputs, seed, log, least = (*sys.argv[1:], *("1000000", "1", "", "0")[len(sys.argv) - 1 :])
    lines = [
        f"Fuzzing with Atheris {version('atheris')}, Python {platform.python_version()}, Pillow {version('pillow')}, "
        f"NumPy {version('numpy')}; seed {seed}",
        f"{'target':<20} {'inputs':>8} {'new paths':>9} {'MB':>5} {'seconds':>8}  outcome",
    ]
    print(*lines, sep="\n", flush=True)
    total = crashed = 0
    for name, done in fuzz(dealt(int(inputs), int(least)), int(seed)):
        total, crashed = total + done.inputs, crashed + bool(done.report)
        said = done.report or "each taken or refused with one line"
        lines.append(f"{name:<20} {done.inputs:>8} {done.grown:>9} {done.memory:>5} {done.seconds:>8.1f}  {said}")
        print(lines[-1], flush=True)
    lines.append(f"{total:,} inputs; targets that crashed, hung or took too much memory: {crashed}")
    print(lines[-1])
    if log:
        Path(log).write_text("\n".join(lines) + "\n")
    return crashed > 0


if __name__ == "__main__":
    sys.exit(main())
