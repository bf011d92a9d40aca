"""Machines that the page asked for: each has a thread that generates and compiles it, and then runs its simulator."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fivebyfive.hw.conv.conv_controller import conv_states
from fivebyfive.hw.generate import Generated, generate
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import forward
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import Size
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.unused import as_computed, unread_outputs
from fivebyfive.output.block_diagram import Block, blocks
from fivebyfive.sim.session.probes import Probe, find_probes
from fivebyfive.sim.session.session import Session, SessionResult, build_session
from fivebyfive.sim.session.taps import Piece
from fivebyfive.sim.simulate import Difference
from fivebyfive.sim.simulator.builder import Build
from fivebyfive.support.errors import Failure, UserError
from fivebyfive.support.log import log
from fivebyfive.support.temporary import working_folder

from .diagram import diagram, unit_name
from .events import Feed
from .guard import Refused
from .inputs import Catalog, encoded
from .runs import Runs

__all__ = ["Choice", "Digit", "Machine", "Machines"]

IDLE_S = 600  # a simulator that nobody asks for so long ends, until the next digit
MOST_WAITING = 20  # digits of a machine
MOST_MACHINES = 40
CLOSE_S = 10  # for a machine to end


@dataclass(frozen=True)
class Choice:
    """What the page asks for."""

    checkpoint: str
    size: Size

    @classmethod
    def of(cls, wanted: dict[str, Any], base: Size, first: str) -> "Choice":
        """The choice in a request; ``base`` and ``first`` for what it does not say."""
        names = ("conv_pes", "fc_rows", "early_fc")
        size = replace(base, **{name: wanted[name] for name in names if name in wanted})
        name = wanted.get("checkpoint", first)
        if not isinstance(name, str):
            raise Refused(400, "the name of the checkpoint must be a text; reload the page")
        return cls(name, size)

    @property
    def facts(self) -> dict[str, Any]:
        size = self.size
        return {
            "checkpoint": self.checkpoint, "conv_pes": size.conv_pes, "fc_rows": size.fc_rows,
            "early_fc": size.early_fc,
        }  # fmt: skip


@dataclass(frozen=True)
class Digit:
    """An image, uint8 of the network's input, with remarks; ``feed`` gets what becomes of it. ``arrived``: when it was
    sent (time.monotonic)."""

    pixels: np.ndarray
    remarks: tuple[str, ...]
    feed: Feed
    arrived: float


class Closing(Exception):  # noqa: N818 (it ends a machine's work)
    """The server ends, or nobody listens any more."""


class Machine:
    """A machine and its simulator.

    ``name``: as the page calls it. Listeners get the events progress, and at last ready or failed.
    """

    def __init__(self, name: str, choice: Choice, checkpoint: Checkpoint, config: Config, runs: Runs):
        self.name, self.choice, self.checkpoint, self.config, self.runs = name, choice, checkpoint, config, runs
        self.digits: queue.Queue[Digit | None] = queue.Queue(MOST_WAITING)
        self.lock = threading.Lock()
        self.listeners: list[Feed] = []
        self.last: tuple[str, dict[str, Any]] = ("progress", {"message": "waiting", "done": None})
        self.closing = False
        self.session: Session | None = None
        self.unread: dict[str, np.ndarray] = {}  # outputs that the machine does not compute
        self.thread = threading.Thread(target=self.work, name=f"studio {name}", daemon=True)
        self.thread.start()

    @property
    def is_ready(self) -> bool:
        return self.last[0] == "ready"

    @property
    def has_failed(self) -> bool:
        return self.last[0] == "failed"

    def listen(self, feed: Feed) -> None:
        """The machine's events from the last one on."""
        with self.lock:
            feed.put(*self.last)
            if self.last[0] == "progress":
                self.listeners.append(feed)
            else:
                feed.end()

    def tell(self, event: str, data: dict[str, Any]) -> None:
        with self.lock:
            self.last = event, data
            self.listeners = [feed for feed in self.listeners if not feed.gone]
            for feed in self.listeners:
                feed.put(event, data)
                if event != "progress":
                    feed.end()

    def read(self, digit: Digit) -> None:
        """Have an image read after those that wait. Raises Refused."""
        if not self.is_ready:
            raise Refused(409, "the machine is not built yet; wait until it is ready")
        try:
            self.digits.put_nowait(digit)
        except queue.Full:
            raise Refused(503, f"{MOST_WAITING} digits are waiting for this machine; try again in a moment") from None

    def close(self) -> None:
        """Begin to end; the thread ends soon."""
        self.closing = True
        if session := self.session:
            session.process.kill()
        try:
            self.digits.put_nowait(None)
        except queue.Full:
            pass  # it looks at `closing` behind each digit

    def work(self) -> None:
        """Of the thread."""
        with ExitStack() as stack:
            try:
                run = self.prepare(stack)
            except Closing:
                return
            except Exception as error:
                return self.tell("failed", {"error": line_of(error)})
            while not self.closing:
                run()

    def prepare(self, stack: ExitStack) -> Callable[[], None]:
        """Build the machine and start its simulator; what then has the next digit read."""
        self.progress(0, 0, "generating Verilog")
        network = self.checkpoint.network
        generated = generate(self.checkpoint, self.config, self.choice.checkpoint)
        self.unread = unread_outputs(self.checkpoint, self.config)
        units = blocks(network, self.config)
        probes = find_probes(generated.design, units)
        built = build_session(generated, probes, self.progress)
        simulator = Simulator(built, generated, probes, stack)
        self.session = simulator.running()
        self.tell("ready", self.facts(probes, units))
        return lambda: self.next_digit(simulator)

    def progress(self, done: int, total: int, text: str) -> None:
        if self.closing:
            raise Closing
        self.tell("progress", {"message": text, "done": done / total if total else None})

    def facts(self, probes: tuple[Probe, ...], units: Mapping[str, Block]) -> dict[str, Any]:
        """What the page is told of the machine."""
        network, config = self.checkpoint.network, self.config
        convs = len(stages(network).convs)
        multipliers = {"conv": config.conv_multipliers, "fc": config.fc_multipliers}
        text = " + ".join(f"{count:,}" for count in multipliers.values() if count)
        return self.choice.facts | {
            "machine": self.name,
            "title": f"{self.choice.checkpoint}, {text} multipliers" + (", early fc" if config.early_fc else ""),
            "input": list(network.input),
            "multipliers": multipliers,
            "layers": [
                {"name": place.layer.name, "kind": place.layer.kind, "shape": list(place.outputs)} for place in network
            ],
            "classes": network.classes,
            "labels": list(network.labels) or [str(index) for index in range(network.classes)],
            "diagram": diagram(self.choice.checkpoint, network, config),
            "units": [{"name": unit_name(name), "title": block.title} for name, block in units.items()],
            "states": [state.name for state in conv_states(convs).__members__.values()] if convs else [],
            "signals": [
                {
                    "name": probe.name, "bits": probe.bits, "unit": unit_name(probe.unit),
                    "values": {str(value): name for value, name in probe.values.items()} or None,
                }
                for probe in probes
            ],
        }  # fmt: skip

    def next_digit(self, simulator: "Simulator") -> None:
        """Have the next digit read; end the simulator where none comes."""
        try:
            digit = self.digits.get(timeout=IDLE_S)
        except queue.Empty:
            return simulator.end()
        if digit is None or digit.feed.gone:
            return
        try:
            self.session = simulator.running()
            self.show(digit, self.session)
        except Closing:
            simulator.end()  # in the middle of an image
        except Exception as error:
            simulator.end()
            digit.feed.put("failed", {"error": f"{line_of(error)}; have the digit read again"})
        finally:
            digit.feed.end()

    def show(self, digit: Digit, session: Session) -> None:
        """An image through the simulator, and what becomes of it to the page."""
        run, put = self.runs.new(), digit.feed.put

        def layer(piece: Piece) -> None:
            if digit.feed.gone:
                raise Closing
            values = encoded(piece.values)
            put("layer", {"name": piece.layer, "first": piece.first, "values": values, "cycle": piece.cycle})

        put("input", {"run": run, "pixels": encoded(digit.pixels), "remarks": list(digit.remarks)})
        result = session.run(digit.pixels, layer)
        put("result", self.result_facts(digit, result))
        recording = session.recording()
        self.runs.keep(run, recording)
        busy = {unit_name(unit): spans for unit, spans in recording.busy().items()}
        states = recording.states()
        put("activity", {"run": run, "cycles": recording.cycles, "recorded": recording.recorded,
                         "states": states, "units": busy})  # fmt: skip

    def result_facts(self, digit: Digit, result: SessionResult) -> dict[str, Any]:
        """What the page is told of a result, compared with the golden model."""
        trace = forward(self.checkpoint, digit.pixels[np.newaxis])
        shown = as_computed(trace.outputs, self.unread)
        expected = {name: codes[0] for name, codes in shown.items()}
        equal = {name: bool(np.array_equal(codes, result.outputs[name])) for name, codes in expected.items()}
        difference = next((first_difference(name, expected[name], result.outputs[name])
                           for name, same in equal.items() if not same), None)  # fmt: skip
        labels = self.checkpoint.network.labels
        return {
            "class": result.index,
            "label": labels[result.index] if labels else str(result.index),
            "logits": result.logits.tolist(),
            "cycles": result.cycles._asdict(),
            "total_cycles": result.total,
            "equal": difference is None,
            "difference": difference.of_image if difference else None,
            "layers_equal": equal,
            "seconds": round(result.seconds, 4),
            "digit_seconds": round(time.monotonic() - digit.arrived, 4),
        }


