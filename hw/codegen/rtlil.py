"""Edits on Amaranth's RTLIL before Yosys turns it into Verilog: what makes the Verilog short and readable.

The text is Amaranth's own, one statement a line; only that dialect is read here. Each step takes and returns
modules:

    parse -> drop_empty -> merge_equal -> rename_modules -> drop_unread -> name_next_states -> plain_names
          -> order_ports -> take_memories
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .keywords import KEYWORDS

__all__ = ["Memory", "Module", "Port", "parse", "port_list", "prepare", "unparse"]

FILE_WORDS = 64  # a memory with more words than this has its contents in a file
FILE_ATTRIBUTE = "init_file"  # a memory with this attribute, of any value, has a file in any case

_CELL = re.compile(r"^  cell (\S+) (\S+)\n(.*?)^  end\n", re.M | re.S)
_WIRE = re.compile(r"^  wire width (\d+) (?:(input|output) (\d+) +)?(signed )?(\S+)$", re.M)
_MEMORY = re.compile(r"^((?:  attribute .*\n)*)  memory width (\d+) size (\d+) (\S+)\n", re.M)
_NAME = re.compile(r'\\[^\s"]+')
_STATEMENT = re.compile(
    r"(?:^  attribute .*\n)*(?:^  (?:cell|process) .*\n(?:    .*\n)*  end\n|^ *(?:wire|memory|connect) .*\n)",
    re.M,
)
_SIGNAL = re.compile(r'(?:\\[^\s"]+|\$\d+)')
_OUTPUTS = ("Y", "Q", "DATA")  # of Yosys's own cells; $memwr and its kin have none and are always kept


@dataclass(frozen=True)
class Port:
    """A port of a module: ``direction`` is "input" or "output", ``width`` in bits."""

    name: str
    direction: str
    width: int
    signed: bool


@dataclass(frozen=True)
class Module:
    """One RTLIL module: its name with the leading backslash, the attribute lines before it, its body."""

    name: str
    attributes: str
    body: str


@dataclass(frozen=True)
class Memory:
    """What a memory of a Verilog module holds at the start; ``words`` are empty where all are zero.

    ``file`` is the name of its .mem file, None where the words are all zero and few.
    """

    module: str
    name: str
    width: int
    depth: int
    words: tuple[int, ...]
    file: str | None

    @property
    def text(self) -> str:
        """The .mem file: a word a line, hexadecimal, lowest address first."""
        digits = (self.width + 3) // 4
        words = self.words or (0,) * self.depth
        return "".join(f"{word:0{digits}x}\n" for word in words)


def prepare(text: str) -> tuple[list[Module], list[Memory]]:
    """All steps: Amaranth's RTLIL to modules for Yosys to read, and the memory contents taken out of them."""
    modules = rename_modules(merge_equal([drop_empty(module) for module in parse(text)]))
    modules = plain_names([name_next_states(drop_unread(module)) for module in modules])
    modules = [order_ports(module) for module in modules]
    memories: list[Memory] = []
    result = []
    for module in modules:
        module, taken = take_memories(module)
        result.append(module)
        memories += taken
    return result, memories


def parse(text: str) -> list[Module]:
    """Modules in the order of the text, the top first."""
    found = re.findall(r"^((?:attribute [^\n]*\n)*)module (\S+)\n(.*?)^end\n", text, re.M | re.S)
    return [Module(name, attributes, body) for attributes, name, body in found]


def unparse(modules: list[Module]) -> str:
    return "".join(f"{m.attributes}module {m.name}\n{m.body}end\n\n" for m in modules)


def drop_empty(module: Module) -> Module:
    """Drop signals and ports of no bits: Verilog has none, and Yosys writes them as two undefined bits."""
    empty = {wire[4] for wire in _WIRE.findall(module.body) if wire[0] == "0"}
    if not empty:
        return module

    def keep(match: re.Match[str]) -> str:
        head = re.search(r"^ *(wire|connect) (.*)$", match[0], re.M)
        if head is None:
            return match[0]
        name = head[2].split()[-1] if head[1] == "wire" else head[2].split()[0]
        return "" if name in empty else match[0]

    return replace(module, body=_STATEMENT.sub(keep, module.body))


def merge_equal(modules: list[Module]) -> list[Module]:
    """Modules that differ in name only become one, the first; again, as their users may be equal then."""
    while True:
        first: dict[tuple[str, str], str] = {}
        same = {m.name: first.setdefault((m.attributes, m.body), m.name) for m in modules}
        if all(name == kept for name, kept in same.items()):
            return modules
        modules = [_retarget(m, same) for m in modules if same[m.name] == m.name]


