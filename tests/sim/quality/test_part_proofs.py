"""Mutants that only a part of a machine tells from the original: proved where the rest does not look."""

import re
from dataclasses import replace

import pytest

from fivebyfive.hw.codegen.verilog import Design, Port
from fivebyfive.hw.codegen.yosys import YosysError
from fivebyfive.sim.quality import equivalence, part_proofs
from fivebyfive.sim.quality.assumptions import Promise
from fivebyfive.sim.quality.equivalence import Prover
from fivebyfive.sim.quality.mutants import reading
from fivebyfive.sim.quality.part_proofs import PartProver, parents
from fivebyfive.sim.quality.renamed_words import RenamingProver


def ports(**widths: int) -> tuple[Port, ...]:
    return tuple(Port(name, "output" if name == "y" else "input", width, False) for name, width in widths.items())


def proved(make: type[PartProver], design: Design, mode: str, cell: str, port: str) -> bool:
    """Of a mutation of the first bit of a port of the only cell with such a name."""
    with Prover(design, reading(design.name)) as prover:
        (found,) = {
            (module.split()[0], one)
            for module in (prover.folder / "start.il").read_text().split("\nmodule \\")[1:]
            for one in re.findall(r"^  cell \S+ (\S+)$", module, re.M)
            if cell in one
        }
        where = f"-module {found[0]} -cell {found[1]} -port {port} -portbit 0"
        return make(prover).equivalent(f"mutate -mode {mode} {where}")


MACHINE = """
module gated(clk, rst, step, count, o__payload, o__valid);
  input clk, rst, step;
  input [1:0] count;
  output reg o__valid = 0;
  reg [1:0] held = 0;
  output [1:0] o__payload;
  assign o__payload = held & {2{o__valid}};
  always @(posedge clk) o__valid <= step;
  always @(posedge clk) held <= count;
endmodule
module machine(clk, rst, step, count, y);
  input clk, rst, step;
  input [1:0] count;
  output reg [1:0] y = 0;
  wire valid;
  wire [1:0] payload;
  gated gated(.clk(clk), .rst(rst), .step(GIVEN), .count(count), .o__payload(payload), .o__valid(valid));
  always @(posedge clk) y <= rst ? 2'd0 : USED;
endmodule
"""


def machine(given: str, used: str) -> Design:
    verilog = MACHINE.replace("GIVEN", given).replace("USED", used)
    return Design("machine", verilog, {}, ports(clk=1, rst=1, step=1, count=2, y=2))


@pytest.mark.parametrize(("used", "found"), [("valid ? payload : y", True), ("payload ^ y", False)])
def test_a_payload_counts_while_it_is_valid(used: str, found: bool) -> None:
    """The rest is asked whether it looks at one that is not valid."""
    assert proved(PartProver, machine("step", used), "const1", "$and", "B") == found
    assert not proved(PartProver, machine("step", used), "const0", "$and", "B")


@pytest.mark.parametrize("found", [True, False])
def test_a_promise_is_proved(monkeypatch, found: bool) -> None:
    """A part whose mutant is the same while ``step`` is high, which the machine promises; it is kept in one of two."""
    monkeypatch.setitem(
        part_proofs.PROMISES, "gated", Promise(("reg now = 0;", "always @(posedge clk) now <= 1;"), "step")
    )
    design = machine("1'b1" if found else "step", "valid ? payload : y")
    verilog = design.verilog.replace("held & {2{o__valid}}", "held & {2{o__valid & step}}")
    assert proved(PartProver, replace(design, verilog=verilog), "const1", "$and$machine.v:8$1", "B") == found


MEMORY = """
module machine(clk, address, data, write, read, y);
  input clk, write, read;
  input [1:0] address, data;
  output reg [1:0] y = 0;
  reg [1:0] words [3:0];
  reg [1:0] there = 0;
  reg reads = 0;
  wire [1:0] place = address + 2'd1;
  wire [1:0] from = read ? FROM : 2'd0;
  always @(posedge clk) if (write) words[place] <= data;
  always @(posedge clk) {reads, there} <= {read, words[from]};
  always @(posedge clk) y <= USED;
endmodule
"""


def memory(place: str = "place", used: str = "there & {2{reads}}") -> Design:
    verilog = MEMORY.replace("FROM", place).replace("USED", used)
    return Design("machine", verilog, {}, ports(clk=1, address=2, data=2, write=1, read=1, y=2))


@pytest.mark.parametrize(("used", "found"), [("there & {2{reads}}", True), ("there", False)])
def test_what_nobody_uses_may_be_read_anywhere(monkeypatch, used: str, found: bool) -> None:
    """Of a memory that is cut out."""
    monkeypatch.setattr(equivalence, "MOST_BITS", 0)
    assert proved(PartProver, memory(used=used), "const1", "$ternary", "A") == found
    assert not proved(PartProver, memory(used=used), "const1", "$ternary", "B")


@pytest.mark.parametrize(("place", "found"), [("place", True), ("address", False)])
def test_words_in_other_places(monkeypatch, place: str, found: bool) -> None:
    """Where all accesses get the changed address, and the memory begins empty."""
    monkeypatch.setattr(equivalence, "MOST_BITS", 0)
    assert not proved(PartProver, memory(place), "inv", "$add", "Y")
    assert proved(RenamingProver, memory(place), "inv", "$add", "Y") == found
    full = memory(place)
    begun = full.verilog.replace("reads = 0;", "reads = 0; initial words[0] = 1;")
    assert not proved(RenamingProver, replace(full, verilog=begun), "inv", "$add", "Y")


def test_which_modules_are_in_which() -> None:
    with Prover(machine("step", "payload"), reading("machine")) as prover:
        assert parents((prover.folder / "start.il").read_text()) == {"gated": {"machine"}}


def test_a_loop_is_no_machine() -> None:
    """A mutation may not be proved where the mutant has a combinational loop."""
    verilog = "module machine(x, y); input x; output y; wire w = y & x; assign y = w | x; endmodule\n"
    with Prover(Design("machine", verilog, {}, ports(x=1, y=1)), ["read_verilog machine.v", "proc"]) as prover:
        with pytest.raises(YosysError):
            PartProver(prover).has_no_loop("stat")
