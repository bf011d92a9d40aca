"""Yosys takes the shipped network for both families: weights in block RAM, every product in a DSP block."""

import pytest

from fivebyfive.hw.generate import generate
from fivebyfive.hw.packed_dot_product import PackedDotProduct
from fivebyfive.hw.types import CODE, NATURAL
from fivebyfive.hw.verilog import to_verilog
from fivebyfive.model.checkpoint import load_checkpoint
from fivebyfive.sim.synthesis import synthesize

PRODUCTS = 25 + 20


@pytest.mark.parametrize(("terms", "pair", "adders"), [(10, CODE, 4), (25, NATURAL, 12)], ids=["fc", "conv"])
def test_packed_products(terms, pair, adders):
    """A DSP block for two products; it makes their pair, corrects them and sums them two by two: LUTs have nothing but
    the adders of the other levels, of 14 bits, two times."""
    area = synthesize(to_verilog(PackedDotProduct(terms, pair), "sums"), "xc7")
    assert area.dsp == terms
    assert area.lut == 2 * 14 * adders


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "weights_bram", "part_bram"),
    [("xc7", 95, 140), ("ecp5", 190, 208)],  # RAMB36E1 of a 7Z020, DP16KD of an LFE5U-85F
)
def test_shipped_network(family, weights_bram, part_bram):
    """Exact counts of what matters; the weights alone take 95 RAMB36E1 or 190 DP16KD."""
    area = synthesize(generate(load_checkpoint()).design, family)
    assert area.dsp == PRODUCTS
    assert weights_bram <= area.bram <= part_bram
    # 20,276 x 160 and 1,023 x 200 bits of weights in LUTs would take over 50,000 of them.
    # An ECP5 needs six LUTs for 16 x 4 bits of RAM.
    assert area.lutram < {"xc7": 1_500, "ecp5": 4_000}[family]
    assert area.lut <= {"xc7": 3_500, "ecp5": 7_000}[family]
