"""``make status``: how each component is checked and what is not, as one page, docs/status.md.

The page is made of what is in the repository: components (hw), benches and small machines (sim), proofs (tests/proofs),
docs/mutants.log and docs/coverage.log. It measures nothing.
"""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from fivebyfive.output import provenance
from fivebyfive.output.terminal import Commands
from fivebyfive.sim import benches
from fivebyfive.sim.quality.small_machines import SMALL_MACHINES, bench_of
from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing

__all__ = ["HOLES", "PARTS", "Component", "components", "main", "status_page"]

MUTANTS, COVERAGE, PROOFS = Path("docs/mutants.log"), Path("docs/coverage.log"), Path("tests/proofs")
ROOMS = {
    ".": "The machine", "conv": "Convolutions", "fc": "Fully-connected layers", "common": "Used by both engines",
    "products": "Sums of products",
    "axi": "AXI", "serial": "Serial line",
}  # fmt: skip
# Components without a small machine of their own, and the one that contains them.
PARTS = {
    "axi_lite": "axi_core", "register_file": "axi_core", "pixel_unpacker": "axi_core",
    "pixel_collector": "axi_core", "result_packer": "axi_core",
    "weight_loader": "axi_core", "frame_watch": "axi_core", "codebook": "narrow_weight_memory",
    "link": "serial_accelerator", "sparse_fc_controller": "sparse_fc_engine",
}  # fmt: skip
# What is known to be unchecked and is in no log.
HOLES = {
    "accelerator": ("proved with at most 20 activations at once", "frequency is nextpnr's, not silicon's"),
    "activation_memory": ("its small machine has only counts that are multiples of four",),
    "axi_core": ("Vivado and a board were never run",),
    "conv_array": ("its small machine never gives out its 25th bias", "no mutants of one with `winograd`"),
    "channel_memory": ("proved with the sets of channels in turn; a listed order is simulated",),
    "conv_engine": ("no mutants of one with `skip_zeros` or 1x1 convolutions",),
    "fc_engine": ("`early_fc` and packed rows: arithmetic is proved, counting is not",),
    "sparse_fc_controller": ("its frequency was not measured",),
    "sparse_fc_engine": ("only its rows are proved",),
    "sparse_line_buffer": ("frequency was not measured",),
    "serial_accelerator": ("no board was at hand: a bitstream was made, never loaded",),
    "weight_memory": ("no mutants of memory contents",),
}
NONE = "-"
MUTANT_ROW = re.compile(r"^(\w+) +(\d+) +(\d+) +(\d+) +(\d+) +([\d.]+ %)$", re.M)
COVERAGE_ROW = re.compile(r"^(\w+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +(\d+)$", re.M)


@dataclass(frozen=True)
class Component:
    """``name``: of its small machine, or its class in snake case. ``room``: its folder in hw. ``module``: of its
    source, without .py. ``second``: another configuration of a class that has a row of its own. ``bench``: path of its
    bench in sim/benches, empty where it has none."""

    name: str
    room: str
    module: str
    second: bool
    bench: str


@dataclass(frozen=True)
class Mutants:
    """A row of docs/mutants.log. ``unexplained``: neither noticed by the bench nor proved equivalent. ``older``: its
    Verilog has changed since."""

    score: str
    unexplained: int
    older: bool


@dataclass(frozen=True)
class Covered:
    """A row of docs/coverage.log. ``unexplained``: signals or blocks that were never seen, without a reason. ``older``:
    its Verilog has changed since."""

    blocks: str
    toggles: str
    unexplained: int
    older: bool


def components(root: Path) -> list[Component]:
    """Every Amaranth component of hw, room by room, and the small machines that are second ones of their class."""
    found = classes(root / "hw")
    files = {snake(name): path for name, path in found.items()}
    bench = {make.__name__: bench_path(bench_of(make)) for make in SMALL_MACHINES}
    others = {name: files[owner(name, files)] for name in bench if name not in files}
    made = []
    for name, path in (files | others).items():
        room = path.parent.relative_to(root / "hw").as_posix()
        made.append(Component(name, room, path.stem, name in others, bench.get(name, "")))
    return sorted(made, key=lambda one: (list(ROOMS).index(one.room), one.name))


