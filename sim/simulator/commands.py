"""The command lines and environments that build a simulation and run it under cocotb; nothing is run here.

cocotb's own runners plan the same, but with absolute paths on command lines that make and shells take apart, and what
they run cannot be stopped and prints to our standard output: `fivebyfive.sim.simulator.process` runs what is planned
here. In a build every file has a bare name, in the folder where the commands run; what lies elsewhere has a safe path.
"""

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools.config
import find_libpython

from fivebyfive.hw.codegen.verilog import Design, Port
from fivebyfive.support.errors import UserError
from fivebyfive.support.safe_paths import safe_path

from .simulators import HERE, Simulator

__all__ = ["Plan", "Variant", "plan_build", "plan_run"]

UNFINISHED = "unfinished"  # name of a waveform file while the simulator writes it
CONTROL = "ports.vlt"
MAKEFILE = "Vtop.mk"
MAIN = "verilator.cpp"  # the main program of a simulation by Verilator: cocotb's, which has this name, or a session's
SESSION_MAIN = Path(__file__).parent / "session.cpp"
DUMP = "waves_dump"  # module that has Icarus write a waveform
COMMANDS = "commands.f"
LIBRARY = "cocotbvpi_verilator"
TIMESCALE = "1ns/1ps"  # Icarus needs one to represent a clock period
ICARUS_FLAGS = ["-g2005"]  # with -g2012, Amaranth's combinational outputs stay X
# Only the ports are public, so the optimizer may do what it likes with the rest: see docs/simulation.md.
VERILATOR_FLAGS = ["-O3", "--x-assign", "fast", "--x-initial", "fast"]
VERILATOR_FLAGS += ["-Wno-fatal", "--no-timing"]
# Every bit of every signal, of those that Yosys named as well (_12_); of memories only the small ones.
COVERAGE_FLAGS = ["--coverage-line", "--coverage-toggle", "--coverage-underscore", "--coverage-max-width", "4096"]
PYTHON_VARIABLE = "FIVEBYFIVE_PYTHON"  # the interpreter, quoted by the shell that make starts
# The wheel's verilated.mk has tools of another machine, and no option to include a precompiled header.
MAKE_FLAGS = ["CXX=g++", "LINK=g++", "AR=ar", "CFG_CXXFLAGS_PCH_I=-include", f'PYTHON3="$${PYTHON_VARIABLE}"']
# It refuses a folder with a space in its path, though every file that it makes has a bare name.
MAKE_FLAGS += ["CURDIR=."]
# What runs once (resets, initial values) is not worth optimizing: in a netlist it is most of the compiler's time.
MAKE_FLAGS += ["OPT_FAST=-O2", "OPT_GLOBAL=-O2", "OPT_SLOW=-O0"]
# Tests build with these instead: a small accelerator compiles in a sixth of the time as one C++ file, not optimized,
# that begins with a header which is compiled already.
QUICK_VARIABLE = "FIVEBYFIVE_QUICK_BUILDS"
HEADER = "runtime.h"
QUICK_MAKEFILE = "quick.mk"
QUICK_FLAGS = ["-f", QUICK_MAKEFILE, "VM_PARALLEL_BUILDS=0", f"OPT_FAST=-O0 -include {HEADER}"]
MAKE_FLAGS += QUICK_FLAGS if os.environ.get(QUICK_VARIABLE) else ["-f", MAKEFILE]
RUNTIME_HEADERS = ("verilated.h", "verilated_dpi.h", "verilated_vpi.h")
QUICK_RULES = f"""\
include {MAKEFILE}
$(VM_PREFIX)__ALL.o {Path(MAIN).stem}.o: {HEADER}.gch
{HEADER}.gch: {HEADER}
\t$(CXX) -O0 $(CXXFLAGS) $(CPPFLAGS) -x c++-header -o $@ $<
"""
MOST_JOBS = 4  # of make
# What a cocotb of the user's may have left in the environment must not change our runs.
FOREIGN = ("COCOTB_", "GPI_", "PYGPI_", "WAVES", "GUI", "TOPLEVEL", "RANDOM_SEED", "COVERAGE")
HIDDEN = (*FOREIGN, "PYTEST_CURRENT_TEST")


@dataclass(frozen=True)
class Variant:
    """What a simulation is compiled for.

    ``trace``: "fst" or "vcd", for runs that leave waves. ``coverage``: for runs that leave coverage.dat. ``probes``:
    for a session (`fivebyfive.sim.session`), whose own main program takes the place of cocotb's: the signals inside
    that it records, (module, name). The latter two are Verilator's alone.
    """

    trace: str | None = None
    coverage: bool = False
    probes: tuple[tuple[str, str], ...] | None = None

    @property
    def flags(self) -> list[str]:
        """Of Verilator."""
        return [*([f"--trace-{self.trace}"] if self.trace else []), *(COVERAGE_FLAGS if self.coverage else [])]

    @property
    def parts(self) -> tuple[str, ...]:
        """What decides over a build beside the design and the tools."""
        session = () if self.probes is None else (repr(self.probes), SESSION_MAIN.read_text())
        return (str(self.trace and f"{UNFINISHED}.{self.trace}"), repr(self.flags), *session)


@dataclass(frozen=True)
class Plan:
    """Commands, one after the other, and the whole environment that they need."""

    commands: list[list[str]]
    environment: dict[str, str]


