"""Registers that address many block RAMs are copied, those in front of them likewise, and nothing else is."""

from copy import deepcopy

from fivebyfive.sim.fpga.fan_out import copy_registers

COLUMNS, ROWS = 4, 2


def register(data: int, output: int, **more) -> dict:
    pins = {"CLK": [2], "DI": [data], "LSR": [3], "Q": [output]} | more
    return {
        "type": "TRELLIS_FF",
        "parameters": {},
        "port_directions": {port: "output" if port == "Q" else "input" for port in pins},
        "connections": pins,
    }


def netlist() -> dict:
    """Two memories of four columns and two rows each; a register addresses one, the register behind it the other. A LUT
    reads both registers."""
    cells = {"near": register(10, 11), "far": register(11, 12, CE=[9])}
    for memory, address in (("a", 11), ("b", 12)):
        for column in range(COLUMNS):
            for row in range(ROWS):
                cells[f"{memory}.{row}.{column}"] = {
                    "type": "DP16KD",
                    "port_directions": {"ADB3": "input", "DOB0": "output"},
                    "connections": {"ADB3": [address], "DOB0": [100 + len(cells)]},
                }
    lut = {"A": "input", "B": "input", "Z": "output"}
    # The largest number of a net is that of an output that nothing reads.
    cells["lut"] = {"type": "LUT4", "port_directions": lut, "connections": {"A": [11], "B": [12], "Z": [999]}}
    names = {"near_Q": {"bits": [11]}, "far_Q": {"bits": [12]}}
    return {"modules": {"top": {"ports": {}, "cells": cells, "netnames": names}}}


def drivers(cells: dict) -> dict[int, str]:
    found: dict[int, str] = {}
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "output":
                assert bits[0] not in found, "a net has two drivers"
                found[bits[0]] = name
    return found


def served(cells: dict, memory: str) -> dict[str, set[int]]:
    """The columns of a memory that each register addresses."""
    by, found = drivers(cells), {}
    for name, cell in cells.items():
        if name.startswith(f"{memory}."):
            found.setdefault(by[cell["connections"]["ADB3"][0]], set()).add(int(name[-1]))
    return found


def test_copies_are_for_neighbouring_columns() -> None:
    given = netlist()
    assert copy_registers(given, most=4) == 2
    cells = given["modules"]["top"]["cells"]
    assert served(cells, "a") == {"near": {0, 1}, "near_copy_0": {2, 3}}
    assert served(cells, "b") == {"far": {0, 1}, "far_copy_0": {2, 3}}
    names = given["modules"]["top"]["netnames"]
    assert set(names) == {f"{name}_Q" for name in ("near", "far", "near_copy_0", "far_copy_0")}
    assert not names.keys() & cells.keys()  # Yosys has the names of both in one list


def test_a_copy_has_the_copy_in_front_and_the_same_clock_reset_and_enable() -> None:
    given = netlist()
    before = deepcopy(given["modules"]["top"]["cells"])
    copy_registers(given, most=4)
    cells = given["modules"]["top"]["cells"]
    by = drivers(cells)
    assert by[cells["far"]["connections"]["DI"][0]] == "near"
    assert by[cells["far_copy_0"]["connections"]["DI"][0]] == "near_copy_0"
    for one in ("near", "far"):
        for port in set(before[one]["connections"]) - {"DI", "Q"}:
            assert cells[f"{one}_copy_0"]["connections"][port] == before[one]["connections"][port]
    assert cells["near_copy_0"]["connections"]["DI"] == before["near"]["connections"]["DI"]
    assert cells["lut"] == before["lut"]


def test_a_column_is_never_divided() -> None:
    given = netlist()
    assert copy_registers(given, most=1) == 6
    assert set(map(tuple, served(given["modules"]["top"]["cells"], "b").values())) == {(0,), (1,), (2,), (3,)}


def test_few_block_rams_need_no_copy() -> None:
    given = netlist()
    before = deepcopy(given)
    assert copy_registers(given, most=8) == 0
    assert given == before


def test_registers_in_a_ring_end() -> None:
    """Each of two that read one another waits for the other."""
    given = netlist()
    given["modules"]["top"]["cells"]["near"]["connections"]["DI"] = [12]
    assert copy_registers(given, most=4) >= 2
    drivers(given["modules"]["top"]["cells"])
