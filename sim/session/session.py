"""A simulator that stays running: it is given one image after the other and tells what comes out of each layer."""

import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fivebyfive.hw.generate import Generated
from fivebyfive.model.description import read_network
from fivebyfive.model.machine.config import Config
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.pixel_words import words_of
from fivebyfive.sim.simulate import limit_cycles, limit_seconds
from fivebyfive.sim.simulator.builder import Build, build
from fivebyfive.sim.simulator.process import SimulationFailed, SimulatorFailed, last_lines
from fivebyfive.support.errors import how_it_ended
from fivebyfive.support.parent_death import bound_to_parent
from fivebyfive.support.progress import Progress, silent

from .probes import Probe
from .recording import Changes, Recording
from .taps import Piece, TapReader, fields

__all__ = ["Session", "SessionResult", "build_session"]

TAPS = ("conv_tap", "fc_tap")  # kinds of frames (session.cpp)
RESULT, SIGNAL, END, HANGS = 8, 9, 10, 11
HEAD = struct.Struct("=II")  # kind, bytes
LENGTHS = struct.Struct("=QQ")
CYCLE, VALUE = np.dtype(np.uint32), np.dtype(np.uint64)
END_S = 10  # for a process that is killed
LOG = "session.log"
Show = Callable[[Piece], object]


class Frame(NamedTuple):
    """What the simulator says: ``kind`` (session.cpp) and ``data``."""

    kind: int
    data: bytes


class Cycles(NamedTuple):
    """The machine's own counters of an image (`fivebyfive.hw.counters`), without that of the interval."""

    conv: int
    fc: int
    latency: int


@dataclass(frozen=True)
class SessionResult:
    """What the RTL computed of an image.

    ``outputs``: layer to int8 codes of the shape that it has for one image, zeros where the machine computes none
    (`fivebyfive.model.machine.unused`); ``index``: the class. ``total``: cycles
    from the first pixel to the end of the result. ``seconds``: of the simulator.
    """

    outputs: dict[str, np.ndarray]
    logits: np.ndarray
    index: int
    cycles: Cycles
    total: int
    seconds: float


def build_session(generated: Generated, probes: tuple[Probe, ...], progress: Progress = silent) -> Build:
    """The compiled simulation of an accelerator for a `Session` that records ``probes``. Raises as `builder.build`."""
    places = tuple(dict.fromkeys(probe.place for probe in probes if "." in probe.name))  # the ports are public anyway
    return build(generated.design, "verilator", probes=places, progress=progress)


