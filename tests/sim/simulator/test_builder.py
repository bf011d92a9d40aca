"""Compiled simulations that are kept: checked before they are used, and made again where they are damaged."""

import errno
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from fivebyfive.hw.codegen.verilog import Design
from fivebyfive.sim.simulator import builder
from fivebyfive.sim.simulator.builder import build, build_key
from fivebyfive.sim.simulator.commands import Variant
from fivebyfive.sim.simulator.digests import LIST, intact, seal
from fivebyfive.sim.simulator.simulators import Simulator
from fivebyfive.support.errors import UserError

DESIGN = Design("wire_through", "module wire_through(input a, output b); assign b = a; endmodule\n", {}, ())
VERILATOR = Simulator("verilator", "Verilator 5.999", "verilator_bin")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = {damage.__name__: damage for damage in (truncate, flip, empty, Path.unlink)}


@pytest.fixture(params=DAMAGES)
def damage(request) -> Callable[[Path], None]:
    return DAMAGES[request.param]


@pytest.fixture
def tools(cache: Path, monkeypatch) -> list[str]:
    """Verilator, make and iverilog that write what those write, at once; what was made, in order."""
    made: list[str] = []

    def fake(command, folder, environment, output, timeout_s, watch=None) -> int:
        name = Path(command[0]).name
        if name == "make" and not (folder / "verilated.o").exists():
            made.append("runtime")
            time.sleep(0.1)
            (folder / "verilated.o").write_text("runtime library")
            (folder / "verilated_vpi.o").write_text("more of it")
        if name == "make":
            assert (folder / "verilated.o").read_text() == "runtime library"
            assert (folder / "verilated_vpi.o").read_text() == "more of it"
        if name in ("make", "iverilog"):
            made.append(name)
            (folder / (DESIGN.name if name == "make" else "sim.vvp")).write_text("a simulation")
        return 0

    monkeypatch.setattr(builder, "call", fake)
    return made


def test_a_sealed_folder(tmp_path: Path, damage) -> None:
    assert not intact(tmp_path)
    seal(tmp_path)
    assert not intact(tmp_path)  # of nothing
    (tmp_path / "one  file").write_bytes(b"1" * 100_000)
    (tmp_path / "other").write_bytes(b"2")
    seal(tmp_path)
    assert intact(tmp_path)
    assert not intact(tmp_path / "other")
    damage(tmp_path / "one  file")
    assert not intact(tmp_path)


def test_a_list_that_is_damaged(tmp_path: Path, damage) -> None:
    (tmp_path / "one").write_bytes(b"1")
    seal(tmp_path)
    damage(tmp_path / LIST)
    assert not intact(tmp_path)


def test_what_was_added_or_taken_away(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    seal(tmp_path)
    (tmp_path / "another").touch()
    assert not intact(tmp_path)
    (tmp_path / "another").unlink()
    assert intact(tmp_path)
    (tmp_path / "folder").mkdir()
    assert not intact(tmp_path)


MADE = {"verilator": ("make", DESIGN.name), "icarus": ("iverilog", "sim.vvp")}


@pytest.mark.parametrize("simulator", MADE)
def test_a_damaged_simulation_is_made_again(tools, damage, caplog, simulator: str) -> None:
    tested = replace(VERILATOR, name=simulator)
    tool, name = MADE[simulator]
    folder = build(DESIGN, tested).folder
    assert build(DESIGN, tested).folder == folder
    assert tools.count(tool) == 1
    for damaged in (name, "build.log", LIST):
        damage(folder / damaged)
        with caplog.at_level(logging.WARNING, logger="fivebyfive"):
            assert build(DESIGN, tested).folder == folder
        assert caplog.messages == [f"{folder} was damaged; it is made again"]
        assert (folder / name).read_text() == "a simulation"
        assert intact(folder)
        caplog.clear()
    assert tools.count(tool) == 4
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_a_damaged_runtime_library_is_made_again(tools, damage, caplog) -> None:
    build(DESIGN, VERILATOR)
    folder = next(builder.cache_folder("simulators").glob("runtime-*/"))
    build(replace(DESIGN, verilog="// another\n" + DESIGN.verilog), VERILATOR)
    assert tools.count("runtime") == 1
    damage(folder / "verilated_vpi.o")
    build(replace(DESIGN, verilog="// a third\n" + DESIGN.verilog), VERILATOR)
    assert tools.count("runtime") == 2
    assert caplog.messages == [f"{folder} was damaged; it is made again"]
    assert intact(folder)
    build(replace(DESIGN, verilog="// a fourth\n" + DESIGN.verilog), VERILATOR)
    assert tools.count("runtime") == 2


def test_one_compiles_the_runtime_library(tools) -> None:
    """Others that build at once wait for it."""
    designs = [replace(DESIGN, verilog=f"// {number}\n" + DESIGN.verilog) for number in range(3)]
    with ThreadPoolExecutor(3) as threads:
        assert len(list(threads.map(build, designs, [VERILATOR] * 3))) == 3
    assert tools.count("runtime") == 1


def test_a_runtime_library_that_goes_while_it_is_copied(tools, monkeypatch) -> None:
    """Another process found it damaged at the same time."""
    build(DESIGN, VERILATOR)

    def gone(source, target) -> None:
        os.rename(source.parent, source.parent.with_name("moved-away"))
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(source))

    with monkeypatch.context() as patch:
        patch.setattr(builder.shutil, "copyfile", lambda source, target: gone(source, target)
                      if "runtime-" in str(source) else copyfile(source, target))  # fmt: skip
        build(replace(DESIGN, verilog="// another\n" + DESIGN.verilog), VERILATOR)
    assert tools.count("runtime") == 2


