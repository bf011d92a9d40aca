"""A simulated AXI core with a DMA, as a program on a board sees them: blocking calls from another process.

The simulator runs `benches/axi_device.py`, which takes its commands from a socket; time stands still between two
calls. Registers and DMA have the methods of PYNQ's objects.
"""

import pickle
import socket
import threading
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import numpy as np

from fivebyfive.hw.axi.axi_core import AxiCore
from fivebyfive.hw.axi.vivado import TOP
from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weights import pack
from fivebyfive.sim.simulator.process import kept_if_failed
from fivebyfive.sim.simulator.runner import Build, build, run

__all__ = ["AxiDevice"]

BENCH = "fivebyfive.sim.benches.axi.axi_device"
LIFETIME_S = 24 * 3600
START_S = 60  # for the simulator to call back
ANSWER_S = 600  # for an order, which takes the simulator some thousand cycles at most
POLL_S = 0.2


T = TypeVar("T")


class AxiDevice:
    """A core in a simulator of its own process; ``core`` are its registers, ``dma`` is its DMA, ``config``
    its machine.

    Raises UserError where there is no simulator, SimulationFailed where the simulation ends by itself, as it does when
    a rule of AXI is broken.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        config: Config | None = None,
        *,
        pixel_bytes: int = 4,
        simulator: str = "verilator",
    ):
        self.config = config or sized(checkpoint.network)
        core = AxiCore(checkpoint.network, self.config, pack(checkpoint, self.config), pixel_bytes, checkpoint.tables)
        built = build(to_verilog(core, TOP), simulator)
        self._failure: Exception | None = None
        with ExitStack() as files:
            self.folder = files.enter_context(kept_if_failed())
            built.design.write(self.folder)
            address = str(self.folder / "socket")
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(address)
                server.listen(1)
                given = {"socket": address, "classes": checkpoint.network.classes}
                self._thread = threading.Thread(target=self._simulate, args=(built, given), daemon=True)
                self._thread.start()
                self._connection = self._accept(server)
            self._files = files.pop_all()
        self.core = Registers(self)
        self.dma = Dma(self)

    def _simulate(self, built: Build, given: dict) -> None:
        try:
            run(built, BENCH, self.folder, parameters=given, timeout_s=LIFETIME_S)
        except Exception as error:  # it is raised in the caller's thread
            self._failure = error

    def _accept(self, server: socket.socket) -> Connection:
        server.settimeout(POLL_S)
        for _ in range(round(START_S / POLL_S)):
            try:
                accepted, _address = server.accept()
                return Connection(accepted.detach())
            except TimeoutError:
                if not self._thread.is_alive():
                    break
        raise self._failure or RuntimeError(f"the simulator did not start within {START_S} s")

    def ask(self, *words: Any) -> Any:
        """Have the bench do something; its answer."""
        try:
            self._connection.send(words)
            if self._connection.poll(ANSWER_S):
                return self._connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            self._thread.join()
            raise self._failure or RuntimeError("the simulation has ended") from error
        raise RuntimeError(f"the simulation did not answer within {ANSWER_S} s")

    def close(self) -> None:
        """End the simulation. Raises SimulationFailed where it found something wrong."""
        if self._connection.closed:
            return
        try:
            self.ask("close")
            self._thread.join()
        finally:
            self._connection.close()
            with self._files:
                if self._failure:
                    raise self._failure


class Registers:
    """The core's registers, as ``pynq.MMIO`` has them. A refused access is an OSError: on a board a bus error."""

    def __init__(self, device: AxiDevice):
        self.device = device

    def read(self, offset: int) -> int:
        value, fine = self.device.ask("read", offset)
        return self.checked(value, fine, offset)

    def write(self, offset: int, value: int) -> None:
        fine = self.device.ask("write", offset, int(value))
        self.checked(None, fine, offset)

    def checked(self, value: T, fine: bool, offset: int) -> T:
        if not fine:
            raise OSError(f"the core refused an access to {offset:#05x}")
        return value


class Dma:
    """Xilinx's AXI DMA without scatter-gather, as far as ``pynq.lib.DMA`` shows it: one packet a transfer."""

    def __init__(self, device: AxiDevice):
        self.device = device
        self.sendchannel = SendChannel(device)
        self.recvchannel = ReceiveChannel(device)

    def write(self, offset: int, value: int) -> None:
        """Its own registers: the reset bit of the first is what there is."""
        if (offset, value) == (0, 4):
            for channel in (self.sendchannel, self.recvchannel):
                channel.running, channel.busy = False, False
            self.device.ask("reset dma")


class Channel:
    """What both directions have in common."""

    def __init__(self, device: AxiDevice):
        self.device = device
        self.running = self.busy = False

    def start(self) -> None:
        self.running = True

    def begin(self) -> None:
        if not self.running:
            raise RuntimeError("DMA channel not started")
        if self.busy:
            raise RuntimeError("DMA channel not idle")
        self.busy = True

    @property
    def idle(self) -> bool:
        """Whether the transfer that was begun is done, or none was."""
        raise NotImplementedError

    def wait(self) -> None:
        while not self.idle:
            pass


class SendChannel(Channel):
    """Memory to stream."""

    def transfer(self, array: np.ndarray) -> None:
        self.begin()
        self.device.ask("send", array.tobytes())

    @property
    def idle(self) -> bool:
        if self.busy:
            self.busy = not self.device.ask("sent")
        return not self.busy


class ReceiveChannel(Channel):
    """Stream to memory: up to a packet's end."""

    def transfer(self, array: np.ndarray) -> None:
        self.begin()
        self.array = array
        self.device.ask("arm")

    @property
    def idle(self) -> bool:
        data = self.device.ask("received") if self.busy else None
        if data is not None:
            self.busy = False
            words = np.frombuffer(data, "<u4")
            if len(words) > len(self.array):
                raise RuntimeError("DMA internal error: the packet is longer than the buffer")
            self.array[: len(words)] = words
        return not self.busy
