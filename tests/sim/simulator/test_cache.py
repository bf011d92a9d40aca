"""The cache: what is kept, and that nothing in it is believed which is not what was kept."""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fivebyfive.model.machine.config import Config
from fivebyfive.sim.fpga import harness, nextpnr, synthesis
from fivebyfive.sim.fpga.nextpnr import Routed
from fivebyfive.sim.fpga.synthesis import Area
from fivebyfive.sim.jobs import measurement_jobs
from fivebyfive.sim.jobs.compare_jobs import GoldenRun, RtlRun
from fivebyfive.sim.jobs.job import conform, fits, keep_job, known_job, result_path, run_job
from fivebyfive.sim.jobs.measurement_jobs import Routing, Synthesis
from fivebyfive.sim.jobs.training_job import Training
from fivebyfive.sim.jobs.workers import LocalPool, run_jobs
from fivebyfive.sim.simulator.cache import cache_folder, keep, known
from fivebyfive.support.errors import UserError
from fivebyfive.support.log import log, log_to_file

RESULT = {"errors": 69, "rate": 0.5, "names": ["a", "b"], "more": {"of": {"it": 1}}}


def change(**values: object) -> Callable[[Path], None]:
    """Edits the result in an entry."""

    def edit(path: Path) -> None:
        entry = json.loads(path.read_text())
        entry["result"] |= values
        path.write_text(json.dumps(entry))

    return edit


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


DAMAGED = {
    "another figure": change(errors=9),
    "text for a number": change(errors="69"),
    "not a number": change(rate=float("nan")),
    "one more": change(extra=1),
    "half": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "empty": lambda path: path.write_bytes(b""),
    "an empty object": lambda path: path.write_text("{}"),
    "a list": lambda path: path.write_text("[1, 2]"),
    "a number": lambda path: path.write_text("69"),
    "nested": lambda path: path.write_text("[" * 200_000),
    "an endless number": lambda path: path.write_text("9" * 10_000),
    "no UTF-8": lambda path: path.write_bytes(b'{"result": "\xff"}'),
    "an entry of 0.1.0": lambda path: path.write_text(json.dumps(RESULT)),
    "no result": lambda path: path.write_text(json.dumps({"sha256": "0", "result": [1]})),
    "a pipe": a_pipe,
    "a folder": a_folder,
    "a link to nothing": a_link_to_nothing,
}


@pytest.fixture
def logged(caplog) -> Callable[[], list[str]]:
    """The messages of the log."""
    caplog.set_level(logging.INFO, "fivebyfive")
    return lambda: [record.message for record in caplog.records]


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_entry_is_dropped_and_made_again(how: str, cache: Path, logged, capfd) -> None:
    path = cache_folder("measurements") / "entry.json"
    keep(path, RESULT)
    assert known(path) == RESULT
    DAMAGED[how](path)
    assert known(path) is None
    assert not os.path.lexists(path)
    assert len(logged()) == 1
    assert logged()[0].startswith(f"dropped from the cache: {path}: ")
    keep(path, RESULT)
    assert known(path) == RESULT
    assert capfd.readouterr() == ("", "")


def test_an_entry_under_another_name_is_dropped(cache: Path, logged) -> None:
    one, other = (cache_folder("measurements") / f"{name}.json" for name in ("one", "other"))
    keep(one, RESULT)
    shutil.copy(one, other)
    assert (known(one), known(other)) == (RESULT, None)
    assert not other.exists()
    assert "its digest is another one" in logged()[0]


def test_an_entry_is_kept_where_a_folder_was(cache: Path) -> None:
    path = cache_folder("measurements") / "entry.json"
    path.mkdir()
    keep(path, RESULT)
    assert known(path) == RESULT


def test_a_result_is_the_same_before_and_after(cache: Path) -> None:
    """Keys that are numbers, and tuples, are texts and lists in JSON."""
    path = cache_folder("measurements") / "entry.json"
    keep(path, {"counts": {10: (1, 2), 9: 0.1, 1: 1e-300}})
    assert known(path) == {"counts": {"10": [1, 2], "9": 0.1, "1": 1e-300}}


def test_what_nobody_used_for_a_month_is_dropped(cache: Path) -> None:
    root = cache_folder("measurements")
    for name in ("old", "new"):
        keep(root / name, {"name": name})
    os.utime(root / "old", (time.time() - 31 * 24 * 3600,) * 2)
    keep(root / "third", {})
    assert sorted(path.name for path in root.iterdir()) == ["new", "third"]


UNIT = GoldenRun("1-1-10", "codes", "mnist", "digest")
APPRAISED = {"images": 100, "errors": 69, "wraps": 0, "bytes": 1234, "huffman_bytes": 2345}
ILL = ({}, APPRAISED | {"errors": "69"}, APPRAISED | {"errors": -1}, APPRAISED | {"errors": True},
       APPRAISED | {"errors": 6.9}, APPRAISED | {"more": 1}, {"errors": 69})  # fmt: skip


@pytest.mark.parametrize("ill", ILL)
def test_a_result_that_is_none_is_dropped_though_its_digest_is_right(ill: dict, cache: Path, monkeypatch) -> None:
    """As another version might have written it."""
    monkeypatch.setattr(GoldenRun, "work", lambda job: APPRAISED)
    keep(result_path(UNIT, UNIT.identity), ill)
    assert known_job(UNIT) is None
    assert run_job(UNIT) == known_job(UNIT) == APPRAISED
    with pytest.raises(ValueError, match=r"must have|cannot be"):
        keep_job(UNIT, ill, UNIT.identity)
    monkeypatch.setattr(GoldenRun, "work", lambda job: ill)
    other = GoldenRun("1-2-10", "codes", "mnist", "digest")
    with pytest.raises(ValueError, match=r"must have|cannot be"):
        run_job(other)
    assert known_job(other) is None


