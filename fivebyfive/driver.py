"""Drives the AXI core from Python: on a board through PYNQ, or simulated, by the same lines.

    from pynq import Overlay
    from fivebyfive.driver import Driver

    with Driver.of_overlay(Overlay("lenet_system.bit")) as lenet:
        logits = lenet.predict(images)

`Driver` needs of the core's registers ``read(offset)`` and ``write(offset, value)``, and of the AXI DMA (simple mode)
``sendchannel`` and ``recvchannel`` with ``transfer``, ``idle``, ``wait`` and ``start``, and ``write`` for a reset. As
have PYNQ's objects, and those of `fivebyfive.sim.devices.axi_device`. Whatever goes wrong is a `DriverError` with a
line.
"""

import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import check_images
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.network import Network
from fivebyfive.model.protocol.identity import network_mark, result_words, tables_mark
from fivebyfive.model.protocol.registers import ID, VERSION, decode, encode, field_mask, register
from fivebyfive.model.shape import LeNetShape, summary
from fivebyfive.support.errors import UserError

__all__ = [
    "ChecksumError",
    "Driver",
    "DriverError",
    "Identity",
    "LoadRefusedError",
    "OrderError",
    "ResultTimeoutError",
    "Results",
    "WrongCoreError",
    "WrongShapeError",
]  # fmt: skip

NUMBERS = 1 << 16  # frame numbers count modulo this
DMA_CONTROL, DMA_RESET = 0x00, 0x4  # of Xilinx's AXI DMA: its control register, and the bit that resets it all
COUNTERS = (
    "images", "dropped", "input_stalls", "output_stalls", "conv_cycles", "fc_cycles", "latency", "interval",
)  # fmt: skip


class DriverError(RuntimeError):
    """Whatever goes wrong between us and the core."""


class WrongCoreError(DriverError):
    """What is at the address is no core of ours, another version of it, or another network."""


class WrongShapeError(DriverError, UserError, ValueError):
    """Images or weights that the core cannot take."""


class ResultTimeoutError(DriverError, TimeoutError):
    """A result did not come in time, or the board does not answer."""


class OrderError(DriverError):
    """A result is of another frame than the one that was due."""


class LoadRefusedError(DriverError):
    """The core did not take weights, because it was busy."""


class ChecksumError(DriverError):
    """The core received other weights than were sent."""


@dataclass(frozen=True)
class Identity:
    """What the core says that it is. ``input``: (channels, rows, columns) of an image. ``network``, ``tables`` and
    ``engines``: marks of those that it has (`network_mark`, `tables_mark`, `Engines.mark`); ``config`` has the engines
    only where the driver was given it."""

    input: tuple[int, int, int]
    convs: int
    fc: int
    classes: int
    network: int
    tables: int
    config: Config
    engines: int
    pixel_bytes: int
    result_words: int

    @property
    def pixels(self) -> int:
        """Of an image, all channels together."""
        return prod(self.input)

    def __str__(self) -> str:
        sizes = "x".join(map(str, self.input))
        return f"{sizes}, {self.convs} conv, {self.fc} fc, {self.classes} classes ({self.network:#010x})"

    def check(self, network: Network) -> None:
        """Raise ValueError where the core is of another network, or no machine for this one."""
        if network_mark(network) != self.network:
            mark = network_mark(network)
            raise ValueError(f"the core is of another network: {self}, not {summary(network)} ({mark:#010x})")
        self.config.check(network)

    def check_tables(self, checkpoint: Checkpoint) -> None:
        """Raise ValueError where the core has other tables."""
        if (mark := tables_mark(checkpoint.tables)) != self.tables:
            raise ValueError(
                f"the core has other tables ({self.tables:#010x}) than the checkpoint ({mark:#010x}), and tables "
                "cannot be loaded; generate the core again"
            )


@dataclass(frozen=True)
class Results:
    """``logits``: int8 (N, classes). ``classes``: int64 (N,)."""

    logits: np.ndarray
    classes: np.ndarray


