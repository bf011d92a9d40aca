"""`DotProduct` against the golden model's sums.

With ``natural`` among the parameters it is `PackedDotProduct`: each of what is called a sum here is then a pair of
them, and ``natural`` says whether the operands that a pair does not share are never negative (``dsp_size`` may be
given). With a ``form`` of "signs" it is `SignDotProduct`: weights are -1, 0 and 1, the last operands, and every layer's
sums are shifted; of "xnor" `XnorDotProduct`, whose operands are all -1 and 1; of "powers" `ShiftDotProduct`.
"""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import count

import cocotb
import numpy as np
from amaranth.lib import data

from fivebyfive.hw.common.types import CODE, NATURAL
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.hw.products.packed_dot_product import PackedDotProduct
from fivebyfive.hw.products.shift_dot_product import ShiftDotProduct
from fivebyfive.hw.products.sign_dot_product import SignDotProduct
from fivebyfive.hw.products.xnor_dot_product import XnorDotProduct
from fivebyfive.model.golden import accumulate
from fivebyfive.model.machine.config import DSP_SIZES
from fivebyfive.model.machine.weight_form import WeightForm
from fivebyfive.model.q26 import Q2_6
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack, pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, random_arrays, random_source, reset_sometime, start

SUMS = 200
TURNS = count()  # of the layers
EXTREMES = np.array([-128, 127], np.int8)
CORNERS = np.array([-128, -127, -1, 0, 1, 127], np.int8)


def dsp_size() -> str:
    """Bits of the multipliers of a packed component."""
    return parameters().get("dsp_size", DSP_SIZES[0])


@cache
def component() -> DotProduct | PackedDotProduct | SignDotProduct | ShiftDotProduct:
    given = parameters()
    if form().kind == "powers":
        return ShiftDotProduct(given["terms"])
    if form().scaled:
        return (XnorDotProduct if form().kind == "xnor" else SignDotProduct)(given["terms"], form().shifts)
    if "natural" not in given:
        return DotProduct(given["terms"])
    return PackedDotProduct(given["terms"], NATURAL if given["natural"] else CODE, dsp_size())


def operands(draw: Callable[[tuple[int, int, int]], np.ndarray], number: int, terms: int) -> np.ndarray:
    """Operands of ``number`` sums, int8 (number, 2, terms), or (number, 3, terms) of pairs of sums: the last ones are
    multiplied by each of those before, which are not negative where they may not be."""
    natural = parameters().get("natural")
    values = draw((number, 2 if natural is None else 3, terms))
    values[:, -1] = as_stored(values[:, -1])
    values[:, :-1] = as_read(values[:, :-1])
    if natural:
        values[:, :-1] &= 127
    return values


def form() -> WeightForm:
    """How weights are stored."""
    return WeightForm(**parameters().get("form", {}))


def as_stored(values: np.ndarray) -> np.ndarray:
    """Any values, int8, as weights of the component's form."""
    if form().kind == "powers":
        return values & 31
    if form().kind == "xnor":
        return as_read(values)
    return values % 3 - 1 if form().kind == "signs" else values


def as_read(values: np.ndarray) -> np.ndarray:
    """Any values, int8, as activations that the component's form takes."""
    return np.where(values < 0, np.int8(-1), np.int8(1)) if form().kind == "xnor" else values


def meant(stored: np.ndarray) -> np.ndarray:
    """The weights that values of the component's form stand for: of powers of two, bits 0 to 2 are the exponent, bit 3
    is set unless the weight is zero, and bit 4 where it is below."""
    if form().kind != "powers":
        return stored
    size = np.where(stored & 8, 1 << (stored & 7).astype(int), 0)
    return np.where(stored & 16, -size, size)


def words(layout: data.StructLayout, values: np.ndarray) -> list[int]:
    """Operands as words of a stream whose payload has that layout."""
    if "natural" not in parameters():
        return [pack_codes(value) for value in values]
    return [pack(layout, {"pair": value[:2].tolist(), "shared": value[2].tolist()}) for value in values]


def golden(operand: np.ndarray, shift: int = 0) -> list[int]:
    """The sum of products of operands, modulo 2**14; both of a pair. Of signs, shifted."""
    weights, others = meant(operand[-1:]), operand[:-1]
    totals = accumulate(weights, others, np.zeros(len(others), np.int8))[0].astype(int) << shift
    return [int(total) % (1 << Q2_6.acc_bits) for total in totals]


def join(sums: Iterable[int]) -> int:
    """Sums as the word of a stream, the first in its lowest bits."""
    return sum(total << n * Q2_6.acc_bits for n, total in enumerate(sums))


async def check(dut: Dut, values: np.ndarray, pause: float) -> None:
    """Every sum is right, and comes `latency` cycles after its operands."""
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    dot = component()
    sent = words(dot.i.payload.shape(), values)
    shift = choose_layer(dut)
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(sent)
    await cycles(dut, dot.latency + 2)
    assert o.words == [join(golden(value, shift)) for value in values]
    assert [end - begin for begin, end in zip(i.cycles, o.cycles, strict=True)] == [dot.latency] * len(values)


def choose_layer(dut: Dut) -> int:
    """Of signs, the layer's exponent, each layer in its turn; 0 of codes."""
    shifts = form().shifts if form().scaled else (0,)
    layer = next(TURNS) % len(shifts)
    if len(shifts) > 1:
        dut.layer.value = layer
    return shifts[layer]


def drawn(draw: Callable[[tuple[int, int, int]], np.ndarray]) -> np.ndarray:
    return operands(draw, SUMS, parameters()["terms"])


def anything() -> np.ndarray:
    rng = random_arrays()
    return drawn(lambda shape: rng.integers(-128, 128, shape, np.int8))


@cocotb.test()
async def a_sum_a_cycle(dut: Dut) -> None:
    await start(dut)
    await check(dut, anything(), pause=0)


@cocotb.test()
async def sums_with_gaps(dut: Dut) -> None:
    await start(dut)
    await check(dut, anything(), pause=0.4)


@cocotb.test()
async def extremes(dut: Dut) -> None:
    """Only -128 and 127: the largest products of both signs; with what lies around zero: none beside a negative one."""
    await start(dut)
    rng = random_arrays()
    await check(dut, drawn(lambda shape: rng.choice(EXTREMES, shape)), pause=0)
    await check(dut, drawn(lambda shape: rng.choice(CORNERS, shape)), pause=0)
    await check(dut, drawn(lambda shape: np.full(shape, -128, np.int8)), pause=0)


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    """Sums under way at a reset vanish; those after it are right."""
    await start(dut)
    rng = random_source()
    sent = words(component().i.payload.shape(), anything())
    await reset_sometime(dut, [StreamSource(dut, "i").send(sent)], 50, rng)
    await check(dut, anything(), pause=0.2)