def owner(name: str, files: Mapping[str, Path]) -> str:
    """The component of which a small machine is another configuration: any_pooling is one of pooling."""
    found = [one for one in files if name.endswith(f"_{one}")]
    if not found:
        raise UserError(f"small machine {name} neither is nor ends with the name of a class of hw in snake case")
    return max(found, key=len)


def classes(folder: Path) -> dict[str, Path]:
    """Classes that are Amaranth components, and the file of each."""
    bases, files = {}, {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base) for base in node.bases]
                files[node.name] = path

    def is_component(name: str) -> bool:
        return any(base == "wiring.Component" or (base in bases and is_component(base)) for base in bases[name])

    return {name: path for name, path in files.items() if is_component(name)}


def snake(name: str) -> str:
    """``ConvPE``: conv_pe."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def bench_path(module: str) -> str:
    return module.removeprefix(f"{benches.__name__}.").replace(".", "/") + ".py"


def proofs(root: Path) -> dict[str, list[str]]:
    """Modules of components, and the files of proofs about each.

    A proof imports the module that it is about, as its seeded bugs are in a copy of that module's source; the proof of
    the whole accelerator has the accelerator's name.
    """
    found: dict[str, list[str]] = {}
    for path in sorted((root / PROOFS).glob("test_*.py")):
        name = path.stem.removeprefix("test_")
        modules = set(re.findall(r"^from fivebyfive\.hw(?:\.\w+)? import (.+)$", path.read_text(), re.M))
        about = {module.strip() for line in modules for module in line.split(",")}
        if (root / "hw" / f"{name}.py").is_file():
            about.add(name)
        for module in about if name != "seeded" else ():  # that one is about seeded bugs themselves
            found.setdefault(module, []).append(name)
    return found


def mutants(root: Path) -> dict[str, Mutants]:
    rows, older = table(root / MUTANTS, MUTANT_ROW)
    return {name: Mutants(score, int(unexplained), name in older) for name, _, _, _, unexplained, score in rows}


def coverage(root: Path) -> dict[str, Covered]:
    rows, older = table(root / COVERAGE, COVERAGE_ROW)
    return {
        name: Covered(percent(ran, blocks), percent(seen, toggles), int(unexplained), name in older)
        for name, blocks, ran, toggles, seen, unexplained in rows
    }


def table(path: Path, pattern: re.Pattern) -> tuple[list[tuple[str, ...]], set[str]]:
    """The rows of a log, none where it is not there, and the names that its mark says have changed since."""
    if not path.is_file():
        return [], set()
    return pattern.findall(path.read_text()), set(re.findall(r"\w+", provenance.read(path).why))


def percent(part: str, whole: str) -> str:
    """Rounded down, so that 100 % is all of them."""
    counts = [int(count.replace(",", "")) for count in (part, whole)]
    return f"{1000 * counts[0] // max(1, counts[1]) / 10:.1f} %"


def holes(one: Component, proved: Iterable[str], tried: Mutants | None, seen: Covered | None) -> list[str]:
    """What is not checked of a component."""
    found = list(HOLES.get(one.name, ()))
    if not one.bench:
        if one.name not in PARTS:
            raise UserError(
                f"{one.name} has no small machine; make one in sim/quality/small_machines.py, or say in PARTS "
                "of fivebyfive/verify/status.py which component contains it"
            )
        found.append(f"no bench of its own: simulated as a part of `{PARTS[one.name]}`")
    if not proved:
        found.append("nothing proved")
    if tried and tried.unexplained:
        found.append(f"{tried.unexplained} unexplained mutant{'s' * (tried.unexplained > 1)}")
    if seen and seen.unexplained:
        found.append(f"{seen.unexplained} signals or blocks never seen, without a reason")
    if older := [what for what, row in (("mutants", tried), ("coverage", seen)) if row and row.older]:
        found.append(f"{' and '.join(older)} of older Verilog")
    return found


def status_page(root: Path) -> str:
    """docs/status.md, from the repository at ``root``."""
    every, about = components(root), proofs(root)
    proved = {one.name: [] if one.second else about.get(one.module, []) for one in every}
    tried, seen = mutants(root), coverage(root)
    logs = {"mutants": MUTANTS, "coverage": COVERAGE}
    parts = [
        HEADER.format(**{name: log_text(root / path, name) for name, path in logs.items()}),
        summary(every, proved, tried),
    ]
    for room, title in ROOMS.items():
        parts.append(f"\n## {title}\n\n{row(COLUMNS)}{row(['---'] * len(COLUMNS))}")
        for one in every:
            if one.room == room:
                now, covered = tried.get(one.name), seen.get(one.name)
                missing = holes(one, proved[one.name], now, covered)
                parts.append(row(cells(one, proved[one.name], now, covered, missing)))
    return "".join(parts)


def log_text(path: Path, target: str) -> str:
    """Where the figures of a column come from."""
    if not path.is_file():
        return f"not measured yet: `make {target}` writes the log"
    before = provenance.read(path).before
    return f"from the [log]({path.name})" + (
        f", measured on {before}; the Verilog of some has changed since" * bool(before)
    )


def cells(
    one: Component, proved: list[str], tried: Mutants | None, seen: Covered | None, missing: list[str]
) -> list[str]:
    """A component's row, in the order of `COLUMNS`."""
    measured = "not measured" if one.bench else NONE
    return [
        f"`{one.name}`",
        f"`{one.bench}`" if one.bench else NONE,
        "yes" if one.bench else NONE,
        ", ".join(f"`{name}`" for name in proved) or NONE,
        tried.score if tried else measured,
        f"{seen.blocks}, {seen.toggles}" if seen else measured,
        "; ".join(missing) or NONE,
    ]


