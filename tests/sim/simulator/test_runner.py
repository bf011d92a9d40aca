"""The runner: quiet, cached, seeded, and never for ever."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.hdl import Module
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.sim.simulator.cache import cache_folder
from fivebyfive.sim.simulator.process import call, kept_if_failed
from fivebyfive.sim.simulator.runner import SimulationFailed, build, run
from fivebyfive.support.errors import UserError

BENCH = """
import os, random, subprocess, sys
import cocotb
from cocotb.triggers import Timer
from fivebyfive.sim.benchlib.given import parameters
from fivebyfive.sim.benchlib.streams import StreamSink, StreamSource
from fivebyfive.sim.benchlib.testbench import start

@cocotb.test()
async def looks_up(dut):
    await start(dut)
    given = parameters()
    cocotb.start_soon(StreamSource(dut, "i").send(range(256)))
    words = await StreamSink(dut, "o").receive(256)
    assert words == given["table"], "words differ"

@cocotb.test()
async def draws(dut):
    print("drawn", random.getrandbits(64))

@cocotb.test()
async def fails(dut):
    assert 1 == 2, "one is not two"

@cocotb.test()
async def hangs(dut):
    await Timer(1, "ns")
    child = subprocess.Popen(["sleep", "600"])
    print("child", child.pid, flush=True)
    while True:
        pass

@cocotb.test()
async def dies(dut):
    await Timer(1, "ns")
    os._exit(0)
"""
one_simulator = pytest.mark.on("icarus", alone=True)  # nothing in it depends on which one
TABLE = [(37 * n + 11) % 256 for n in range(256)]


class Lookup(wiring.Component):
    """Words of a table of 256, a cycle after their index."""

    def __init__(self, table):
        self.table = table
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=8, depth=256, init=self.table)
        read = words.read_port()
        m.d.comb += [self.i.ready.eq(~self.o.valid | self.o.ready), self.o.payload.eq(read.data)]
        m.d.comb += [read.addr.eq(self.i.payload), read.en.eq(self.i.ready)]
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
        return m


@pytest.fixture
def lookup(tmp_path, monkeypatch):
    """The design, written to the run folder, with a bench that Python finds."""
    (tmp_path / "lookup_bench.py").write_text(BENCH)
    monkeypatch.syspath_prepend(tmp_path)
    design = to_verilog(Lookup(TABLE), "lookup")
    design.write(tmp_path)
    return design


def start(design, simulator, folder, *tests, **options):
    options = {"parameters": {"table": TABLE}, "timeout_s": 120} | options
    return run(build(design, simulator), "lookup_bench", folder, tests=tests, **options)


def test_passes_quietly(lookup, simulator, tmp_path, capfd):
    result = start(lookup, simulator, tmp_path, "looks_up", seed=12)
    assert result.tests == ("looks_up",)
    assert result.seed == 12
    assert "seed 12" in result.log.read_text().splitlines()[0]
    assert capfd.readouterr() == ("", "")


@one_simulator
def test_seed_repeats_and_is_new_otherwise(lookup, simulator, tmp_path):
    def drawn(**options):
        log = start(lookup, simulator, tmp_path, "draws", **options).log.read_text()
        return next(line for line in log.splitlines() if line.startswith("drawn"))

    assert drawn(seed=3) == drawn(seed=3)
    assert drawn() != drawn()


def test_memory_contents_are_no_part_of_the_build(lookup, simulator, tmp_path):
    other = to_verilog(Lookup(TABLE[::-1]), "lookup")
    assert build(other, simulator).folder == build(lookup, simulator).folder
    other.write(tmp_path)
    start(lookup, simulator, tmp_path, "looks_up", parameters={"table": TABLE[::-1]})
    with pytest.raises(SimulationFailed, match="words differ"):
        start(lookup, simulator, tmp_path, "looks_up")


def test_missing_memory_file_is_fatal(lookup, simulator, tmp_path):
    (tmp_path / "lookup_words.mem").unlink()
    with pytest.raises(SimulationFailed, match=r"fivebyfive: cannot open lookup_words\.mem; run the "):
        start(lookup, simulator, tmp_path, "looks_up")


def test_failure_names_test_reason_seed_and_log(lookup, simulator, tmp_path):
    with pytest.raises(SimulationFailed, match=r"seed 5(.|\n)*fails: (.|\n)*one is not two") as caught:
        start(lookup, simulator, tmp_path, "fails", "draws", seed=5)
    assert caught.value.log.is_file()
    assert str(caught.value).endswith(f"\nThe whole log: {caught.value.log}")


def test_a_failed_run_says_that_it_is_kept(lookup, icarus_or_verilator, monkeypatch, tmp_path):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    def fail():
        with kept_if_failed() as folder:
            lookup.write(folder)
            start(lookup, icarus_or_verilator, folder, "fails")

    with pytest.raises(SimulationFailed) as caught:
        fail()
    log = caught.value.log
    assert log.is_file()
    assert f"The whole log: {log} (the folders of the last 5 failed runs are kept)" in str(caught.value)
    assert list((tmp_path / "tmp").iterdir()) == [log.parent]


@one_simulator
def test_no_test_is_a_failure(lookup, simulator, tmp_path):
    with pytest.raises(SimulationFailed):
        start(lookup, simulator, tmp_path, "no_such_test")


@one_simulator
def test_unknown_bench_is_a_failure(lookup, simulator, tmp_path):
    with pytest.raises(SimulationFailed, match="no_such_bench"):
        run(build(lookup, simulator), "no_such_bench", tmp_path, timeout_s=60)


@one_simulator
def test_ending_early_is_a_failure(lookup, simulator, tmp_path):
    with pytest.raises(SimulationFailed, match="ended early"):
        start(lookup, simulator, tmp_path, "dies")


def test_timeout_kills_the_whole_group(lookup, simulator, tmp_path):
    children = []
    for timeout_s in (8, 32, 128, 512):  # the bench must have begun by then, on a busy machine too
        with pytest.raises(SimulationFailed, match=f"did not end within {timeout_s} s"):
            start(lookup, simulator, tmp_path, "hangs", timeout_s=timeout_s)
        log = (tmp_path / "simulation.log").read_text()
        children = [int(line.split()[1]) for line in log.splitlines() if line.startswith("child")]
        if children:
            break
    assert len(children) == 1
    assert gone(children[0])


WHEN_IT_RUNS = """
import os, signal, threading, time
from pathlib import Path
def kill(number):
    while not Path("log").read_text().endswith("\\n"):
        time.sleep(0.05)
    os.kill(os.getpid(), number)