def plan_build(simulator: Simulator, folder: Path, design: Design, variant: Variant) -> Plan:
    """The build of a design in ``folder``, where the commands are to run; writes what they read."""
    (folder / f"{design.name}.v").write_text(design.verilog, encoding="ascii")
    plan = verilator_build if simulator.name == "verilator" else icarus_build
    own = {PYTHON_VARIABLE: sys.executable, "LC_ALL": "C"}  # messages are searched for English words
    environment = own_environment() | simulator.environment | HERE | own
    return Plan(plan(simulator, folder, design, variant), environment)


def verilator_build(simulator: Simulator, folder: Path, design: Design, variant: Variant) -> list[list[str]]:
    (folder / CONTROL).write_text(public_ports(design.name, design.ports, variant.probes or ()))
    (folder / HEADER).write_text("".join(f'#include "{name}"\n' for name in RUNTIME_HEADERS))
    (folder / QUICK_MAKEFILE).write_text(QUICK_RULES)
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / MAIN if variant.probes is None else SESSION_MAIN
    shutil.copyfile(main, folder / MAIN)
    verilate = [
        simulator.compiler, "-cc", "--exe", "-Mdir", ".", "--top-module", design.name, "--vpi", "--prefix", "Vtop",
        "-o", design.name, *(cocotb_libraries() if variant.probes is None else []), *variant.flags, *VERILATOR_FLAGS,
        "--timescale", TIMESCALE, MAIN, f"{design.name}.v", CONTROL,
    ]  # fmt: skip
    jobs = min(MOST_JOBS, os.cpu_count() or 1)
    return [verilate, ["make", "-j", str(jobs), f"VM_TRACE={int(variant.trace is not None)}", *MAKE_FLAGS]]


def cocotb_libraries() -> list[str]:
    """Verilator's options for a program with cocotb in it."""
    libraries = safe_path(cocotb_tools.config.libs_dir)
    return ["-LDFLAGS", f"-L{libraries} -Wl,-rpath-link,{libraries} -l{LIBRARY}"]


def icarus_build(simulator: Simulator, folder: Path, design: Design, variant: Variant) -> list[list[str]]:
    (folder / COMMANDS).write_text(f"+timescale+{TIMESCALE}\n")
    tops, files = [design.name], [f"{design.name}.v"]
    if variant.trace:
        tops, files = [*tops, DUMP], [*files, f"{DUMP}.v"]
        text = f'initial begin $dumpfile("{UNFINISHED}.{variant.trace}"); $dumpvars(0, {design.name}); end'
        (folder / f"{DUMP}.v").write_text(f"module {DUMP};\n  {text}\nendmodule\n")
    chosen = [word for top in tops for word in ("-s", top)]
    return [["iverilog", "-o", "sim.vvp", *chosen, *ICARUS_FLAGS, "-f", COMMANDS, *files]]


def plan_run(simulator: Simulator, build_folder: Path, top: str, module: str, folder: Path, trace: str | None) -> Plan:
    """The run, in ``folder``, of bench ``module`` on what was built in ``build_folder``."""
    libraries = safe_path(cocotb_tools.config.libs_dir)
    if simulator.name == "verilator":
        waves = ["--trace", "--trace-file", f"{UNFINISHED}.{trace}"] if trace else []
        command = [str(build_folder / top), *waves]
    else:
        library = libraries / Path(cocotb_tools.config.lib_entry("vpi", "icarus")).name
        command = ["vvp", "-m", str(library), str(build_folder / "sim.vvp"), "-fst" if trace else "-none"]
    environment = own_environment()
    searched = [str(libraries), environment.get("LD_LIBRARY_PATH", "")]
    return Plan(
        [command],
        environment | {
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, searched)),
            "PYTHONPATH": os.pathsep.join(map(searchable, sys.path)),
            "PYGPI_PYTHON_BIN": sys.executable,
            "GPI_USERS": f"{safe_path(python_library())};{entry_point()}",
            "COCOTB_TOPLEVEL": top,
            "COCOTB_TEST_MODULES": module,
            "COCOTB_RESULTS_FILE": str(folder / "results.xml"),
            "TOPLEVEL_LANG": "verilog",
        } | ({"COCOTB_TRUST_INERTIAL_WRITES": "1"} if simulator.name == "verilator" else {}),
    )  # fmt: skip


def public_ports(top: str, ports: tuple[Port, ...], probes: Iterable[tuple[str, str]] = ()) -> str:
    """A Verilator control file that lets the main program read and write the ports, read ``probes``, (module, name),
    and nothing else."""
    lines = [f'public_flat_rw -module "{top}" -var "{port.name}"' for port in ports]
    lines += [f'public_flat_rd -module "{module}" -var "{name}"' for module, name in probes]
    return "\n".join(["`verilator_config", *lines, ""])


def own_environment() -> dict[str, str]:
    """This process's environment without the variables that steer cocotb, and without pytest's mark, at which it may
    end the process."""
    return {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN)}


def searchable(entry: str) -> str:
    """An entry of Python's search path, fit for PYTHONPATH."""
    return str(safe_path(entry)) if os.pathsep in entry else entry


def python_library() -> str:
    """Python's own shared library, which the simulator loads. Raises UserError where this Python has none."""
    library = os.environ.get("LIBPYTHON_LOC") or find_libpython.find_libpython()
    if library is None:
        raise UserError("cocotb needs Python's shared library, which this Python lacks; use one that has libpython")
    return library


def entry_point() -> str:
    """What cocotb calls when the simulator has loaded it: a library and a function."""
    library, _, function = cocotb_tools.config.pygpi_entry_point().rpartition(",")
    return f"{safe_path(library)},{function}"