copyfile = builder.shutil.copyfile


def test_processes_heal_at_once(icarus_or_verilator: str, cache: Path) -> None:
    """With real tools; nobody sees half of a simulation."""
    folder = build(DESIGN, icarus_or_verilator).folder
    name = "sim.vvp" if icarus_or_verilator == "icarus" else DESIGN.name
    flip(folder / name)
    code = f"""
from fivebyfive.hw.codegen.verilog import Design
from fivebyfive.sim.simulator.builder import build
from fivebyfive.sim.simulator.digests import intact
assert intact(build({DESIGN!r}, {icarus_or_verilator!r}).folder)
"""
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(300) for process in started] == [0, 0, 0]
    assert intact(folder)
    assert {path.name for path in folder.iterdir()} == {name, "build.log", LIST}


def test_the_key_has_no_path_in_it(monkeypatch) -> None:
    elsewhere = replace(VERILATOR, compiler="/elsewhere/verilator_bin", environment={"VERILATOR_ROOT": "/elsewhere"})
    key = build_key(DESIGN, VERILATOR, Variant())
    monkeypatch.setattr(builder.commands.sys, "executable", "/elsewhere/python")
    monkeypatch.setattr(builder.commands.cocotb_tools.config, "libs_dir", Path("/elsewhere"))
    assert build_key(DESIGN, elsewhere, Variant()) == key
    assert build_key(DESIGN, replace(VERILATOR, version="Verilator 6.0"), Variant()) != key


def test_a_full_disk_is_named(tools, cache: Path, monkeypatch) -> None:
    def full(command, folder, environment, output, timeout_s, watch=None) -> int:
        print("/tmp/cc1: error: cannot write: No space left on device", file=output, flush=True)
        return 1

    line = rf"^cannot write the cache folder {cache}/simulators: No space left on device; set FIVEBYFIVE_CACHE to"
    monkeypatch.setattr(builder, "call", full)
    with pytest.raises(UserError, match=line):
        build(DESIGN, VERILATOR)

    def no_space(*given, **named) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # as write() has it: without a name

    monkeypatch.setattr(builder, "call", no_space)
    with pytest.raises(UserError, match=line):
        build(DESIGN, VERILATOR)


def test_too_many_open_files_are_no_fault_of_the_cache(tools, cache: Path, monkeypatch) -> None:
    def none_left(*given, **named) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(builder, "call", none_left)
    with pytest.raises(OSError, match="Too many open files"):
        build(DESIGN, VERILATOR)


def test_compiling_is_told(cache: Path, monkeypatch) -> None:
    report: list[str] = []

    def slow(command, folder, environment, output, timeout_s, watch=None) -> int:
        watch()
        (folder / "sim.vvp").touch()
        return 0

    monkeypatch.setattr(builder, "call", slow)
    icarus = replace(VERILATOR, name="icarus")
    build(DESIGN, icarus, progress=lambda done, total, text: report.append(text))
    assert report == ["compiling with icarus, once for each design, 0 s"]
    build(DESIGN, icarus, progress=lambda done, total, text: report.append(text))
    assert len(report) == 1


def test_waiting_for_another_process_is_told(tools, cache: Path) -> None:
    icarus = replace(VERILATOR, name="icarus")
    folder = builder.cache_folder("simulators") / build_key(DESIGN, icarus, Variant())
    lock = FileLock(f"{folder}.lock", thread_local=False)
    lock.acquire()
    release = threading.Event()

    def tell(done: int, total: int, text: str) -> None:
        assert text == "waiting for another process that compiles wire_through"
        lock.release()
        release.set()

    assert build(DESIGN, icarus, progress=tell).folder == folder
    assert release.is_set()
