"""What proofs assume of a component's surroundings: its bench, and a machine in which it is used, keep to it."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import pytest

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.hw.conv.conv_engine import ConvEngine
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import written
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.sim.quality.assumptions import ASSUMED, STATE, whole_maps
from fivebyfive.sim.quality.small_machines import SMALL_MACHINES, bank_fc_engine, bench_of, fc_engine, sparse_fc_engine
from fivebyfive.sim.simulator.runner import SimulationFailed, build, run

SEED = 5
POOLED = Network(
    (1, 13, 11),
    (
        Layer("c1", "conv", 2, 3, then=(Pool("max", 3, 2), "relu")),
        Layer("c2", "conv", 3, 2),
        Layer("c3", "conv", 2, 2, then=(Pool("average", 2, 2), "relu")),
    ),
)


def watch(design: Design, module: str, registers: Sequence[str], condition: str) -> Design:
    """``design`` that says so, and stops, in the first cycle in which a condition on a module's ports does not hold."""
    begin = design.verilog.index(f"\nmodule {module}(")
    end = design.verilog.index("\nendmodule", begin)
    said = f'$display("fivebyfive: {module} is not used as assumed"); $finish;'
    lines = ["", "generate if (1) begin : assumed", *registers]
    lines += [f"always @(posedge clk) if (!({condition})) begin {said} end", "end endgenerate"]
    return replace(design, verilog=design.verilog[:end] + "\n".join(lines) + design.verilog[end:])


ENGINES = (fc_engine, bank_fc_engine, sparse_fc_engine)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=make.__name__, marks=[pytest.mark.full] if make in ENGINES else [])
        for make in SMALL_MACHINES
        if make.__name__ in ASSUMED
    ],
)
def test_benches_keep_to_what_is_assumed(tmp_path, make):
    component, given = make()
    name = make.__name__
    design = watch(to_verilog(component, name), name, STATE.get(name, []), ASSUMED[name])
    design.write(tmp_path)
    run(build(design, "verilator"), bench_of(make), tmp_path, parameters=given, seed=SEED)


@pytest.mark.parametrize("wrong", [False, True])
def test_pooling_gets_whole_maps(tmp_path, wrong):
    """Where a row too many is assumed, another map comes in the middle of one: that is noticed."""
    config = Config(kernel=3)
    checkpoint = Checkpoint.random(POOLED, SEED)
    words = [int.from_bytes(word.tobytes(), "little") for word in pack(checkpoint, config).conv]
    engine = ConvEngine(POOLED, config, words)
    maps = map(engine.pooled_map, engine.layers)
    sizes = [(one.rows + wrong, one.columns) for one in maps]
    assert len(set(sizes)) == 3
    design = watch(to_verilog(engine, "conv_engine"), "conv_engine_pooling", *whole_maps(sizes))
    design.write(tmp_path)
    built = build(design, "verilator")
    given = {"network": written(POOLED), "config": asdict(config), "seed": SEED}
    tests = ("image_behind_image", "slow_pixels", "resets")
    if wrong:
        with pytest.raises(SimulationFailed, match="conv_engine_pooling is not used as assumed"):
            run(built, "fivebyfive.sim.benches.conv.conv_engine", tmp_path, parameters=given, tests=tests, seed=SEED)
    else:
        run(built, "fivebyfive.sim.benches.conv.conv_engine", tmp_path, parameters=given, tests=tests, seed=SEED)
