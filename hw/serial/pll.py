"""A clock of another frequency than the board's oscillator, from the part's phase-locked loop (PLL)."""

from dataclasses import dataclass

from amaranth.hdl import Const, Instance, Module, Signal

__all__ = ["Dividers", "ecp5_dividers", "ecp5_pll", "no_dividers", "no_pll", "xc7_dividers", "xc7_pll"]

MHZ = 1_000_000


@dataclass(frozen=True)
class Dividers:
    """Dividers of a PLL. Its oscillator runs at input / ``reference`` * ``feedback`` (times ``output`` where the
    feedback is behind the output's divider); the output is the oscillator / ``output``.
    """

    reference: int
    feedback: int
    output: int


def ecp5_dividers(input_hz: int, output_hz: int) -> Dividers:
    """For EHXPLLL, fed back from its output: oscillator 400 to 800 MHz, reference 3.125 MHz or more.

    Raises ValueError where the frequency cannot be made exactly.
    """
    for reference in range(1, max(1, 8 * input_hz // (25 * MHZ)) + 1):
        feedback, rest = divmod(output_hz * reference, input_hz)
        output = 600 * MHZ // output_hz if output_hz else 0  # the middle of its range
        if not rest and 1 <= feedback <= 80 and 1 <= output <= 128 and output_hz * output >= 400 * MHZ:
            return Dividers(reference, feedback, output)
    raise ValueError(cannot(input_hz, output_hz))


def xc7_dividers(input_hz: int, output_hz: int) -> Dividers:
    """For PLLE2_BASE: oscillator 800 to 1,600 MHz. Raises ValueError where the frequency cannot be made exactly."""
    for output in range(1, 129):
        feedback, rest = divmod(output_hz * output, input_hz)
        if not rest and 2 <= feedback <= 64 and 800 * MHZ <= output_hz * output <= 1600 * MHZ:
            return Dividers(1, feedback, output)
    raise ValueError(cannot(input_hz, output_hz))


def no_dividers(input_hz: int, output_hz: int) -> Dividers:
    """Without a PLL. Raises ValueError for another frequency than the oscillator's."""
    if output_hz != input_hz:
        raise ValueError(cannot(input_hz, output_hz))
    return Dividers(1, 1, 1)


def cannot(input_hz: int, output_hz: int) -> str:
    return f"a clock of {output_hz / MHZ:g} MHz cannot be made from {input_hz / MHZ:g} MHz; {input_hz / MHZ:g} MHz can"


def ecp5_pll(m: Module, clock: Signal, input_hz: int, output: Signal, output_hz: int) -> Signal:
    """Add an EHXPLLL that makes ``output`` from ``clock``; returns the signal that is asserted while it is locked."""
    divide = ecp5_dividers(input_hz, output_hz)
    locked = Signal()
    m.submodules.pll = Instance(
        "EHXPLLL",
        a_FREQUENCY_PIN_CLKI=f"{input_hz / MHZ:g}", a_FREQUENCY_PIN_CLKOP=f"{output_hz / MHZ:g}",
        a_ICP_CURRENT="12", a_LPF_RESISTOR="8", a_MFG_ENABLE_FILTEROPAMP="1", a_MFG_GMCREF_SEL="2",
        p_PLLRST_ENA="DISABLED", p_INTFB_WAKE="DISABLED", p_STDBY_ENABLE="DISABLED", p_DPHASE_SOURCE="DISABLED",
        p_OUTDIVIDER_MUXA="DIVA", p_OUTDIVIDER_MUXB="DIVB", p_OUTDIVIDER_MUXC="DIVC", p_OUTDIVIDER_MUXD="DIVD",
        p_CLKI_DIV=divide.reference, p_CLKFB_DIV=divide.feedback, p_FEEDBK_PATH="CLKOP",
        p_CLKOP_ENABLE="ENABLED", p_CLKOP_DIV=divide.output, p_CLKOP_CPHASE=divide.output - 1, p_CLKOP_FPHASE=0,
        i_CLKI=clock, i_CLKFB=output, i_RST=Const(0), i_STDBY=Const(0), i_PLLWAKESYNC=Const(0), i_ENCLKOP=Const(0),
        i_PHASESEL0=Const(0), i_PHASESEL1=Const(0), i_PHASEDIR=Const(1), i_PHASESTEP=Const(1), i_PHASELOADREG=Const(1),
        o_CLKOP=output, o_LOCK=locked,
    )  # fmt: skip
    return locked


def xc7_pll(m: Module, clock: Signal, input_hz: int, output: Signal, output_hz: int) -> Signal:
    """Add a PLLE2_BASE and a clock buffer that make ``output`` from ``clock``; returns the signal that is asserted
    while it is locked.
    """
    divide = xc7_dividers(input_hz, output_hz)
    locked, feedback, raw = Signal(), Signal(), Signal()
    m.submodules.pll = Instance(
        "PLLE2_BASE",
        p_CLKIN1_PERIOD=1e9 / input_hz, p_DIVCLK_DIVIDE=divide.reference, p_CLKFBOUT_MULT=divide.feedback,
        p_CLKOUT0_DIVIDE=divide.output,
        i_CLKIN1=clock, i_CLKFBIN=feedback, i_RST=Const(0), i_PWRDWN=Const(0),
        o_CLKFBOUT=feedback, o_CLKOUT0=raw, o_LOCKED=locked,
    )  # fmt: skip
    m.submodules.clock_buffer = Instance("BUFG", i_I=raw, o_O=output)
    return locked


def no_pll(m: Module, clock: Signal, input_hz: int, output: Signal, output_hz: int) -> Const:
    """The oscillator's clock as it is; always there."""
    m.d.comb += output.eq(clock)
    return Const(1)
