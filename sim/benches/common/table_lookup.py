"""`TableLookup` against the functions themselves, code by code."""

from functools import cache

import cocotb
import numpy as np

from fivebyfive.hw.common.table_lookup import TableLookup
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack_codes, unpack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor
from fivebyfive.sim.benchlib.testbench import cycles, drive, random_arrays, random_source, reset_sometime, start

TRANSFERS = 300


@cache
def component() -> TableLookup:
    given = parameters()
    return TableLookup(given["lanes"], [tuple(one) if isinstance(one, list) else one for one in given["functions"]])


def golden(codes: np.ndarray, which: int) -> int:
    """The word of the function number ``which`` of each code."""
    function = component().functions[which]
    if function is None:
        return pack_codes(codes)
    if function == "relu":
        return pack_codes(np.array([max(code, 0) for code in codes.tolist()], np.int8))
    return pack_codes(np.array([function[code + 128] for code in codes.tolist()], np.int8))


async def send(dut: Dut, codes: np.ndarray, which: np.ndarray, pause: float) -> None:
    """Transfers of codes, int8 (N, lanes), each with its function; in pauses everything is arbitrary."""
    rng, functions = random_source(), len(component().functions)
    for word, function in zip(codes, which.tolist(), strict=True):
        while rng.random() < pause:
            dut.i__valid.value = 0
            dut.i__payload.value = rng.getrandbits(8 * codes.shape[1])
            drive(dut, "which", rng.randrange(functions))
            await cycles(dut, 1)
        dut.i__valid.value = 1
        dut.i__payload.value = pack_codes(word)
        drive(dut, "which", function)
        await cycles(dut, 1)
    dut.i__valid.value = 0


async def check(dut: Dut, codes: np.ndarray, which: np.ndarray, pause: float) -> None:
    """The right codes, `latency` cycles after those that came in."""
    lookup = component()
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    await send(dut, codes, which, pause)
    await cycles(dut, lookup.latency + 1)
    assert o.words == [golden(unpack_codes(word, lookup.lanes), n) for word, n in zip(i.words, which, strict=True)]
    assert o.cycles == [at + lookup.latency for at in i.cycles]


@cocotb.test()
async def every_code(dut: Dut) -> None:
    """All 256 codes of every function, in each lane at another time."""
    await start(dut)
    lookup = component()
    lanes = [np.roll(np.arange(-128, 128), 37 * lane) for lane in range(lookup.lanes)]
    codes = np.stack(lanes, axis=1).astype(np.int8)
    for which in range(len(lookup.functions)):
        await check(dut, codes, np.full(len(codes), which), pause=0)


@cocotb.test()
async def functions_in_turn(dut: Dut) -> None:
    """Any function with any transfer, with and without pauses."""
    await start(dut)
    lookup, arrays = component(), random_arrays()
    for pause in (0, 0.4):
        codes = arrays.integers(-128, 128, (TRANSFERS, lookup.lanes), np.int8)
        await check(dut, codes, arrays.integers(0, len(lookup.functions), TRANSFERS), pause)


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    """A transfer under way at a reset, or in it, vanishes; those after it are right."""
    await start(dut)
    lookup, arrays = component(), random_arrays()
    for _ in range(3):
        codes = arrays.integers(-128, 128, (TRANSFERS, lookup.lanes), np.int8)
        which = arrays.integers(0, len(lookup.functions), TRANSFERS)
        await reset_sometime(dut, [send(dut, codes, which, 0)], 50, random_source())
        dut.rst.value, dut.i__valid.value = 1, 1
        await cycles(dut, 1)
        dut.rst.value, dut.i__valid.value = 0, 0
        await cycles(dut, 1)
        assert not dut.o__valid.value, "a transfer during a reset has come out"
        await check(dut, codes[:20], which[:20], 0.2)
