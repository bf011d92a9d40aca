"""Verilog around a design, for synthesis and for place and route.

`core_verilog` is a wrapper whose ports are the design's, less the ones that stay open in use: the area that is stated
is the core's. `harness_verilog` has four pins and drives every bit of the core: a part has some 200 pins, the core
several hundred port bits.
"""

from collections.abc import Sequence

from fivebyfive.hw.codegen.verilog import Design, Port

__all__ = ["CORE", "HARNESS", "OPEN", "core_verilog", "harness_verilog"]

CORE = "fivebyfive_core"
HARNESS = "fivebyfive_harness"
OPEN = ("conv_tap", "fc_tap")  # for the benches only: open in use, and the logic that makes them goes
CLOCKING = ("clk", "rst")


def core_verilog(design: Design, open_ports: Sequence[str] = OPEN) -> str:
    """A module `CORE` that is the design with ``open_ports`` left open."""
    kept = [port for port in design.ports if port.name not in open_ports]
    ports = ",\n".join(f"  {port.direction} {_range(port.width)}{port.name}" for port in kept)
    pins = [f".{port.name}({port.name})" for port in kept]
    pins += [f".{port.name}()" for port in design.ports if port.name in open_ports]
    return f"module {CORE}(\n{ports}\n);\n  {design.name} core ({', '.join(pins)});\nendmodule\n"


def harness_verilog(design: Design, open_ports: Sequence[str] = OPEN) -> str:
    """A module `HARNESS` with the pins clk, rst, si, so, around a black box `CORE`.

    Every input of the core is a bit of a shift register that ``si`` feeds. Every output goes into a register of its
    own, and from there, by exclusive or, into a second shift register that ends in ``so``: no path of the harness is
    longer than one gate, and nothing in the core is without effect.
    """
    kept = [port for port in design.ports if port.name not in open_ports]
    inputs = [port for port in kept if port.direction == "input" and port.name not in CLOCKING]
    outputs = [port for port in kept if port.direction == "output"]
    names = {port.name for port in kept}
    stub = ", ".join(f"{port.direction} {_range(port.width)}{port.name}" for port in kept)
    pins = [*(f".{name}({value})" for name, value in (("clk", "clk"), ("rst", "reset")) if name in names)]
    pins += _slices(inputs, "in") + _slices(outputs, "out")
    wide, deep = max(1, _bits(inputs)), max(1, _bits(outputs))
    return f"""\
(* blackbox *) module {CORE}({stub}); endmodule

module {HARNESS}(input clk, input rst, input si, output so);
  reg reset;
  reg {_range(wide)}in;
  wire {_range(deep)}out;
  reg {_range(deep)}captured;
  reg {_range(deep)}folded;
  always @(posedge clk) begin
    reset <= rst;
    in <= {{in, si}};
    captured <= out;
    folded <= {{folded, 1'b0}} ^ captured;
  end
  assign so = folded[{deep - 1}];
  {CORE} core ({", ".join(pins)});
endmodule
"""


def _range(width: int) -> str:
    return f"[{width - 1}:0] "


def _bits(ports: Sequence[Port]) -> int:
    return sum(port.width for port in ports)


def _slices(ports: Sequence[Port], bus: str) -> list[str]:
    """Connections of ports to one bit of ``bus`` after another."""
    pins, low = [], 0
    for port in ports:
        pins.append(f".{port.name}({bus}[{low + port.width - 1}:{low}])")
        low += port.width
    return pins
