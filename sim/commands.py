"""What cocotb's runners would run to build and to run a simulation, with our options; nothing is run here.

The runners know each simulator's command line and cocotb's environment, but what they run cannot be
stopped and prints to our standard output: `fivebyfive.sim.process` runs what they plan.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cocotb_tools.runner import Icarus, Runner, Verilator

from fivebyfive.hw.verilog import Port

from .simulators import Simulator

__all__ = ["Plan", "plan_build", "plan_run"]

UNFINISHED = "unfinished"  # name of a waveform file while the simulator writes it
TIMESCALE = ("1ns", "1ps")  # Icarus needs one to represent a clock period
ICARUS_FLAGS = ["-g2005"]  # with cocotb's own -g2012, Amaranth's combinational outputs stay X
# Only the ports are public, so the optimizer may do what it likes with the rest: see docs/simulation.md.
VERILATOR_FLAGS = ["-O3", "--x-assign", "fast", "--x-initial", "fast"]
VERILATOR_FLAGS += ["-Wno-fatal", "--no-timing"]
# Every bit of every signal, of those that Yosys named as well (_12_); of memories only the small ones.
COVERAGE_FLAGS = ["--coverage-line", "--coverage-toggle", "--coverage-underscore", "--coverage-max-width", "4096"]
# The wheel's verilated.mk has tools of another machine, and no option to include a precompiled header.
MAKE_FLAGS = ["CXX=g++", "LINK=g++", "AR=ar", "CFG_CXXFLAGS_PCH_I=-include", f"PYTHON3={sys.executable}"]
# What runs once (resets, initial values) is not worth optimizing: in a netlist it is most of the compiler's time.
MAKE_FLAGS += ["OPT_FAST=-O2", "OPT_GLOBAL=-O2", "OPT_SLOW=-O0"]
# Tests build with these instead: a small design compiles in a third of the time as one C++ file, not optimized.
QUICK_VARIABLE = "FIVEBYFIVE_QUICK_BUILDS"
QUICK_FLAGS = ["VM_PARALLEL_BUILDS=0", "OPT_FAST=-O0"]
RUNTIME_FLAGS = list(MAKE_FLAGS)  # Verilator's runtime library is the same with them
MAKE_FLAGS += QUICK_FLAGS if os.environ.get(QUICK_VARIABLE) else []
# What a cocotb of the user's may have left in the environment must not change our runs.
FOREIGN = ("COCOTB_", "GPI_", "PYGPI_", "WAVES", "GUI", "TOPLEVEL", "RANDOM_SEED", "COVERAGE")


@dataclass(frozen=True)
class Plan:
    """Commands, one after the other, and the whole environment that they need."""

    commands: list[list[str]]
    environment: dict[str, str]


def plan_build(
    simulator: Simulator, source: Path, top: str, ports: tuple[Port, ...], trace: str | None, coverage: bool
) -> Plan:
    """The build of Verilog file ``source`` in its folder; ``trace``: "fst" or "vcd" for waves, or None; ``coverage``:
    a run of it leaves coverage.dat."""
    folder = source.parent
    runner = RUNNERS[simulator.name](simulator, trace)
    sources = [source]
    if simulator.name == "verilator":
        control = folder / "ports.vlt"
        control.write_text(public_ports(top, ports))
        sources.append(control)
    return runner.plan(
        lambda: runner.build(
            sources=sources,
            hdl_toplevel=top,
            build_dir=folder,
            build_args=[*runner.flags, *(COVERAGE_FLAGS if coverage else ())],
            timescale=TIMESCALE,
            waves=trace is not None,
            always=True,
        )
    )


def plan_run(
    simulator: Simulator, build_folder: Path, top: str, module: str, folder: Path, trace: str | None
) -> Plan:
    """The run, in ``folder``, of bench ``module`` on what was built in ``build_folder``."""
    runner = RUNNERS[simulator.name](simulator, trace)
    return runner.plan(
        lambda: runner.test(
            test_module=module,
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            build_dir=build_folder,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            waves=trace is not None,
        )
    )


def public_ports(top: str, ports: tuple[Port, ...]) -> str:
    """A Verilator control file that lets cocotb read and write the ports and nothing else."""
    lines = [f'public_flat_rw -module "{top}" -var "{port.name}"' for port in ports]
    return "\n".join(["`verilator_config", *lines, ""])


class _Planned(Exception):  # noqa: N818 (no error)
    """Carries the commands out of cocotb's runner at the point where it would run them."""


class _Planning(Runner):
    """A cocotb runner that stops before it runs anything."""

    flags: list[str]

    def __init__(self, simulator: Simulator, trace: str | None):
        self.simulator = simulator
        self.trace = trace
        super().__init__()
        self.log.setLevel(logging.CRITICAL)

    def plan(self, start) -> Plan:
        self.log_file = None
        with own_environment():
            try:
                start()
            except _Planned as planned:
                commands, environment = planned.args
                return Plan(commands, environment | self.simulator.environment)
        raise AssertionError("cocotb's runner ran no command")

    def _execute_cmds(self, cmds, cwd, stdout=None):
        raise _Planned([list(map(str, command)) for command in cmds], dict(self.env))


class _Verilator(_Planning, Verilator):
    flags = VERILATOR_FLAGS

    def _simulator_in_path_build_only(self) -> None:
        self.executable = self.simulator.compiler

    def _build_command(self):
        verilate, make = super()._build_command()
        verilate.remove("--public-flat-rw")
        if self.trace:
            verilate[verilate.index("--trace")] = f"--trace-{self.trace}"
        return [verilate, make + MAKE_FLAGS]

    def _test_command(self):
        (command,) = super()._test_command()
        return [command + (["--trace-file", f"{UNFINISHED}.{self.trace}"] if self.trace else [])]


class _Icarus(_Planning, Icarus):
    flags = ICARUS_FLAGS

    def _create_iverilog_dump_file(self) -> None:
        # cocotb's own is SystemVerilog, which -g2005 does not read.
        text = f'initial begin $dumpfile("{UNFINISHED}.{self.trace}"); $dumpvars(0, {self.hdl_toplevel}); end'
        self.iverilog_dump_file.write_text(f"module cocotb_iverilog_dump;\n  {text}\nendmodule\n")


RUNNERS: dict[str, type[_Planning]] = {"verilator": _Verilator, "icarus": _Icarus}


@contextlib.contextmanager
def own_environment() -> Iterator[None]:
    """Hide variables that steer cocotb; pytest's mark, too, with which its runner may end the process."""
    hidden = {k: v for k, v in os.environ.items() if k.startswith(FOREIGN) or k == "PYTEST_CURRENT_TEST"}
    for key in hidden:
        del os.environ[key]
    try:
        yield
    finally:
        os.environ.update(hidden)
