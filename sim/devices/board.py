"""A simulated board: the serial accelerator on a simulator, its line a pseudo-terminal of this machine."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.hw.serial.serial_accelerator import SerialAccelerator
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.sim.simulate import run_folder
from fivebyfive.sim.simulator.process import SimulatorFailed
from fivebyfive.sim.simulator.runner import Build, build, run
from fivebyfive.support.progress import Progress, silent

from .wired_board import WiredBoard

__all__ = ["DIVISOR", "simulated_board", "wired_design"]

BENCH = "fivebyfive.sim.benches.serial.serial_board"
TOP = "wired_lenet"
DIVISOR = 4  # clock cycles a bit: the fastest line there is, as each cycle is simulated
START_S = 600.0  # for the pseudo-terminal to appear
END_S = 20.0  # for the simulation to end by itself
IDLE_S = 600.0  # without a byte from the host, until it ends by itself
RUN_S = 24 * 3600.0
TICK_S = 0.02


class _Stopped(Exception):  # noqa: N818 (what happened)
    """The host has gone before the simulation came to an end."""


def wired_design(checkpoint: Checkpoint, config: Config | None = None, divisor: int = DIVISOR) -> Design:
    """The Verilog of a network behind a serial line, whose other end is there too."""
    return to_verilog(WiredBoard(SerialAccelerator(checkpoint, config, divisor)), TOP)


class _Simulation(threading.Thread):
    """Runs the bench in a folder until `stop`; ``failure`` is what it raised."""

    def __init__(self, built: Build, folder: Path, parameters: dict, seed: int):
        super().__init__(daemon=True)
        self.built, self.folder, self.parameters, self.seed = built, folder, parameters, seed
        self.killed = threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            run(
                self.built, BENCH, self.folder, parameters=self.parameters, seed=self.seed, timeout_s=RUN_S,
                watch=self.watch,
            )  # fmt: skip
        except _Stopped:
            pass
        except Exception as error:
            self.failure = error

    def watch(self) -> None:
        if self.killed.is_set():
            raise _Stopped

    def port(self) -> str:
        """Name of the pseudo-terminal. Raises SimulationFailed where there is none in time."""
        end = time.monotonic() + START_S
        while self.is_alive() and time.monotonic() < end:
            if (self.folder / "port").is_file():
                return (self.folder / "port").read_text()
            time.sleep(TICK_S)
        self.join(0 if self.is_alive() else END_S)
        raise self.failure or SimulatorFailed("the simulated board does not start", self.folder / "simulation.log")

    def stop(self, kindly: bool) -> None:
        """End it, by its own will or not."""
        (self.folder / "stop").touch()
        if kindly:
            self.join(END_S)
        self.killed.set()
        self.join(END_S)


@contextmanager
def simulated_board(
    checkpoint: Checkpoint,
    config: Config | None = None,
    *,
    simulator: str = "verilator",
    corrupt: float = 0.0,
    seed: int = 0,
    progress: Progress = silent,
) -> Iterator[str]:
    """Name of a pseudo-terminal behind which a board with this network is simulated, until the block ends.

    ``corrupt``: probability with which a byte on the line becomes another one, in either direction; ``seed``: of that.
    ``progress`` is called while the simulation is compiled. Raises UserError where the simulator is missing,
    SimulatorFailed where it does not start, SimulationFailed where it fails.
    """
    design = wired_design(checkpoint, config)
    built = build(design, simulator, progress=progress)
    parameters = {"divisor": DIVISOR, "corrupt": corrupt, "seed": seed, "idle_s": IDLE_S}
    with run_folder(None) as folder:
        design.write(folder)
        simulation = _Simulation(built, folder, parameters, seed)
        simulation.start()
        well = False
        try:
            yield simulation.port()
            well = True
        finally:
            simulation.stop(kindly=well)
        if simulation.failure:
            raise simulation.failure
