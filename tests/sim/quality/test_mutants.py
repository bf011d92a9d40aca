"""Mutants: a bench notices what it can observe, and a proof is found for what nobody can."""

import re

import pytest

from fivebyfive.hw.codegen.verilog import Design, Port, to_verilog
from fivebyfive.sim.quality import equivalence
from fivebyfive.sim.quality.mutant_runs import try_mutants
from fivebyfive.sim.quality.mutants import mutate, mutate_machine
from fivebyfive.sim.quality.small_machines import argmax, bench_of, dot_product
from fivebyfive.sim.simulator.process import SimulationFailed


def test_a_bench_notices_mutants() -> None:
    report = []
    mutated, given = mutate_machine(argmax, 12, 1)
    tried = try_mutants(mutated, bench_of(argmax), given, numbers=(1, 5, 9), on_tried=report.append)
    assert report == tried
    assert [one.mutant for one in tried] == [mutated.mutants[number - 1] for number in (1, 5, 9)]
    assert all(one.noticed and "failed with seed" in one.said for one in tried)


REDUNDANT = """
module redundant(clk, a, b, y);
  input clk, a, b;
  output reg y;
  always @(posedge clk) y <= b | (a & b);
endmodule
"""


def test_a_proof_is_found_for_what_nobody_can_observe() -> None:
    ports = tuple(Port(name, "output" if name == "y" else "input", 1, False) for name in ("clk", "a", "b", "y"))
    mutated = mutate(Design("redundant", REDUNDANT, {}, ports), 100, 1)
    cell = next(found[1] for one in mutated.mutants if (found := re.search(r"-cell (\S*\$and\S*)", one.command)))

    def proved(mode: str, port: str) -> bool:
        change = f"mutate -mode {mode} -module redundant -cell {cell} -port {port} -portbit 0"
        with equivalence.Prover(mutated.original, mutated.read) as prover:
            return prover.equivalent(change)

    assert proved("const0", "A")
    assert proved("inv", "A")
    assert proved("const0", "Y")
    assert not proved("const1", "Y")
    assert not proved("const1", "B")


UNREAD = """
module inner(clk, a, seen, y);
  input clk, a;
  output reg [2:0] seen = 3'd0;
  output reg y = 1'd0;
  always @(posedge clk) begin seen <= {seen[1:0], a}; y <= seen[0]; end
endmodule
module unread(clk, a, y);
  input clk, a;
  output y;
  wire [2:0] seen;
  inner inner(.clk(clk), .a(a), .seen(seen), .y(y));
endmodule
"""


def test_a_register_with_an_initial_value_that_nobody_reads() -> None:
    """Yosys gave up where a cell, not the register, drove a bit that has an initial value, and the proof was lost."""
    ports = tuple(Port(name, "output" if name == "y" else "input", 1, False) for name in ("clk", "a", "y"))
    mutated = mutate(Design("unread", UNREAD, {}, ports), 100, 1)
    cell = next(
        found[1] for one in mutated.mutants if (found := re.search(r"-cell (\S*) -port Q .*-wire seen", one.command))
    )

    def proved(bit: int) -> bool:
        change = (
            f"mutate -mode cnot1 -module inner -cell {cell} -port Q -portbit {bit} -ctrlbit 0 -wire seen -wirebit {bit}"
        )
        with equivalence.Prover(mutated.original, mutated.read) as prover:
            return prover.equivalent(change)

    assert proved(2)
    assert not proved(0)


def test_the_same_seed_gives_the_same_mutants() -> None:
    design = to_verilog(dot_product()[0], "dot_product")
    first, again, other = (mutate(design, 5, seed) for seed in (3, 3, 4))
    assert [str(mutant) for mutant in first.mutants] == [str(mutant) for mutant in again.mutants]
    assert first.mutants != other.mutants
    assert first.design == again.design
    assert first.design.ports == design.ports  # the selector is no port: benches are the same


