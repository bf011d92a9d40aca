"""Proving that a mutation cannot be observed which gives the words of a memory other places, the same for all accesses.

A mutation may change a bit of an address, always or by another bit of it. Where the memory is written and read with
such addresses only, each word is found where it was put. So let the mutant's memory get addresses with that bit changed
back: as that changes which word is where, and nothing else, a memory without contents cannot be told from the one
before. If this circuit is proved to be the original's equal, so is the mutant.

It must be a memory of as many words as there are addresses, and begin without contents that differ; and the change,
done twice, must be none, which it is by any other bit. Then words change places in pairs.
"""

import re
from collections.abc import Iterator

from .memory_cut import FIELD, MEMORY, Circuit
from .part_proofs import PartProver

__all__ = ["RenamingProver", "renamed"]

CHANGES = ("inv", "cnot0", "cnot1")  # of a bit: always, where another one is 0, or where it is 1


class RenamingProver(PartProver):
    """As `PartProver`, for mutants whose memories have their words in other places."""

    def sides(self, part: str, mutation: str) -> Iterator[tuple[Circuit, Circuit]]:
        gold, gate = self.prover.sides(part, mutation)
        for number in range(len(gate.memories)):
            if changed := renamed(gate, number, mutation):
                yield (
                    gold.without_memories().without_products(),
                    changed.without_memories().without_products(),
                )


def renamed(circuit: Circuit, number: int, mutation: str) -> Circuit | None:
    """The circuit with a mutation done to all addresses of memory ``number``; None where that is none of the kind."""
    about = dict(re.findall(r"-(mode|portbit|ctrlbit) (\S+)", mutation))
    cells = list(MEMORY.finditer(circuit.text))
    memory = dict(FIELD.findall(cells[number][1]))
    size, bits, bit = int(memory["SIZE"]), int(memory["ABITS"]), int(about["portbit"])
    other = int(about.get("ctrlbit", -1))
    if about["mode"] not in CHANGES or max(bit, other) >= bits or bit == other:
        return None
    if size != 1 << bits or int(memory.get("OFFSET", "0")) or "1" in memory["INIT"].partition("'")[2]:
        return None
    lines, connected = [], {}
    for port, count in (("RD_ADDR", int(memory["RD_PORTS"])), ("WR_ADDR", int(memory["WR_PORTS"]))):
        name = f"\\renamed_{number}_{port}"
        lines += [f"  wire width {count * bits} {name}_old\n", f"  wire width {count * bits} {name}_change\n"]
        lines += [f"  wire width {count * bits} {name}_new\n", f"  connect {name}_old {memory[port]}\n"]
        changes = []
        for place in reversed(range(count)):
            by = f"{name}_by_{place}"
            lines.append(f"  wire width 1 {by}\n")
            if about["mode"] == "inv":
                lines.append(f"  connect {by} 1'1\n")
            else:
                invert = "not" if about["mode"] == "cnot0" else "pos"
                lines.append(cell(invert, f"{by}_cell", 1, A=f"{name}_old [{place * bits + other}]", Y=by))
            changes += [*["1'0"] * (bits - 1 - bit), by, *["1'0"] * bit]
        lines.append(f"  connect {name}_change {{ {' '.join(changes)} }}\n")
        lines.append(cell("xor", f"{name}_cell", count * bits, A=f"{name}_old", B=f"{name}_change", Y=f"{name}_new"))
        connected[port] = f"{name}_new"
    old = cells[number]
    text = old[0]
    for port, name in connected.items():
        text = text.replace(f"connect \\{port} {memory[port]}\n", f"connect \\{port} {name}\n")
    return Circuit(circuit.text[: old.start()] + "".join(lines) + text + circuit.text[old.end() :])


def cell(kind: str, name: str, width: int, **pins: str) -> str:
    """RTLIL of a cell whose inputs and output have that width."""
    parameters = "".join(f"    parameter \\{pin}_WIDTH {width}\n" for pin in pins)
    parameters += "".join(f"    parameter \\{pin}_SIGNED 0\n" for pin in pins if pin != "Y")
    pinned = "".join(f"    connect \\{pin} {given}\n" for pin, given in pins.items())
    return f"  cell ${kind} {name}\n{parameters}{pinned}  end\n"
