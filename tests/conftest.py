"""What tests of several rooms share."""

import gc
import os
import signal
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

# Before anything imports NumPy or our packages; the processes that tests start inherit both.
os.environ.setdefault("FIVEBYFIVE_QUICK_BUILDS", "1")  # `fivebyfive.sim.simulator.commands`
os.environ.setdefault("OMP_NUM_THREADS", "1")  # each core has a worker of pytest-xdist already

# Elaboration makes millions of objects that stay: with Python's own threshold a quarter of its time is collection.
gc.set_threshold(50_000, 20, 20)

# A shell that starts the tests in the background has them ignore SIGINT, and so would what they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

FAKE_JOB = Path(__file__).parent / "sim" / "jobs" / "fake_job.py"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    """A cache folder of this test's own."""
    monkeypatch.setenv("FIVEBYFIVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fake_tools(cache: Path, tmp_path: Path, monkeypatch) -> Path:
    """Units of work are done by `sim/jobs/fake_job.py`; the folder whose files tell it what to do."""
    from fivebyfive.sim.jobs import workers

    folder = tmp_path / "fake"
    folder.mkdir()
    monkeypatch.setenv("FAKE_JOBS", str(folder))
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-P", str(FAKE_JOB)))
    return folder


@pytest.fixture
def optimized(monkeypatch) -> None:
    """Simulations are compiled as users have them: for tests that simulate millions of cycles."""
    from fivebyfive.sim.simulator import commands

    flags = [flag for flag in commands.MAKE_FLAGS if flag not in commands.QUICK_FLAGS]
    monkeypatch.setattr(commands, "MAKE_FLAGS", [*flags, "-f", commands.MAKEFILE])
    monkeypatch.delenv(commands.QUICK_VARIABLE, raising=False)


@pytest.hookimpl(trylast=True)  # when what is not run is out of the list
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every worker of pytest-xdist begins with its share of the slow tests, so that none is left at the end.

    Workers get equal pieces of the list, in order, and take from each other's ends later (``--dist worksteal``).
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if not item.get_closest_marker("slow")]
    pieces, begin = [], 0
    for worker in range(workers):
        own = slow[worker::workers]
        end = len(items) * (worker + 1) // workers - sum(map(len, pieces))
        take = max(0, end - len(own)) if worker < workers - 1 else len(others) - begin
        pieces.append([*own, *others[begin : begin + take]])
        begin += take
    items[:] = [item for piece in pieces for item in piece]


def cpu_seconds() -> float:
    """Of this process and of the children that ended."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    item.cpu_s = cpu_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    now = cpu_seconds()
    report.cpu_s, item.cpu_s = now - item.cpu_s, now
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--times", type=Path, metavar="FILE", help="write the time of each test file to FILE, too")
    parser.addoption("--pictures", type=Path, metavar="FOLDER", help="write the pictures of docs/studio.md to FOLDER")


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """The time that each test file took, all workers together."""
    reports = [
        report for kind in terminalreporter.stats.values() for report in kind if isinstance(report, pytest.TestReport)
    ]
    lines = times_of_files(reports)
    terminalreporter.section("seconds of each test file: from start to end of its tests, of CPU, and how many tests")
    for line in lines:
        terminalreporter.write_line(line)
    if path := config.getoption("--times"):
        outcomes = Counter(report.outcome for report in reports if report.when == "call" or report.skipped)
        shown = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items()))
        about = f"{shown}; {os.cpu_count()} cores"
        path.write_text("\n".join([f"{about}; seconds, seconds of CPU, tests:", *lines, ""]))


def times_of_files(reports: list[pytest.TestReport]) -> list[str]:
    """A line for each test file, that of the longest first, and one for all."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0])
    for report in reports:
        for name in (report.nodeid.partition("::")[0], "all"):
            figures = report.duration, getattr(report, "cpu_s", 0.0), report.when == "setup"
            sums[name] = [old + new for old, new in zip(sums[name], figures, strict=True)]
    everything = sums.pop("all", [0.0, 0.0, 0])
    ordered = [*sorted(sums.items(), key=lambda entry: -entry[1][0]), ("all", everything)]
    return [f"{wall:8.1f} {cpu:8.1f} {tests:5d}  {name}" for name, (wall, cpu, tests) in ordered]