class Driver:
    """One core and its DMA; a context manager, as buffers and a simulator want to be given back.

    The core is reset (`reset`) when the driver takes it. A run that failed leaves it in an unknown state: every run is
    refused then until the next `reset`.

    Parameters
    ----------
    core, dma : registers and DMA, as the module says.
    allocate : makes a buffer that the DMA can reach from (shape, dtype); ``pynq.allocate`` on a board.
    timeout_s : seconds without any progress after which a run, or a reset, fails.
    expect : network that the core must have, or a checkpoint whose network and tables it must have; any if None.
    config : the machine, as its manifest.json tells it. Needed only to `load` weights into a core that was made for
        those of one checkpoint.

    Raises WrongCoreError where the core is another one; any other DriverError as `reset`, after which the buffers are
    given back.
    """

    def __init__(
        self,
        core: Any,
        dma: Any,
        *,
        allocate: Callable[..., Any] = np.zeros,
        timeout_s: float = 5.0,
        expect: Network | LeNetShape | Checkpoint | None = None,
        config: Config | None = None,
    ):
        if not isinstance(timeout_s, int | float) or not 0 < timeout_s < threading.TIMEOUT_MAX:
            raise UserError(f"timeout_s is a number of seconds above 0, not {timeout_s!r}")
        self.core = core
        self.dma = dma
        self.timeout_s = timeout_s
        self.identity = identify(core, expect, config)
        # Two buffers for images: one is filled while the DMA sends the other.
        with reported("no buffer for the DMA"):
            self._buffers = [allocate(shape=(self.identity.pixels,), dtype=np.uint8) for _ in range(2)]
            self._result = allocate(shape=(self.identity.result_words,), dtype=np.uint32)
        self._closers: list[Callable] = []
        try:
            self.reset()
        except BaseException:
            self.close()
            raise

    @classmethod
    def of_overlay(cls, overlay: Any, core: str = "lenet", dma: str = "dma", **options: Any) -> "Driver":
        """The driver of a PYNQ overlay, of the cells of these names; those of scripts/block_design.tcl by default.

        Raises UserError where there is no PYNQ, WrongCoreError where the overlay has no such cells.
        """
        try:
            from pynq import allocate
        except ImportError as error:
            raise UserError("an overlay needs PYNQ, on a board; elsewhere take Driver.simulated(checkpoint)") from error
        for name in (core, dma):
            if getattr(overlay, name, None) is None:
                raise WrongCoreError(f"the overlay has no cell {name}; name its cells: core=..., dma=...")
        return cls(getattr(overlay, core), getattr(overlay, dma), allocate=allocate, **options)

    @classmethod
    def simulated(
        cls, checkpoint: Checkpoint, config: Config | None = None, *, simulator: str = "verilator", **options: Any
    ) -> "Driver":
        """The driver of a core that is generated and simulated here. Raises UserError where there is no simulator."""
        from fivebyfive.sim.devices.axi_device import AxiDevice

        require_checkpoint(checkpoint)
        device = AxiDevice(checkpoint, config, simulator=simulator)
        try:
            driver = cls(device.core, device.dma, config=device.config, **options)
        except BaseException:
            device.close()
            raise
        driver._closers.append(device.close)
        return driver

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give buffers back, and end a simulation; again does nothing."""
        buffers, self._buffers = self._buffers, []
        for buffer in (*buffers, self._result) if buffers else ():
            if hasattr(buffer, "freebuffer"):
                buffer.freebuffer()
        while self._closers:
            self._closers.pop()()

    def reset(self) -> None:
        """Forget all that is under way, in the core and in the DMA; weights stay, counters and flags are reset.

        Raises ResultTimeoutError where core or DMA do not become idle within ``timeout_s``, DriverError where the
        driver is closed, or core or DMA fail.
        """
        self._check_open()
        self._ready = False
        self._write("control", encode("control", soft_reset=1))
        with reported("the DMA stopped"):
            self.dma.write(DMA_CONTROL, DMA_RESET)
            for channel in (self.dma.sendchannel, self.dma.recvchannel):
                self._start(channel)
            self._drain()
        # Once more: numbers begin at 0, whatever came in until the DMA was reset.
        self._write("control", encode("control", soft_reset=1, clear_counters=1))
        self._write("errors", 0xFFFFFFFF)
        self._number = 0
        self._ready = True

    def _start(self, channel: Any) -> None:
        """Start a channel of the DMA. PYNQ waits for it without a limit, so it is done by a thread."""
        failures: list[Exception] = []

        def start() -> None:
            try:
                channel.start()
            except Exception as error:  # it is raised in the caller's thread
                failures.append(error)

        thread = threading.Thread(target=start, daemon=True)
        thread.start()
        thread.join(self.timeout_s)
        if thread.is_alive():
            raise ResultTimeoutError(f"the DMA did not start within {self.timeout_s:g} s; load the bitstream again")
        if failures:
            raise failures[0]

    def _drain(self) -> None:
        """Take the results that were on their way out."""
        end = time.monotonic() + self.timeout_s
        while self.status()["sending"]:
            if time.monotonic() > end:
                raise ResultTimeoutError(
                    f"the core sends without an end, not at rest within {self.timeout_s:g} s; load the bitstream again"
                )
            self._receive()
            self._wait(lambda: self.dma.recvchannel.idle, "the rest of a result")

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Logits, int8 (N, classes), of images uint8 (N, rows, columns) or (N, channels, rows, columns); raises as
        `run`."""
        return self.run(images).logits

    def classify(self, images: np.ndarray) -> np.ndarray:
        """Classes, int64 (N,); raises as `run`."""
        return self.run(images).classes

    def run(self, images: np.ndarray) -> Results:
        """Send all images, as many at once as the core takes, and take their results.

        Raises WrongShapeError before anything is sent; ResultTimeoutError, OrderError or DriverError (a DMA's own
        complaint), after which only `reset` helps.
        """
        images = self._checked(images)
        self._check_open()
        if not self._ready:
            raise DriverError("an earlier run failed: call reset() first")
        self._ready = False
        words = np.zeros((len(images), self.identity.result_words), np.uint32)
        with reported("the DMA stopped"):
            self._exchange(images, words)
        self._ready = True
        classes = self.identity.classes
        logits = np.ascontiguousarray(words[:, 1:]).astype("<u4").view(np.int8)[:, :classes]
        return Results(logits.copy(), (words[:, 0] & 0xFF).astype(np.int64))

    def load(self, checkpoint: Checkpoint) -> None:
        """Replace all weights.

        Raises WrongShapeError for another network or other tables, or weights that the core's engines cannot take;
        LoadRefusedError where an image is inside, ChecksumError where something was lost on the way; after the last two
        the weights are a mixture: load again. DriverError where the driver is closed, or the core does not answer.
        """
        self._check_open()
        require_checkpoint(checkpoint)
        try:
            self.identity.check(checkpoint.network)
            self.identity.check_tables(checkpoint)
        except ValueError as error:
            raise WrongShapeError(str(error)) from error
        if self.identity.engines != self.identity.config.engines.mark:
            raise WrongShapeError(
                "the core was made for the weights of one checkpoint; to load others like them, give the driver "
                "the core's config: Driver(..., config=Config(**manifest['config']))"
            )
        try:
            image, check_sum = pack(checkpoint, self.identity.config), 0
        except ValueError as error:
            raise WrongShapeError(f"the core was made for other weights: {error}") from error
        self._write("errors", field_mask("errors", "load_refused"))
        self._write("load_crc", 0)
        for memory, words in ((0, image.conv), (1, image.fc)):
            padded = np.pad(words, ((0, 0), (0, -words.shape[1] % 4))).view("<u4")
            check_sum = zlib.crc32(padded.tobytes(), check_sum)
            self._write("load_address", encode("load_address", memory=memory))
            for piece in padded.ravel().tolist():
                self._write("load_data", piece)
        if "load_refused" in self.errors():
            raise LoadRefusedError("the core refused weights: an image was inside; take its result first, or reset()")
        found = self._read("load_crc")
        if found != check_sum:
            raise ChecksumError(f"the weights arrived with check-sum {found:#010x}, not {check_sum:#010x}: load again")

    def status(self) -> dict[str, int]:
        """Fields of the register status."""
        return decode("status", self._read("status"))

    def errors(self) -> set[str]:
        """Names of the error flags that are set."""
        return {name for name, value in decode("errors", self._read("errors")).items() if value}

    def counters(self) -> dict[str, int]:
        """Images and frames since the last reset, stalls in cycles, and the cycles of the last image."""
        return {name: self._read(name) for name in COUNTERS}

    def _check_open(self) -> None:
        if not self._buffers:
            raise DriverError("the driver is closed: make another one")

    def _checked(self, images: np.ndarray) -> np.ndarray:
        try:
            images = np.asarray(images) if isinstance(images, list | tuple) else images
            check_images(images, self.identity.input)
        except ValueError as error:
            raise WrongShapeError(str(error)) from error
        return images.reshape(len(images), self.identity.pixels)

    def _exchange(self, images: np.ndarray, words: np.ndarray) -> None:
        """Keep both channels of the DMA busy until all results are there."""
        send, receive = self.dma.sendchannel, self.dma.recvchannel
        sent = received = 0
        if len(images):
            self._receive()
        progress = time.monotonic()
        while received < len(images):
            before = sent, received
            if sent < len(images) and (sent == 0 or send.idle):
                if sent:
                    send.wait()
                self._buffers[sent % 2][:] = images[sent]
                send.transfer(self._buffers[sent % 2])
                sent += 1
            if receive.idle:
                receive.wait()
                words[received] = self._result
                self._check_number(int(words[received, 0]) >> 16, received)
                received += 1
                if received < len(images):
                    self._receive()
            if (sent, received) != before:
                progress = time.monotonic()
            elif time.monotonic() - progress > self.timeout_s:
                raise ResultTimeoutError(self._overdue(received, len(images)))
        if sent:
            self._wait(lambda: send.idle, "the end of the last image")
            send.wait()

    def _receive(self) -> None:
        self.dma.recvchannel.transfer(self._result)

    def _check_number(self, number: int, image: int) -> None:
        due, self._number = self._number, (self._number + 1) % NUMBERS
        if number != due:
            flags = ", ".join(sorted(self.errors())) or "none"
            raise OrderError(
                f"image {image}: the result of frame {number} came where that of frame {due} was due (flags: {flags}); "
                "somebody else uses the core, or a frame was lost: call reset()"
            )

    def _overdue(self, image: int, images: int) -> str:
        flags = ", ".join(sorted(self.errors())) or "none"
        busy = "busy" if self.status()["busy"] else "idle"
        what = f"no result of image {image} of {images} within {self.timeout_s:g} s"
        return f"{what}; the core is {busy}, its flags: {flags}; call reset()"

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + self.timeout_s
        while not done():
            if time.monotonic() > end:
                raise ResultTimeoutError(f"{what} did not come within {self.timeout_s:g} s")

    def _read(self, name: str) -> int:
        return read_register(self.core, name)

    def _write(self, name: str, value: int) -> None:
        with reported("the core does not answer"):
            self.core.write(register(name).offset, value)