def test_every_kind_of_unit_says_what_its_result_is(cache: Path) -> None:
    for kind in (Synthesis, Routing, GoldenRun, RtlRun, Training):
        for ill in ({}, [], "text", None, dict.fromkeys(kind.RESULT), dict.fromkeys(kind.RESULT, float("nan"))):
            with pytest.raises(ValueError, match=r"must have|cannot be"):
                kind.check(ill)


def test_kinds_of_values() -> None:
    good = (1, int), (1, float), (1.5, float), ("a", str), (None, int | None), ({"a": 1}, dict), ([], list[str])
    assert all(fits(*one) for one in (*good, ({"a": 1.5, "b": 2}, dict[str, float]), (True, bool)))
    bad = (-1, int), (1.0, int), (True, int), ("1", float), (float("inf"), float), (None, str), ([1], list[str])
    assert not any(fits(*one) for one in (*bad, ({"a": "b"}, dict[str, float]), (1, str | None), ([], dict)))
    conform({"a": 1}, {"a": int})


def test_a_damaged_netlist_is_made_again(cache: Path, monkeypatch) -> None:
    """It goes into nextpnr; and a routing that was kept is not believed either."""
    design = type("Design", (), {"verilog": "module lenet; endmodule", "name": "lenet", "ports": ()})
    made, routed = [], []

    def synthesize(design, family, netlist):
        made.append(family)
        netlist.write_text("the netlist")
        return Area("ecp5", 5, 0, 0, 45, 5.0, {}, {})

    def route(netlist: Path, part, seed: int) -> Routed:
        routed.append(netlist.read_text())
        return Routed(100.0, ("a",), 9.0, 4.0)

    monkeypatch.setattr(synthesis, "synthesize_core", synthesize)
    monkeypatch.setattr(harness, "core_verilog", lambda design: "core")
    monkeypatch.setattr(harness, "harness_verilog", lambda design: "harness")
    monkeypatch.setattr(measurement_jobs, "generate_design", lambda job: design)
    monkeypatch.setattr(measurement_jobs, "route", route)

    def clear(pattern: str) -> None:
        for path in cache_folder("measurements").glob(pattern):
            path.unlink()

    job = Routing("1-1-10", Config(), "lfe5u-85f", 1)
    first = run_job(job)
    assert (made, routed, first["fmax_mhz"]) == (["ecp5"], ["the netlist"], 100.0)
    clear("job-*.json")
    clear("routing-*.json")
    assert run_job(job) == first
    assert (made, routed) == (["ecp5"], ["the netlist"] * 2)
    (netlist,) = cache_folder("measurements").glob("*.netlist.gz")
    for damage in (netlist.unlink, lambda: netlist.write_bytes(b"other"), lambda: netlist.write_bytes(b"")):
        damage()
        clear("job-*.json")
        clear("routing-*.json")
        before = len(made)
        assert run_job(job) == first
        assert len(made) == before + 1
        assert set(routed) == {"the netlist"}
    (kept,) = cache_folder("measurements").glob("routing-*.json")
    change(fmax_mhz=900.0)(kept)
    clear("job-*.json")
    assert run_job(job) == first


def test_an_edited_measurement_is_not_printed(fake_tools: Path) -> None:
    """By the process that asks, not only by the one that does the work."""
    job = Synthesis("1-1-10", Config(), "xc7")
    (outcome,) = run_jobs([job], LocalPool(1)).values()
    change(lut=9)(result_path(job, job.identity))
    (again,) = run_jobs([job], LocalPool(1)).values()
    assert again.result == outcome.result
    assert len((fake_tools / "done").read_text().splitlines()) == 2


@pytest.fixture
def no_handlers(monkeypatch) -> None:
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "level", log.level)


def test_the_log_goes_to_the_file_that_is_named(cache: Path, tmp_path: Path, monkeypatch, no_handlers) -> None:
    path = cache_folder("measurements") / "entry.json"
    path.write_text("{}")
    monkeypatch.setenv("FIVEBYFIVE_LOG", str(tmp_path / "log"))
    log_to_file()
    log_to_file()
    try:
        known(path)
    finally:
        for handler in log.handlers:
            handler.close()
        log.setLevel(logging.NOTSET)
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.endswith(f"INFO dropped from the cache: {path}: it is no entry")


def test_a_log_that_cannot_be_written(tmp_path: Path, monkeypatch, no_handlers) -> None:
    monkeypatch.setenv("FIVEBYFIVE_LOG", str(tmp_path / "no" / "log"))
    with pytest.raises(UserError, match=r"cannot write the log .*; set FIVEBYFIVE_LOG to another file"):
        log_to_file()


def test_what_is_known_is_found_without_amaranth(cache: Path) -> None:
    """So that a second call answers at once."""
    code = (
        "import sys; from fivebyfive.sim.jobs.measurement_jobs import Synthesis;"
        "from fivebyfive.sim.jobs.job import known_job;"
        "from fivebyfive.model.machine.config import Config; known_job(Synthesis('1-1-10', Config(), 'xc7'));"
        "print([name for name in ('amaranth', 'cocotb', 'torch', 'pyosys') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_nextpnr_and_its_options_are_part_of_a_routing(cache: Path, monkeypatch) -> None:
    job = Routing("1-1-10", Config(), "lfe5u-85f", 1)
    before = result_path(job, job.identity)
    monkeypatch.setattr(measurement_jobs, "nextpnr_version", lambda: f"{nextpnr.nextpnr_version()} of tomorrow")
    assert result_path(job, job.identity) != before
