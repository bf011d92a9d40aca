"""The way to a bitstream, with a design that is placed and routed in a minute."""

import json
import re
import subprocess
from collections import Counter
from dataclasses import replace

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.hw.codegen.yosys import run_yosys
from fivebyfive.hw.serial.boards import find_board
from fivebyfive.hw.serial.serial_accelerator import SerialAccelerator
from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint
from fivebyfive.model.estimates.parts import PARTS
from fivebyfive.model.machine.sizing import Size
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.fpga import bitstream
from fivebyfive.sim.fpga.bitstream import SEED_LIMIT_S, SEEDS, make_bitstream, place_and_route, run_tool
from fivebyfive.sim.fpga.nextpnr import ToolFailed
from fivebyfive.sim.fpga.synthesis import synthesize
from fivebyfive.support.errors import UserError
from fivebyfive.support.progress import silent

ULX3S = find_board("ulx3s-85f")
MHZ = 1_000_000


class Echo(wiring.Component):
    """Ports of a serial accelerator, and hardly anything behind them."""

    rx: In(1, init=1)
    tx: Out(1, init=1)
    index: Out(4)
    done: Out(1)
    busy: Out(1)

    def elaborate(self, platform):
        m = Module()
        count = Signal(24)
        m.d.sync += [self.tx.eq(self.rx), count.eq(count + 1), self.busy.eq(self.rx ^ count[-1])]
        m.d.comb += [self.index.eq(count[-4:]), self.done.eq(count[-5])]
        return m


@pytest.fixture(scope="module")
def echo() -> Design:
    return to_verilog(Echo(), "echo")


@pytest.mark.slow
def test_a_bitstream_and_a_clock_that_is_not_met(echo: Design) -> None:
    shown = []
    made = make_bitstream(echo, ULX3S, 50 * MHZ, [2], lambda done, total, text: shown.append(text))
    assert made.data.startswith(b"\xff\x00")
    assert b"Part: LFE5U-85F-6CABGA381" in made.data[:200]
    assert made.routed.fmax_mhz > 50
    assert made.area.ff >= 26
    assert made.area.cells["EHXPLLL"] == 1
    assert set(made.seconds) == {"synthesis", "place and route", "ecppack"}
    assert any(text.startswith("place and route, ") for text in shown)
    assert "50.0 MHz for net clk" in made.log  # nextpnr knows what the PLL makes


@pytest.mark.full  # a minute, and the tools of the extra gowin
def test_a_bitstream_for_gowin(echo: Design) -> None:
    made = make_bitstream(echo, find_board("tang-nano-20k"), 27 * MHZ, [2])
    assert made.data.count(b"\n") > 1000  # lines of bits
    assert made.routed.fmax_mhz > 27
    assert made.area.ff >= 26
    assert set(made.seconds) == {"synthesis", "place and route", "gowin_pack"}


def test_no_tools_for_gowin(echo: Design, monkeypatch) -> None:
    board = find_board("tang-nano-20k")
    for name in ("GOWIN_PACK", "GOWIN_WHEEL"):
        monkeypatch.setattr(bitstream, name, "no_such_module")
        with pytest.raises(UserError, match=r"install it: pip install 'fivebyfive\[gowin\]'"):
            make_bitstream(echo, board, 27 * MHZ)


@pytest.fixture
def nextpnr(monkeypatch):
    """A nextpnr that reaches for each seed a frequency of this dictionary, or never ends (None); the limits it had."""
    reached: dict[int, float | None] = {}
    limits: list[float] = []

    def run(command, folder, name, limit_s) -> bool:
        limits.append(limit_s)
        fmax_mhz = reached[int(command[command.index("--seed") + 1])]
        path = [{"delay": 1, "type": "logic", "from": {"cell": "lenet.a"}, "to": {"cell": "lenet.b"}}]
        report = {"fmax": {"clk": {"achieved": fmax_mhz}},
                  "critical_paths": [{"from": "posedge clk", "to": "posedge clk", "path": path}]}  # fmt: skip
        (folder / "report.json").write_text(json.dumps(report))
        return fmax_mhz is not None

    monkeypatch.setattr(bitstream, "run_tool", run)
    return reached, limits


def test_seeds_are_tried_in_turn(nextpnr, tmp_path) -> None:
    reached, limits = nextpnr
    reached |= {2: None, 3: 47.5, 4: 50.0, 5: 99.0}
    shown: list[str] = []
    seconds: dict[str, float] = {}
    seed, routed = place_and_route(
        ["nextpnr"], tmp_path, ULX3S, 50 * MHZ, SEEDS, seconds, lambda done, total, text: shown.append(text)
    )
    assert (seed, routed.fmax_mhz) == (4, 50.0)
    assert limits == [SEED_LIMIT_S] * 3
    assert shown == [f"place and route, seed {seed}" for seed in (2, 3, 4)]
    assert set(seconds) == {"place and route"}


def test_a_clock_that_is_not_met(nextpnr, tmp_path) -> None:
    reached, limits = nextpnr
    reached |= {1: None, 3: 47.5}

    def refused(*seeds: int) -> str:
        with pytest.raises(UserError) as raised:
            place_and_route(["nextpnr"], tmp_path, ULX3S, 50 * MHZ, seeds, {}, silent)
        return str(raised.value)

    end = "; nothing was written. Try another --seed or a slower --clock"
    missed = "47.5 MHz of 50 with seed 3, from lenet.a to lenet.b"
    assert refused(3) == f"the clock is not met on ulx3s-85f: {missed}{end}"
    late = "nextpnr did not end within 3600 s with seed 1"
    assert refused(1) == f"the clock is not met on ulx3s-85f: {late}{end}"
    assert limits == [3600, 3600]
    late = late.replace("3600", "1200")
    assert refused(1, 3) == f"the clock is not met on ulx3s-85f: {late}; {missed}{end}"


