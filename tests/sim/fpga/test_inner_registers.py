"""Flip-flops move into multipliers where they can, and only there."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.sim.fpga.harness import HARNESS
from fivebyfive.sim.fpga.inner_registers import Moved, move_registers
from fivebyfive.sim.fpga.synthesis import synthesize_core

CLOCK, X, W, P, Q = 2, (10, 11), (20, 21), (30, 31), (40, 41)
FF = {"CLKMUX": "CLK", "REGSET": "RESET", "CEMUX": "1 "}


def register(data: int, output: int) -> dict:
    return {
        "type": "TRELLIS_FF",
        "parameters": dict(FF),
        "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "Q": "output"},
        "connections": {"CLK": [CLOCK], "DI": [data], "LSR": ["0"], "Q": [output]},
    }


def netlist() -> dict:
    """Two operands of two bits, signed, registers before them and behind the product's two bits."""
    operands = {f"A{n}": [X[min(n, 1)]] for n in range(18)} | {f"B{n}": [W[min(n, 1)]] for n in range(18)}
    pins = operands | {"SIGNEDA": ["1"], "SIGNEDB": ["1"]} | {f"P{n}": [P[n] if n < 2 else 50 + n] for n in range(36)}
    directions = {port: "output" if port[0] == "P" else "input" for port in pins}
    cells = {
        "m": {"type": "MULT18X18D", "parameters": {}, "port_directions": directions, "connections": pins},
        **{f"x{n}": register(3 + n, X[n]) for n in range(2)},
        **{f"w{n}": register(5 + n, W[n]) for n in range(2)},
        **{f"p{n}": register(P[n], Q[n]) for n in range(2)},
    }
    ports = {"clk": [CLOCK], "x": [3, 4], "w": [5, 6], "p": list(Q)}
    names = {**ports, "held": [*X, *W], "product": list(P)}
    module = {
        "ports": {
            name: {"direction": "output" if name == "p" else "input", "bits": bits} for name, bits in ports.items()
        },
        "cells": cells,
        "netnames": {name: {"bits": bits} for name, bits in names.items()},
    }
    return {"modules": {"top": module}}


def test_registers_of_operands_and_product_move() -> None:
    given = netlist()
    assert move_registers(given) == Moved(operands=2, products=1, flip_flops=6)
    module = given["modules"]["top"]
    assert list(module["cells"]) == ["m"]
    cell = module["cells"]["m"]
    assert cell["parameters"] == dict.fromkeys(["REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_OUTPUT_CLK"], "CLK0")
    assert {port: cell["connections"][port] for port in ("CLK0", "CE0", "RST0")} == {
        "CLK0": [CLOCK], "CE0": ["1"], "RST0": ["0"],
    }  # fmt: skip
    assert [cell["connections"][f"A{n}"] for n in (0, 1, 17)] == [[3], [4], [4]]
    assert [cell["connections"][f"B{n}"] for n in (0, 1, 17)] == [[5], [6], [6]]
    assert [cell["connections"][f"P{n}"] for n in range(3)] == [[40], [41], [52]]
    assert sorted(module["netnames"]) == ["clk", "p", "w", "x"]


def pins(cell: str, **changed) -> Callable[[dict], None]:
    def change(cells: dict) -> None:
        cells[cell]["connections"] |= {port: [bit] for port, bit in changed.items()}
        cells[cell]["port_directions"] |= {port: "input" for port in changed if port != "Q"}

    return change


def parameter(cell: str, name: str, value: str) -> Callable[[dict], None]:
    return lambda cells: cells[cell]["parameters"].update({name: value})


def read_also(net: int) -> Callable[[dict], None]:
    return lambda cells: cells.update(more=register(net, 99))


STAYS = {
    "an operand's register with an enable": (parameter("x0", "CEMUX", "CE"), Moved(1, 1, 0, 4)),
    "with a reset": (pins("x0", LSR=7), Moved(1, 1, 0, 4)),
    "1 at first": (parameter("w1", "REGSET", "SET"), Moved(1, 1, 0, 4)),
    "on the falling edge": (parameter("w1", "CLKMUX", "INV"), Moved(1, 1, 0, 4)),
    "with another input": (pins("w1", M=7), Moved(1, 1, 0, 4)),
    "of two clocks": (pins("x0", CLK=7), Moved(1, 1, 0, 4)),
    "that something else reads": (read_also(X[1]), Moved(1, 1, 0, 4)),
    "an operand that is no register": (lambda cells: cells.pop("x1"), Moved(1, 1, 0, 4)),
    "an operand with a constant 1": (pins("m", A17="1"), Moved(1, 1, 0, 4)),
    "an operand whose sign varies": (pins("m", SIGNEDB=7), Moved(1, 1, 0, 4)),
    "one register for both operands": (pins("m", **{f"B{n}": X[min(n, 1)] for n in range(18)}), Moved(0, 1, 0, 2)),
    "a product's register with an enable": (parameter("p1", "CEMUX", "CE"), Moved(2, 0, 0, 4)),
    "with an enable from the product": (pins("p1", DI=7, CE=P[1]), Moved(2, 0, 0, 4)),
    "a product's register with another clock": (pins("p1", CLK=7), Moved(2, 0, 0, 4)),
    "both of them with another clock": (lambda cells: [pins(p, CLK=7)(cells) for p in ("p0", "p1")], Moved(2, 0, 0, 4)),
    "a product that something else reads": (read_also(P[0]), Moved(2, 0, 0, 4)),
    "a product of three bits, all of which move": (read_also(52), Moved(2, 1, 0, 7)),
}  # fmt: skip


