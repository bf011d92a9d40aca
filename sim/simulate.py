"""Images through the generated RTL, and its every value against the golden model's."""

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fivebyfive.hw.generate import Generated
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import written
from fivebyfive.model.golden import BATCH, check_pixels, classify, forward
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import counter_bits
from fivebyfive.model.machine.unused import as_computed, unread_outputs
from fivebyfive.model.network import Network
from fivebyfive.sim.quality.coverage import FILE, Coverage, read_coverage
from fivebyfive.sim.simulator.builder import build
from fivebyfive.sim.simulator.process import kept_if_failed
from fivebyfive.sim.simulator.run_folder import RUN_FILES, recorded
from fivebyfive.sim.simulator.runner import run
from fivebyfive.sim.simulator.speed import Speed
from fivebyfive.support.progress import Progress, silent

__all__ = ["COUNTERS", "Cycles", "Difference", "Simulation", "simulate"]

BENCH = "fivebyfive.sim.benches.network"
PIXELS = "run-pixels.npy"  # that the bench reads; no layer has a hyphen in its name
SKIPPED = 10  # results in front of the interval's mean: the pipeline fills
CLASS = "-class"  # of an image, beside its layers, of which one may be called class
COUNTERS = ("conv", "fc", "latency", "interval")


@dataclass(frozen=True)
class Difference:
    """The first value that is not the golden model's. ``place``: its index in the layer's output for one image:
    (channel, row, column) or (output,). ``cycle``: when the layer's tap showed it; known in a run with waves."""

    image: int
    layer: str
    place: tuple[int, ...]
    expected: int
    got: int
    cycle: int | None = None

    def __str__(self) -> str:
        return f"image {self.image}, {self.of_image}"

    @property
    def of_image(self) -> str:
        """The same without the image's number."""
        names = ("channel", "row", "column") if len(self.place) == 3 else ("output",)
        where = ", ".join(f"{name} {index}" for name, index in zip(names, self.place, strict=False))
        when = "" if self.cycle is None else f", in cycle {self.cycle}"
        return f"layer {self.layer}, {where}: expected {self.expected}, got {self.got}{when}"


@dataclass(frozen=True)
class Cycles:
    """The four clocks (hardware counters). ``conv``, ``fc``, ``latency``: of the first image, which has the machine to
    itself; ``interval``: mean distance between results, without the first ten where there are more than twenty; None
    for a single image."""

    conv: int
    fc: int
    latency: int
    interval: float | None


