"""The driver against the simulated core: every line of it, and each way in which something can go wrong."""

import contextlib
import io
import json
import re
import subprocess
import sys
import threading
import types
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.driver import (
    ChecksumError,
    Driver,
    DriverError,
    LoadRefusedError,
    OrderError,
    ResultTimeoutError,
    WrongCoreError,
    WrongShapeError,
)
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import classify, predict
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.protocol.registers import register
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.benchlib.random_networks import other_network, random_network
from fivebyfive.sim.devices import axi_device
from fivebyfive.sim.devices.axi_device import AxiDevice
from fivebyfive.sim.simulator.process import SimulationFailed
from fivebyfive.support.errors import UserError

SHAPE = LeNetShape(1, 1, (10,))
NETWORK, OTHER = (Checkpoint.random(SHAPE, seed) for seed in (11, 12))
IMAGES = np.random.default_rng(4).integers(0, 256, (9, 28, 28), np.uint8)
FRAME = IMAGES[0].tobytes()


@pytest.fixture(scope="module")
def device():
    device = AxiDevice(NETWORK)
    yield device
    device.close()


class Altered:
    """An object with some of its attributes replaced."""

    def __init__(self, real, **replaced):
        self.__dict__.update(replaced, real=real)

    def __getattr__(self, name):
        return getattr(self.real, name)


def reads(device, name: str, value: int) -> Altered:
    """The core, but for what one register says."""
    offset = register(name).offset
    return Altered(device.core, read=lambda at: value if at == offset else device.core.read(at))


def test_results_are_golden(device) -> None:
    with Driver(device.core, device.dma, expect=SHAPE) as driver:
        results = driver.run(IMAGES)
        assert (results.logits.dtype, results.classes.dtype) == (np.int8, np.int64)
        np.testing.assert_array_equal(results.logits, predict(NETWORK, IMAGES))
        np.testing.assert_array_equal(results.classes, classify(results.logits))
        np.testing.assert_array_equal(driver.predict(IMAGES[:1]), results.logits[:1])
        np.testing.assert_array_equal(driver.classify(IMAGES[::-1][:2]), results.classes[::-1][:2])
        assert driver.predict(IMAGES[:0]).shape == (0, 10)
        counters = driver.counters()
        assert (counters["images"], counters["dropped"]) == (len(IMAGES) + 3, 0)
        assert counters["latency"] > 0
        assert driver.errors() == set()
        assert driver.status() == {"busy": 0, "sending": 0, "state": 0}
        assert (driver.identity.input, driver.identity.classes) == ((1, 28, 28), 10)
        assert (driver.identity.pixel_bytes, driver.identity.result_words) == (4, 4)


@pytest.mark.parametrize(
    "images",
    [IMAGES[0], IMAGES[:, :27], IMAGES.astype(np.float32), IMAGES[np.newaxis], [[1, 2], [3, 4]], None, 3, "images"],
    ids=["one image", "27 rows", "floats", "four axes", "a list", "None", "a number", "a text"],
)
def test_wrong_shapes(device, images) -> None:
    driver = Driver(device.core, device.dma)
    with pytest.raises(WrongShapeError, match=r"^images must be uint8 \(N, 28, 28\), (a NumPy array, )?not ") as seen:
        driver.predict(images)
    assert isinstance(seen.value, UserError)
    np.testing.assert_array_equal(driver.predict(IMAGES[:1]), predict(NETWORK, IMAGES[:1]))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("id", 0xDEADBEEF, r"no core of fivebyfive is there: its identification is 0xdeadbeef, not 0x3578354c"),
        (
            "version",
            1 << 16 | 1,
            r"the core has version 1\.1 of the registers, this driver knows 2\.0; generate the core",
        ),
        ("image_shape", 28 << 8 | 28, "the core describes no network: 0x28x28, 2 conv, 1 fc, 10 classes"),
        ("frame", 783 | 4 << 20 | 4 << 24, "the core describes no network: .*, 783 pixels, 4 words of a result$"),
        ("layers", 20 << 16, "the core describes no network: .*, 20 classes .*, 4 words of a result$"),
        ("machine", 3, "the core describes no machine: windows must be"),
    ],
)
def test_another_identification(device, name, value, said) -> None:
    with pytest.raises(WrongCoreError, match=f"^{said}"):
        Driver(reads(device, name, value), device.dma)


