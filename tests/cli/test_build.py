"""The command build: what it writes, and what it refuses before it begins or when a tool has spoken."""

import json
from pathlib import Path

from fivebyfive.sim.fpga import bitstream
from fivebyfive.sim.fpga.bitstream import Bitstream
from fivebyfive.sim.fpga.nextpnr import Routed
from fivebyfive.sim.fpga.synthesis import Area
from fivebyfive.support.errors import UserError

MADE = Bitstream(
    b"\xff\x00bits", Area("ecp5", 5000, 9000, 3000, 45, 195, {}), Routed(61.5, ("a", "b"), 16.0, 5.0),
    {"synthesis": 80.0, "place and route": 500.0, "ecppack": 20.0}, "log of nextpnr", 4,
)  # fmt: skip


def test_a_bitstream_and_its_report(answer, cli, monkeypatch, small: Path) -> None:
    asked = []
    monkeypatch.setattr(bitstream, "make_bitstream", lambda *given: asked.append(given) or MADE)
    report = answer("build", small, "--board", "ulx3s-85f", "--seed", 4)
    assert (report["fmax_mhz"], report["clock_mhz"], report["baud"], report["seed"]) == (61.5, 50, 1_000_000, 4)
    assert report["percent"]["bram"] == 93.8
    folder = Path("build/ulx3s-85f")
    assert (folder / "ulx3s-85f.bit").read_bytes() == MADE.data
    assert (folder / "nextpnr.log").read_text() == "log of nextpnr"
    assert json.loads((folder / "build.json").read_text())["network"] == "2-3-7-10"
    assert asked[0][2:4] == (50_000_000, [4])
    said = cli("build", small, "--board", "ULX3S-85F").stdout  # again, into the same folder
    assert "clock met: 61.5 MHz of 50, seed 4" in said
    assert asked[1][3] == bitstream.SEEDS  # several, where none is named
    answer("build", small, "--board", "orangecrab-25f", "--fps", 1000)  # at the board's own clock
    assert asked[2][2] == 48_000_000
    assert "openFPGALoader -b ulx3s build/ulx3s-85f/ulx3s-85f.bit" in said


def test_a_clock_that_is_not_met_leaves_nothing(refused, monkeypatch, small: Path) -> None:
    def fail(*given):
        raise UserError("the clock is not met on ulx3s-85f: 40 MHz of 50")

    monkeypatch.setattr(bitstream, "make_bitstream", fail)
    assert "the clock is not met" in refused("build", small, "--board", "ulx3s-85f")
    assert not Path("build/ulx3s-85f").exists()


def test_files_for_vivado(answer, small: Path) -> None:
    report = answer("build", small, "--board", "arty-a7-100", "--out", "arty")
    names = {Path(name).name for name in report["files"]}
    assert {"top.v", "top.xdc", "top.tcl", "serial_lenet.v", "README.md", "build.json"} <= names
    assert {path.name for path in Path("arty").iterdir()} == names
    assert "PLLE2_BASE" in Path("arty/top.v").read_text()
    assert "Vivado was not run" in Path("arty/README.md").read_text()
    before = {path.name: path.read_bytes() for path in Path("arty").iterdir()}
    answer("build", small, "--board", "arty-a7-100", "--out", "arty")
    assert {path.name: path.read_bytes() for path in Path("arty").iterdir()} == before  # the same bytes again


def test_what_cannot_be_built(refused, small: Path) -> None:
    assert "the boards are ulx3s-12f, ulx3s-25f," in refused("build", small, "--board", "de10")
    board = ("build", small, "--board", "ulx3s-85f")
    assert "a clock of 51.3 MHz cannot be made from 25 MHz" in refused(*board, "--clock", 51.3)
    assert "a clock of 0 MHz cannot be made" in refused(*board, "--clock", 0)
    assert "is no multiple of the line's" in refused(*board, "--clock", 12.5)
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    assert "mine has other files in it" in refused(*board, "--out", "mine")
    assert "conv PEs must be 1 to 50" in refused(*board, "--conv-pes", 99)
    assert "cannot read checkpoint" in refused("build", "nowhere.npz", "--board", "ulx3s-85f")