def test_a_bench_that_fails_by_itself_says_so() -> None:
    """Otherwise it would notice every mutant."""

    mutated, _ = mutate_machine(dot_product, 2, 1)
    with pytest.raises(SimulationFailed, match="dot_product fails without a mutant"):
        try_mutants(mutated, bench_of(dot_product), {"terms": 6})


KEPT = """
module kept(clk, write, address, data, y);
  input clk, write;
  input [1:0] address, data;
  output [1:0] y;
  reg [1:0] words [3:0];
  wire [1:0] twice = data | (data & address);
  always @(posedge clk) if (write) words[address] <= twice;
  assign y = words[address];
endmodule
"""
KEPT_PORTS = tuple(
    Port(name, "output" if name == "y" else "input", width, False)
    for name, width in (("clk", 1), ("write", 1), ("address", 2), ("data", 2), ("y", 2))
)


def test_proofs_with_the_memories_cut_out(monkeypatch) -> None:
    """With nothing but the cut."""
    monkeypatch.setattr(equivalence, "MOST_BITS", 0)
    mutated = mutate(Design("kept", KEPT, {}, KEPT_PORTS), 100, 1)
    cells = {found[1] for one in mutated.mutants if (found := re.search(r"-cell (\S*\$\S*)", one.command))}

    def proved(mode: str, kind: str, port: str) -> bool:
        (cell,) = (cell for cell in cells if kind in cell)
        change = f"mutate -mode {mode} -module kept -cell {cell} -port {port} -portbit 0"
        with equivalence.Prover(mutated.original, mutated.read) as prover:
            return prover.equivalent(change)

    assert proved("const0", "$and", "B")
    assert not proved("const0", "$or", "A")
    assert not proved("inv", "proc_memwr", "DATA")
    assert not proved("const1", "proc_memwr", "EN")
    assert not proved("inv", "memrd", "ADDR")


@pytest.mark.parametrize(
    ("written", "named", "proved"),
    [("data & 127", "words", True), ("data & 127", "other", False), ("data", "words", False)],
)
def test_codes_that_are_never_negative(monkeypatch, written: str, named: str, proved: bool) -> None:
    """A memory never reads as what was never written, and one more zero where there are only zeros changes nothing;
    that there are is proved, not believed."""
    monkeypatch.setattr(equivalence, "MOST_BITS", 0)
    monkeypatch.setitem(equivalence.NOT_NEGATIVE, "kept", (named,))
    verilog = KEPT.replace("twice;", f"{written};").replace("[1:0] address, data", "[1:0] address; input [7:0] data")
    verilog = verilog.replace("[1:0] y", "[7:0] y").replace("[1:0] words", "[7:0] words")
    wide = {"data": 8, "y": 8}
    ports = tuple(Port(port.name, port.direction, wide.get(port.name, port.width), False) for port in KEPT_PORTS)
    mutated = mutate(Design("kept", verilog, {}, ports), 100, 1)
    cells = {found[1] for one in mutated.mutants if (found := re.search(r"-cell (\S*\$\S*)", one.command))}
    for mode, kind, port in ("const0", "memrd", "DATA"), ("const1", "proc_memwr", "EN"):
        (cell,) = (cell for cell in cells if kind in cell)
        change = f"mutate -mode {mode} -module kept -cell {cell} -port {port} -portbit"
        with equivalence.Prover(mutated.original, mutated.read) as prover:
            assert prover.equivalent(f"{change} 7") == proved
            assert not prover.equivalent(f"{change} 6")


def test_nothing_that_a_bench_notices_is_proved() -> None:
    mutated, given = mutate_machine(argmax, 12, 1)
    tried = try_mutants(mutated, bench_of(argmax), given, range(1, 7))
    with equivalence.Prover(mutated.original, mutated.read) as prover:
        assert not any(prover.equivalent(one.mutant.change) for one in tried if one.noticed)