def rename_modules(modules: list[Module]) -> list[Module]:
    """``lenet.conv.array`` becomes ``lenet_conv_array``; a module used twice loses a number at the end."""
    uses = [cell for module in modules for cell, _, _ in _CELL.findall(module.body)]
    names: dict[str, str] = {}
    for module in modules:
        name = _sane(module.name)
        if uses.count(module.name) > 1:
            name = name.rstrip("0123456789_") or name
        names[module.name] = _unused(name, names.values())
    return [replace(_retarget(m, names), name=names[m.name]) for m in modules]


def drop_unread(module: Module) -> Module:
    """Drop what nothing reads: Amaranth leaves a second name for each field of a structure and cell port.

    Yosys would do it, but its "clean" passes over modules that still have processes.
    """
    statements = _STATEMENT.findall(module.body)
    parts = [_defines_and_reads(statement) for statement in statements]
    live = {w[4] for w in _WIRE.findall(module.body) if w[1]}
    kept: set[int] = set()
    while True:
        needed = (i for i, (defined, _) in enumerate(parts) if defined is None or defined & live)
        found = set(needed) - kept
        if not found:
            break
        kept |= found
        live |= set().union(*(parts[i][1] | (parts[i][0] or set()) for i in found))
    wires = {i: _WIRE.search(s)[5] for i, s in enumerate(statements) if _WIRE.search(s)}
    body = "".join(s for i, s in enumerate(statements) if (wires[i] in live if i in wires else i in kept))
    return replace(module, body=body)


def _defines_and_reads(statement: str) -> tuple[set[str] | None, set[str]]:
    """Signals that a statement drives, None where it must stay in any case, and those that it reads."""
    head = re.search(r"^ *(wire|memory|connect|cell|process) (\S+)", statement, re.M)
    if head[1] == "wire":
        return set(), set()
    if head[1] == "memory":
        return None, set()
    if head[1] == "connect":
        return {head[2]}, set(_SIGNAL.findall(statement)[1:])
    if head[1] == "process":
        defined = set(re.findall(r"^ +assign (\S+)", statement, re.M))
        return defined, set(_SIGNAL.findall(statement.partition("\n")[2]))
    pure = head[2].startswith("$") and not head[2].startswith(("$memwr", "$meminit", "$print", "$check"))
    outputs: set[str] = set()
    reads: set[str] = set()
    for port, value in re.findall(r"^    connect \\(\S+) (.*)$", statement, re.M):
        (outputs if pure and port in _OUTPUTS else reads).update(_SIGNAL.findall(value))
    return outputs or None, reads


def name_next_states(module: Module) -> Module:
    """The unnamed input of the flip-flop of ``state`` gets the name ``state_next``."""
    widths = {name: width for width, _, _, _, name in _WIRE.findall(module.body)}
    renamed: dict[str, str] = {}
    for kind, _, body in _CELL.findall(module.body):
        if kind == "$dff":
            connections = dict(re.findall(r"^    connect \\(\w+) (\S+)(?: \[\d+:0\]| \[0\])?$", body, re.M))
            d, q = connections.get("D", ""), connections.get("Q", "")
            named = d.startswith("$") and q.startswith("\\") and widths.get(d) == widths.get(q)
            if named and d not in renamed:
                renamed[d] = _unused(f"{q}_next", (*widths, *renamed.values()))
    return replace(module, body=re.sub(r"(?<!\S)\$\d+(?=\s)", lambda m: renamed.get(m[0], m[0]), module.body))


def plain_names(modules: list[Module]) -> list[Module]:
    """``payload.a``, ``word[3]`` and ``x$16`` become ``payload_a``, ``word_3`` and ``x_16``: no escapes.

    A port gets its new name in its module and wherever the module is used.
    """
    names = {module.name: _plain_names(module) for module in modules}
    return [replace(module, body=_rename(module.body, names[module.name], names)) for module in modules]


def _plain_names(module: Module) -> dict[str, str]:
    wires = [wire[4] for wire in _WIRE.findall(module.body)]
    cells = [name for _, name, _ in _CELL.findall(module.body)]
    memories = [memory[3] for memory in _MEMORY.findall(module.body)]
    declared = [name for name in (*wires, *cells, *memories) if name.startswith("\\")]
    names = {name: name for name in declared if _sane(name) == name}
    for name in declared:
        if name not in names:
            names[name] = _unused(_sane(name), names.values())
    return names