@pytest.mark.full  # as in tests/sim/test_axi.py
def test_a_core_of_certain_weights() -> None:
    """It takes weights like those that it was made for, from a driver that knows the machine."""
    network = random_network(SHAPE, 3, "banks+ternary")
    config = fitted(network, Config())
    device = AxiDevice(network, config)
    try:
        driver = Driver(device.core, device.dma)
        np.testing.assert_array_equal(driver.predict(IMAGES[:1]), predict(network, IMAGES[:1]))
        with pytest.raises(WrongShapeError, match=r"^the core was made for the weights of one checkpoint; .* config"):
            driver.load(network)
        for wrong in (Config(), replace(config, fc_rows=2)):
            with pytest.raises(WrongCoreError, match=r"^the core is another machine than the config says; take the"):
                Driver(device.core, device.dma, config=wrong)
        driver = Driver(device.core, device.dma, config=Config(**json.loads(json.dumps(asdict(config)))))
        with pytest.raises(WrongShapeError, match=r"^the core was made for other weights: .*; generate it again$"):
            driver.load(OTHER)
        other = other_network(network, 4, "banks+ternary")
        driver.load(other)
        np.testing.assert_array_equal(driver.predict(IMAGES), predict(other, IMAGES))
    finally:
        device.close()


@pytest.mark.full  # as in tests/sim/test_axi.py
@pytest.mark.parametrize(
    "config", [Config(pixels=4, skip_zeros=True), Config(4, winograd=True)], ids=["pixels", "winograd"]
)
def test_a_core_of_another_size(config: Config) -> None:
    """It takes several pixels at once; or kernels that are transformed before they are loaded."""
    device = AxiDevice(NETWORK, config)
    try:
        driver = Driver(device.core, device.dma)
        assert driver.identity.config == config
        np.testing.assert_array_equal(driver.predict(IMAGES), predict(NETWORK, IMAGES))
        driver.load(OTHER)
        np.testing.assert_array_equal(driver.predict(IMAGES), predict(OTHER, IMAGES))
        assert Driver(device.core, device.dma, config=config).identity.config == config
        with pytest.raises(WrongCoreError, match=r"^the core is another machine than the config says; take the"):
            Driver(device.core, device.dma, config=Config())
    finally:
        device.close()


def test_another_network(device) -> None:
    said = (
        r"^the core is of another network: 1x28x28, 2 conv, 1 fc, 10 classes \(0x\w{8}\), not 20-50-500-10 \(0x\w{8}\)$"
    )
    for other in (LeNetShape(20, 50, (500, 10)), LeNetShape(20, 50, (500, 10)).network):
        with pytest.raises(WrongCoreError, match=said):
            Driver(device.core, device.dma, expect=other)
    for fits in (SHAPE.network, NETWORK, OTHER):
        Driver(device.core, device.dma, expect=fits)
    with pytest.raises(WrongCoreError, match=r"^for 1-1-10, outputs must be at least 1$"):
        Driver(reads(device, "machine", 5 << 28 | 1 << 16 | 1), device.dma, expect=SHAPE)


def test_colours_and_tables() -> None:
    """Any list of layers: its images, its weights, and no others; tables are the core's."""
    layers = (
        Layer("c1", "conv", 2, 3, padding=(1, 1, 1, 1), fill=(17,), then=("table", Pool("average", 2, 2))),
        Layer("f1", "fc", 5),
    )
    network = Checkpoint.random(Network((3, 9, 13), layers), 1)
    images = np.random.default_rng(5).integers(0, 256, (4, 3, 9, 13), np.uint8)
    with Driver.simulated(network, expect=network) as driver:
        identity = driver.identity
        assert (identity.input, identity.convs, identity.fc, identity.classes) == ((3, 9, 13), 1, 1, 5)
        np.testing.assert_array_equal(driver.predict(images), predict(network, images))
        for wrong in (IMAGES, images[:, :1], images[0]):
            with pytest.raises(WrongShapeError, match=r"^images must be uint8 \(N, 3, 9, 13\), not "):
                driver.predict(wrong)
        stranger = Checkpoint.random(network.network, 2)
        said = (
            r"^the core has other tables \(0x\w{8}\) than the checkpoint \(0x\w{8}\), and tables cannot be loaded; gen"
        )
        with pytest.raises(WrongShapeError, match=said):
            driver.load(stranger)
        with pytest.raises(WrongCoreError, match=said):
            Driver(driver.core, driver.dma, expect=stranger)
        other = Checkpoint(network.network, stranger.arrays | network.tables)
        driver.load(other)
        np.testing.assert_array_equal(driver.predict(images), predict(other, images))


