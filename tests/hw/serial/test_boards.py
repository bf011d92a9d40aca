# amaranth: UnusedElaboratable=no
"""What boards are given: clocks, pins, and files that the tools read."""

import re
from pathlib import Path

import pytest

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.hw.codegen.yosys import run_yosys
from fivebyfive.hw.serial.boards import BAUD, BOARDS, board_files, find_board
from fivebyfive.hw.serial.pll import ecp5_dividers, xc7_dividers
from fivebyfive.hw.serial.serial_accelerator import SerialAccelerator
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.estimates.parts import BOARD_PARTS, PARTS
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError

MHZ = 1_000_000


@pytest.fixture(scope="module")
def design() -> Design:
    network = Checkpoint.random(LeNetShape(1, 1, (10,)), seed=1)
    return to_verilog(SerialAccelerator(network, divisor=50), "serial_lenet")


@pytest.mark.parametrize("output", [10, 25, 50, 60, 62.5, 75, 100, 125, 200])
def test_ecp5_pll_within_its_limits(output: float) -> None:
    hz = round(output * MHZ)
    divide = ecp5_dividers(25 * MHZ, hz)
    assert 25 * MHZ * divide.feedback == hz * divide.reference
    assert 400 * MHZ <= hz * divide.output <= 800 * MHZ
    assert 25 / divide.reference >= 3.125


@pytest.mark.parametrize("output", [25, 50, 100, 150])
def test_xc7_pll_within_its_limits(output: int) -> None:
    divide = xc7_dividers(100 * MHZ, output * MHZ)
    assert 100 * divide.feedback == output * divide.output
    assert 800 <= output * divide.output <= 1600


@pytest.mark.parametrize("hz", [0, 1, 51_300_000, 10**10])
def test_clocks_that_cannot_be_made(hz: int) -> None:
    for dividers in (ecp5_dividers, xc7_dividers):
        with pytest.raises(ValueError, match=r"^a clock of .* MHz cannot be made from 25 MHz; 25 MHz can$"):
            dividers(25 * MHZ, hz)


def test_the_line_has_its_speed() -> None:
    for board in BOARDS.values():
        assert board.divisor(board.clock_hz) * BAUD == board.clock_hz
        assert board.divisor(board.oscillator_hz) * BAUD == board.oscillator_hz
    with pytest.raises(ValueError, match=r"^12\.5 MHz is no multiple of the line's 1,000,000 bits a second$"):
        find_board("ulx3s-85f").divisor(12_500_000)
    with pytest.raises(ValueError, match=r"^a clock of 51\.3 MHz cannot be made"):
        find_board("ulx3s-85f").divisor(51_300_000)


def test_boards_have_parts_that_are_known() -> None:
    for board in BOARDS.values():
        assert board.part in PARTS
    with pytest.raises(UserError, match=r"^board de10 is not known; the boards are ulx3s-12f, .*, arty-a7-100$"):
        find_board("de10")


def test_pins_of_the_ulx3s(design: Design) -> None:
    files = board_files(find_board("ulx3s-85f"), design, 50 * MHZ)
    assert set(files) == {"top.il", "top.lpf"}
    sites = dict(re.findall(r'LOCATE COMP "(\w+)" SITE "(\w+)"', files["top.lpf"]))
    leds = {f"led_{n}__io": site for n, site in enumerate("B2 C2 C1 D2 D1 E2 E1 H3".split())}
    others = {"clk25_0__io": "G2", "uart_0__rx__io": "M1", "uart_0__tx__io": "L4", "esp32_0__gpio0__io": "L2"}
    assert sites == leds | others
    assert 'FREQUENCY PORT "clk25_0__io" 25000000' in files["top.lpf"]


PINS = {  # clock, receive, transmit, and LEDs, as the makers of the boards have them
    "ulx3s-12f": ("G2", "M1", "L4", "B2 C2 C1 D2 D1 E2 E1 H3"),
    "ulx3s-25f": ("G2", "M1", "L4", "B2 C2 C1 D2 D1 E2 E1 H3"),
    "ulx3s-45f": ("G2", "M1", "L4", "B2 C2 C1 D2 D1 E2 E1 H3"),
    "icepi-zero": ("M1", "K16", "K15", "E13 D14 E12 C13 D13"),
    "icesugar-pro": ("P6", "A9", "B9", ""),
    "orangecrab-25f": ("A9", "N17", "M18", ""),
    "orangecrab-85f": ("A9", "N17", "M18", ""),
    "colorlight-i5": ("P3", "H18", "J17", "U16"),
    "colorlight-i9": ("P3", "H18", "J17", "L2"),
}


@pytest.mark.parametrize("name", PINS)
def test_pins_of_other_boards(design: Design, name: str) -> None:
    board, (clock, rx, tx, leds) = find_board(name), PINS[name]
    files = board_files(board, design, board.clock_hz)
    sites = {comp: site for comp, site in re.findall(r'LOCATE COMP "(\w+)" SITE "(\w+)"', files["top.lpf"])}
    sites.pop("esp32_0__gpio0__io", None)
    (oscillator,) = (comp for comp in sites if comp.startswith("clk"))
    assert sites.pop(oscillator) == clock
    assert (sites.pop("uart_0__rx__io"), sites.pop("uart_0__tx__io")) == (rx, tx)
    assert [sites.pop(f"led_{n}__io") for n in range(len(leds.split()))] == leds.split()
    assert sites == {}
    assert f'FREQUENCY PORT "{oscillator}" {board.oscillator_hz}' in files["top.lpf"]
    assert board.platform.device.lower() == board.part


def test_pins_of_the_tang_nano(design: Design) -> None:
    board = find_board("tang-nano-20k")
    files = board_files(board, design, board.clock_hz)
    assert set(files) == {"top.il", "top.cst"}
    sites = dict(re.findall(r'IO_LOC "(\w+)" (\w+);', files["top.cst"]))
    leds = {f"led_{n}__io": str(15 + n) for n in range(6)}
    assert sites == leds | {"clk27_0__io": "4", "uart_0__rx__io": "70", "uart_0__tx__io": "69"}
    with pytest.raises(ValueError, match=r"a clock of 50 MHz cannot be made from 27 MHz; 27 MHz can"):
        board.divisor(50 * MHZ)


def test_every_board_has_its_pins_tested() -> None:
    assert {*PINS, "ulx3s-85f", "arty-a7-100", "tang-nano-20k"} == set(BOARDS)
    assert [(board.name, board.part) for board in BOARDS.values()] == [*BOARD_PARTS.items()]
    assert set(BOARD_PARTS.values()) <= set(PARTS)


def test_yosys_reads_what_vivado_gets(design: Design, tmp_path: Path) -> None:
    """The top module with its primitives, and every port of the design connected."""
    files = board_files(find_board("arty-a7-100"), design, 50 * MHZ)
    assert set(files) == {"top.il", "top.xdc", "top.tcl"}
    assert re.search(r"create_clock .*-period 10\.0", files["top.xdc"])
    for name in (*design.memories, f'"{design.name}.v"', "top.v"):
        assert f"add_files {name}" in files["top.tcl"]
    design.write(tmp_path)
    (tmp_path / "top.il").write_text(files["top.il"])
    read = [f"read_verilog -lib +/xilinx/{cells}.v" for cells in ("cells_sim", "cells_xtra")]
    read += [f"read_verilog {design.name}.v", "read_rtlil top.il"]
    run_yosys([*read, "hierarchy -check -top top", "proc", "check -assert"], tmp_path)
    assert "PLLE2_BASE" in files["top.il"]
