# amaranth: UnusedElaboratable=no
"""The parts of the serial link, each alone; on both simulators in `make test-all`."""

import pytest

from fivebyfive.hw.serial.deframer import Deframer
from fivebyfive.hw.serial.framer import Framer
from fivebyfive.hw.serial.serial_accelerator import SerialAccelerator
from fivebyfive.hw.serial.uart import UartReceiver, UartTransmitter
from fivebyfive.model.checkpoint import Checkpoint
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
    shape, seed = LeNetShape(2, 2, (10,)), 4
    serial = SerialAccelerator(Checkpoint.random(shape, seed), divisor=4)
    given = {"conv1": shape.conv1, "conv2": shape.conv2, "fc": shape.fc, "seed": seed, "divisor": 4}
    tests = () if whole or simulator == "verilator" else ON_ICARUS
    bench(serial, "serial_accelerator", tests=tests, **given)
