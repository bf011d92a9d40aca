"""Lint of generated Verilog, and the save file for the viewer."""

import re

import pytest
from amaranth.hdl import Module
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.hw.generate import generate
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.benchlib.random_networks import random_network
from fivebyfive.sim.simulator.lint import WAIVERS, lint
from fivebyfive.sim.simulator.runner import build, run
from fivebyfive.sim.simulator.waves import Trace, find_signal, write_save_file


class Phase(enum.Enum, shape=2):
    IDLE = 0
    RUN = 1
    DONE = 2


class Inner(wiring.Component):
    go: In(1)
    phase: Out(Phase)
    count: Out(5)

    def elaborate(self, platform):
        m = Module()
        with m.Switch(self.phase):
            with m.Case(Phase.IDLE):
                with m.If(self.go):
                    m.d.sync += self.phase.eq(Phase.RUN)
            with m.Case(Phase.RUN):
                m.d.sync += [self.count.eq(self.count + 1), self.phase.eq(Phase.DONE)]
            with m.Default():
                m.d.sync += self.phase.eq(Phase.IDLE)
        return m


class Outer(wiring.Component):
    go: In(1)
    spare: In(3)
    count: Out(5)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = Inner()
        m.d.comb += [inner.go.eq(self.go), self.count.eq(inner.count)]
        return m


def test_lint_finds_what_is_not_waived():
    found = lint(to_verilog(Outer(), "outer"))
    assert len(found) == 1
    assert "UNUSEDSIGNAL" in found[0]
    assert "'spare'" in found[0]


def test_lint_of_a_component_is_clean_with_the_waivers_only():
    design = to_verilog(DotProduct(25), "dot")
    assert lint(design) == []
    assert lint(design, waivers=None)


@pytest.mark.parametrize("kind", ["kernels+banks+codebook", "ternary+kernels", "binary"])
@pytest.mark.parametrize("rows", [1, 3])
def test_lint_of_engines_of_certain_weights(kind, rows):
    network = random_network(LeNetShape(4, 6, (30, 10)), 1, kind)
    config = fitted(network, Config(fc_rows=rows))
    assert config.engines.names
    assert lint(generate(network, config).design) == []


def test_each_waiver_has_its_reason():
    before = ""
    for line in WAIVERS.read_text().splitlines():
        if line.startswith("lint_off"):
            assert before.startswith(("//", "lint_off")), f"{line} has no reason"
        before = line


def test_find_signal():
    verilog = to_verilog(Outer(), "outer").verilog
    assert find_signal(verilog, "outer", "inner.count").width == 5
    phase = find_signal(verilog, "outer", "inner.phase")
    assert phase.values == {0: "IDLE", 1: "RUN", 2: "DONE"}
    for path in ("inner.other", "other.count", "inner.count.more"):
        with pytest.raises(ValueError, match=r"no (signal|instance)"):
            find_signal(verilog, "outer", path)


BENCH = """
import cocotb
from fivebyfive.sim.benchlib.testbench import cycles, start

@cocotb.test()
async def runs(dut):
    await start(dut)
    dut.go.value = 1
    await cycles(dut, 20)
"""


def test_save_file_opens_on_signals_of_the_waveform(simulator, tmp_path, monkeypatch):
    (tmp_path / "wave_bench.py").write_text(BENCH)
    monkeypatch.syspath_prepend(tmp_path)
    built = build(to_verilog(Outer(), "outer"), simulator, waves=True)
    run(built, "wave_bench", tmp_path, timeout_s=120)
    assert (tmp_path / built.waves).stat().st_size > 100
    assert not list(tmp_path.glob("unfinished*"))
    groups = {"clock": ["clk", "rst"], "inner": ["inner.phase", Trace("inner.count", "dec", alias="n")]}
    path = write_save_file(tmp_path, built, groups, start_ns=30, marker_ns=50)
    text = path.read_text()
    assert str(tmp_path) not in text
    assert f'[dumpfile] "{built.waves}"' in text
    assert "outer.inner.phase[1:0]" in text
    assert (tmp_path / "inner.phase.filter").read_text().split() == ["0", "IDLE", "1", "RUN", "2", "DONE"]
    if built.trace == "vcd":
        shown = set(re.findall(r"^(?:\+\{n\} )?(outer\.\S+)$", text, re.M))
        assert len(shown) == 4
        assert shown <= vcd_names(tmp_path / built.waves)


def test_a_run_that_is_killed_leaves_the_old_waveform(simulator, tmp_path, monkeypatch):
    (tmp_path / "wave_bench.py").write_text(BENCH.replace("cycles(dut, 20)", "cycles(dut, 2_000_000)"))
    monkeypatch.syspath_prepend(tmp_path)
    built = build(to_verilog(Outer(), "outer"), simulator, waves=True)
    (tmp_path / built.waves).write_text("old")

    def watch() -> None:
        if list(tmp_path.glob("unfinished*")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(built, "wave_bench", tmp_path, timeout_s=120, watch=watch)
    assert (tmp_path / built.waves).read_text() == "old"


def vcd_names(path) -> set[str]:
    """Names of a VCD file's signals as GTKWave writes them."""
    names, scopes = set(), []
    for line in path.read_text().splitlines():
        words = line.split()
        if words[:1] == ["$scope"]:
            scopes.append(words[2])
        elif words[:1] == ["$upscope"]:
            scopes.pop()
        elif words[:1] == ["$var"]:
            names.add(".".join(scopes) + "." + "".join(words[4:-1]))
        elif words[:1] == ["$enddefinitions"]:
            return names
    raise AssertionError("the file ends in its header")


def test_save_file_needs_waves(simulator, tmp_path):
    built = build(to_verilog(Outer(), "outer"), simulator)
    with pytest.raises(ValueError, match="built without waves"):
        write_save_file(tmp_path, built, {})
