"""What every bench needs: a clock, a reset, quiet inputs, waits that end."""

import random
import warnings
from collections.abc import Awaitable, Coroutine, Iterable
from types import SimpleNamespace
from typing import Any, TypeVar

import cocotb
import numpy as np
from amaranth.hdl import UnusedElaboratable
from cocotb.clock import Clock
from cocotb.handle import Deposit, Immediate
from cocotb.triggers import FallingEdge, RisingEdge, SimTimeoutError, Timer, with_timeout
from cocotb.utils import get_sim_time

from fivebyfive.model.machine.stored_codes import WHOLE, StoredCodes, stored_codes

from .given import Dut, parameters, ports
from .payload import pack_codes

__all__ = [
    "PERIOD_NS",
    "cycle",
    "cycles",
    "drive",
    "level",
    "limited",
    "load_memory",
    "port_handles",
    "random_arrays",
    "random_codes",
    "random_source",
    "reset",
    "reset_sometime",
    "start",
    "start_clock",
    "stored_as_given",
    "until",
]

T = TypeVar("T")

PERIOD_NS = 10
RESET_CYCLES = 3

# Benches make components only to ask them for sizes and latencies.
warnings.simplefilter("ignore", UnusedElaboratable)


def random_source() -> random.Random:
    """Random numbers from the seed of the run, which is the first line of its log."""
    return random.Random(cocotb.RANDOM_SEED)


def random_arrays() -> np.random.Generator:
    """Random arrays from the seed of the run."""
    return np.random.default_rng(cocotb.RANDOM_SEED)


def random_codes(arrays: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    """Codes, int8: of the ``values`` among the parameters or, without, of the whole range."""
    if values := parameters().get("values"):
        return arrays.choice(np.array(values, np.int8), shape)
    return arrays.integers(-128, 128, shape, np.int8)


def stored_as_given() -> StoredCodes:
    """What a memory holds of codes of the ``values`` among the parameters; all bits without."""
    values = parameters().get("values")
    return stored_codes(values) if values else WHOLE


async def start(dut: Dut) -> None:
    """Clock, inputs at zero, and a reset of three cycles."""
    quiet(dut)
    start_clock(dut.clk)
    await reset(dut)


def start_clock(signal: Any) -> None:
    """A clock in C, on Verilator without the extra evaluation of the design that a deposited value costs.

    Icarus runs Python while an immediate value is still being set. A test that fails at an edge then ends in the middle
    of cocotb's clock, which is freed, goes on all the same, and takes the simulator with it: see docs/simulation.md.
    """
    if cocotb.SIM_NAME.startswith("Icarus"):
        signal.set(Immediate(1))
        cocotb.start_soon(deposited_clock(signal))
    else:
        Clock(signal, PERIOD_NS, "ns", impl="gpi", set_action=Immediate).start()


async def deposited_clock(signal: Any) -> None:
    """The clock from its first falling edge on: its first value would come when models already wait for an edge."""
    await Timer(PERIOD_NS // 2, "ns")
    Clock(signal, PERIOD_NS, "ns", impl="gpi", set_action=Deposit).start(start_high=False)


async def reset(dut: Dut, length: int = RESET_CYCLES) -> None:
    """Reset for ``length`` cycles; other inputs keep their values.

    Returns in the middle of the next cycle: reset is low, outputs show the state after it.
    """
    dut.rst.value = 1
    await cycles(dut, length)
    dut.rst.value = 0
    await FallingEdge(dut.clk)


async def reset_sometime(dut: Dut, work: Iterable[Coroutine[Any, Any, Any]], longest: int, rng: random.Random) -> None:
    """Reset at a random cycle, the 1st to the ``longest``-th, while the coroutines ``work`` are under way.

    They are cancelled; inputs are at zero in the reset, which lasts one to three cycles: one is enough, or
    what was in flight comes out behind it.
    """
    tasks = [cocotb.start_soon(coroutine) for coroutine in work]
    await cycles(dut, rng.randint(1, longest))
    for task in tasks:
        task.cancel()
    quiet(dut)
    await reset(dut, rng.randint(1, RESET_CYCLES))


def port_handles(dut: Dut) -> SimpleNamespace:
    """The ports by their names: cocotb's own lookup takes as long as reading one, for a bench that reads all of them at
    each edge."""
    return SimpleNamespace(**{name: getattr(dut, name) for name in ports()})


def quiet(dut: Dut) -> None:
    """All inputs but the clock at zero."""
    for name, direction in ports().items():
        if direction == "input" and name != "clk":
            getattr(dut, name).value = 0


def level(dut: Dut, name: str) -> int:
    """What is on a port; 0 for one of no bits, which a design does not have."""
    return int(getattr(dut, name).value) if name in ports() else 0


def drive(dut: Dut, name: str, value: int) -> None:
    """Put a value on a port, unless it has no bits."""
    if name in ports():
        getattr(dut, name).value = value


async def load_memory(dut: Dut, words: np.ndarray, rng: random.Random) -> None:
    """Write int8 words (depth, codes) through the port ``load``, in random order, now and then a cycle without."""
    places = list(range(len(words)))
    rng.shuffle(places)
    while places:
        dut.load__en.value = writes = int(rng.random() < 0.8)
        drive(dut, "load__address", places[-1] if writes else rng.randrange(len(words)))
        dut.load__data.value = pack_codes(words[places.pop()]) if writes else rng.getrandbits(8 * words.shape[1])
        await cycles(dut, 1)
    dut.load__en.value = 0
    await cycles(dut, 4)  # until the last word is where it can be read


async def cycles(dut: Dut, count: int) -> None:
    """Wait for ``count`` rising edges."""
    for _ in range(count):
        await RisingEdge(dut.clk)


def cycle() -> int:
    """Number of the present clock cycle. Two edges that are n cycles apart differ by n."""
    return int(get_sim_time("ns") // PERIOD_NS)


async def limited(awaitable: Awaitable[T], limit_cycles: int, what: str) -> T:
    """The result of ``awaitable``; AssertionError with ``what`` where it takes more than ``limit_cycles``."""
    try:
        return await with_timeout(awaitable, limit_cycles * PERIOD_NS, "ns")
    except SimTimeoutError:
        raise AssertionError(f"{what}: nothing for {limit_cycles} cycles") from None


async def until(dut: Dut, signal: Any, value: int, limit_cycles: int) -> int:
    """Wait for the first edge at which ``signal`` has ``value``; the cycles before it."""
    for waited in range(limit_cycles):
        await RisingEdge(dut.clk)
        if signal.value == value:
            return waited
    raise AssertionError(f"{signal._name} did not become {value} within {limit_cycles} cycles")
