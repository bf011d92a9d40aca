"""`FcRow` against the golden model's sums: words of an output in a row, or spread with their sums kept.

With ``lanes`` among the parameters it is `PackedFcRow`; each of what is called an output here is then a pair of them.
"""

from functools import cache

import cocotb
import numpy as np

from fivebyfive.hw.common.types import FC_LANES
from fivebyfive.hw.fc.fc_row import FcRow
from fivebyfive.hw.fc.packed_fc_row import PackedFcRow
from fivebyfive.model.golden import accumulate
from fivebyfive.model.q26 import Q2_6
from fivebyfive.sim.benches.products.dot_product import as_read, as_stored, choose_layer, dsp_size, form, meant
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import pack, pack_codes
from fivebyfive.sim.benchlib.streams import StreamMonitor, StreamSource
from fivebyfive.sim.benchlib.testbench import cycles, random_arrays, random_source, reset_sometime, start

Layer = tuple[np.ndarray, np.ndarray, np.ndarray]  # activations, weights, biases: see `draw`


@cache
def component() -> FcRow | PackedFcRow:
    given = parameters()
    if "lanes" in given:
        return PackedFcRow(given["lanes"], given["kept"], dsp_size())
    return FcRow(given["kept"], form())


def draw(outputs: int, words: int, arrays: np.random.Generator) -> Layer:
    """Activations (words, 20), weights (outputs, words, 20), biases (outputs,); for pairs of outputs activations
    (words, lanes), weights (outputs, words, 2, lanes), biases (outputs, 2)."""
    lanes = parameters().get("lanes", FC_LANES)
    pair = (2,) if "lanes" in parameters() else ()
    shapes = ((words, lanes), (outputs, words, *pair, lanes), (outputs, *pair))
    x, w, biases = (arrays.integers(-128, 128, shape, np.int8) for shape in shapes)
    return as_read(x), as_stored(w), biases


def golden(x: np.ndarray, w: np.ndarray, biases: np.ndarray, shift: int = 0) -> list[int]:
    """Codes of all outputs, as the words of the stream; of signs, that of a layer with this shift."""
    # Of every output, those of a pair one after the other.
    rows = np.moveaxis(meant(w), 1, -2).reshape(biases.size, -1).astype(int) << shift
    codes = Q2_6.requantize(accumulate(x.reshape(1, -1), rows, biases.ravel()))[0]
    return [pack_codes(code) for code in codes.reshape(biases.shape)]


def word(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray, first: bool, last: bool, keep: bool = False, output: int = 0
) -> int:
    """One word of the stream; a bias that is not taken is junk."""
    row = component()
    bias = bias if first else np.full_like(bias, 85)
    value = {"x": x.tolist(), "w": w.tolist(), "bias": bias.tolist(), "first": first, "last": last}
    if row.kept:
        value |= {"keep": keep, "output": output}
    return pack(row.i.payload.shape(), value)


def in_a_row(x: np.ndarray, w: np.ndarray, biases: np.ndarray) -> list[int]:
    """Output after output, all words of each."""
    last = len(x) - 1
    return [word(x[n], w[o][n], biases[o], n == 0, n == last) for o in range(len(w)) for n in range(len(x))]


def spread(x: np.ndarray, w: np.ndarray, biases: np.ndarray) -> list[int]:
    """Word after word, all outputs of each."""
    last = len(x) - 1
    return [word(x[n], w[o][n], biases[o], n == 0, n == last, True, o) for n in range(len(x)) for o in range(len(w))]


async def check(dut: Dut, words: list[int], values: Layer, pause: float) -> None:
    """The right codes, each `latency` cycles after its last word."""
    expected = golden(*values, shift=choose_layer(dut))
    i, o = StreamMonitor(dut, "i").start(), StreamMonitor(dut, "o").start()
    await StreamSource(dut, "i", pause=pause, rng=random_source()).send(words)
    row = component()
    await cycles(dut, row.latency + 2)
    assert o.words == expected
    layout = row.i.payload.shape()
    ends = [at for at, value in zip(i.cycles, i.words, strict=True) if value >> layout["last"].offset & 1]
    assert [b - a for a, b in zip(ends, o.cycles, strict=True)] == [row.latency] * len(ends)


async def all_orders(dut: Dut, pause: float, arrays: np.random.Generator) -> None:
    for outputs, words in ((6, 5), (20, 1), (3, 40)):
        values = draw(outputs, words, arrays)
        await check(dut, in_a_row(*values), values, pause)
    kept = component().kept
    for words in (4, 1, 9) if kept >= 3 else ():
        values = draw(kept, words, arrays)
        await check(dut, spread(*values), values, pause)


@cocotb.test()
async def a_word_a_cycle(dut: Dut) -> None:
    await start(dut)
    await all_orders(dut, 0, random_arrays())


@cocotb.test()
async def many_outputs(dut: Dut) -> None:
    """So many that the lowest bits of sums count too: each changes one code in 64."""
    await start(dut)
    values = draw(600, 1, random_arrays())
    await check(dut, in_a_row(*values), values, 0)


@cocotb.test()
async def words_with_gaps(dut: Dut) -> None:
    await start(dut)
    await all_orders(dut, 0.4, random_arrays())


@cocotb.test()
async def reset_in_flight(dut: Dut) -> None:
    await start(dut)
    arrays, rng = random_arrays(), random_source()
    for words in (4, 1, 4, 1):
        # Of outputs of a single word one comes out each cycle: some are in flight whenever the reset comes.
        values = draw(max(3, component().kept) if words > 1 else 20, words, arrays)
        sent = spread(*values) if component().kept and words > 1 else in_a_row(*values)
        await reset_sometime(dut, [StreamSource(dut, "i").send(sent)], len(sent), rng)
        await all_orders(dut, 0.1, arrays)
