"""Simulators that a test may lack, and small designs to try the tools on."""

import importlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.sim.benches import find_bench
from fivebyfive.sim.simulator.runner import Run, build, run
from fivebyfive.sim.simulator.simulators import find
from fivebyfive.support.errors import UserError

SIMULATORS = ("verilator", "icarus")
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's first case runs on both simulators, and those marked ``both``; the others on the one that its mark
    ``on`` names (Verilator without it), and on the other one in `make test-all` only. So does the first case where
    the mark says ``alone``."""
    first: set[tuple] = set()
    chosen = {"icarus": "icarus" if installed("icarus") else "verilator", "verilator": "verilator"}
    for item in items:
        simulator = getattr(item, "callspec", None) and item.callspec.params.get("simulator")
        if simulator not in SIMULATORS or HERE not in item.path.parents or item.get_closest_marker("both"):
            continue
        case = item.path, item.originalname, simulator
        on = item.get_closest_marker("on")
        if case in first or (on and on.kwargs.get("alone")):
            if simulator != chosen[on.args[0] if on else "verilator"]:
                item.add_marker(pytest.mark.full)
        first.add(case)


def installed(simulator: str) -> bool:
    try:
        find(simulator)
    except UserError:
        return False
    return True


@pytest.fixture(params=SIMULATORS)
def simulator(request) -> str:
    """Each simulator; one that is not installed skips with the line a user would read."""
    try:
        find(request.param)
    except UserError as error:
        pytest.skip(str(error))
    return request.param


@pytest.fixture
def icarus_or_verilator() -> str:
    """One simulator, Icarus if it is there: it builds sooner."""
    return "icarus" if installed("icarus") else "verilator"


@pytest.fixture
def bench(simulator: str, tmp_path: Path) -> Callable[..., Run]:
    """Runs a bench of `fivebyfive.sim.benches` on a component with the present simulator."""

    def run_bench(component, name: str, *, timeout_s: float = 300, tests: Sequence[str] = (), **parameters) -> Run:
        design = component if isinstance(component, Design) else to_verilog(component, name)
        design.write(tmp_path)
        built = build(design, simulator)
        result = run(built, find_bench(name), tmp_path, parameters=parameters, tests=tests, timeout_s=timeout_s)
        print(f"{simulator}: seed {result.seed}, {len(result.tests)} tests in {result.seconds:.1f} s")
        return result

    return run_bench


@pytest.fixture
def no_programs(monkeypatch, tmp_path: Path) -> Callable[[str], None]:
    """A PATH on which nothing is but the programs asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def keep(program: str) -> None:
        path = shutil.which(program, path="/usr/bin:/bin:/usr/local/bin")
        assert path, program
        (folder / program).symlink_to(path)

    return keep


@pytest.fixture
def package_copy(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A copy of this package to change, all rooms in one tree; and variables with which Python imports it instead."""
    root = tmp_path / "copy" / "fivebyfive"
    for room in ("", "hw", "model", "sim"):
        source = Path(importlib.import_module(f"fivebyfive.{room}".rstrip(".")).__path__[0])
        shutil.copytree(source, root / room, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return root, os.environ | {"PYTHONPATH": str(root.parent)}
