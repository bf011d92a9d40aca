"""Long jobs killed at random moments: ``python tests/faults/run.py [KILLS] [SEED] [LOG] [JOB...]``.

Each job is begun again and again, over the result of another run or over nothing, and killed at a moment drawn evenly
from its duration: SIGTERM and SIGKILL, to the command's own process alone. After every kill its files must be the old
ones or the new ones, whole, and its children must end; then the same command must succeed, give what it gives when
nobody disturbs it, and leave no temporary file. Kills that come when the job has ended are not counted.
"""

import sys
from collections import Counter
from pathlib import Path

from campaign import Figures, campaign
from jobs import JOBS

FEW = 10  # a tenth of the kills for jobs whose tools take long
LONG = ("simulate, Verilator", "measure, whole synthesis")


def report(name: str, done: Figures) -> list[str]:
    """Lines of the log."""
    moments = f"{100 * min(done.moments):.0f} to {100 * max(done.moments):.0f} %"
    seconds = f"{min(done.seconds):.1f} to {max(done.seconds):.1f} s"
    return [
        f"{name}: {sum(done.killed.values())} kills ({listed(done.killed)}), at {moments} of {seconds}",
        f"    found: {listed(done.found)}; with temporary files: {done.left}",
        f"    restarts that gave the undisturbed result and left nothing else: {done.restarts}",
        f"    restarts went on from: {listed(done.went_on)}",
        f"    had ended before the kill, not counted: {done.ended}; last child gone after {done.last_child:.1f} s",
    ]


def listed(counts: Counter) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(counts.items(), key=lambda item: natural(item[0])))


def natural(text: str) -> list:
    return [(word.isdigit(), int(word) if word.isdigit() else 0, word) for word in text.split()]


def main() -> int:
    kills, seed, log = (*sys.argv[1:4], *("100", "1", "")[len(sys.argv) - 1 :])
    jobs = sys.argv[4:] or JOBS
    lines = [f"Long jobs killed at random moments, by SIGTERM or SIGKILL; seed {seed}"]
    print(lines[0], flush=True)
    total = 0
    for name in jobs:
        with campaign(JOBS[name], f"{name}{seed}") as one:
            done = one.kills(int(kills) // FEW if name in LONG else int(kills))
        total += done.restarts
        lines += report(name, done)
        print(*lines[-len(report(name, done)) :], sep="\n", flush=True)
    lines.append(f"{total} kills, {total} restarts; half-written results: 0")
    print(lines[-1])
    if log:
        Path(log).write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