def order_ports(module: Module) -> Module:
    """Clock and reset first, then one interface after the other."""
    ports = [(name, int(number)) for _, direction, number, _, name in _WIRE.findall(module.body) if direction]
    ports.sort(key=lambda port: port[1])
    groups = ["\\clk", "\\rst", *(name.split("__")[0] for name, _ in ports)]
    ports.sort(key=lambda port: groups.index(port[0].split("__")[0]))
    numbers = {name: index for index, (name, _) in enumerate(ports, 1)}

    def number(match: re.Match[str]) -> str:
        _, direction, _, signed, name = match.groups()
        if not direction:
            return match[0]
        return f"  wire width {match[1]} {direction} {numbers[name]} {signed or ''}{name}"

    return replace(module, body=_WIRE.sub(number, module.body))


def port_list(module: Module) -> list[Port]:
    """Ports in the order of the Verilog module."""
    found = [wire for wire in _WIRE.findall(module.body) if wire[1]]
    found.sort(key=lambda wire: int(wire[2]))
    return [Port(name[1:], flow, int(width), bool(signed)) for width, flow, _, signed, name in found]


def take_memories(module: Module) -> tuple[Module, list[Memory]]:
    """Take the contents of memories out of the module; few words that are not all zero stay in it."""
    memories: list[Memory] = []
    contents = {}
    body = module.body
    for cell in _CELL.finditer(module.body):
        if cell[1].startswith("$meminit"):
            identifier = re.search(r'parameter \\MEMID "\\(\\[^"]+)"', cell[3])[1]  # a doubled backslash
            contents[identifier] = (cell[0], re.search(r"connect \\DATA \d+'([01]*)", cell[3])[1])
    for attributes, width, depth, name in _MEMORY.findall(module.body):
        cell, bits = contents.get(name, ("", ""))
        words = _words(bits, int(width)) if "1" in bits else ()
        wants_file = f"\\{FILE_ATTRIBUTE} " in attributes
        if words and int(depth) <= FILE_WORDS and not wants_file:
            continue
        file = f"{module.name[1:]}_{name[1:]}.mem" if words or wants_file else None
        memories.append(Memory(module.name[1:], name[1:], int(width), int(depth), words, file))
        body = body.replace(cell, "")
    body = re.sub(rf"^  attribute \\{FILE_ATTRIBUTE} .*\n", "", body, flags=re.M)
    return replace(module, body=body), memories


def _words(bits: str, width: int) -> tuple[int, ...]:
    return tuple(int(bits[end - width : end], 2) for end in range(len(bits), 0, -width))


def _retarget(module: Module, names: dict[str, str]) -> Module:
    """``module`` with the types of its cells renamed."""

    def rename(match: re.Match[str]) -> str:
        return f"  cell {names.get(match[1], match[1])} "

    return replace(module, body=re.sub(r"^  cell (\S+) ", rename, module.body, flags=re.M))


def _rename(body: str, names: dict[str, str], modules: dict[str, dict[str, str]]) -> str:
    """``body`` with the module's own ``names`` replaced, and in its cells the ports of other ``modules``."""
    lines = []
    ports: dict[str, str] = {}  # of the cell that the line is in
    for line in body.splitlines(keepends=True):
        if line.startswith("  cell "):
            _, kind, name = line.split()
            ports = modules.get(kind, {})
            line = f"  cell {kind} {names.get(name, name)}\n"
        elif line.startswith("    connect ") and not ("\\DATA " in line and "'" in line):
            _, port, value = line.split(" ", 6)[4:]
            line = f"    connect {ports.get(port, port)} {_rename_all(value, names)}"
        elif line.startswith("    parameter \\MEMID"):
            line = re.sub(r'"\\(\\[^"]+)"', lambda m: f'"\\{names.get(m[1], m[1])}"', line)
        elif not line.startswith("    connect "):  # what is left of those is megabytes of constant
            line = _rename_all(line, names)
        lines.append(line)
    return "".join(lines)


def _rename_all(text: str, names: dict[str, str]) -> str:
    return _NAME.sub(lambda m: names.get(m[0], m[0]), text)


def _sane(name: str) -> str:
    """A name, with its leading backslash, that Verilog needs no escape for."""
    sane = re.sub(r"[^A-Za-z0-9_]+", "_", name[1:]).rstrip("_")
    return f"\\{sane}_" if sane in KEYWORDS or not sane else f"\\{sane}"


def _unused(name: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate
