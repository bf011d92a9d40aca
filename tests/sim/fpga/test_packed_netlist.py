"""Packed products after synthesis: the netlist that Yosys makes for xc7, with the DSP block's own model."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.hw.codegen.yosys import run_yosys
from fivebyfive.hw.common.packed_dot_product import PackedDotProduct
from fivebyfive.hw.common.types import CODE, NATURAL
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
