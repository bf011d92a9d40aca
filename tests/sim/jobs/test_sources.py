"""Which sources a piece of work depends on: those it imports, in whatever folder, and the data that they read."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fivebyfive.sim.jobs import sources

KINDS = {
    "synthesis": "fivebyfive.sim.jobs.measurement_jobs",
    "trial": "fivebyfive.sim.jobs.compare_jobs",
    "training": "fivebyfive.sim.jobs.training_job",
    "vivado": "fivebyfive.hw.axi.vivado",
    "lint": "fivebyfive.sim.simulator.lint",
    "netlist": "fivebyfive.sim.fpga.netlist",
}
# An edited file of the package, and the kinds of work that it changes.
EDITS = {
    "hw/conv/conv_pe.py": {"synthesis", "trial", "vivado"},
    "hw/fc/argmax.py": {"synthesis", "trial", "vivado"},
    "hw/axi/templates/registers.h.j2": {"vivado"},
    "hw/serial/uart.py": set(),
    "model/estimates/area.json": {"synthesis", "training"},  # netadapt counts block RAM
    "model/compress/methods/kmeans.py": {"training"},
    "model/checkpoints/ternary.npz": set(),
    "model/data/mnist/t10k-images-idx3-ubyte.gz": {"trial", "training"},
    "sim/jobs/measurement_jobs.py": {"synthesis"},
    "sim/jobs/workers.py": set(),
    "sim/simulator/cache.py": {"synthesis", "trial", "training"},
    "sim/benches/network.py": {"trial"},
    "sim/benchlib/streams.py": {"trial"},
    "sim/simulator/waivers.vlt": {"lint"},
    "sim/fpga/cells/block_ram.v": {"netlist"},
}
DIGESTS = """
import json, sys
from pathlib import Path
from fivebyfive.sim.jobs import sources

kinds, edits = json.loads(sys.argv[1])
root = Path(sources.find("fivebyfive")).parent

def digests():
    sources.digest.cache_clear()
    return {kind: sources.digest(module) for kind, module in kinds.items()}

before, found = digests(), {}
assert not any(map(sources.changed, kinds.values()))
for edit in edits:
    with (root / edit).open("ab") as file:
        file.write(b"\\n")
    after = digests()
    found[edit] = [kind for kind in kinds if after[kind] != before[kind]]
    assert [kind for kind, module in kinds.items() if sources.changed(module)] == found[edit] or len(found) > 1
    before = after
print(json.dumps([str(root), found]))
"""


def test_what_an_edited_file_changes(package_copy, tmp_path: Path) -> None:
    root, environment = package_copy
    words = json.dumps([KINDS, list(EDITS)])
    done = subprocess.run(
        [sys.executable, "-P", "-c", DIGESTS, words], env=environment, cwd=tmp_path, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    where, found = json.loads(done.stdout)
    assert where == str(root)
    assert {edit: set(kinds) for edit, kinds in found.items()} == EDITS


def test_all_that_is_imported_is_found() -> None:
    """By Python, in a process that has all imports of a simulation behind it."""
    code = (
        "import sys, fivebyfive.sim.jobs.compare_jobs, fivebyfive.hw.generate, fivebyfive.sim.simulate,"
        "fivebyfive.sim.benches.network, fivebyfive.model.compress.packing.packed, fivebyfive.model.evaluate;"
        "print(*(name for name in sys.modules if name.partition('.')[0] == 'fivebyfive'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    imported = set(done.stdout.split())
    assert len(imported) > 60
    assert imported <= sources.dependencies("fivebyfive.sim.jobs.compare_jobs")


def test_a_training_needs_no_hardware() -> None:
    """So a change of the hardware throws none away, which may have taken hours."""
    found = sources.dependencies("fivebyfive.sim.jobs.training_job")
    assert not [name for name in found if name.startswith("fivebyfive.hw.")]
    assert "fivebyfive.model.compress.methods.kmeans" in found


def test_what_is_left_out() -> None:
    whole = sources.dependencies("fivebyfive.sim.quality.equivalence")
    left_out = "fivebyfive.sim.quality.assumptions"
    assert whole - sources.dependencies("fivebyfive.sim.quality.equivalence", without=(left_out,)) == {left_out}


def test_a_module_that_is_not_there() -> None:
    for name in ("fivebyfive.sim.nothing", "fivebyfive.nothing.at.all", "fivebyfive.sim.simulator.cache.keep", "os"):
        with pytest.raises(ModuleNotFoundError, match=f"no module named {name}"):
            sources.digest(name)


def test_every_module_that_is_named_in_a_text_is_there() -> None:
    """A bench, or a module that a process runs: nothing else would notice before it runs."""
    rooms = ("fivebyfive", "fivebyfive.hw", "fivebyfive.model", "fivebyfive.sim")
    folders = [sources.find(room).parent for room in rooms]
    names = {
        node.value
        for folder in folders for path in folder.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("fivebyfive.")
        and node.value.replace(".", "").isidentifier()
    }  # fmt: skip
    assert len(names) > 4
    assert [name for name in sorted(names) if sources.find(name) is None] == []
