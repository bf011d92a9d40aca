"""Running cocotb benches on compiled simulations: quietly, repeatably, and never for ever."""

import builtins
import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from fivebyfive.support.errors import how_it_ended

from . import commands
from .builder import Build, build
from .process import SimulationFailed, SimulatorFailed, call, last_lines

__all__ = ["Build", "Run", "SimulationFailed", "build", "run"]

PARAMETERS_VARIABLE = "FIVEBYFIVE_PARAMETERS"


@dataclass(frozen=True)
class Run:
    """A run that passed: the seed it had, its log, the names of its tests, its duration in seconds."""

    seed: int
    log: Path
    tests: tuple[str, ...]
    seconds: float


def run(
    build: Build,
    bench: str,
    folder: Path,
    *,
    parameters: Mapping[str, object] | None = None,
    tests: Sequence[str] = (),
    seed: int | None = None,
    timeout_s: float = 600,
    log: Path | None = None,
    watch: Callable[[], None] | None = None,
    failures: int = 0,
) -> Run:
    """Run cocotb module ``bench`` in ``folder``, which holds the .mem files; all output goes to ``log``.

    ``parameters`` (JSON values) reach the bench through `fivebyfive.sim.benchlib.given.parameters`. ``tests``: names
    of those to run, all if empty. ``seed`` seeds all random choices, a new one if None; it is in the log and
    in the result. The simulator and its children are killed after ``timeout_s`` seconds, and when
    this call is interrupted. ``watch`` is called ten times a second meanwhile; what it raises ends the run.
    ``failures``: after that many failed tests the others are left out; 0: never.

    Raises SimulationFailed unless every test ran and passed; where that says nothing about the RTL it is a
    SimulatorFailed.
    """
    folder = folder.resolve()
    log = (log or folder / "simulation.log").resolve()
    seed = random.SystemRandom().getrandbits(31) if seed is None else seed
    results = folder / "results.xml"
    results.unlink(missing_ok=True)
    command, environment = prepare(build, bench, folder, parameters or {}, tests, seed, failures)
    start = time.monotonic()
    with log.open("w") as file:
        print(f"fivebyfive: {build.simulator.version}, {bench}, seed {seed}", file=file, flush=True)
        code = call(command, folder, environment, file, timeout_s, watch)
    if build.waves and code is not None:
        with suppress(FileNotFoundError):  # a simulator that did not even start
            os.replace(folder / f"{commands.UNFINISHED}.{build.trace}", folder / build.waves)
    names = check_results(code, results, log, seed, timeout_s)
    return Run(seed, log, names, time.monotonic() - start)


def prepare(
    build: Build, bench: str, folder: Path, parameters: Mapping, tests: Sequence[str], seed: int, failures: int
) -> tuple[list[str], dict[str, str]]:
    """The command that `run` runs in ``folder``, and its environment; writes what the bench reads."""
    plan = commands.plan_run(build.simulator, build.folder, build.design.name, bench, folder, build.trace)
    (command,) = plan.commands
    ports = {port.name: port.direction for port in build.design.ports}
    given = {"parameters": dict(parameters), "ports": ports}
    (folder / "parameters.json").write_text(json.dumps(given))
    environment = plan.environment | {
        "COCOTB_RANDOM_SEED": str(seed),
        "COCOTB_ANSI_OUTPUT": "0",
        "COCOTB_MAX_FAILURES": str(failures),
        # pytest is to rewrite the assertions of benches: all that they import would be compiled again in each run.
        "COCOTB_REWRITE_ASSERTION_FILES": f"benchlib/*.py {bench.rpartition('.')[2]}.py",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        PARAMETERS_VARIABLE: str(folder / "parameters.json"),
    }
    if tests:
        environment["COCOTB_TEST_FILTER"] = rf"\.({'|'.join(tests)})$"
    return command, environment


def check_results(code: int | None, results: Path, log: Path, seed: int, timeout_s: float) -> tuple[str, ...]:
    """Names of the tests that passed. Raises SimulationFailed unless all did, and there is one at least."""
    said = log.read_text(errors="replace").splitlines()[1:]
    own = [line for line in said if line.startswith("fivebyfive:")]
    if code is None:
        what = f"the simulation did not end within {timeout_s:g} s (seed {seed}):"
        raise SimulationFailed("\n".join([what, *last_lines(log)]), log)
    if own:  # the Verilog's own words, such as those of a missing .mem file
        raise SimulatorFailed("\n".join(own), log)
    try:
        cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        cases = []
    failed = [case for case in cases if failure_of(case) is not None]
    if failed:
        kind = SimulatorFailed if all(map(out_of_means, failed)) else SimulationFailed
        raise kind("\n".join([f"failed with seed {seed}:", *map(complaint, failed)]), log)
    passed = tuple(case.get("name", "") for case in cases if case.find("skipped") is None)
    if code != 0 or not passed:
        why = "no test ran" if not code else how_it_ended(code) if code < 0 else f"exit code {code}"
        what = f"the simulation ended early, {why} (seed {seed}):"
        raise SimulatorFailed("\n".join([what, *last_lines(log)]), log)
    return passed


def failure_of(case: ElementTree.Element) -> ElementTree.Element | None:
    """What tells why a test failed, None for one that passed."""
    return next((child for child in case if child.tag in ("failure", "error")), None)


def complaint(case: ElementTree.Element) -> str:
    """Name of a failed test and what it said."""
    child = failure_of(case)
    assert child is not None
    said = child.get("message") or (child.text or "").strip() or "no reason given"
    return f"{case.get('name')}: {said}"


def out_of_means(case: ElementTree.Element) -> bool:
    """Whether a test failed for lack of memory or by the system, which says nothing about the RTL."""
    child = failure_of(case)
    assert child is not None
    kind = getattr(builtins, child.get("type", ""), None)
    return isinstance(kind, type) and issubclass(kind, (MemoryError, OSError))
