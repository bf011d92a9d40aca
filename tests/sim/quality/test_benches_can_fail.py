"""A bench that cannot fail proves nothing: each must reject its component with one thing broken.

The break is made around or in the generated Verilog: an output that is wrong now and then, one that is late, a reset
that does nothing.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.sim.quality.small_machines import (
    SMALL_MACHINES,
    accelerator,
    axi_core,
    bank_fc_engine,
    bank_weight_memory,
    bench_of,
    cascade,
    conv_engine,
    fc_engine,
    narrow_weight_memory,
    serial_accelerator,
    skipping_conv_engine,
    sparse_fc_engine,
    weight_memory,
)
from fivebyfive.sim.simulator.runner import SimulationFailed, build, run

# The output that is broken, where it is not the stream `o`.
OUTPUTS = {
    "line_buffer": "patch", "weight_memory": "data", "activation_memory": "data", "conv_controller": "go",
    "fc_controller": "command", "counters": "cycles", "uart_receiver": "o_valid", "uart_transmitter": "tx",
    "deframer": "valid", "serial_accelerator": "tx", "sweep_list": "entry", "narrow_weight_memory": "data",
    "bank_weight_memory": "data", "bank_activation_memory": "data", "bank_fc_controller": "address",
}  # fmt: skip


def wrap(design, signal: str, statement: str):
    """``design`` inside a top module of the same name and ports, in which ``signal`` is what ``statement`` says."""
    inner = f"{design.name}_inner"
    verilog = re.sub(rf"^module {design.name}\(", f"module {inner}(", design.verilog, flags=re.M)
    lines = [f"module {design.name}({', '.join(port.name for port in design.ports)});"]
    for port in design.ports:
        size = f"[{port.width - 1}:0] " if port.width > 1 else ""
        lines += [f"  {port.direction} {size}{port.name};"]
        lines += [f"  wire {size}inner_{port.name};"] if port.name == signal else []
    inside = [(p.name, f"inner_{p.name}" if p.name == signal else p.name) for p in design.ports]
    lines += [f"  {inner} inner({', '.join(f'.{name}({wire})' for name, wire in inside)});"]
    width = next(port.width for port in design.ports if port.name == signal)
    lines += [f"  reg [{width - 1}:0] late = 0;", f"  always @(posedge clk) late <= inner_{signal};"]
    lines += ["  reg [5:0] rare = 0;", "  always @(posedge clk) rare <= rare + 1'b1;"]
    lines += [f"  assign {signal} = {statement};", "endmodule", ""]
    return replace(design, verilog=verilog + "\n".join(lines))


BREAKS = ("a bit is wrong", "a cycle late", "reset does nothing")
MEMORIES = (weight_memory, narrow_weight_memory, bank_weight_memory)
LONG = (
    accelerator, cascade, serial_accelerator, conv_engine, skipping_conv_engine, fc_engine,
    bank_fc_engine, sparse_fc_engine,
)  # fmt: skip


def in_full(make: Callable, broken: str) -> bool:
    """A bench that sees a wrong bit compares in every cycle, and a late value is wrong in most of them. Of components a
    wrong bit or a reset in turn; what is joined of parts, and what has no state to mend, has a wrong bit."""
    bit_only = make in LONG or make in MEMORIES or SMALL_MACHINES.index(make) % 2
    return broken != ("a bit is wrong" if bit_only else "reset does nothing")


CASES = [
    pytest.param(
        make, broken, id=f"{make.__name__}-{broken}", marks=[pytest.mark.full] if in_full(make, broken) else []
    )
    for make in SMALL_MACHINES
    for broken in BREAKS
    if make is not axi_core  # test_axi breaks its ports one by one
    if make not in MEMORIES or broken != "reset does nothing"  # they have no state that a reset could mend
    if (make, broken) != (serial_accelerator, "a cycle late")  # the line has no clock
]


@cache
def whole(make: Callable) -> tuple[Design, dict]:
    """A small machine with nothing broken, and the parameters of its bench."""
    component, given = make()
    return to_verilog(component, make.__name__), given


@pytest.mark.parametrize(("make", "broken"), CASES)
def test_broken_component_is_rejected(make, broken, tmp_path, icarus_or_verilator):
    simulator = "verilator" if make in LONG else icarus_or_verilator
    name = make.__name__
    design, given = whole(make)
    signal = OUTPUTS.get(name, "o__payload")
    assert signal in {port.name for port in design.ports}, f"OUTPUTS must have an output of {name}"
    if broken == "a bit is wrong":
        # Once in a while only: the lowest bit, in one of 64 cycles.
        design = wrap(design, signal, f"inner_{signal} ^ &rare")
    elif broken == "a cycle late":
        design = wrap(design, signal, "late")
    else:
        assert "if (rst) begin" in design.verilog
        design = replace(design, verilog=design.verilog.replace("if (rst) begin", "if (1'b0) begin"))
    design.write(tmp_path)
    built = build(design, simulator)
    # The whole accelerator takes long to reach its resets.
    tests = ("resets",) if (name, broken) == ("accelerator", "reset does nothing") else ()
    with pytest.raises(SimulationFailed, match="failed with seed"):
        run(built, bench_of(make), tmp_path, parameters=given, tests=tests, timeout_s=300, seed=1, failures=1)