def test_time_out(device) -> None:
    """A frame that arrives short is dropped: no result. Runs are refused until a reset; then all is well."""
    send = device.dma.sendchannel
    short = Altered(send, transfer=lambda array: send.transfer(array[:700]))
    driver = Driver(device.core, Altered(device.dma, sendchannel=short), timeout_s=0.5)
    with pytest.raises(
        ResultTimeoutError,
        match=r"^no result of image 0 of 2 within 0\.5 s; the core is idle, its flags: short_frame; call reset\(\)$",
    ):
        driver.predict(IMAGES[:2])
    assert isinstance(ResultTimeoutError(), TimeoutError)
    with pytest.raises(DriverError, match=r"call reset\(\) first"):
        driver.predict(IMAGES[:2])
    driver.dma = device.dma
    driver.reset()
    np.testing.assert_array_equal(driver.predict(IMAGES), predict(NETWORK, IMAGES))


def test_results_out_of_order(device) -> None:
    """A frame that somebody else sends: what comes is not what is due."""
    driver = Driver(device.core, device.dma)
    device.ask("send", FRAME[:-4])
    said = r"^image 0: the result of frame 1 came where that of frame 0 was due \(flags: short_frame\)"
    with pytest.raises(OrderError, match=said):
        driver.predict(IMAGES[:3])
    driver.reset()
    np.testing.assert_array_equal(driver.predict(IMAGES[:3]), predict(NETWORK, IMAGES[:3]))


def until(condition) -> None:
    """Time passes in the simulation with each question."""
    for _ in range(10_000):
        if condition():
            return
    raise AssertionError("it never was")


def test_reset_while_a_result_is_on_its_way(device) -> None:
    driver = Driver(device.core, device.dma)
    device.ask("send", FRAME)
    until(lambda: driver.status()["sending"])
    driver.reset()
    assert driver.status()["sending"] == 0
    np.testing.assert_array_equal(driver.predict(IMAGES[:2]), predict(NETWORK, IMAGES[:2]))


def test_core_that_does_not_come_to_rest(device) -> None:
    with pytest.raises(ResultTimeoutError, match=r"^the rest of a result did not come within 0\.2 s$"):
        Driver(reads(device, "status", 2), device.dma, timeout_s=0.2)


class Idle:
    """A channel that is always done at once."""

    idle = True

    def start(self) -> None: ...

    def transfer(self, array) -> None: ...

    def wait(self) -> None: ...


def test_core_that_sends_without_an_end(device) -> None:
    """Every transfer is done, and still it sends."""
    dma = Altered(device.dma, sendchannel=Idle(), recvchannel=Idle())
    with pytest.raises(ResultTimeoutError, match=r"^the core sends without an end, not at rest within 0\.2 s; load"):
        Driver(reads(device, "status", 2), dma, timeout_s=0.2)


def test_dma_that_does_not_start(device) -> None:
    """PYNQ looks at its register for ever."""
    ended = threading.Event()
    stuck = Altered(device.dma.sendchannel, start=ended.wait)
    try:
        with pytest.raises(ResultTimeoutError, match=r"^the DMA did not start within 0\.2 s; load the bitstream"):
            Driver(device.core, Altered(device.dma, sendchannel=stuck), timeout_s=0.2)
    finally:
        ended.set()