@pytest.mark.parametrize("what", STAYS)
def test_what_cannot_move_stays(what: str) -> None:
    """Each differs in one place from the netlist of which everything moves."""
    change, moved = STAYS[what]
    given = netlist()
    change(given["modules"]["top"]["cells"])
    before = deepcopy(given["modules"]["top"]["cells"])
    assert move_registers(given) == moved
    for name, cell in given["modules"]["top"]["cells"].items():
        assert name == "m" or cell == before[name]


def memory() -> dict:
    """Port B of a block RAM reads words of two bits, registers behind them."""
    outputs = {"DOB0": P[0], "DOB1": P[1]}
    pins = {"CEA": "0", "CLKA": CLOCK, "CEB": "1", "CLKB": CLOCK} | outputs
    cells = {
        "m": {
            "type": "DP16KD",
            "parameters": {"DATA_WIDTH_A": "1001", "DATA_WIDTH_B": "1001", "CLKAMUX": "CLKA", "CLKBMUX": "CLKB"},
            "port_directions": {port: "output" if port in outputs else "input" for port in pins},
            "connections": {port: [bit] for port, bit in pins.items()},
        },
        **{f"p{n}": register(P[n], Q[n]) for n in range(2)},
    }
    names = {"q": {"bits": list(Q)}, "word": {"bits": list(P)}}
    ports = {"clk": {"direction": "input", "bits": [CLOCK]}, "q": {"direction": "output", "bits": list(Q)}}
    return {"modules": {"top": {"ports": ports, "cells": cells, "netnames": names}}}


def test_registers_behind_a_word_move() -> None:
    given = memory()
    assert move_registers(given) == Moved(words=1, flip_flops=2)
    module = given["modules"]["top"]
    cell = module["cells"].pop("m")
    assert not module["cells"]
    assert (cell["parameters"]["REGMODE_B"], cell["connections"]["OCEB"]) == ("OUTREG", ["1"])
    assert "REGMODE_A" not in cell["parameters"]
    assert [cell["connections"][f"DOB{n}"] for n in range(2)] == [[40], [41]]
    assert list(module["netnames"]) == ["q"]


MEMORY_STAYS = {
    "words of 36 bits": parameter("m", "DATA_WIDTH_B", "100100"),
    "a port that does not always read": pins("m", CEB=7),
    "the falling edge": parameter("m", "CLKBMUX", "INV"),
    "another clock": pins("m", CLKB=7),
    "a register with an enable": parameter("p0", "CEMUX", "CE"),
    "a register with a reset": pins("p1", LSR=7),
    "a word that something else reads": read_also(P[1]),
}


@pytest.mark.parametrize("what", MEMORY_STAYS)
def test_what_cannot_move_behind_a_word_stays(what: str) -> None:
    given = memory()
    MEMORY_STAYS[what](given["modules"]["top"]["cells"])
    before = deepcopy(given["modules"]["top"]["cells"])
    assert move_registers(given) == Moved()
    assert given["modules"]["top"]["cells"] == before


def test_a_netlist_of_another_family_stays_as_it_is() -> None:
    given = netlist()
    given["modules"]["top"]["cells"]["m"]["type"] = "DSP48E1"
    before = deepcopy(given)
    assert move_registers(given) == Moved()
    assert given == before


def test_all_registers_of_a_dot_product_move(tmp_path: Path) -> None:
    """Eight bits of both operands; of a product the 14 that are used."""
    source = tmp_path / "netlist.json"
    area = synthesize_core(to_verilog(DotProduct(4), "dot_product"), "ecp5", netlist=source)
    netlist = json.loads(source.read_text())
    before = flip_flops(netlist)
    assert move_registers(netlist) == Moved(8, 4, 0, 4 * (8 + 8 + 14))
    assert before - flip_flops(netlist) == 120
    assert area.ff > 120


def flip_flops(netlist: dict) -> int:
    return sum(cell["type"] == "TRELLIS_FF" for cell in netlist["modules"][HARNESS]["cells"].values())
