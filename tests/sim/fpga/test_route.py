"""Yosys and nextpnr on a small component: the harness leaves nothing out, what is counted is what is routed."""

import json
import re
import shutil
import stat
import sys
from pathlib import Path

import pytest

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.hw.codegen.yosys import YosysError
from fivebyfive.hw.common.weight_memory import WeightMemory
from fivebyfive.hw.generate import generate
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.estimates.parts import PARTS
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.fpga import nextpnr
from fivebyfive.sim.fpga.harness import CORE, HARNESS, core_verilog, harness_verilog
from fivebyfive.sim.fpga.nextpnr import ToolFailed, route
from fivebyfive.sim.fpga.synthesis import synthesize_core
from fivebyfive.support.errors import UserError

PART = PARTS["lfe5u-25f"]
EMPTY = '{"modules": {}}'


@pytest.fixture(scope="module")
def product() -> Design:
    """Four products and their sum."""
    return to_verilog(DotProduct(4), "dot_product")


def test_the_harness_has_four_pins_and_drives_every_bit(product: Design) -> None:
    text = harness_verilog(product, ())
    assert re.search(rf"module {HARNESS}\(input clk, input rst, input si, output so\);", text)
    bits = {way: sum(p.width for p in product.ports if p.direction == way and p.name not in ("clk", "rst"))
            for way in ("input", "output")}  # fmt: skip
    for bus, way in (("in", "input"), ("out", "output")):
        slices = [(int(high), int(low)) for high, low in re.findall(rf"\({bus}\[(\d+):(\d+)\]\)", text)]
        assert sum(high - low + 1 for high, low in slices) == bits[way]
        assert max(high for high, _ in slices) == bits[way] - 1


def test_taps_are_left_open() -> None:
    design = generate(Checkpoint.random(LeNetShape(1, 1, (10,)), seed=1)).design
    assert "conv_tap" not in harness_verilog(design)
    core = core_verilog(design)
    assert ".conv_tap(), .fc_tap()" in core
    assert core.count("conv_tap") == 1
    assert core.startswith(f"module {CORE}(")


def test_what_is_counted_is_what_is_routed(product: Design, tmp_path: Path) -> None:
    netlist = tmp_path / "netlist.json"
    area = synthesize_core(product, "ecp5", netlist=netlist)
    cells = [cell["type"] for cell in json.loads(netlist.read_text())["modules"][HARNESS]["cells"].values()]
    assert area.dsp == cells.count("MULT18X18D") == 4
    harness = 1 + sum(port.width * (2 if port.direction == "output" else 1) for port in product.ports)
    assert area.ff < cells.count("TRELLIS_FF") <= area.ff + harness
    assert area.lut <= cells.count("LUT4") + 2 * cells.count("CCU2C")
    assert str(tmp_path) not in netlist.read_text()


@pytest.mark.parametrize("family", ["xc7", "ecp5"])
def test_what_a_memory_holds_changes_no_cell(family: str) -> None:
    """So measurements hold for all weights of a shape."""
    areas = [
        synthesize_core(to_verilog(WeightMemory(words, 4), "memory"), family)
        for words in ([0] * 300, [(n * 2654435761) % 2**32 for n in range(300)])
    ]
    assert areas[0] == areas[1]


@pytest.fixture(scope="module")
def memory_netlist(tmp_path_factory) -> Path:
    netlist = tmp_path_factory.mktemp("netlist") / "memory.json"
    area = synthesize_core(to_verilog(WeightMemory(range(300), 4), "memory"), "ecp5", netlist=netlist)
    assert area.bram == 1
    return netlist


def test_a_small_memory_is_placed_and_routed(memory_netlist: Path) -> None:
    routed = route(memory_netlist, PART, 3)
    assert 50 < routed.fmax_mhz < 600
    assert routed == route(memory_netlist, PART, 3)
    assert 0 < routed.logic_ns <= routed.path_ns
    assert routed.path_ns == pytest.approx(1000 / routed.fmax_mhz, rel=0.05)
    assert len(routed.path) >= 2


def test_a_part_without_an_open_tool(memory_netlist: Path) -> None:
    with pytest.raises(UserError, match="xc7z020 cannot be placed and routed with open tools"):
        route(memory_netlist, PARTS["xc7z020"])


def test_nextpnr_that_fails_is_quoted(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(EMPTY)
    with pytest.raises(ToolFailed, match=r"(?s)^nextpnr-ecp5 failed on lfe5u-25f, seed 1:\n.*ERROR"):
        route(bad, PART)


def test_a_native_nextpnr_is_preferred(no_programs, tmp_path: Path, monkeypatch) -> None:
    no_programs("sh")
    fake = tmp_path / "bin" / "nextpnr-ecp5"
    fake.write_text("#!/bin/sh\necho first\necho 'ERROR: no room'\nexit 1\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    netlist = tmp_path / "netlist.json"
    netlist.write_text(EMPTY)
    with pytest.raises(ToolFailed, match=r"failed on lfe5u-25f, seed 1:\nfirst\nERROR: no room$"):
        route(netlist, PART)


def test_no_nextpnr_at_all(no_programs, monkeypatch) -> None:
    monkeypatch.setattr(nextpnr, "WHEEL", "no_such_module")
    with pytest.raises(UserError, match=r"pip install 'fivebyfive\[fpga\]'"):
        nextpnr.find_nextpnr()


def test_yosys_that_fails_is_quoted(product: Design) -> None:
    broken = Design(product.name, "module dot_product(; endmodule\n", {}, product.ports)
    with pytest.raises(YosysError, match=r"(?s)Yosys failed:.*syntax error"):
        synthesize_core(broken, "xc7")


def test_the_wheels_command_runs() -> None:
    if not shutil.which("nextpnr-ecp5"):
        assert nextpnr.find_nextpnr()[0] == sys.executable
    assert re.search(r"\d", nextpnr.nextpnr_version())
