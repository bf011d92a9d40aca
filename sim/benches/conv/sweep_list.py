"""`SweepList`: its entries in order, again and again, however it is stepped."""

import random

import cocotb
from cocotb.triggers import RisingEdge

from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.testbench import cycles, random_source, reset, start

STEPS = 300


async def follow(dut: Dut, step: float, rng: random.Random) -> None:
    """Every entry in each cycle in which it is the present one."""
    entries, at = parameters()["entries"], 0
    await cycles(dut, 1)
    for _ in range(STEPS):
        steps = rng.random() < step
        dut.step.value = steps
        await RisingEdge(dut.clk)
        assert (int(dut.entry.value), int(dut.at_end.value)) == (entries[at], at == len(entries) - 1), f"entry {at}"
        at = (at + steps) % len(entries)
    dut.step.value = 0


@cocotb.test()
async def a_step_a_cycle(dut: Dut) -> None:
    await start(dut)
    await follow(dut, 1, random_source())


@cocotb.test()
async def steps_with_gaps(dut: Dut) -> None:
    await start(dut)
    await follow(dut, 0.4, random_source())


@cocotb.test()
async def resets(dut: Dut) -> None:
    """A reset returns to the first entry."""
    await start(dut)
    rng = random_source()
    for _ in range(4):
        await follow(dut, 0.7, rng)
        await reset(dut, rng.randint(1, 2))
    await follow(dut, 1, rng)