def require_checkpoint(value: object) -> None:
    """Raise WrongShapeError for anything but a checkpoint."""
    if not isinstance(value, Checkpoint):
        kind = type(value).__name__
        raise WrongShapeError(f"weights are a Checkpoint, such as fivebyfive.load(path).checkpoint, not {kind}")


def read_register(core: Any, name: str) -> int:
    """What a register says. Raises DriverError where it cannot be read."""
    with reported("the core does not answer"):
        return int(core.read(register(name).offset))


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Whatever core or DMA fail with (PYNQ raises RuntimeError, ValueError and others, a bus OSError) becomes a
    DriverError of one line, which begins with ``what``."""
    try:
        yield
    except (DriverError, UserError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DriverError(f"{what}: {reason}") from error


def identify(
    core: Any, expect: Network | LeNetShape | Checkpoint | None = None, config: Config | None = None
) -> Identity:
    """What the core is. Raises WrongCoreError where it is no core of ours, has another network or other tables than
    ``expect`` or is another machine than ``config``; DriverError where it does not answer."""

    def fields(name: str) -> dict[str, int]:
        return decode(name, read_register(core, name))

    found = fields("id")["value"]
    if found != ID:
        raise WrongCoreError(f"no core of fivebyfive is there: its identification is {found:#010x}, not {ID:#010x}")
    version = fields("version")
    if version["major"] != VERSION[0] or version["minor"] < VERSION[1]:
        said, ours = f"{version['major']}.{version['minor']}", "{}.{}".format(*VERSION)
        raise WrongCoreError(
            f"the core has version {said} of the registers, this driver knows {ours}; generate the core again, or take "
            "the release that made it"
        )
    shape, frame = fields("image_shape"), fields("frame")
    size = fields("machine")
    pixels = frame["pixel_bytes"] if size.pop("whole") else 1
    sizes = {name: type(getattr(Config(), name))(value) for name, value in size.items()} | {"pixels": pixels}
    try:
        machine = Config(**sizes)
    except ValueError as error:
        raise WrongCoreError(f"the core describes no machine: {error}") from error
    engines = fields("engines")["value"]
    if config and ({name: getattr(config, name) for name in sizes}, config.engines.mark) != (sizes, engines):
        raise WrongCoreError("the core is another machine than the config says; take the one in its own manifest.json")
    identity = Identity(
        (shape["channels"], shape["rows"], shape["columns"]), **fields("layers"), network=fields("network")["value"],
        tables=fields("tables")["value"], config=config or machine, engines=engines, pixel_bytes=frame["pixel_bytes"],
        result_words=frame["result_words"],
    )  # fmt: skip
    try:
        check_identity(identity, frame["pixels"])
        if expect is not None:
            identity.check(expect if isinstance(expect, Network) else expect.network)
        if isinstance(expect, Checkpoint):
            identity.check_tables(expect)
    except ValueError as error:
        raise WrongCoreError(str(error)) from error
    return identity


def check_identity(identity: Identity, pixels: int) -> None:
    """Raise ValueError where the registers contradict each other: buffers have these sizes."""
    if not identity.pixels == pixels > 0 or identity.result_words != result_words(identity.classes):
        raise ValueError(
            f"the core describes no network: {identity}, {pixels} pixels, {identity.result_words} words of a result"
        )
