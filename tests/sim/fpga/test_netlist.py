"""After synthesis: what Yosys makes of a design for a device family gives the same values."""

import random
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.hw.common.weight_memory import WeightMemory
from fivebyfive.hw.conv.map_memory import MapMemory, StoredMaps
from fivebyfive.hw.generate import generate
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.fpga.netlist import find_family, synthesized
from fivebyfive.sim.simulate import simulate
from fivebyfive.sim.simulator.process import SimulationFailed
from fivebyfive.support.errors import UserError

SEED = 5
SIZES = {"channels": 3, "rows": 12, "columns": 12}

families = pytest.mark.parametrize("family", ["ecp5", pytest.param("xc7", marks=pytest.mark.full)])
on_verilator = pytest.mark.parametrize("simulator", ["verilator"], indirect=True)


def netlist(component, name: str, family: str) -> Design:
    return synthesized(to_verilog(component, name), family)[0]


def weights(width: int, depth: int, banks: list[int] | None = None) -> tuple[WeightMemory, dict]:
    """A weight memory and the parameters of its bench."""
    banks = banks or [depth]
    rng = random.Random(SEED)
    words = [rng.getrandbits(8 * width) for _ in range(depth)]
    parameters = {"width": width, "banks": banks, "words": [f"{word:x}" for word in words]}
    return WeightMemory(words, width, banks), parameters


def flipped(design: Design, before: str, digit: int) -> Design:
    """``design`` with one bit of the number behind the first ``before`` inverted, in its hexadecimal ``digit``."""
    assert before in design.verilog
    place = design.verilog.index(before) + len(before) + digit
    changed = f"{int(design.verilog[place], 16) ^ 1:x}"
    return replace(design, verilog=design.verilog[:place] + changed + design.verilog[place + 1 :])


@on_verilator
@families
@pytest.mark.parametrize(
    ("width", "depth"),
    [
        pytest.param(25, 300, marks=pytest.mark.full),
        (2, 1500),
        pytest.param(1, 5000, marks=pytest.mark.full),
    ],
)
def test_block_ram(bench, family, width, depth):
    """Words as they were at the start and as they are after loads, in several widths of a block."""
    memory, parameters = weights(width, depth)
    bench(netlist(memory, "weight_memory", family), "weight_memory", **parameters)


@on_verilator
@families
def test_multiplier(bench, family):
    design = netlist(DotProduct(3), "dot_product", family)
    assert design.verilog.count('.REG_OUTPUT_CLK("CLK0")') == (3 if family == "ecp5" else 0)
    bench(design, "dot_product", terms=3)


@on_verilator
@pytest.mark.parametrize("register", ["OUTREG", "NOREG"])
def test_registers_inside_block_ram(bench, register):
    """Words of several banks pass more registers; without those in the block they would come a cycle early."""
    memory, parameters = weights(2, 1836, [1024, 512, 300])
    design = netlist(memory, "weight_memory", "ecp5")
    assert '.REGMODE_B("OUTREG")' in design.verilog
    design = replace(design, verilog=design.verilog.replace("OUTREG", register))
    with nullcontext() if register == "OUTREG" else pytest.raises(SimulationFailed, match="failed with seed"):
        bench(design, "weight_memory", **parameters)


@on_verilator
@families
def test_distributed_ram(bench, family):
    bench(netlist(MapMemory([StoredMaps(**SIZES)]), "map_memory", family), "map_memory", maps=[SIZES])


@pytest.mark.parametrize(
    ("family", "config"),
    [
        pytest.param("ecp5", Config(), marks=[pytest.mark.slow, pytest.mark.full]),
        pytest.param("xc7", Config(packed=True), marks=[pytest.mark.slow, pytest.mark.full]),
        pytest.param("xc7", Config(), marks=[pytest.mark.slow, pytest.mark.full]),
    ],
    ids=str,
)
def test_network(family, config):
    """Every layer of a small network."""
    network = Checkpoint.random(LeNetShape(2, 2, (1,)), SEED)
    generated = generate(network, config)
    generated = replace(generated, design=synthesized(generated.design, family)[0])
    pixels = np.random.default_rng(SEED).integers(0, 256, (2, 28, 28), np.uint8)
    result = simulate(network, generated, pixels, seed=SEED)
    assert result.difference is None, str(result.difference)
    assert result.images == 2


@on_verilator
def test_a_wrong_word_is_noticed(bench):
    """One bit of a block RAM's contents."""
    memory, parameters = weights(2, 1500)
    broken = flipped(netlist(memory, "weight_memory", "ecp5"), ".INITVAL_00(320'h", -1 + 80)
    with pytest.raises(SimulationFailed, match="initial_contents"):
        bench(broken, "weight_memory", **parameters)


@on_verilator
def test_a_wrong_gate_is_noticed(bench):
    """One bit of a LUT."""
    broken = flipped(
        netlist(MapMemory([StoredMaps(**SIZES)]), "map_memory", "ecp5"), ".INIT(16'h", 0
    )  # of a LUT whose every input value occurs
    with pytest.raises(SimulationFailed, match="failed with seed"):
        bench(broken, "map_memory", maps=[SIZES])


@on_verilator
def test_what_the_models_lack_is_said(bench):
    memory, parameters = weights(2, 1500)
    design = netlist(memory, "weight_memory", "ecp5")
    other = replace(design, verilog=design.verilog.replace('.CSDECODE_A("0b000")', '.CSDECODE_A("0b001")'))
    with pytest.raises(
        SimulationFailed, match=r"the model of DP16KD has no output registers of 36 bits, .* chip selects"
    ):
        bench(other, "weight_memory", **parameters)


def test_unknown_family():
    with pytest.raises(UserError, match="no device family 'ice40' whose cells can be simulated; there is ecp5 and xc7"):
        find_family("ice40")