COLUMNS = ("component", "bench", "small machine", "proofs", "mutation score", "coverage", "known holes")
HEADER = """\
# Status

Written by `make status` (do not edit), from the sources and logs of this repository; it measures nothing. A row for
each component of `hw`:

- **bench**: in `sim/benches`; it runs on one simulator in every test run, on Verilator and
  Icarus in `make test-all`, and must reject broken components.
- **small machine**: whether `sim/quality/small_machines.py` has one: mutants are tried and coverage is measured on it.
- **proofs**: files `tests/proofs/test_NAME.py`; [proofs](proofs.md) has the theorems, and what they assume.
- **mutation score**: mutants that the bench notices, of those not proved equivalent
  ([how](verification.md#mutation-score)); {mutants}.
- **coverage**: blocks of the Verilog that ran, and risings and fallings of bits that were seen
  ([how](verification.md#coverage)); {coverage}.
- **known holes**: what is known not to be checked. An unexplained mutant is neither noticed by the bench nor proved
  equivalent. "Older Verilog": it has changed since. [Not checked](verification.md#not-checked) has the
  holes of the project as a whole.

"""


def summary(every: list[Component], proved: Mapping[str, list[str]], tried: Mapping[str, Mutants]) -> str:
    """A line of totals."""
    own, about = sum(bool(one.bench) for one in every), sum(bool(proved[one.name]) for one in every)
    score = f"mutation score {tried['all'].score}" if "all" in tried else "mutation score not measured"
    return f"{len(every)} components: {own} with a bench and a small machine, {about} with proofs; {score}.\n"


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


@click.group(name="verify-status", cls=Commands, invoke_without_command=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/status.md"), show_default=True)
def main(out: Path) -> None:
    """Write the page of all components. Run it in the root of the repository."""
    if not Path("hw/accelerator.py").is_file():
        raise UserError("here is no source of fivebyfive; run this in the root of its repository")
    with replacing(out, "w") as file:
        file.write(status_page(Path()))


if __name__ == "__main__":
    main(prog_name="python -m fivebyfive.verify.status")