"""


def test_interrupt_kills_the_whole_group(tmp_path):
    script = (
        WHEN_IT_RUNS
        + """
import sys
from fivebyfive.sim.simulator.process import call
child = "import subprocess; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
with open("log", "w") as file:
    threading.Thread(target=kill, args=[signal.SIGINT]).start()
    call([sys.executable, "-c", child], ".", dict(os.environ), file, 600)
"""
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, timeout=300)
    assert b"KeyboardInterrupt" in done.stderr
    assert gone(int((tmp_path / "log").read_text()))


def test_a_kill_ends_the_simulator_too(tmp_path):
    """It would write into the files of the next run in the same folder."""
    script = (
        WHEN_IT_RUNS
        + """
from fivebyfive.sim.simulator.process import call
with open("log", "w") as file:
    threading.Thread(target=kill, args=[signal.SIGKILL]).start()
    call(["sh", "-c", "echo $$; exec sleep 600"], ".", dict(os.environ), file, 600)
"""
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL
    assert gone(int((tmp_path / "log").read_text()))


def test_call_returns_the_exit_code(tmp_path):
    with (tmp_path / "log").open("w") as file:
        assert call(["sh", "-c", "exit 3"], tmp_path, dict(os.environ), file, 10) == 3
        assert call(["sleep", "60"], tmp_path, dict(os.environ), file, 0.2) is None


@one_simulator
def test_foreign_cocotb_settings_do_not_matter(lookup, simulator, tmp_path, monkeypatch):
    foreign = {"WAVES": "1", "GUI": "1", "COCOTB_TEST_FILTER": "x", "COCOTB_RANDOM_SEED": "1"}
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    assert start(lookup, simulator, tmp_path, "looks_up", seed=2).seed == 2


def test_users_builds_are_optimized(lookup, tmp_path, optimized):
    """Those of the tests are not: another build, with Verilator's runtime library in common."""
    built = build(lookup, "verilator")
    log = (built.folder / "build.log").read_text().splitlines()
    (make,) = (line for line in log if line.startswith("fivebyfive: make"))
    assert "OPT_FAST=-O2" in make
    assert "OPT_FAST=-O0" not in make
    assert start(lookup, "verilator", tmp_path, "looks_up").tests == ("looks_up",)


def test_build_is_kept(lookup, simulator):
    first = build(lookup, simulator)
    stamp = sorted((path, path.stat().st_mtime_ns) for path in first.folder.iterdir())
    assert build(lookup, simulator) == first
    assert sorted((path, path.stat().st_mtime_ns) for path in first.folder.iterdir()) == stamp


def test_what_does_not_compile_leaves_nothing(lookup, simulator, tmp_path, monkeypatch):
    monkeypatch.setenv("FIVEBYFIVE_CACHE", str(tmp_path / "cache"))
    broken = replace(lookup, verilog=lookup.verilog.replace("endmodule", "nonsense endmodule"))
    with pytest.raises(SimulationFailed, match=r"cannot compile lookup(.|\n)*error") as caught:
        build(broken, simulator)
    assert "nonsense" in caught.value.log.read_text() or "syntax" in caught.value.log.read_text()
    assert not [path for path in (tmp_path / "cache" / "simulators").iterdir() if path.is_dir()]


def test_what_a_killed_build_left_goes_with_the_next_one(lookup, simulator, tmp_path, monkeypatch):
    build(lookup, simulator)
    runtimes = list(cache_folder("simulators").glob("runtime-*/"))  # half a minute to compile
    monkeypatch.setenv("FIVEBYFIVE_CACHE", str(tmp_path / "cache"))
    for runtime in runtimes:
        shutil.copytree(runtime, cache_folder("simulators") / runtime.name)
    script = """
import os, signal, sys
from fivebyfive.sim.simulator import builder
from fivebyfive.hw.codegen.verilog import Design
def die(command, folder, environment, *_):
    open(os.path.join(folder, environment["TMPDIR"], "of_the_compiler"), "x")
    os.kill(os.getpid(), signal.SIGKILL)
builder.call = die
builder.build(Design("other", "module other; endmodule", {}, ()), sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", script, simulator], cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = tmp_path / "cache" / "simulators"
    assert [path for path in folder.iterdir() if path.name.startswith(".")]
    kept = build(lookup, simulator).folder
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    (folder / ".build.abcdefgh.part").mkdir()  # of one that was killed when the build was in its place
    assert build(lookup, simulator).folder == kept
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@one_simulator
def test_cache_that_cannot_be_written(lookup, simulator, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FIVEBYFIVE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot write the cache folder .* set FIVEBYFIVE_CACHE"):
        build(lookup, simulator)


def gone(process: int) -> bool:
    """Whether a process has ended (or waits only to be reaped)."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False