@dataclass(frozen=True)
class Simulation:
    """What the RTL computed.

    ``outputs``: layer to int8 (N, ...) as in `fivebyfive.model.golden.Trace`; only the last layer if layers were not
    recorded. Outputs that the machine does not compute (`fivebyfive.model.machine.unused`) are zeros, and taken for
    right where nothing reads them. ``classes``: int64 (N,). ``counters``: cycles of each image, int64 (N, 4): conv, fc,
    latency, interval.
    ``difference``: the first one, None if all is equal; what lies behind it was not compared. ``images``: how many
    results there are. ``waves``: the waveform file, if one was asked for. ``speed``, and
    ``coverage`` if asked for: of a run that came to its end.
    """

    outputs: dict[str, np.ndarray]
    classes: np.ndarray
    counters: np.ndarray
    difference: Difference | None
    images: int
    seed: int
    seconds: float
    waves: Path | None
    speed: Speed | None = None
    coverage: Coverage | None = None

    @property
    def logits(self) -> np.ndarray:
        """Codes of the last layer, int8 (N, classes)."""
        return list(self.outputs.values())[-1]

    @property
    def cycles(self) -> Cycles:
        conv, fc, latency, _ = map(int, self.counters[0])
        rest = self.counters[min(SKIPPED, self.images // 2) if self.images > 2 else 1 : self.images, 3]
        return Cycles(conv, fc, latency, float(rest.mean()) if len(rest) else None)


class _Different(Exception):  # noqa: N818 (it ends a run, it is no error)
    """The RTL and the golden model differ; there is no need to go on."""


class _Watch:
    """Compares each image as its result appears, and tells how far the run is.

    A difference ends the run, but not one with ``waves``: a simulator that is killed leaves half a waveform file.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        config: Config,
        pixels: np.ndarray,
        arrays: dict[str, np.ndarray],
        layers: bool,
        waves: bool,
        progress: Progress,
    ):
        self.checkpoint, self.pixels, self.arrays, self.layers = checkpoint, pixels, arrays, layers
        self.unread = unread_outputs(checkpoint, config)
        self.waves = waves
        self.progress = progress
        self.compared = 0
        self.difference: Difference | None = None

    def __call__(self) -> None:
        done = int(self.arrays["run-done"][0])
        while self.compared < done and not self.difference:
            batch = slice(self.compared, min(done, self.compared + BATCH))
            self.difference = self.compare(batch)
            if self.difference and not self.waves:
                raise _Different
            self.compared = batch.stop
        self.progress(done, len(self.pixels), "simulating")

    def compare(self, batch: slice) -> Difference | None:
        """The first difference in a batch of images: by image, then by layer, then by place."""
        trace = forward(self.checkpoint, self.pixels[batch])
        names = self.checkpoint.network.names if self.layers else self.checkpoint.network.names[-1:]
        outputs = as_computed(trace.outputs, self.unread)
        expected = {name: outputs[name] for name in names} | {CLASS: classify(trace.logits)}
        found = [
            (int(place[0]), order, name, tuple(map(int, place[1:])))
            for order, name in enumerate(expected)
            for place in np.argwhere(expected[name] != self.got(name)[batch])[:1]
        ]
        if not found:
            return None
        image, _, name, place = min(found)
        index = (image, *place)
        times = self.arrays.get(f"{name}-cycle")
        return Difference(
            batch.start + image,
            name.lstrip("-"),
            place or (0,),
            int(expected[name][index]),
            int(self.got(name)[batch][index]),
            None if times is None else int(times[batch][index]),
        )

    def got(self, name: str) -> np.ndarray:
        return self.arrays["run-classes" if name == CLASS else name]


def simulate(
    checkpoint: Checkpoint,
    generated: Generated,
    pixels: np.ndarray,
    *,
    simulator: str = "verilator",
    layers: bool = True,
    pause: float = 0.0,
    seed: int | None = None,
    folder: Path | None = None,
    waves: bool = False,
    coverage: bool = False,
    force: bool = False,
    finish: Callable[[Simulation, Path], None] = lambda result, folder: None,
    beside: Collection[str] = (),
    progress: Progress = silent,
) -> Simulation:
    """Run images, uint8 (N, rows, columns) or (N, channels, rows, columns), through the RTL and compare with the golden
    model until the first difference.

    ``generated`` is the accelerator of ``checkpoint``. ``layers``: record and compare every layer, not only the logits.
    ``pause``: probability of a pause of the pixel source and of the result's receiver in each cycle. ``seed``: of the
    pauses, a new one if None. ``folder``: where the run's files stay, a temporary one if None; ``waves`` leaves
    waves.fst (or .vcd) in it, and files that were edited are replaced with ``force`` only. ``coverage``: count what of
    the Verilog ran and toggled (Verilator only, slower). ``finish`` is called with the result and the folder while it
    is there; it may write files of the names ``beside``.

    Raises UserError where the simulator is missing or files in ``folder`` would be lost, ValueError for images of the
    wrong shape, SimulationFailed where the RTL hangs or its run ends early.
    """
    check_run(pixels, pause, seed, simulator, network=checkpoint.network)
    seed = random.SystemRandom().getrandbits(31) if seed is None else seed
    design = generated.design
    started = time.monotonic()
    progress(0, len(pixels), f"building with {simulator}")
    built = build(design, simulator, waves=waves, coverage=coverage, progress=progress)
    shapes = arrays_of(checkpoint, len(pixels), waves)
    files = {f"{design.name}.v", *design.memories, PIXELS, *map(array_file, shapes), *RUN_FILES, *beside}
    with run_folder(folder, files, force) as place:
        design.write(place)
        arrays = make_arrays(place, shapes, pixels)
        config = Config(**generated.manifest["config"])
        watch = _Watch(checkpoint, config, pixels, arrays, layers, waves, progress)
        try:
            done = run(
                built,
                BENCH,
                place,
                parameters=parameters(checkpoint, config, layers, pause, waves),
                seed=seed,
                timeout_s=limit_seconds(len(pixels), simulator),
                watch=watch,
            )
            watch()
            seed_used, seconds = done.seed, done.seconds
        except _Different:
            seed_used, seconds = seed, time.monotonic() - started
        names = checkpoint.network.names if layers else checkpoint.network.names[-1:]
        copies = {name: np.array(array) for name, array in arrays.items()}
        seen = place / FILE if coverage and not watch.difference else None
        covered = read_coverage(seen, design.verilog) if seen else None
        result = Simulation(
            {name: copies[name] for name in names},
            copies["run-classes"],
            copies["run-cycles"],
            watch.difference,
            int(copies["run-done"][0]),
            seed_used,
            seconds,
            place / built.waves if waves and built.waves else None,
            Speed(int(copies["run-speed"][0]), *map(float, copies["run-speed"][1:]))
            if copies["run-speed"][0]
            else None,
            covered,
        )
        finish(result, place)
    return result


def check_run(
    pixels: Any,
    pause: object = 0.0,
    seed: object = None,
    simulator: object = "verilator",
    network: Network | None = None,
    **others: object,
) -> None:
    """Raise ValueError where what `simulate` is given cannot be simulated; it looks at no ``others``."""
    check_pixels(pixels, network)
    if not len(pixels):
        raise ValueError("there must be at least one image to simulate")
    if not isinstance(simulator, str):
        raise ValueError(f"simulator is a name, such as verilator, not {simulator!r}")
    if not isinstance(pause, int | float) or not 0 <= pause < 1:
        raise ValueError(f"pause is a probability from 0 to below 1, not {pause!r}")
    if seed is not None and not (type(seed) is int and 0 <= seed < 2**31):
        raise ValueError(f"seed is a whole number from 0 to {2**31 - 1}, not {seed!r}")


@contextmanager
def run_folder(folder: Path | None, names: Collection[str] = (), force: bool = False) -> Iterator[Path]:
    """The folder itself, made if need be, or a temporary one; that stays where a failed run's log is in it."""
    if folder is not None:
        with recorded(folder, names, force):
            yield folder.absolute()
        return
    with kept_if_failed() as temporary:
        yield temporary


def arrays_of(checkpoint: Checkpoint, count: int, waves: bool) -> dict[str, tuple[tuple[int, ...], type]]:
    """Shape and type of each array of a run: one a layer, classes, cycles, images done; with ``waves`` also the cycle
    in which each value of a layer was seen."""
    shapes: dict[str, tuple[tuple[int, ...], type]]
    shapes = {name: ((count, *shape), np.int8) for name, shape in checkpoint.network.outputs.items()}
    shapes |= {f"{name}-cycle": (shape, np.int64) for name, (shape, _) in shapes.items() if waves}
    shapes |= {"run-classes": ((count,), np.int64), "run-cycles": ((count, len(COUNTERS)), np.int64)}
    return shapes | {"run-done": ((1,), np.int64), "run-speed": ((3,), np.float64)}  # the fields of `Speed`


def array_file(name: str) -> str:
    return f"{name}.npy"


def make_arrays(folder: Path, shapes: Mapping[str, tuple], pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Files that the bench fills while the caller watches them (`arrays_of`), and the pixels that it reads."""
    np.save(folder / PIXELS, pixels)
    return {
        name: np.lib.format.open_memmap(folder / array_file(name), mode="w+", dtype=dtype, shape=shape)
        for name, (shape, dtype) in shapes.items()
    }


def parameters(checkpoint: Checkpoint, config: Config, layers: bool, pause: float, waves: bool) -> dict:
    network = checkpoint.network
    return {
        "network": written(network),
        "counter_bits": counter_bits(network, config),
        "config": asdict(config),
        "layers": layers,
        "pause": pause,
        "waves": waves,
        "folder": ".",
        "limit_cycles": limit_cycles(network, pause),
    }


def limit_cycles(network: Network, pause: float = 0.0) -> int:
    """Of any wait: even a machine that does a MAC a cycle, with a source that hardly ever gives a pixel, is done by
    then."""
    return int((sum(network.macs.values()) + 100_000 + 2 * network.pixels) / (1 - pause))


def limit_seconds(images: int, simulator: str) -> float:
    """Far above what a run of the slowest machine takes: a second an image, some twenty with Icarus."""
    return 600 + images * (600 if simulator == "icarus" else 30)
