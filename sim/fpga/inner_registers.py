"""Registers inside ECP5's multipliers and block RAM: flip-flops of a netlist move into the blocks that they belong to.

Yosys maps no register into a MULT18X18D or behind the word of a DP16KD. Where an operand comes from flip-flops that
nothing else reads, or a product or word goes to flip-flops alone, the block's own registers take their place: they are
clocked in the same cycle, and no wire is between them and the block. The netlist is Yosys's JSON, flattened.
"""

from collections import defaultdict
from dataclasses import dataclass

from .cells_of_netlist import BLOCK_RAM, FF, MULTIPLIER, Bit, nets_read

__all__ = ["Moved", "move_registers"]

OPERANDS = {operand: [f"{operand}{n}" for n in range(18)] for operand in "AB"}
PRODUCT = [f"P{n}" for n in range(36)]
CLOCK = "CLK0"
ALWAYS = {"CE0": "1", "RST0": "0"}  # these registers have neither enable nor reset
WORDS = {port: [f"DO{port}{n}" for n in range(18)] for port in "AB"}
# 36 bits are the outputs of both ports, and which of their two registers is whose is not documented for them.
WIDEST = 18


@dataclass
class Moved:
    """Registers of ``operands`` and ``products`` that are in multipliers now, of ``words`` that are in block RAM, and
    ``flip_flops`` that are gone."""

    operands: int = 0
    products: int = 0
    words: int = 0
    flip_flops: int = 0


def move_registers(netlist: dict) -> Moved:
    """Change the netlist in place; what moved. A netlist of another family stays as it is.

    A flip-flop can move if it has neither enable nor reset and is 0 at first, as the registers of blocks are.
    """
    moved = Moved()
    for module in netlist["modules"].values():
        _Module(module, moved).move()
    return moved