class Session:
    """A running simulator of an accelerator; a context manager. The thread that made it must stay: the simulator ends
    with it (`fivebyfive.support.parent_death`).

    ``folder``: where it works, which becomes full of the design's memories and of its log.

    Raises SimulatorFailed where it does not start.
    """

    def __init__(self, built: Build, generated: Generated, probes: tuple[Probe, ...], folder: Path):
        self.network = read_network(generated.manifest["checkpoint"]["network"])
        self.config = Config(**generated.manifest["config"])
        self.layouts = {port["name"]: port["fields"] for port in generated.manifest["ports"]}
        self.widths = {port["name"]: port["width"] for port in generated.manifest["ports"]}
        self.probes = probes
        self.readers = {
            kind: TapReader(self.network, self.config, name, self.layouts[name])
            for kind, name in enumerate(TAPS)
            if name in self.layouts
        }
        self.limit_cycles = limit_cycles(self.network)
        self.timer = threading.Timer(0, lambda: None)  # of the image, which kills the simulator
        self.log = folder / LOG
        generated.design.write(folder)
        name = generated.design.name
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                bound_to_parent([str(built.folder / name), name, *(probe.name for probe in probes)]),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        self.process.kill()
        self.process.communicate(timeout=END_S)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def run(self, pixels: np.ndarray, show: Show = lambda piece: None) -> SessionResult:
        """An image, uint8 of the network's input, through the RTL; ``show`` is called with values as they come out.

        `recording` must be called before the next image. Raises SimulationFailed where there is no result, or values
        of a layer are missing; SimulatorFailed where the simulator ends or takes too long, which ends the session.
        """
        began = time.monotonic()
        words = np.array(words_of(pixels, self.config.pixels), np.uint64)
        self.timer = threading.Timer(limit_seconds(1, "verilator"), self.process.kill)
        self.timer.daemon = True
        self.timer.start()
        self.write(LENGTHS.pack(self.limit_cycles, len(words)) + words.tobytes())
        outputs = {name: np.zeros(prod(shape), np.int8) for name, shape in self.network.outputs.items()}
        seen = {name: np.zeros(prod(shape), bool) for name, shape in self.network.outputs.items()}
        while (frame := self.read_frame()).kind in self.readers:
            for piece in self.pieces(frame):
                outputs[piece.layer][piece.first : piece.first + len(piece.values)] = piece.values
                seen[piece.layer][piece.first : piece.first + len(piece.values)] = True
                show(piece)
        if frame.kind == HANGS:
            self.end_image()
            raise SimulationFailed(f"the machine gave no result within {self.limit_cycles:,} cycles", self.log)
        every = {name: prod(shape) for name, shape in self.config.built(self.network).outputs.items()}
        if short := [name for name, count in every.items() if seen[name].sum() != count]:
            raise SimulationFailed(f"the machine showed another number of values than {', '.join(short)} has", self.log)
        shaped = {name: outputs[name].reshape(shape) for name, shape in self.network.outputs.items()}
        return self.result_of(frame.data, shaped, time.monotonic() - began)

    def result_of(self, data: bytes, outputs: dict[str, np.ndarray], seconds: float) -> SessionResult:
        """What the frame RESULT tells. The payload of ``o`` and the counters begin at a word of 32 bits, as Verilator
        has them, unless they are shorter."""
        self.total, self.recorded = LENGTHS.unpack_from(data)
        rest = np.frombuffer(data, np.uint8, offset=LENGTHS.size)
        size = stored_bytes(self.widths["o__payload"])
        answer = fields(self.layouts["o__payload"], rest[np.newaxis, :size])
        counted = fields(self.layouts["cycles"], rest[np.newaxis, size:])
        logits = [answer[f"logits[{n}]"][0] for n in range(self.network.classes)]
        codes = np.array(logits).astype(np.uint8).view(np.int8)
        index = int(answer["index"][0]) if "index" in answer else 0  # one class: a number of no bits
        cycles = Cycles(*(int(counted[name][0]) for name in Cycles._fields))
        return SessionResult(outputs, codes, index, cycles, self.total, seconds)

    def recording(self) -> Recording:
        """What was recorded of the last image. Raises SimulatorFailed as `run`."""
        signals = []
        for probe in self.probes:
            data = self.read_frame().data
            count = len(data) // (CYCLE.itemsize + VALUE.itemsize)
            cycles = np.frombuffer(data, CYCLE, count)
            signals.append((probe, Changes(cycles, np.frombuffer(data, VALUE, count, cycles.nbytes))))
        self.end_image()
        return Recording(self.total, self.recorded, tuple(signals))

    def end_image(self) -> None:
        """Read the end of what the simulator says of an image."""
        assert self.read_frame().kind == END
        self.timer.cancel()

    def pieces(self, frame: Frame) -> Iterator[Piece]:
        """Values of layers in a frame of a tap."""
        reader = self.readers[frame.kind]
        size = stored_bytes(self.widths[TAPS[frame.kind]])
        seen = np.frombuffer(frame.data, np.dtype([("cycle", VALUE), ("word", np.uint8, size)]))
        return reader.pieces(seen["cycle"].astype(np.int64), seen["word"])

    def write(self, data: bytes) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except OSError as error:
            raise self.ended() from error

    def read_frame(self) -> Frame:
        kind, size = HEAD.unpack(self.read(HEAD.size))
        return Frame(kind, self.read(size))

    def read(self, size: int) -> bytes:
        assert self.process.stdout
        data = self.process.stdout.read(size)
        if len(data) < size:
            raise self.ended()
        return data

    def ended(self) -> SimulatorFailed:
        """Why there is nothing more to read: the process has ended, or ends now."""
        self.timer.cancel()
        self.process.kill()
        code = self.process.wait(END_S)
        said = "\n".join([f"the simulator {how_it_ended(code)}", *last_lines(self.log)])
        return SimulatorFailed(said, self.log)


def stored_bytes(bits: int) -> int:
    """Bytes in which Verilator keeps a signal: 1, 2, 4 or 8, or as many words of 32 bits as it needs."""
    return next((size for size in (1, 2, 4, 8) if bits <= 8 * size), 4 * ceil_div(bits, 32))
