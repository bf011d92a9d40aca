"""Coverage of the Verilog: what ran and what toggled, and nothing else; what never did is named."""

from pathlib import Path

import click.testing
import pytest

from fivebyfive.hw.codegen.verilog import Design, Port
from fivebyfive.sim.quality.coverage import FILE, Coverage, Point, ranges, read_coverage, readable_lines
from fivebyfive.sim.quality.coverage_exclusions import REASONS, of_another_bench, reason
from fivebyfive.sim.simulator.runner import build, run
from fivebyfive.support.errors import UserError
from fivebyfive.verify.coverage import log_text, main, never, unexplained

VERILOG = """\
module turner(clk, rst, a, y__payload);
  input clk, rst;
  input [3:0] a;
  output [3:0] y__payload;
  reg [3:0] y__payload = 0;
  reg [7:0] kept [0:3];
  always @(posedge clk) begin
    kept[a[1:0]] <= a;
    if (rst)
      y__payload <= 0;
    else if (a[3])
      y__payload <= {1'b1, ~a[2:0]};
    else
      y__payload <= a;
  end
endmodule
"""
PORTS = (
    Port("clk", "input", 1, False), Port("rst", "input", 1, False), Port("a", "input", 4, False),
    Port("y__payload", "output", 4, False),
)  # fmt: skip
TURNER = Design("turner", VERILOG, {}, PORTS)
BENCH = """
import cocotb
from cocotb.triggers import RisingEdge
from fivebyfive.sim.benchlib.given import parameters
from fivebyfive.sim.benchlib.testbench import start

@cocotb.test()
async def values(dut):
    await start(dut)
    for value in [*range(parameters()["most"]), 0, 0]:
        dut.a.value = value
        await RisingEdge(dut.clk)
"""


@pytest.fixture
def measured(tmp_path: Path, monkeypatch):
    """Coverage of the turner by a bench that drives the values below a number."""
    (tmp_path / "turner_bench.py").write_text(BENCH)
    monkeypatch.syspath_prepend(tmp_path)

    def measure(most: int) -> Coverage:
        run(build(TURNER, "verilator", coverage=True), "turner_bench", tmp_path, parameters={"most": most})
        return read_coverage(tmp_path / FILE, VERILOG)

    return measure


def test_what_never_ran_and_never_toggled_is_named(measured) -> None:
    seen = measured(8)
    assert seen.never_toggled == {("turner", "a"): [3], ("turner", "y__payload"): [3]}
    assert [point.text for point in seen.never_run] == ["else if (a[3])"]
    assert seen.blocks[0] == seen.blocks[1] - 1
    assert seen.toggles == (16, 20)  # clk, rst, a, y; what is in the memory is data


def test_all_that_there_is(measured) -> None:
    seen = measured(16)
    assert (seen.never_toggled, seen.never_run) == ({}, ())
    assert seen.toggles == (20, 20)
    assert seen.blocks[0] == seen.blocks[1]


def test_a_net_that_yosys_named_is_shown_as_what_is_assigned_to_it() -> None:
    one = "module one(a);\n  wire _0_;\n  assign _0_ = ! a;\n    if (_0_) begin\n  assign b = _0_ | a;\nendmodule\n"
    other = "module other(a);\n    if (_0_) begin\nendmodule"
    lines = [line.strip() for line in readable_lines(one + other)]
    assert [lines[n] for n in (3, 4, 7)] == ["if (! a) begin", "assign b = _0_ | a;", "if (_0_) begin"]


def test_icarus_cannot() -> None:
    with pytest.raises(UserError, match="icarus cannot measure coverage; verilator can"):
        build(TURNER, "icarus", coverage=True)


def test_a_build_for_coverage_is_another_one() -> None:
    assert build(TURNER, "verilator").folder != build(TURNER, "verilator", coverage=True).folder


@pytest.mark.parametrize(("bits", "text"), [([], ""), ([3], "3"), ([0, 1, 2, 5, 7, 8], "8:7, 5, 2:0")])
def test_ranges(bits: list[int], text: str) -> None:
    assert ranges(bits) == text


def test_parts_are_the_business_of_their_own_benches() -> None:
    assert of_another_bench("conv_engine_controller")
    assert of_another_bench("axi_core_accelerator_fc")
    assert not of_another_bench("axi_core_lite")
    assert not of_another_bench("conv_engine")


def point(module: str, what: str, count: int = 0) -> Point:
    return Point(module, 1, what, True, count, "wire [15:0] it;")


def test_what_nobody_has_explained_is_said() -> None:
    seen = Coverage((point("argmax", "best[3]:0->1"), point("argmax", "best[3]:1->0", 5),
                     point("pooling", "cell[7]:0->1"), point("conv_engine_controller", "go:0->1")))  # fmt: skip
    assert never(seen) == ["argmax.best[3]", "pooling.cell[7]"]
    assert unexplained(seen) == ["argmax.best[3]"]
    text = log_text({"argmax": seen}, 1, 2.0)
    assert "argmax, never seen: NOT EXPLAINED\n  argmax.best[3]\n" in text
    assert "never negative" in text


def test_every_reason_is_one() -> None:
    assert all(why and why[0].islower() for _, why in REASONS)
    assert len({pattern for pattern, _ in REASONS}) == len(REASONS)


@pytest.mark.parametrize("what", [
    "argmax.best[3]", "argmax.best[7]", "fc_row.o__payload[7]", "axi_core.s_axi_wdata[7]", "pooling.cell_0[7, 6]",
    "axi_core.errors[4]", "axi_core_registers.errors[31:3]", "uart_transmitter.word[7]",
    "conv_controller:9 else: if (go) begin",
])  # fmt: skip
def test_what_has_no_reason(what: str) -> None:
    assert reason(what) is None


@pytest.mark.parametrize("what", ["pooling.cell_0[7]", "image_buffer.o__payload[15, 7]", "uart_transmitter.word[8]"])
def test_what_has_one(what: str) -> None:
    assert reason(what)


def test_a_component_and_its_log(tmp_path: Path) -> None:
    words = ["--log", str(tmp_path / "coverage.log"), "--only", "uart_transmitter"]
    result = click.testing.CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("uart_transmitter "))
    _, blocks, ran, toggles, seen, unknown = line.split()
    assert (int(ran), int(seen), int(unknown)) == (int(blocks), int(toggles) - 1, 0)
    assert (tmp_path / "coverage.log").read_text() == result.stdout