FAILURES = (RuntimeError("bad\nstate"), OSError(5, "bus error"), ValueError("offset"), AttributeError("x"), KeyError())


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["write", "start", "idle", "transfer"])
def test_whatever_a_dma_raises(device, error: Exception, place: str) -> None:
    def fail(*given):
        raise error

    channel = type("Channel", (Idle,), {"idle": property(fail)} if place == "idle" else {place: fail})()
    dma = types.SimpleNamespace(write=fail if place == "write" else lambda *given: None, sendchannel=channel,
                                recvchannel=channel)  # fmt: skip
    with pytest.raises(DriverError, match=r"^the DMA stopped: [^\n]+$") as caught:
        Driver(device.core, dma).predict(IMAGES[:1])
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_core_that_does_not_answer(device, error: Exception) -> None:
    """At any of its registers, whatever is asked."""

    def fail(*given):
        raise error

    said = r"^the core does not answer: [^\n]+$"
    with pytest.raises(DriverError, match=said):
        Driver(Altered(device.core, read=fail), device.dma)
    driver = Driver(device.core, device.dma)
    driver.core = Altered(device.core, read=fail, write=fail)
    for use in (driver.reset, driver.status, driver.errors, driver.counters, lambda: driver.load(NETWORK)):
        with pytest.raises(DriverError, match=said) as caught:
            use()
        assert caught.value.__cause__ is error


def pynq_buffers():
    """The buffers that are not given back yet, and what makes one, as PYNQ's allocate does."""
    given = []

    class Buffer(np.ndarray):
        def freebuffer(self) -> None:
            given.remove(id(self))

    def allocate(shape, dtype):
        buffer = np.zeros(shape, dtype).view(Buffer)
        given.append(id(buffer))
        return buffer

    return given, allocate


def test_buffers_come_back_where_the_driver_fails(device) -> None:
    given, allocate = pynq_buffers()
    with pytest.raises(ResultTimeoutError):
        Driver(reads(device, "status", 2), device.dma, timeout_s=0.1, allocate=allocate)
    assert given == []

    def none_left(shape, dtype):
        raise MemoryError("no CMA memory")

    with pytest.raises(DriverError, match=r"^no buffer for the DMA: no CMA memory$"):
        Driver(device.core, device.dma, allocate=none_left)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "5", None])
def test_every_wait_has_an_end(device, seconds) -> None:
    with pytest.raises(UserError, match=r"^timeout_s is a number of seconds above 0, not"):
        Driver(device.core, device.dma, timeout_s=seconds)


