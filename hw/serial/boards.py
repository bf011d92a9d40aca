"""Boards that hold a `SerialAccelerator`: pins and clocks are those of amaranth-boards; the glue between is here."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from amaranth.build import Attrs, Resource, ResourceError
from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from amaranth_boards.arty_a7 import ArtyA7_100Platform
from amaranth_boards.icepi_zero import IcepiZero1_3Platform
from amaranth_boards.icesugar_pro import ICESugarProPlatform
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform, OrangeCrabR0_2_85FPlatform
from amaranth_boards.resources import UARTResource
from amaranth_boards.ulx3s import ULX3S_12F_Platform, ULX3S_25F_Platform, ULX3S_45F_Platform, ULX3S_85F_Platform

from fivebyfive.hw.codegen.verilog import Design
from fivebyfive.model.estimates.parts import BOARD_PARTS
from fivebyfive.support.errors import UserError

from .colorlight import ColorlightI5Platform, ColorlightI9Platform
from .pll import ecp5_dividers, ecp5_pll, no_dividers, no_pll, xc7_dividers, xc7_pll
from .tang_nano_20k import TangNano20kPlatform
from .uart import check_divisor

__all__ = ["BAUD", "BOARDS", "TOP", "Board", "board_files", "find_board"]

TOP = "top"
BAUD = 1_000_000  # of the serial line: a rate that USB bridges have exactly
MOST_LEDS = 8


@dataclass(frozen=True)
class Board:
    """A board.

    Attributes
    ----------
    name : str
        Name on the command line.
    part : str
        The part, by its name in `fivebyfive.model.estimates.parts`.
    package : str
        Its package, by nextpnr's name.
    grade : str
        Speed grade of the part on the board.
    platform : type
        Platform of amaranth-boards, or one like them: pins and clocks.
    oscillator_hz : int
        Frequency of the board's oscillator.
    pll : callable
        Adds the PLL (`ecp5_pll`, `xc7_pll`).
    dividers : callable
        Dividers of the PLL; raises ValueError where there are none.
    load : str
        The command that takes a bitstream, ``{}``, to the board; empty where Vivado does.
    clock_hz : int
        Frequency of the design's clock, where nobody asks for another one.
    high : tuple of (resource, number, pin)
        Pins that must be driven high.
    more : tuple of Resource
        What the platform lacks.
    """

    name: str
    part: str
    package: str
    grade: str
    platform: type
    oscillator_hz: int
    pll: Callable
    dividers: Callable
    load: str = ""
    clock_hz: int = 50_000_000
    high: tuple[tuple[str, int, str], ...] = ()
    more: tuple[Resource, ...] = ()

    def divisor(self, clock_hz: int) -> int:
        """Clock cycles per bit of the serial line. Raises ValueError where the clock cannot be made, or the bit rate
        would be off by more than 1 %.
        """
        self.dividers(self.oscillator_hz, clock_hz)
        divisor = check_divisor(round(clock_hz / BAUD))
        if abs(clock_hz / divisor / BAUD - 1) > 0.01:
            raise ValueError(f"{clock_hz / 1e6:g} MHz is no multiple of the line's {BAUD:,} bits a second")
        return divisor


def _ecp5(name: str, package: str, platform: type, load: str, **other) -> Board:
    """A board with an ECP5, of speed grade 6 and with an oscillator of 25 MHz where ``other`` does not say so."""
    usual = {"grade": "6", "oscillator_hz": 25_000_000}
    return Board(name, BOARD_PARTS[name], package, platform=platform, load=load, pll=ecp5_pll, dividers=ecp5_dividers,
                 **(usual | other))  # fmt: skip


def _ulx3s(size: str, platform: type) -> Board:
    return _ecp5(
        f"ulx3s-{size}", "CABGA381", platform, "openFPGALoader -b ulx3s {}",
        high=(("esp32", 0, "gpio0"),),  # low, it lets the board's ESP32 take over the FPGA
    )  # fmt: skip


def _orangecrab(size: str, platform: type) -> Board:
    return _ecp5(
        f"orangecrab-{size}", "CSFBGA285", platform,
        "dfu-suffix -v 1209 -p 5af0 -a {0} && dfu-util -a 0 -D {0}",
        grade="8", oscillator_hz=48_000_000, clock_hz=48_000_000,
        # Without a bridge to USB: the pins 0 and 1 of Adafruit's Feather, for an adapter of 3.3 V.
        more=(UARTResource(0, rx="N17", tx="M18", attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")),),
    )  # fmt: skip


BOARDS = {
    board.name: board
    for board in (
        _ulx3s("12f", ULX3S_12F_Platform),
        _ulx3s("25f", ULX3S_25F_Platform),
        _ulx3s("45f", ULX3S_45F_Platform),
        _ulx3s("85f", ULX3S_85F_Platform),
        _ecp5(
            "icepi-zero", "CABGA256", IcepiZero1_3Platform, "openFPGALoader -b icepi-zero {}",
            oscillator_hz=50_000_000,
        ),
        _ecp5("icesugar-pro", "CABGA256", ICESugarProPlatform, "icesprog {}"),
        _orangecrab("25f", OrangeCrabR0_2_25FPlatform),
        _orangecrab("85f", OrangeCrabR0_2_85FPlatform),
        _ecp5(
            "colorlight-i5", "CABGA381", ColorlightI5Platform, "openFPGALoader -b colorlight-i5 {}"
        ),
        _ecp5(
            "colorlight-i9", "CABGA381", ColorlightI9Platform, "openFPGALoader -b colorlight-i9 {}"
        ),
        Board(
            "tang-nano-20k", BOARD_PARTS["tang-nano-20k"], "GW2AR-LV18QN88C8/I7", "8", TangNano20kPlatform, 27_000_000,
            no_pll, no_dividers, load="openFPGALoader -b tangnano20k {}", clock_hz=27_000_000,
        ),
        Board(
            "arty-a7-100", BOARD_PARTS["arty-a7-100"], "csg324", "1L", ArtyA7_100Platform, 100_000_000, xc7_pll,
            xc7_dividers,
        ),
    )
}  # fmt: skip


def find_board(name: str) -> Board:
    """The board of this name. Raises UserError, with the names of all boards, where there is none."""
    try:
        return BOARDS[name.strip().lower()]
    except KeyError:
        raise UserError(f"board {name} is not known; the boards are {', '.join(BOARDS)}") from None


def board_files(board: Board, design: Design, clock_hz: int) -> dict[str, str]:
    """What a toolchain needs around a design (of `SerialAccelerator`): the top module as top.il (RTLIL) and its
    constraints, top.lpf, top.cst or top.xdc with top.tcl; name to text."""
    platform = type(board.platform.__name__, (_RtlilTop, board.platform), {})()
    platform.add_resources(board.more)
    for name, text in ({f"{design.name}.v": design.verilog} | design.memories).items():
        platform.add_file(name, text)
    read = "\n".join(f"add_files {name}" for name in design.memories)
    plan = platform.prepare(BoardTop(board, design, clock_hz), TOP, script_after_read=read, emit_src=False)
    wanted = (f"{TOP}.il", f"{TOP}.lpf", f"{TOP}.cst", f"{TOP}.xdc", f"{TOP}.tcl")
    files = {name: plan.files[name] for name in wanted if name in plan.files}
    return {name: text if isinstance(text, str) else text.decode() for name, text in files.items()}


def request(platform, name: str, number: int):
    """All pins of a resource that has several, without buffers."""
    return platform.request(name, number, dir={part.name: "-" for part in platform.lookup(name, number).ios})


class _RtlilTop:
    """A platform whose top module is RTLIL, whatever its toolchain reads: Amaranth looks for a Yosys of its own to make
    Verilog, we have one."""

    @property
    def file_templates(self) -> dict[str, str]:
        templates = {name: text for name, text in super().file_templates.items() if not name.endswith(".v")}
        return templates | {"{{name}}.il": "# {{autogenerated}}\n{{emit_rtlil()}}"}


class BoardTop(Elaboratable):
    """The design on a board: its clock from the PLL, in reset until that is locked; serial line; LEDs.

    LEDs, from the first: the class in binary (four bits on a board with four LEDs, else six); on a board with eight
    LEDs then ``done`` and ``busy`` of the `SerialAccelerator`.

    Parameters
    ----------
    board : Board
        The board.
    design : Design
        Verilog of the `SerialAccelerator`.
    clock_hz : int
        Clock frequency of the design.
    """

    def __init__(self, board: Board, design: Design, clock_hz: int):
        self.board = board
        self.design = design
        self.clock_hz = clock_hz

    def elaborate(self, platform):
        m = Module()
        self.clocks(m, platform)
        ports = {port.name: port for port in self.design.ports}
        line = self.line(m, platform)
        index, done, busy = (Signal(ports[name].width if name in ports else 1) for name in ("index", "done", "busy"))
        outputs = {"o_index": index} if "index" in ports else {}
        m.submodules.lenet = Instance(
            self.design.name, i_clk=ClockSignal(), i_rst=ResetSignal(), i_rx=line["rx"], o_tx=line["tx"], o_done=done,
            o_busy=busy, **outputs,
        )  # fmt: skip
        for resource, number, pin in self.board.high:
            m.submodules[f"{resource}_{pin}"] = high = io.Buffer("o", getattr(request(platform, resource, number), pin))
            m.d.comb += high.o.eq(1)
        leds = self.leds(m, platform)
        m.d.comb += [led.eq(bit) for led, bit in zip(leds[:6], index, strict=False)]
        if len(leds) > 6:
            m.d.comb += [leds[6].eq(done), leds[7].eq(busy)]
        return m

    def clocks(self, m: Module, platform) -> None:
        """The domain ``sync`` and its reset."""
        m.domains.sync = ClockDomain()
        m.submodules.oscillator = oscillator = io.Buffer("i", platform.request(platform.default_clk, dir="-"))
        locked = self.board.pll(m, oscillator.i, self.board.oscillator_hz, ClockSignal(), self.clock_hz)
        reset = ~locked
        if platform.default_rst is not None:
            m.submodules.button = button = io.Buffer("i", platform.request(platform.default_rst, dir="-"))
            reset = reset | button.i
        m.submodules.reset = ResetSynchronizer(reset, domain="sync")

    def line(self, m: Module, platform) -> dict[str, Signal]:
        pins = request(platform, "uart", 0)
        m.submodules.rx = rx = io.Buffer("i", pins.rx)
        m.submodules.tx = tx = io.Buffer("o", pins.tx)
        to_host = Signal(init=1)
        m.d.comb += tx.o.eq(to_host)
        return {"rx": rx.i, "tx": to_host}

    def leds(self, m: Module, platform) -> list[Signal]:
        found = []
        with contextlib.suppress(ResourceError):  # there are no more
            for number in range(MOST_LEDS):
                buffer = io.Buffer("o", platform.request("led", number, dir="-"))
                m.submodules[f"led_{number}"] = buffer
                found.append(buffer.o)
        return found
