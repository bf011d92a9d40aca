# amaranth: UnusedElaboratable=no
"""The parts of the serial link, each alone; on both simulators in `make test-all`."""

import pytest

from fivebyfive.hw.serial.deframer import Deframer
from fivebyfive.hw.serial.framer import Framer
from fivebyfive.hw.serial.serial_accelerator import SerialAccelerator
from fivebyfive.hw.serial.uart import UartReceiver, UartTransmitter
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import written
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.shape import LeNetShape

pytestmark = pytest.mark.on("icarus", alone=True)
ON_ICARUS = ("images", "resets")  # where undefined values could come from; what a host may say is said on Verilator


@pytest.mark.parametrize("divisor", [4, 50])
def test_uart_receiver(bench, divisor):
    bench(UartReceiver(divisor), "uart_receiver", divisor=divisor)


@pytest.mark.parametrize("divisor", [4, 7])
def test_uart_transmitter(bench, divisor):
    bench(UartTransmitter(divisor), "uart_transmitter", divisor=divisor)


def test_deframer(bench):
    bench(Deframer(), "deframer")


@pytest.mark.parametrize("most", [1, 68])
def test_framer(bench, most):
    bench(Framer(most), "framer", most=most)


@pytest.mark.parametrize("divisor", [3, 65537])
@pytest.mark.parametrize("part", [UartReceiver, UartTransmitter])
def test_a_line_that_is_too_fast_or_too_slow(part, divisor):
    with pytest.raises(ValueError, match=f"^a bit must take 4 to 65536 clock cycles, not {divisor}$"):
        part(divisor)


@pytest.mark.on("verilator", alone=True)  # its parts are on Icarus, and so is its accelerator
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.full)])
def test_serial_accelerator(bench, simulator, whole):
    tests = () if whole or simulator == "verilator" else ON_ICARUS
    serial_accelerator(bench, LeNetShape(2, 2, (10,)).network, tests)


@pytest.mark.on("verilator", alone=True)
def test_any_network(bench):
    """Two parts of an image, the last chunk not full; two pages of logits; a table."""
    layers = (
        Layer("c1", "conv", 2, 3, padding=(1, 1, 1, 1), fill=(17,), then=("table", Pool("average", 2, 2))),
        Layer("f1", "fc", 70),
    )
    serial_accelerator(bench, Network((3, 19, 20), layers), ())


def serial_accelerator(bench, network: Network, tests: tuple[str, ...]):
    serial = SerialAccelerator(Checkpoint.random(network, 4), divisor=4)
    bench(serial, "serial_accelerator", tests=tests, network=written(network), seed=4, divisor=4)
