"""Packed products after synthesis: the netlists that Yosys makes for xc7 and ECP5, with models of the DSP blocks."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.hw.codegen.yosys import run_yosys
from fivebyfive.hw.common.types import CODE, NATURAL
from fivebyfive.hw.products.packed_dot_product import PackedDotProduct
from fivebyfive.sim.fpga.netlist import synthesized
from fivebyfive.sim.fpga.synthesis import FAMILIES


def netlist(design: Design, folder: Path) -> Design:
    """``design`` as cells of the 7 series, with the models of the cells that come with Yosys."""
    design.write(folder)
    script = FAMILIES["xc7"].script(design.name)
    run_yosys([f"read_verilog {design.name}.v", *script, "write_verilog -noattr netlist.v"], folder)
    models = Path(importlib.util.find_spec("pyosys").origin).parent / "share" / "xilinx" / "cells_sim.v"
    return replace(design, verilog=(folder / "netlist.v").read_text() + models.read_text())


@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize(("terms", "natural"), [(3, False), (5, True)])
def test_bench_of_the_netlist(bench, tmp_path, terms, natural):
    """What Yosys put into DSP blocks (pairs, corrections, sums, registers) gives the golden model's sums."""
    design = to_verilog(PackedDotProduct(terms, NATURAL if natural else CODE), "packed_dot_product")
    bench(netlist(design, tmp_path), "dot_product", terms=terms, natural=natural)


@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize(("terms", "natural"), [(3, False), pytest.param(5, True, marks=pytest.mark.full)])
def test_bench_of_the_overlapped_netlist(bench, terms, natural):
    """A MULT18X18D for each pair, and LUTs that part it, give the golden model's sums."""
    dot = PackedDotProduct(terms, NATURAL if natural else CODE, "18x18")
    design, cells = synthesized(to_verilog(dot, "packed_dot_product"), "ecp5")
    assert cells["MULT18X18D"] == terms
    bench(design, "dot_product", terms=terms, natural=natural, dsp_size="18x18")
