"""Targets of `targets` under Atheris (libFuzzer): coverage of our own code guides it.

``python tests/fuzz/fuzz.py FOLDER SEED TARGET=RUNS...``. Each target has a process of its own, forked from one that has
instrumented what they import, which takes seconds. FOLDER/TARGET gets libFuzzer's report; a line "TARGET CODE SECONDS"
follows on standard output. CODE is 0 when every input was either taken or refused with one line, within 20 seconds and
1 GiB more memory than the process had before; an input that was not is kept in build/fuzz.
"""

import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["fivebyfive"], enable_loader_override=False):
    from targets import TARGETS

    from fivebyfive.support.errors import UserError

MEMORY = 1 << 30  # bytes of address space on top of what is there before the first input
SECONDS = 20  # for one input
LONGEST = 1 << 16  # bytes of an input
CRASHES = Path("build/fuzz")


def judged(target):
    """The target's function for Atheris: a UserError of one line is well, every other exception is a crash."""

    def one(data: bytes) -> None:
        try:
            with warnings.catch_warnings(action="ignore"):
                target.run(data)
        except UserError as error:
            if "\n" in str(error):
                raise AssertionError(f"more than one line: {error!r}") from error

    return one


def bounded() -> None:
    """Refuse memory far beyond what is in use: an input that wants it crashes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def run(name: str, runs: str, seed: str) -> None:
    """Ends the process."""
    target = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="fivebyfive-corpus-") as corpus:
        for number, data in enumerate(target.seeds()):
            Path(corpus, f"seed{number}").write_bytes(data)
            judged(target)(data)
        bounded()
        atheris.Setup([
            sys.argv[0], f"-runs={runs}", f"-seed={seed}", f"-timeout={SECONDS}", f"-max_len={LONGEST}",
            "-rss_limit_mb=0", f"-artifact_prefix={CRASHES}/{name}-", "-print_final_stats=1", corpus,
        ], judged(target))  # fmt: skip
        atheris.Fuzz()


def main() -> None:
    folder, seed, *wanted = sys.argv[1:]
    CRASHES.mkdir(parents=True, exist_ok=True)
    for name, _, runs in (word.partition("=") for word in wanted):
        began = time.monotonic()
        if not (child := os.fork()):
            report = os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT)
            os.dup2(report, 1)
            os.dup2(report, 2)
            run(name, runs, seed)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(name, code, f"{time.monotonic() - began:.1f}", flush=True)


if __name__ == "__main__":
    main()