def test_an_overlay_without_our_cells(device, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(UserError, match=r"^an overlay needs PYNQ, on a board; elsewhere take Driver\.simulated"):
        Driver.of_overlay(types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "pynq", types.SimpleNamespace(allocate=np.zeros))
    with pytest.raises(WrongCoreError, match=r"^the overlay has no cell dma; name its cells: core=\.\.\., dma=\.\.\.$"):
        Driver.of_overlay(types.SimpleNamespace(lenet=device.core))


@pytest.mark.parametrize("given", [None, 3, "lenet.npz"])
def test_weights_that_are_none(device, given) -> None:
    for use in (Driver(device.core, device.dma).load, Driver.simulated):
        with pytest.raises(WrongShapeError, match=r"^weights are a Checkpoint, such as fivebyfive\.load\(path\)"):
            use(given)


def test_a_simulation_that_does_not_answer(device, monkeypatch) -> None:
    monkeypatch.setattr(axi_device, "ANSWER_S", 0.1)
    silent = Altered(device._connection, send=lambda words: None)
    monkeypatch.setattr(device, "_connection", silent)
    with pytest.raises(DriverError, match=r"^the core does not answer: the simulation did not answer within 0\.1 s$"):
        Driver(device.core, device.dma)


def test_dma_that_complains(device) -> None:
    def wait():
        raise RuntimeError("DMA slave error")

    driver = Driver(device.core, Altered(device.dma, recvchannel=Altered(device.dma.recvchannel, idle=True, wait=wait)))
    with pytest.raises(DriverError, match=r"^the DMA stopped: DMA slave error$"):
        driver.predict(IMAGES[:1])


def test_other_weights(device) -> None:
    driver = Driver(device.core, device.dma)
    driver.load(OTHER)
    np.testing.assert_array_equal(driver.predict(IMAGES), predict(OTHER, IMAGES))
    driver.load(NETWORK)
    np.testing.assert_array_equal(driver.predict(IMAGES), predict(NETWORK, IMAGES))
    with pytest.raises(WrongShapeError, match=r"^the core is of another network: .* not 1-2-10 \(0x\w{8}\)$"):
        driver.load(Checkpoint.random(LeNetShape(1, 2, (10,)), 1))


def test_weights_while_busy(device) -> None:
    driver = Driver(device.core, device.dma)
    for _ in range(2):  # nobody takes the first result, so that the second image stays inside
        device.ask("send", FRAME)
    until(lambda: driver.status()["sending"] and driver.status()["busy"])
    with pytest.raises(LoadRefusedError, match=r"^the core refused weights: an image was inside"):
        driver.load(NETWORK)
    driver.reset()
    np.testing.assert_array_equal(driver.predict(IMAGES[:1]), predict(NETWORK, IMAGES[:1]))


def test_weights_damaged_on_the_way(device) -> None:
    offset, count = register("load_data").offset, 0

    def write(at: int, value: int) -> None:
        nonlocal count
        count += at == offset
        device.core.write(at, value ^ (at == offset and count == 20))

    driver = Driver(device.core, device.dma)
    driver.core = Altered(device.core, write=write)
    with pytest.raises(ChecksumError, match=r"^the weights arrived with check-sum 0x\w{8}, not 0x\w{8}: load again$"):
        driver.load(NETWORK)
    driver.core = device.core
    driver.load(NETWORK)


def test_overlay_and_buffers(device, monkeypatch) -> None:
    """As on a board: PYNQ's allocate, the cells by name, buffers given back once."""
    given, allocate = pynq_buffers()
    monkeypatch.setitem(sys.modules, "pynq", types.SimpleNamespace(allocate=allocate))
    overlay = types.SimpleNamespace(lenet=device.core, dma=device.dma, other=device.dma)
    with Driver.of_overlay(overlay) as driver:
        assert len(given) == 3
        np.testing.assert_array_equal(driver.predict(IMAGES[:2]), predict(NETWORK, IMAGES[:2]))
    assert given == []
    driver.close()
    for use in (driver.reset, lambda: driver.predict(IMAGES[:1]), lambda: driver.load(NETWORK)):
        with pytest.raises(DriverError, match="the driver is closed: make another one"):
            use()
    Driver.of_overlay(overlay, dma="other").close()


def test_simulated(device) -> None:
    with Driver.simulated(NETWORK) as driver:
        np.testing.assert_array_equal(driver.predict(IMAGES[:2]), predict(NETWORK, IMAGES[:2]))
    with pytest.raises(WrongCoreError, match=r"^the core is of another network: .* not 1-1-5 \(0x"):
        Driver.simulated(NETWORK, expect=LeNetShape(1, 1, (5,)))
    with pytest.raises(UserError, match="simulator"):
        Driver.simulated(NETWORK, simulator="modelsim")


def test_simulation_that_ends(device) -> None:
    """What the simulated bus refuses, and a bench that fails."""
    with pytest.raises(OSError, match="refused an access to 0xffc"):
        device.core.read(0xFFC)
    for channel in (device.dma.sendchannel, device.dma.recvchannel):
        device.dma.write(0, 4)
        with pytest.raises(RuntimeError, match="not started"):
            channel.transfer(np.zeros(784, np.uint8))
    broken = AxiDevice(NETWORK)
    with pytest.raises(SimulationFailed, match="has no attribute 'nonsense'"):
        broken.ask("nonsense")
    with pytest.raises(SimulationFailed):
        broken.close()


def test_example_of_the_docs() -> None:
    """The Python of docs/axi.md, as it stands there."""
    text = (Path(__file__).parents[2] / "docs" / "axi.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "docs/axi.md", "exec"), {})
    assert said.getvalue() == "(3, 10) 3 set()\n"


def test_the_driver_needs_no_hardware_tools() -> None:
    """A board has NumPy; it need not have what generates and simulates."""
    code = (
        "import sys, fivebyfive.driver;"
        "print([name for name in ('amaranth', 'cocotb', 'pyosys', 'jinja2', 'click') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