def test_the_seed_that_never_ends_is_not_among_those_tried() -> None:
    assert 1 not in SEEDS  # docs/boards.md


def test_a_network_that_does_not_fit(echo: Design, monkeypatch) -> None:
    monkeypatch.setattr(bitstream, "count_cells", lambda text, top: Counter({"DP16KD": 250, "LUT4": 90_000}))
    with pytest.raises(UserError, match="does not fit ulx3s-85f: it takes 90000 of 83640 lut, 250 of 208 bram; take"):
        make_bitstream(echo, ULX3S, 50 * MHZ)


class Products(wiring.Component):
    """Three products of two codes."""

    a: In(signed(8))
    b: In(signed(8))
    o: Out(data.ArrayLayout(signed(16), 3))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.o[0].eq(self.a * self.b), self.o[1].eq(self.a * self.a), self.o[2].eq(self.b * self.b)]
        return m


TABLE = """
module table_of_products;
  reg signed [7:0] a, b; wire [47:0] o; integer i, j;
  wire signed [15:0] ab = a * b, aa = a * a, bb = b * b;
  products dut(.a(a), .b(b), .o(o));
  initial begin
    for (i = -128; i < 128; i = i + `STEP) for (j = -128; j < 128; j = j + `STEP) begin
      a = i; b = j; #1;
      if (o !== {bb, aa, ab}) begin $display("wrong at %d, %d: %h", a, b, o); $finish; end
    end
    $display("all right");
  end
endmodule
"""


@pytest.mark.parametrize("step", [15, pytest.param(1, marks=pytest.mark.full)])
def test_multipliers_of_luts(monkeypatch, tmp_path, step: int) -> None:
    """What a part has no DSP blocks for; and products of Booth's multipliers that Yosys makes, with step 1 all."""
    design = to_verilog(Products(), "products")
    design.write(tmp_path)
    monkeypatch.setattr(bitstream, "TOP", "products")
    (tmp_path / "products.il").write_text("")
    board = replace(find_board("colorlight-i5"), part="tiny")
    monkeypatch.setitem(PARTS, "tiny", replace(PARTS["lfe5u-25f"], dsp=1))
    area, of_luts = bitstream.synthesize(design, board, tmp_path)
    assert (area.dsp, of_luts) == (1, 2)
    assert area.lut > 200
    names = (tmp_path / bitstream.PRODUCTS).read_text().split()
    assert len(names) == 3
    (tmp_path / "table.v").write_text(TABLE)
    read, write = f"read_verilog {design.name}.v", "write_verilog booth.v"
    run_yosys([read, *(f"booth {name}" for name in names), "techmap", write], tmp_path)
    assert "*" not in re.sub(r"\(\*.*?\*\)|/\*.*?\*/", "", (tmp_path / "booth.v").read_text(), flags=re.S)
    command = f"iverilog -DSTEP={step} -o table.vvp table.v booth.v && vvp -N table.vvp"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("all right", "")


@pytest.mark.full
def test_memories_stay_memories(tmp_path) -> None:
    """Those whose contents nobody replaces are block RAM too, and not registers."""
    network = Checkpoint.random(LeNetShape(1, 5, (10,)), seed=1)  # 80 inputs: no lane without weights
    design = to_verilog(SerialAccelerator(network, divisor=50), "serial_lenet")
    design.write(tmp_path)
    for name, text in bitstream.board_files(ULX3S, design, 50 * MHZ).items():
        (tmp_path / name).write_text(text)
    area, of_luts = bitstream.synthesize(design, ULX3S, tmp_path)
    assert of_luts == 0
    assert area.bram == 6 + 5  # 25 and 20 bytes wide
    assert area.dsp == 45


@pytest.mark.slow
@pytest.mark.full  # a minute each
@pytest.mark.parametrize("board", ["ulx3s-85f", "arty-a7-100"])  # the largest part of each family
@pytest.mark.parametrize("path", sorted(SHIPPED.parent.glob("*.npz")), ids=lambda path: path.stem)
def test_every_shipped_checkpoint_on_its_boards(path, board, tmp_path) -> None:
    """As `build` makes them, up to place and route; Yosys alone stands for Vivado."""
    checkpoint, where = load_checkpoint(path), find_board(board)
    design = to_verilog(SerialAccelerator(checkpoint, Size().config(checkpoint)), "serial_lenet")
    part = PARTS[where.part]
    if part.device:
        design.write(tmp_path)
        for name, text in bitstream.board_files(where, design, 50 * MHZ).items():
            (tmp_path / name).write_text(text)
        bitstream.synthesize(design, where, tmp_path)  # and it fits
    else:
        area = synthesize(design, part.family)
        assert not part.missing({"lut": area.lut + area.lutram, "ff": area.ff, "dsp": area.dsp, "bram": area.bram})


def test_tools_that_fail_are_quoted(tmp_path) -> None:
    with pytest.raises(ToolFailed, match=r"^sh failed with exit code 3:\nno such thing$"):
        run_tool(["sh", "-c", "echo no such thing; exit 3"], tmp_path, "sh")


def test_tools_that_do_not_end(tmp_path) -> None:
    assert run_tool(["sleep", "600"], tmp_path, "sleep", 0.2) is False
    assert run_tool(["true"], tmp_path, "true") is True


def test_no_ecppack(no_programs, monkeypatch) -> None:
    monkeypatch.setattr(bitstream, "WHEEL", "no_such_module")
    with pytest.raises(UserError, match=r"a bitstream needs ecppack; install it: pip install 'fivebyfive\[fpga\]'"):
        bitstream.find_ecppack()
