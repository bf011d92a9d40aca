"""Yosys takes networks for both families: weights in block RAM, every product in a DSP block."""

from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.hw.codegen.yosys import run_yosys
from fivebyfive.hw.common.narrow_weight_memory import NarrowWeightMemory
from fivebyfive.hw.common.types import CODE, NATURAL
from fivebyfive.hw.conv.sweep_list import SweepList
from fivebyfive.hw.fc.bank_weight_memory import BankWeightMemory
from fivebyfive.hw.generate import generate
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.hw.products.packed_dot_product import PackedDotProduct
from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint
from fivebyfive.model.machine.sizing import Size
from fivebyfive.model.machine.weight_form import WeightForm
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.fpga.synthesis import count_cells, synthesize, synthesize_core

PRODUCTS = 25 + 20
DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(("terms", "pair", "adders"), [(10, CODE, 4), (25, NATURAL, 12)], ids=["fc", "conv"])
def test_packed_products(terms, pair, adders):
    """A DSP block for two products; it makes their pair, corrects them and sums them two by two: LUTs have nothing but
    the adders of the other levels, of 14 bits, two times."""
    area = synthesize(to_verilog(PackedDotProduct(terms, pair), "sums"), "xc7")
    assert area.dsp == terms
    assert area.lut == 2 * 14 * adders


@pytest.mark.parametrize(
    ("terms", "pair", "more"),
    [pytest.param(10, CODE, 38, marks=pytest.mark.full), pytest.param(25, NATURAL, 29, marks=pytest.mark.full)],
    ids=["fc", "conv"],
)
def test_overlapped_products(terms, pair, more):
    """A DSP block of ECP5 for two products; LUTs part them, so many a pair, and make the adders of both trees."""
    area = synthesize(to_verilog(PackedDotProduct(terms, pair, "18x18"), "sums"), "ecp5")
    assert area.dsp == terms
    assert area.lut <= 2 * 14 * (terms - 1) + more * terms


@pytest.mark.full
@pytest.mark.parametrize("command", ["synth_nexus -top sums", "synth_gowin -top sums -family gw2a"])
def test_overlapped_products_of_other_families(command, tmp_path):
    """Nexus and Gowin have such multipliers, too."""
    to_verilog(PackedDotProduct(3, CODE, "18x18"), "sums").write(tmp_path)
    run_yosys(["read_verilog sums.v", command, "tee -o cells.json stat -json"], tmp_path)
    assert count_cells((tmp_path / "cells.json").read_text(), "sums")["MULT18X18"] == 3


def test_multipliers_of_gowin():
    """Of 9x9 bits for codes; one of 18x18 takes the place of two."""
    assert synthesize(to_verilog(DotProduct(3), "sums"), "gowin").dsp == 3
    assert synthesize(to_verilog(PackedDotProduct(3, CODE, "18x18"), "sums"), "gowin").dsp == 6


@pytest.mark.slow
@pytest.mark.full  # a minute each
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("pes", [1, 4])
def test_the_shipped_network_packed_for_ecp5(pes, packed):
    """The rows of docs/arithmetic.md."""
    checkpoint = load_checkpoint()
    config = Size(pes, packed=packed).config(checkpoint, "ecp5")
    area = synthesize_core(generate(checkpoint, config).design, "ecp5")
    options = f"--conv-pes {pes}{' --packed' * packed}"
    row = f"| `{options}` | {25 * pes} + 20 | {area.dsp} | {area.lut:,} | {area.ff:,} |"
    assert row in (DOCS / "arithmetic.md").read_text()


@pytest.mark.slow
@pytest.mark.full  # a minute each
@pytest.mark.parametrize("family", ["xc7", "ecp5"])
@pytest.mark.parametrize(
    "options", [{}, {"packed": True}, {"winograd": True}, {"winograd": True, "packed": True}], ids=str
)
def test_winograd_beside_direct_and_packed_pes(options, family):
    """The rows of docs/arithmetic.md."""
    checkpoint = load_checkpoint()
    config = Size(4, **options).config(checkpoint, family)
    area = synthesize_core(generate(checkpoint, config).design, family)
    words = " ".join([*(["--conv-pes 4"] if "winograd" not in options else []), *(f"--{name}" for name in options)])
    figures = f"{area.dsp} | {area.lut:,} | {area.ff:,} | {area.bram:g}"
    row = f"| `{words}` | {family} | {config.conv_multipliers} + 20 | {figures} |"
    assert row in (DOCS / "arithmetic.md").read_text()