class _Module:
    """A module of a netlist: who reads each net, and the flip-flops that can move, by the net that they drive."""

    def __init__(self, module: dict, moved: Moved):
        self.module, self.cells, self.moved = module, module["cells"], moved
        self.readers: dict[Bit, set[tuple[str, str]]] = defaultdict(set)  # cell and its port; "" for the module itself
        self.registers: dict[Bit, str] = {}
        for name, port in module["ports"].items():
            for bit in port["bits"]:
                self.readers[bit].add(("", name))
        for name, cell in self.cells.items():
            for bit, port, _ in nets_read(cell):
                self.readers[bit].add((name, port))
            if is_plain(cell):
                self.registers[cell["connections"]["Q"][0]] = name
        self.plain = set(self.registers.values())

    def move(self) -> None:
        kinds = {name: cell["type"] for name, cell in self.cells.items() if cell["type"] in (MULTIPLIER, BLOCK_RAM)}
        for name, kind in kinds.items():
            if kind == MULTIPLIER:
                self.moved.operands += sum(self.take_operand(name, operand) for operand in OPERANDS)
                self.moved.products += self.take_outputs(name, PRODUCT, CLOCK, {"REG_OUTPUT_CLK": CLOCK}, ALWAYS)
            else:
                self.moved.words += sum(self.take_word(name, port) for port in WORDS)
        if kinds:
            self.forget_nets()

    def take_operand(self, name: str, operand: str) -> bool:
        """Move the flip-flops before an operand into the multiplier."""
        pins = self.cells[name]["connections"]
        bits = {port: pins[port][0] for port in OPERANDS[operand] if port in pins}
        nets = {bit for bit in bits.values() if isinstance(bit, int)}
        signed = pins.get(f"SIGNED{operand}", ["0"])[0]
        # A constant 1 would be 0 in the register's first cycle, and a sign that changes would be a cycle late.
        if not nets or "1" in bits.values() or not isinstance(signed, str):
            return False
        readers = {reader for net in nets for reader in self.readers[net]}
        if not nets <= self.registers.keys() or not readers <= {(name, port) for port in bits}:
            return False
        taken = [self.registers[net] for net in nets]
        data = {net: self.cells[self.registers[net]]["connections"]["DI"][0] for net in nets}
        if not self.switch_on(name, taken, CLOCK, {f"REG_INPUT{operand}_CLK": CLOCK}, ALWAYS):
            return False
        for port, bit in bits.items():
            if isinstance(bit, int):
                pins[port] = [data[bit]]
                self.readers[data[bit]].add((name, port))
        self.remove(taken)
        return True

    def take_word(self, name: str, port: str) -> bool:
        """Move the flip-flops behind a port of a block RAM that always reads into it."""
        parameters, pins, clock = self.cells[name]["parameters"], self.cells[name]["connections"], f"CLK{port}"
        narrow = all(int(parameters[f"DATA_WIDTH_{one}"], 2) <= WIDEST for one in "AB")
        if not narrow or pins[f"CE{port}"] != ["1"] or parameters[f"{clock}MUX"] != clock:
            return False
        return self.take_outputs(name, WORDS[port], clock, {f"REGMODE_{port}": "OUTREG"}, {f"OCE{port}": "1"})

    def take_outputs(
        self, name: str, ports: list[str], clock: str, register: dict[str, str], always: dict[str, str]
    ) -> bool:
        """Move the flip-flops behind outputs of a block into it."""
        pins = self.cells[name]["connections"]
        used = {port: pins[port][0] for port in ports if port in pins and self.readers[pins[port][0]]}
        readers = [reader for net in used.values() for reader in self.readers[net]]
        taken = [cell for cell, port in readers if port == "DI" and cell in self.plain]
        if not used or not len(used) == len(readers) == len(taken):
            return False
        outputs = {port: self.cells[one]["connections"]["Q"] for port, one in zip(used, taken, strict=True)}
        if not self.switch_on(name, taken, clock, register, always):
            return False
        pins |= outputs
        self.remove(taken)
        return True

    def switch_on(
        self, name: str, taken: list[str], clock: str, register: dict[str, str], always: dict[str, str]
    ) -> bool:
        """Switch on a block's register by its parameter, if the flip-flops have a single clock that is, or now becomes,
        that of the block's pin ``clock``; ``always``: its pins that are constants. Whether it is so."""
        clocks = {self.cells[one]["connections"]["CLK"][0] for one in taken}
        block = self.cells[name]
        pins = {clock: clocks.pop()} | always
        if clocks or block["connections"].get(clock, [pins[clock]]) != [pins[clock]]:
            return False
        block["parameters"] |= register
        block["connections"] |= {port: [bit] for port, bit in pins.items()}
        block["port_directions"] |= dict.fromkeys(pins, "input")
        return True

    def remove(self, taken: list[str]) -> None:
        """Remove flip-flops whose place a block has taken."""
        for name in taken:
            pins = self.cells.pop(name)["connections"]
            del self.registers[pins["Q"][0]]
            self.readers[pins["DI"][0]].discard((name, "DI"))
            self.plain.discard(name)
        self.moved.flip_flops += len(taken)

    def forget_nets(self) -> None:
        """Remove the names of nets that nothing is connected to any more."""
        there: set[Bit] = {"0", "1", "x"}
        there.update(bit for cell in self.cells.values() for bits in cell["connections"].values() for bit in bits)
        there.update(bit for port in self.module["ports"].values() for bit in port["bits"])
        names = self.module["netnames"]
        self.module["netnames"] = {name: net for name, net in names.items() if there.issuperset(net["bits"])}


def is_plain(cell: dict) -> bool:
    """A flip-flop without enable and reset, on the rising edge, that is 0 at first."""
    if cell["type"] != FF:
        return False
    parameters, pins = cell["parameters"], cell["connections"]
    return (
        parameters.get("CLKMUX", "CLK") == "CLK"
        and parameters.get("REGSET", "RESET") == "RESET"
        and (parameters.get("CEMUX", "CE").strip() == "1" or pins.get("CE") == ["1"])  # Yosys writes "1 "
        and pins.get("LSR", ["0"])[0] in ("0", "x")
        and "M" not in pins
    )