def first_difference(layer: str, expected: np.ndarray, got: np.ndarray) -> Difference:
    """Where the RTL's values of a layer first differ from the golden model's."""
    place = tuple(map(int, np.argwhere(expected != got)[0]))
    return Difference(0, layer, place, int(expected[place]), int(got[place]))


class Simulator:
    """A machine's simulator, started again where it has ended; for one thread. It ends with ``stack``."""

    def __init__(self, built: Build, generated: Generated, probes: tuple[Probe, ...], stack: ExitStack):
        self.built, self.generated, self.probes = built, generated, probes
        self.current = stack.enter_context(ExitStack())
        self.session: Session | None = None

    def running(self) -> Session:
        if self.session is None or not self.session.alive:
            self.end()
            folder = self.current.enter_context(working_folder())
            self.session = self.current.enter_context(Session(self.built, self.generated, self.probes, folder))
        return self.session

    def end(self) -> None:
        self.session = None
        self.current.close()


class Machines:
    """All machines; the same choice has the same one. For any thread."""

    def __init__(self, catalog: Catalog, base: Size):
        self.catalog, self.base = catalog, base
        self.runs = Runs()
        self.lock = threading.Lock()
        self.machines: dict[str, Machine] = {}

    def make(self, wanted: dict[str, Any]) -> Machine:
        """The machine that a request asks for. Raises Refused."""
        choice = Choice.of(wanted, self.base, self.catalog.first)
        checkpoint = self.catalog[choice.checkpoint]
        try:
            config = choice.size.config(checkpoint)
        except UserError as error:
            raise Refused(422, str(error)) from error
        with self.lock:
            for machine in self.machines.values():
                if machine.choice == choice and not machine.has_failed:
                    return machine
            if len(self.machines) >= MOST_MACHINES:
                raise Refused(503, f"{MOST_MACHINES} machines were made; for others end this one and start it again")
            name = f"m{len(self.machines) + 1}"
            self.machines[name] = Machine(name, choice, checkpoint, config, self.runs)
            return self.machines[name]

    def __getitem__(self, name: str) -> Machine:
        if name not in self.machines:
            raise Refused(404, "there is no such machine any more; reload the page")
        return self.machines[name]

    def close(self) -> None:
        """End all simulators."""
        for machine in self.machines.values():
            machine.close()
        end = time.monotonic() + CLOSE_S
        for machine in self.machines.values():
            machine.thread.join(max(0.0, end - time.monotonic()))


def line_of(error: Exception) -> str:
    """One line on what went wrong."""
    if isinstance(error, Failure):
        return str(error).splitlines()[0].rstrip(":.")
    log.error("studio", exc_info=error)
    return f"{type(error).__name__}: {error}; this is a defect of fivebyfive, please report it"