@pytest.mark.parametrize(
    ("memory", "blocks"),
    [
        (BankWeightMemory([0] * 525, 1, 40, 25), 4),  # fc1 of 20-50-500-10 with a weight a lane; dense it takes 88
        (NarrowWeightMemory([0] * 5000, 20, 1, WeightForm("signs", ((-1, 1),)), [4096, 904]), 3.5),
    ],
    ids=["banks", "signs"],
)
def test_block_ram_of_weights(memory, blocks):
    """In RAMB36, of weights that are stored otherwise."""
    assert synthesize(to_verilog(memory, "weights"), "xc7").bram == blocks


@pytest.mark.parametrize("family", [pytest.param("xc7", marks=pytest.mark.full), "ecp5"])
def test_sweeps_take_no_block_ram(family):
    """A read-only memory: a style that it is not mapped to ends the synthesis."""
    area = synthesize(to_verilog(SweepList([n * 7 % 20 for n in range(182)], 5), "sweeps"), family)
    assert (area.bram, area.lutram) == (0, 0)


class NeverLoaded(wiring.Component):
    """Both kinds of memory that store biases by themselves, as a board has them: no word is ever replaced."""

    weights: Out(40)
    biases: Out(8)
    codes: Out(20 * 8)

    def elaborate(self, platform):
        m = Module()
        words = [n * 2654435761**6 % 2**160 for n in range(1, 300)]
        m.submodules.banked = banked = BankWeightMemory(words, 1, 40, 25)
        m.submodules.narrow = narrow = NarrowWeightMemory(words, 20, 25, WeightForm("signs", ((-1, 1),)))
        count = Signal(9)
        m.d.sync += count.eq(count + 1)
        m.d.comb += [banked.address.eq(count), banked.bias_address.eq(count), narrow.address.eq(count)]
        m.d.comb += [self.weights.eq(banked.data), self.biases.eq(banked.bias), self.codes.eq(narrow.data)]
        return m


@pytest.mark.parametrize("family", [pytest.param("xc7", marks=pytest.mark.full), "ecp5"])
def test_memories_that_nobody_loads(family):
    """Their biases, else in LUT RAM, are ROMs then, which no LUT RAM maps."""
    area = synthesize(to_verilog(NeverLoaded(), "never_loaded"), family)
    assert area.lutram == 0
    assert set(area.memories) == {"banked.store", "narrow.numbers"}


@pytest.mark.slow
@pytest.mark.full  # two minutes, of which Yosys reads the weights in one; `test_network` has the same counts
def test_shipped_network():
    """Exact counts of what matters; the weights alone take 95 RAMB36E1 (a 7Z020 has 140)."""
    area = synthesize(generate(load_checkpoint()).design, "xc7")
    assert area.dsp == PRODUCTS
    assert 95 <= area.bram <= 140
    # 20,276 x 160 and 1,023 x 200 bits of weights in LUTs would take over 50,000 of them.
    assert area.lutram < 1_500
    assert area.lut <= 3_500


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "bram", "most_lutram", "most_lut"),
    [
        pytest.param("ecp5", 32, 4_000, 7_000, marks=pytest.mark.full),  # six LUTs for 16 x 4 bits of RAM
        pytest.param("xc7", 16, 1_500, 3_500, marks=pytest.mark.full),
    ],
)
def test_network(family, bram, most_lutram, most_lut):
    """A smaller network for both families. Every test run synthesizes a core for the 7 series (tests/hw/axi) and a
    board's design for ECP5 (test_bitstream.py); `make verify-netlist` has the shipped network."""
    area = synthesize(generate(Checkpoint.random(LeNetShape(6, 16, (120, 84, 10)), 1)).design, family)
    assert (area.dsp, area.bram) == (PRODUCTS, bram)
    assert area.lutram < most_lutram
    assert area.lut <= most_lut
