"""Every component's bench: one or two cases of each in every test run, all cases on both simulators in `make test-all`.

Benches run on Icarus Verilog, which compiles at once, but for those of thousands of cycles, of engines and of arrays of
PEs: there Verilator is sooner done. Accelerators of `test_accelerator.py` are on both in every test run.
"""

import random
from dataclasses import asdict, astuple

import pytest
from amaranth.hdl import signed

from fivebyfive.hw.common.narrow_weight_memory import NarrowWeightMemory
from fivebyfive.hw.common.table_lookup import TableLookup
from fivebyfive.hw.common.types import CODE, NATURAL
from fivebyfive.hw.common.weight_memory import WeightMemory
from fivebyfive.hw.conv.channel_memory import ChannelMaps, ChannelMemory
from fivebyfive.hw.conv.conv_array import ConvArray
from fivebyfive.hw.conv.conv_controller import ConvController, ConvLayer
from fivebyfive.hw.conv.conv_engine import ConvEngine
from fivebyfive.hw.conv.conv_pe import INPUT_STAGES, OUTPUT_STAGES, ConvPE, WinogradPE
from fivebyfive.hw.conv.image_buffer import ImageBuffer
from fivebyfive.hw.conv.kernel_fetcher import KernelFetcher, KernelPlan
from fivebyfive.hw.conv.line_buffer import LineBuffer, LineMap
from fivebyfive.hw.conv.map_memory import MapMemory, StoredMaps
from fivebyfive.hw.conv.packed_conv_pe import PackedConvPE
from fivebyfive.hw.conv.pooling import PooledMap, Pooling
from fivebyfive.hw.conv.sparse_line_buffer import SparseLineBuffer
from fivebyfive.hw.conv.sweep_list import SweepList
from fivebyfive.hw.counters import Counters
from fivebyfive.hw.fc.activation_memory import ActivationMemory
from fivebyfive.hw.fc.argmax import Argmax
from fivebyfive.hw.fc.bank_activation_memory import BankActivationMemory
from fivebyfive.hw.fc.bank_fc_controller import BankFcController
from fivebyfive.hw.fc.bank_fc_engine import BankFcEngine
from fivebyfive.hw.fc.bank_weight_memory import BankWeightMemory
from fivebyfive.hw.fc.fc_controller import FcController, FcLayer
from fivebyfive.hw.fc.fc_engine import FcEngine
from fivebyfive.hw.fc.fc_row import FcRow
from fivebyfive.hw.fc.packed_fc_row import PackedFcRow
from fivebyfive.hw.fc.pixel_feeder import PixelFeeder
from fivebyfive.hw.fc.sparse_fc_engine import SparseFcEngine, SparseFcRow
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.hw.products.matrix_transform import MatrixTransform
from fivebyfive.hw.products.packed_dot_product import PackedDotProduct
from fivebyfive.hw.products.shift_dot_product import ShiftDotProduct
from fivebyfive.hw.products.sign_dot_product import SignDotProduct
from fivebyfive.hw.products.xnor_dot_product import XnorDotProduct
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import POOLS
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.stored_codes import stored_codes
from fivebyfive.model.machine.weight_form import CODES, DENSE, WeightForm
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.machine.zero_windows import Skip
from fivebyfive.model.network import Pool
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.benchlib.random_networks import least, random_network

pytestmark = pytest.mark.on("icarus", alone=True)
on_verilator = pytest.mark.on("verilator", alone=True)  # the nearest mark counts


def full(*values):
    """A case of which every property is that of another one, too."""
    return pytest.param(*values, marks=pytest.mark.full)


@pytest.mark.parametrize("terms", [full(1), full(2), full(20), 25])
def test_dot_product(bench, terms):
    bench(DotProduct(terms), "dot_product", terms=terms)


@pytest.mark.parametrize(
    ("terms", "natural", "dsp_size"),
    [
        full(1, False, "25x18"),
        (10, False, "25x18"),
        (25, True, "25x18"),
        full(1, False, "18x18"),
        (10, False, "18x18"),
        full(25, True, "18x18"),
    ],
)
def test_packed_dot_product(bench, terms, natural, dsp_size):
    dot = PackedDotProduct(terms, NATURAL if natural else CODE, dsp_size)
    bench(dot, "dot_product", terms=terms, natural=natural, dsp_size=dsp_size)


@pytest.mark.parametrize(
    ("lanes", "functions"),
    [
        (3, ("table", None, "relu", "table")),
        full(1, ("table",)),
        full(1, ("relu",)),
        full(2, (None,)),
        full(2, (None, "relu")),
        full(5, (*["table"] * 8, None)),
    ],
)
def test_table_lookup(bench, lanes, functions):
    rng = random.Random(lanes)
    functions = [tuple(rng.randrange(-128, 128) for _ in range(256)) if one == "table" else one for one in functions]
    bench(TableLookup(lanes, functions), "table_lookup", lanes=lanes, functions=functions)


@pytest.mark.parametrize(("outputs", "windows"), [full(1, 1), (3, 4), full(1, 2), full(1, 4), full(3, 1), full(3, 2)])
def test_pooling(bench, outputs, windows):
    check_pooling(bench, outputs, windows, [PooledMap(size, size) for size in (8, 24, 2)])


@pytest.mark.parametrize("windows", [full(1), 2, full(4)])
def test_pooling_of_cells(bench, windows):
    """Maxima and averages of both kinds of results."""
    pools = [(Pool(kind, 2, 2), relu) for kind in ("max", "average") for relu in (False, True)]
    check_pooling(bench, 2, windows, [PooledMap(6, 4 + 2 * n, *pool) for n, pool in enumerate(pools)])


@pytest.mark.parametrize(
    ("outputs", "maps"),
    [
        # AlexNet's windows, which overlap; no pool; averages that take a shift.
        (2, ((7, 9, ("max", 3, 2), False), (5, 4, None, True), (8, 4, ("average", 4, 4), False))),
        (1, ((3, 6, ("average", 3, 3), False), (6, 5, ("average", 5, 1), True), (7, 7, ("average", 7, 7), False),
             (12, 9, ("average", 6, 3), False), (3, 2, None, False), (4, 8, ("max", 2, 2), True))),
        full(3, ((4, 7, None, False), (1, 1, None, True))),
        full(1, ((9, 9, ("average", 9, 9), False), (12, 12, ("max", 12, 12), True))),  # whole maps
        full(2, ((8, 9, ("max", 8, 1), False), (2, 5, ("max", 2, 1), True), (2, 2, ("max", 2, 2), False))),
        full(1, ((2, 140, ("max", 2, 2), False), (5, 131, ("max", 3, 2), True))),  # rows in block RAM
    ],
)  # fmt: skip
def test_pooling_of_any_windows(bench, outputs, maps):
    check_pooling(bench, outputs, 1, [PooledMap(r, c, pool and Pool(*pool), relu) for r, c, pool, relu in maps])


@pytest.mark.parametrize("seed", [1, *map(full, range(2, 9))])
def test_pooling_at_random(bench, seed):
    rng = random.Random(seed)
    check_pooling(bench, rng.randint(1, 3), 1, [random_pooled_map(rng) for _ in range(rng.randint(1, 6))])


@pytest.mark.full
@on_verilator
@pytest.mark.parametrize("kind", ["max", "average"])
def test_pooling_of_the_largest_map(bench, kind):
    check_pooling(bench, 1, 1, [PooledMap(128, 128, Pool(kind, 128, 128), False), PooledMap(128, 127, None, True)])


def random_pooled_map(rng):
    size = rng.randint(1, 8)
    stride, relu = rng.randint(1, size), rng.random() < 0.5
    rows, columns = (size + stride * rng.randrange(5) for _ in range(2))
    kind = rng.choice([*POOLS, None])
    return PooledMap(rows, columns, Pool(kind, size, stride) if kind else None, relu)


@pytest.mark.parametrize("windows", [1, full(2), full(4)])
def test_sparse_pooling_of_cells(bench, windows):
    """Cells are left out."""
    maps = [PooledMap(8, 8), PooledMap(6, 24, Pool("average", 2, 2), False), PooledMap(2, 2)]
    check_pooling(bench, 2, windows, maps, sparse=True)


def test_sparse_pooling_of_any_windows(bench):
    """Those of single codes are left out, and cells; others are not."""
    maps = [PooledMap(5, 6, None), PooledMap(7, 5, Pool("max", 3, 2)), PooledMap(4, 6, Pool("average", 2, 2))]
    check_pooling(bench, 1, 1, maps, sparse=True)


def check_pooling(bench, outputs, windows, maps, sparse=False):
    unit = Pooling(outputs, windows, maps, sparse)
    given = {"outputs": outputs, "windows": windows, "maps": [list(astuple(one)) for one in maps]}
    bench(unit, "pooling", sparse=sparse, **given)


@pytest.mark.parametrize(("windows", "down", "across"), [(1, 1, 1), full(2, 2, 1), (4, 2, 2)])
def test_line_buffer(bench, windows, down, across):
    maps = [LineMap(size, size, (size - 4) // down, (size - 4) // across) for size in (28, 12)]
    run_line_buffer(bench, windows, 5, maps)


@pytest.mark.parametrize(("windows", "seed"), [(1, 1), full(2, 2), (4, 3), *(full(2**n % 7, n) for n in range(4, 16))])
def test_line_buffer_of_any_maps(bench, windows, seed):
    rng = random.Random(seed)
    kernel = rng.randint(3, 7)
    run_line_buffer(bench, windows, kernel, [line_map(rng, windows, kernel) for _ in range(rng.randint(1, 4))])


def line_map(rng: random.Random, windows: int, most: int) -> LineMap:
    """A map of which the windows of a kernel of up to ``most`` rows are computed, or some of them."""
    kernel, stride = rng.randint(1, most), rng.randint(1, 2) if windows == 1 else 1
    top, left, bottom, right = (rng.choice([0, rng.randrange(kernel)]) for _ in range(4))
    rows, columns = (rng.randint(max(1, kernel - padding), 16) for padding in (top + bottom, left + right))
    down, across = (rows + top + bottom - kernel) // stride + 1, (columns + left + right - kernel) // stride + 1
    out_rows, out_columns = -(-down // (1 + (windows > 1))), -(-across // (1 + (windows == 4)))
    out_rows, out_columns = (rng.choice([out, rng.randint(1, out)]) for out in (out_rows, out_columns))
    return LineMap(rows, columns, out_rows, out_columns, stride, top, left)


def run_line_buffer(bench, windows: int, kernel: int, maps: list[LineMap]) -> None:
    given = {"windows": windows, "kernel": kernel, "maps": [asdict(map_) for map_ in maps]}
    bench(LineBuffer(windows, kernel, maps), "line_buffer", **given)


@pytest.mark.parametrize(("windows", "seed"), [(1, 1), full(2, 2), (4, 3), *(full(2**n % 7, n) for n in range(4, 16))])
def test_sparse_line_buffer(bench, windows, seed):
    """Windows of zeros are left out."""
    rng = random.Random(seed)
    kernel = rng.randint(3, 5)
    maps = [line_map(rng, windows, kernel) for _ in range(rng.randint(2, 4))]
    skips = [skip_of(rng, windows, one) for one in maps]
    given = {"maps": [asdict(one) for one in maps], "skips": [skip and asdict(skip) for skip in skips]}
    lines = SparseLineBuffer(windows, kernel, maps, skips)
    bench(lines, "line_buffer", windows=windows, kernel=kernel, **given)


def skip_of(rng: random.Random, windows: int, one: LineMap) -> Skip | None:
    """What may be left out of a map."""
    may = [None, Skip(), Skip(codes=True)]
    if one.out_columns % 2 == 0 and windows == 2:
        may.append(Skip(1, 2, codes=True))
    if one.out_columns % 2 == one.out_rows % 2 == 0 and (windows, one.stride) == (1, 1):
        may.append(Skip(2, 2, codes=True))
    return rng.choice(may[-2:] if rng.random() < 0.7 else may)


@pytest.mark.parametrize(
    ("width", "banks"),
    [full(25, (300,)), full(20, (70,)), full(25, (1,)), (20, (64, 64, 11)), full(3, (16, 16, 16, 16, 8, 5))],
)
def test_weight_memory(bench, width, banks):
    rng = random.Random(width * sum(banks))
    words = [rng.getrandbits(8 * width) for _ in range(sum(banks))]
    parameters = {"width": width, "banks": banks, "words": [f"{word:x}" for word in words]}
    bench(WeightMemory(words, width, banks), "weight_memory", **parameters)


@pytest.mark.parametrize(
    ("inputs", "writers", "counts"),
    [
        full(224, 5, (5,)),
        full(800, 1, (1,)),
        (96, 6, (6, 4)),
        full(500, 20, (20,)),
        full(84, 25, (25, 9)),
        full(7, 3, (3, 1)),
    ],
)
def test_activation_memory(bench, inputs, writers, counts):
    memory = ActivationMemory(inputs, writers, counts)
    bench(memory, "activation_memory", inputs=inputs, writers=writers, counts=counts)


FEW_CODES = [[-1, 1], full([-1, 0, 1]), full([0, 1, 2, 3]), [5], full([-8, 7])]  # what their tables have


@pytest.mark.parametrize("values", FEW_CODES, ids=str)
def test_activations_of_few_codes(bench, values):
    memory = ActivationMemory(96, 6, (6, 4), stored=stored_codes(values))
    bench(memory, "activation_memory", inputs=96, writers=6, counts=(6, 4), values=values)


@pytest.mark.parametrize("values", [full([0, 3])])
def test_banked_activations_of_few_codes(bench, values):
    memory = BankActivationMemory(17, 3, (3, 2), rows=2, stored=stored_codes(values))
    bench(memory, "activation_memory", inputs=17, writers=3, counts=(3, 2), rows=2, values=values)


@pytest.mark.parametrize("values", FEW_CODES[:3], ids=str)
def test_maps_of_few_codes(bench, values):
    sizes = random_memory(3)
    memory = MapMemory(**sizes | {"maps": [StoredMaps(**one) for one in sizes["maps"]], "stored": stored_codes(values)})
    bench(memory, "map_memory", values=values, **sizes)


@pytest.mark.parametrize("values", FEW_CODES[:3], ids=str)
def test_channels_of_few_codes(bench, values):
    sizes = random_channel_memory(1)
    maps = [ChannelMaps(**one | {"positions": tuple(one["positions"])}) for one in sizes["maps"]]
    memory = ChannelMemory(maps, sizes["parallel"], sizes["channels"], stored_codes(values))
    bench(memory, "channel_memory", values=values, **sizes)


@pytest.mark.parametrize(
    ("width", "biases", "form", "banks"),
    [
        full(25, 3, {"kind": "codebook", "values": [[-7, 0, 5], list(range(-8, 8))]}, None),
        (20, 1, {"kind": "signs", "values": [[-64, 64]]}, [32, 32, 6]),
        full(3, 7, {"kind": "signs", "values": [[-1, 0, 1], [-4, 4], [-128, 0]]}, None),
        full(49, 2, {"kind": "codebook", "values": [[-7, 5], [0, 3], [-128, 127], [1, 2, 3], [-1, 0]]}, None),
        full(9, 1, {"kind": "codebook", "values": [[-9, 0, 9]]}, None),
        (5, 3, {"kind": "powers", "values": [[-128, -2, 0, 1, 64], [-1, 4]]}, None),
    ],
)
def test_narrow_weight_memory(bench, width, biases, form, banks):
    rng = random.Random(width)
    known = min(map(len, form["values"]))
    words = [rng.getrandbits(8 * width) for _ in range(biases)]
    words += [int.from_bytes(bytes(rng.randrange(known) for _ in range(width))) for _ in range(70 - biases)]
    memory = NarrowWeightMemory(words, width, biases, WeightForm(**form), banks)
    parameters = {"width": width, "biases": biases, "form": form, "banks": banks}
    bench(memory, "narrow_weight_memory", words=[f"{word:x}" for word in words], **parameters)


@pytest.mark.parametrize(("rows", "places", "biases", "banks"), [(1, 40, 9, [16, 16, 3]), full(3, 1, 1, None)])
def test_bank_weight_memory(bench, rows, places, biases, banks):
    rng = random.Random(rows)
    words = [rng.getrandbits(8 * (40 * rows + 1)) for _ in range(biases + 35)]
    memory = BankWeightMemory(words, rows, places, biases, banks)
    parameters = {"rows": rows, "places": places, "biases": biases, "banks": banks}
    bench(memory, "bank_weight_memory", words=[f"{word:x}" for word in words], **parameters)


@pytest.mark.parametrize(
    ("inputs", "writers", "counts", "rows"),
    [(96, 6, (6, 4), 2), full(800, 1, (1,), 1), full(17, 3, (3, 2), 3), full(110, 1, (1,), 1)],
)
def test_bank_activation_memory(bench, inputs, writers, counts, rows):
    memory = BankActivationMemory(inputs, writers, counts, rows=rows)
    bench(memory, "activation_memory", inputs=inputs, writers=writers, counts=counts, rows=rows)


@pytest.mark.parametrize("words", [[30, 10], full([7]), full([3, 1, 5, 2])])
def test_bank_fc_controller(bench, words):
    bench(BankFcController(words, 5), "bank_fc_controller", words=words, drain=5)


@pytest.mark.parametrize("entries", [full([3]), [0, 3, 2, 2, 1], full(list(range(100)))])
def test_sweep_list(bench, entries):
    bench(SweepList(entries, 7), "sweep_list", entries=entries)


POWERS = WeightForm("powers", ((-64, -1, 0, 2),))


def signs(shifts) -> WeightForm:
    """Signs with these exponents, of a layer each."""
    return WeightForm("signs", tuple((-(1 << shift), 1 << shift) if shift < 7 else (-128, 0) for shift in shifts))


@pytest.mark.parametrize(("terms", "shifts"), [(25, (0, 6)), full(20, (3,)), full(1, (1, 7, 0, 2))])
def test_sign_dot_product(bench, terms, shifts):
    bench(SignDotProduct(terms, shifts), "dot_product", terms=terms, form=asdict(signs(shifts)))


BITS = WeightForm("xnor", ((-64, 64), (-1, 1), (-8, 8)))


@pytest.mark.parametrize("terms", [20, full(1), full(25)])
def test_xnor_dot_product(bench, terms):
    bench(XnorDotProduct(terms, BITS.shifts), "dot_product", terms=terms, form=asdict(BITS))


def test_xnor_fc_row(bench):
    bench(FcRow(3, BITS), "fc_row", kept=3, form=asdict(BITS))


@pytest.mark.parametrize("terms", [full(1), 20, full(25)])
def test_shift_dot_product(bench, terms):
    bench(ShiftDotProduct(terms), "dot_product", terms=terms, form=asdict(POWERS))


@pytest.mark.parametrize(("shifts", "kernel"), [((5, 0), 5), full((3,), 4), full((1, 7, 0, 2, 4), 3)])
def test_sign_conv_pe(bench, shifts, kernel):
    bench(ConvPE(signs(shifts), kernel), "conv_pe", form=asdict(signs(shifts)), kernel=kernel)


def test_shift_conv_pe(bench):
    bench(ConvPE(POWERS, 3), "conv_pe", form=asdict(POWERS), kernel=3)


@pytest.mark.parametrize("kept", [full(0), 3])
def test_sign_fc_row(bench, kept):
    bench(FcRow(kept, signs((6, 2))), "fc_row", kept=kept, form=asdict(signs((6, 2))))


def test_shift_fc_row(bench):
    bench(FcRow(3, POWERS), "fc_row", kept=3, form=asdict(POWERS))


@on_verilator
@pytest.mark.parametrize(
    ("conv1", "conv2", "kind", "config"),
    [
        full(3, 4, "kernels", {}),
        full(3, 5, "kernels", {"windows": 4, "outputs": 2}),
        (2, 7, "ternary+kernels", {"windows": 2, "outputs": 3}),
        full(4, 6, "codebook", {"outputs": 2}),
        (4, 5, "powers", {"outputs": 2}),
        full(4, 6, "binary", {}),
    ],
)
def test_conv_engine_of_certain_weights(bench, simulator, conv1, conv2, kind, config):
    spared_by_icarus(simulator, conv2 > 5 or config.get("outputs", 1) > 2)
    network = random_network(LeNetShape(conv1, conv2, (1,)), 5, kind)
    size = fitted(network, Config(**config))
    assert size.engines != DENSE
    small, whole = least(network, size)
    engine = ConvEngine(small.network, whole, words_of(pack(small, whole).conv))
    bench(engine, "conv_engine", network=str(network.shape), kind=kind, config=asdict(size), seed=5)


@on_verilator
@pytest.mark.parametrize(
    ("conv2", "fc", "kind", "config"),
    [
        full(5, (60, 10), "banks", {}),
        (5, (61, 60, 30, 3), "banks", {"outputs": 3, "fc_rows": 2}),
        full(4, (45, 20, 7), "codebook", {}),
        full(6, (43, 10), "codebook", {"early_fc": True, "fc_rows": 2}),
        (4, (25, 12), "codebook", {"packed": True}),
        full(5, (40, 10), "binary", {"fc_rows": 3}),
        (4, (45, 20, 30, 3), "ternary", {}),
    ],
)
def test_fc_engine_of_certain_weights(bench, simulator, conv2, fc, kind, config):
    spared_by_icarus(simulator, len(fc) > 3)
    network = random_network(LeNetShape(1, conv2, fc), 6, kind)
    size = fitted(network, Config(**config))
    assert size.engines.fc != CODES or size.engines.words
    make = BankFcEngine if size.engines.words else FcEngine
    small, whole = least(network, size)
    engine = make(small.network, whole, words_of(pack(small, whole).fc))
    bench(engine, "fc_engine", network=str(network.shape), kind=kind, config=asdict(size), seed=6)


@on_verilator
@pytest.mark.parametrize(("windows", "outputs", "bias_words"), [full(1, 1, 1), full(1, 3, 1), full(2, 2, 1), (4, 5, 2)])
def test_conv_array(bench, windows, outputs, bias_words):
    rows, columns = {1: (5, 5), 2: (6, 5), 4: (6, 6)}[windows]
    array = ConvArray(windows, outputs, rows, columns, 64 // windows, bias_words)
    bench(array, "conv_array", windows=windows, outputs=outputs, bias_words=bias_words)


@on_verilator
@pytest.mark.parametrize(
    ("windows", "outputs", "dsp_size"),
    [
        full(1, 3, "25x18"),
        full(2, 1, "25x18"),
        (4, 2, "25x18"),
        full(1, 3, "18x18"),
        full(2, 1, "18x18"),
        full(4, 2, "18x18"),
    ],
)
def test_packed_conv_array(bench, windows, outputs, dsp_size):
    rows, columns = {1: (5, 5), 2: (6, 5), 4: (6, 6)}[windows]
    array = ConvArray(windows, outputs, rows, columns, 64 // windows, 1, packed=True, dsp_size=dsp_size)
    bench(array, "conv_array", windows=windows, outputs=outputs, bias_words=1, packed=True, dsp_size=dsp_size)


@on_verilator
@pytest.mark.parametrize(("outputs", "bias_words", "sparse"), [full(1, 1, False), (2, 2, False), full(3, 1, True)])
def test_winograd_conv_array(bench, outputs, bias_words, sparse):
    given = {"windows": 4, "outputs": outputs, "bias_words": bias_words, "winograd": True, "sparse": sparse}
    array = ConvArray(4, outputs, 6, 6, 15, bias_words, winograd=True, sparse=sparse)
    bench(array, "conv_array", size=(6, 10), **given)


@on_verilator
@pytest.mark.parametrize("seed", [1, *map(full, range(2, 9))])
def test_conv_array_of_any_kernel(bench, seed):
    rng = random.Random(seed)
    kernel, windows, packed = 3 + seed % 5, (1, 4, 2)[seed % 3], seed in (2, 3, 6, 8)
    tall, wide = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[windows]
    # A single position; an odd number of them; more than distributed memory is for.
    rows, columns = [(1, 1), (3, 5), (5, 15), (7, 2)][seed % 4]
    given = {"windows": windows, "outputs": rng.randint(1, 4), "bias_words": rng.randint(1, 2), "packed": packed}
    array = ConvArray(
        windows, given["outputs"], kernel + tall - 1, kernel + wide - 1, rows * columns, given["bias_words"], packed,
        kernel=kernel,
    )  # fmt: skip
    bench(array, "conv_array", kernel=kernel, size=(rows * tall, columns * wide), **given)


@on_verilator
@pytest.mark.parametrize(("windows", "packed"), [full(1, False), full(4, True)])
def test_sparse_conv_array(bench, windows, packed):
    """Positions of zeros are left out."""
    tall, wide = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[windows]
    array = ConvArray(windows, 3, 5 + tall - 1, 5 + wide - 1, 35, 1, packed, sparse=True)
    given = {"windows": windows, "outputs": 3, "bias_words": 1, "packed": packed, "size": (5 * tall, 7 * wide)}
    bench(array, "conv_array", sparse=True, **given)


def spared_by_icarus(simulator: str, large: bool) -> None:
    if simulator == "icarus" and large:
        pytest.skip("Icarus takes a minute for an engine of this size; Verilator checks it")


@on_verilator
@pytest.mark.parametrize(
    ("conv1", "conv2", "config"),
    [
        full(3, 2, {}),
        (2, 27, {}),  # more than one bias word
        full(4, 5, {"windows": 1, "outputs": 3}),
        full(3, 4, {"windows": 2, "outputs": 2}),
        full(3, 5, {"windows": 4, "outputs": 2}),
        (2, 3, {"windows": 4, "packed": True}),
        full(3, 3, {"outputs": 2, "skip_zeros": True}),
        full(4, 3, {"windows": 2, "skip_zeros": True}),
        full(4, 5, {"windows": 4, "outputs": 3, "skip_zeros": True, "packed": True}),
    ],
)
def test_conv_engine(bench, simulator, conv1, conv2, config):
    spared_by_icarus(simulator, conv2 > 5 or config.get("outputs", 1) > 2)
    shape, size, seed = LeNetShape(conv1, conv2, (1,)), Config(**config), 5
    words = words_of(pack(Checkpoint.random(shape, seed), size).conv)
    engine = ConvEngine(shape.network, size, words)
    bench(engine, "conv_engine", network=str(shape), config=config, seed=seed)


@pytest.mark.parametrize(
    ("layers", "parallel"),
    [
        (((20, 1, 0), (50, 3, 21)), 1),  # 1 and 2 bias words, as the shipped network has
        full(((3, 1, 0), (4, 3, 4)), 1),  # BIAS1 is empty
        full(((30, 1, 0), (80, 2, 32)), 1),  # more bias words than the brief has states
        full(((6, 1, 0), (16, 6, 7)), 5),
    ],
)
def test_conv_controller(bench, layers, parallel):
    conv1, conv2 = (dict(zip(("outputs", "inputs", "bias_address"), layer, strict=True)) for layer in layers)
    check_conv_controller(bench, [conv1 | {"positions": 9}, conv2 | {"positions": 4}], parallel)


@pytest.mark.parametrize(
    ("layers", "sweeps"), [(((6, 1, 0), (5, 6, 7)), (2, 1, 6, 3, 1)), full(((2, 1, 0), (1, 2, 4)), (1,))]
)
def test_conv_controller_of_listed_sweeps(bench, layers, sweeps):
    conv1, conv2 = (dict(zip(("outputs", "inputs", "bias_address"), layer, strict=True)) for layer in layers)
    check_conv_controller(bench, [conv1 | {"positions": 9}, conv2 | {"positions": 4, "sweeps": sweeps}], 1)


@pytest.mark.parametrize("seed", [1, 2, full(3), full(4), full(5), full(6), full(7), full(8)])
def test_conv_controller_of_any_layers(bench, seed):
    rng = random.Random(seed)
    parallel, width, layers, inputs, address = rng.randint(1, 4), rng.randint(3, 7) ** 2, [], rng.randint(1, 3), 0
    for _ in range(seed if seed < 3 else rng.randint(1, 5)):
        outputs = rng.choice((1, 3, 10, 30))
        layer = {"outputs": outputs, "inputs": inputs, "bias_address": address}
        layer |= {"positions": rng.choice((1, 1, 2, 5)), "pace": rng.choice((1, 1, 2, 3, 6))}
        if rng.random() < 0.4:
            layer["sweeps"] = [rng.randint(1, inputs) for _ in range(0, outputs, parallel)]
        layers.append(layer)
        inputs, address = min(outputs, 4), address + rng.randint(1, 99)
    check_conv_controller(bench, layers, parallel, width)


@pytest.mark.full
def test_conv_controller_of_eight_layers(bench):
    layers = [{"outputs": 3, "inputs": 2, "bias_address": 5 * n, "positions": 1 + n % 3} for n in range(8)]
    check_conv_controller(bench, layers, 2)


def check_conv_controller(bench, layers, parallel, width=25):
    sizes = {"depth": 1100, "memory_latency": 2, "drain": 9}
    parts = [
        ConvLayer(
            parallel=parallel, width=width, single=layer["positions"] == 1,
            **{name: value for name, value in layer.items() if name != "positions"},
        )
        for layer in layers
    ]  # fmt: skip
    controller = ConvController(parts, **sizes)
    bench(controller, "conv_controller", layers=layers, parallel=parallel, width=width, **sizes)


@on_verilator
@pytest.mark.parametrize(
    ("conv2", "fc", "config"),
    [
        full(3, (7, 10), {}),
        full(5, (10,), {}),
        (4, (45, 20, 30, 3), {}),  # four layers, more than one bias word
        full(6, (32, 1), {"outputs": 4}),
        full(5, (25, 12), {"fc_rows": 6, "outputs": 5}),
        full(4, (43, 22), {"fc_rows": 21, "outputs": 3}),  # more rows than are written in a cycle
        full(30, (22, 64), {"fc_rows": 3, "outputs": 25}),
        full(6, (43, 10), {"early_fc": True}),
        full(9, (23, 30, 5), {"early_fc": True, "outputs": 4, "fc_rows": 3}),
        full(5, (21, 3), {"early_fc": True, "fc_rows": 20}),  # two groups: the words of an output are closest
        full(3, (25, 12), {"packed": True}),  # two half rows, the last half word of activations is not full
        full(6, (9, 32, 3), {"packed": True, "fc_rows": 4, "outputs": 4}),
        full(4, (25, 12), {"packed": True, "fc_rows": 11, "outputs": 3}),  # a row without another
        (6, (43, 10), {"packed": True, "fc_rows": 3, "early_fc": True}),
    ],
)
def test_fc_engine(bench, simulator, conv2, fc, config):
    spared_by_icarus(simulator, conv2 > 6 or config.get("fc_rows", 1) > 4)
    shape, size, seed = LeNetShape(1, conv2, fc), Config(**config), 6
    engine = FcEngine(shape.network, size, words_of(pack(Checkpoint.random(shape, seed), size).fc))
    bench(engine, "fc_engine", network=str(shape), config=config, seed=seed)


@pytest.mark.parametrize("groups", [full(1), full(2), 5, full(70)])
def test_sparse_fc_row(bench, groups):
    bench(SparseFcRow(groups), "sparse_fc_row", groups=groups)


@on_verilator
@pytest.mark.parametrize(
    ("conv2", "fc", "config"),
    [
        (4, (45, 20, 30, 3), {}),  # one to three groups of outputs, four layers
        full(3, (7, 10), {}),
        full(5, (10,), {}),  # a single layer
        full(5, (61, 64), {"fc_rows": 3, "outputs": 5}),  # outputs are written for three cycles
        full(30, (22, 64), {"outputs": 25}),  # activations are received for two
        full(4, (43, 22), {"fc_rows": 21, "outputs": 3}),
        (6, (43, 10), {"early_fc": True}),
        full(9, (23, 30, 5), {"early_fc": True, "outputs": 4, "fc_rows": 3}),
        full(5, (10,), {"early_fc": True, "fc_rows": 20}),
    ],
)
def test_sparse_fc_engine(bench, simulator, conv2, fc, config):
    spared_by_icarus(simulator, conv2 > 6 or config.get("fc_rows", 1) > 2)
    shape, size, seed = LeNetShape(1, conv2, fc), Config(skip_zeros=True, **config), 6
    engine = SparseFcEngine(shape.network, size, words_of(pack(Checkpoint.random(shape, seed), size).fc))
    bench(engine, "fc_engine", network=str(shape), config=asdict(size), seed=seed)


@pytest.mark.parametrize("kernel", [full(3), full(4), 5, full(6), full(7)])
def test_conv_pe(bench, kernel):
    bench(ConvPE(kernel=kernel), "conv_pe", kernel=kernel)


@pytest.mark.parametrize(
    ("natural", "kernel", "dsp_size"),
    [
        full(False, 5, "25x18"),
        (True, 5, "25x18"),
        (False, 3, "25x18"),
        full(True, 6, "25x18"),
        (True, 3, "18x18"),
        full(False, 5, "18x18"),
    ],
)
def test_packed_conv_pe(bench, natural, kernel, dsp_size):
    pe = PackedConvPE(NATURAL if natural else CODE, kernel, dsp_size)
    bench(pe, "conv_pe", natural=natural, kernel=kernel, dsp_size=dsp_size)


@on_verilator
def test_winograd_pe(bench):
    bench(WinogradPE(), "winograd_pe")


@pytest.mark.parametrize(
    ("stages", "element", "bits"),
    [
        (INPUT_STAGES, 8, 16),
        full(OUTPUT_STAGES, 16, 16),
        full((((2, -3), (1, 1), (-1, 6)), ((1, 0, 0), (0, 9, -1))), 5, 30),
    ],
)
def test_matrix_transform(bench, stages, element, bits):
    given = {"stages": stages, "element": element, "bits": bits}
    bench(MatrixTransform(stages, signed(element), bits), "matrix_transform", **given)


def maps_of(channels, size, **given):
    return {"channels": channels, "rows": size, "columns": size, **given}


def random_maps(rng, channels):
    """Any set of maps, of not too many codes."""
    rows = rng.choice((1, 2, 3, rng.randint(4, 9), rng.randint(10, 40), 128))
    columns = rng.randint(1, min(24, 1 + 300 // (rows * channels)))
    top, order, fill = rng.randrange(7), [], rng.choice(([], [-128], [rng.randint(-128, 127) for _ in range(channels)]))
    if rng.random() < 0.5:
        order = [rng.randrange(channels) for _ in range(rng.randint(1, 9))]
    transfers = rng.choice((None, rng.randint(1, (rows + 1) // 2)))
    given = {"top": top, "transfers": transfers, "repeats": rng.randint(1, 3), "order": order, "fill": fill}
    return {"channels": channels, "rows": rows, "columns": columns, **given}


def random_memory(seed):
    rng = random.Random(seed)
    maps = [random_maps(rng, rng.choice((1, 2, rng.randint(3, 20)))) for _ in range(rng.randint(1, 4))]
    return {"maps": maps, "parallel": rng.randint(1, 6), "rows_out": rng.randint(1, 2), "sets": rng.randint(1, 2)}


@pytest.mark.parametrize(
    "sizes",
    [
        full({"maps": [maps_of(3, 12)]}),
        full({"maps": [maps_of(1, 28, repeats=3)], "sets": 2}),
        {"maps": [maps_of(5, 6, repeats=2)], "parallel": 3, "rows_out": 2},
        full({"maps": [maps_of(2, 4)], "parallel": 5, "sets": 2}),
        full({"maps": [maps_of(5, 6, order=(4, 0, 1, 3, 3, 2))], "parallel": 2, "rows_out": 2}),
        random_memory(3),
        {"maps": [maps_of(5, 6, repeats=2), maps_of(4, 7)], "parallel": 3, "rows_out": 2, "sparse": True},
        full({"maps": [maps_of(3, 12, repeats=2)], "sparse": True}),
        full({"maps": [{"channels": 4, "rows": 3, "columns": 1}, maps_of(7, 9)], "parallel": 4, "sparse": True}),
        full({"maps": [{"channels": 2, "rows": 3, "columns": 128, "top": 3}, maps_of(3, 2)], "rows_out": 2}),
        *(full(random_memory(seed)) for seed in range(30) if seed != 3),
    ],
)
def test_map_memory(bench, sizes):
    memory = MapMemory(**sizes | {"maps": [StoredMaps(**one) for one in sizes["maps"]]})
    bench(memory, "map_memory", **sizes)


def random_channel_memory(seed):
    rng = random.Random(seed)
    parallel = rng.choice((1, 1, 2, 3))
    maps, channels = [], parallel * rng.randint(1, 5)
    for _ in range(rng.randint(1, 3)):
        rows, columns, stride, count = rng.randint(1, 7), rng.randint(1, 7), rng.randint(1, 2), rng.randint(1, 12)
        most = [(size - 1) // stride + 1 for size in (rows, columns)]
        positions = [rng.choice((size, rng.randint(1, size))) for size in most]
        order = [rng.randrange(-(-count // channels)) for _ in range(rng.choice((0, rng.randint(1, 6))))]
        maps.append({
            "channels": count, "rows": rows, "columns": columns, "positions": positions, "stride": stride,
            "repeats": rng.randint(1, 4), "order": order,
        })  # fmt: skip
    return {"maps": maps, "parallel": parallel, "channels": channels}


@pytest.mark.parametrize("seed", [1, *(full(seed) for seed in (0, *range(2, 20)))])
def test_channel_memory(bench, seed):
    sizes = random_channel_memory(seed)
    maps = [ChannelMaps(**one | {"positions": tuple(one["positions"])}) for one in sizes["maps"]]
    bench(ChannelMemory(maps, sizes["parallel"], sizes["channels"]), "channel_memory", **sizes)


@on_verilator
@pytest.mark.parametrize(
    ("image", "rows_out"),
    [
        full(maps_of(1, 28), 1),
        full(maps_of(1, 28, repeats=3), 1),
        full(maps_of(1, 28, repeats=2), 2),
        ({"channels": 3, "rows": 5, "columns": 4, "top": 1, "transfers": 2, "fill": [17, -9, 0]}, 2),
        full({"channels": 16, "rows": 13, "columns": 16}, 2),
        *(full(random_maps(random.Random(seed), 1 + seed * seed % 17), 1 + seed % 2) for seed in range(12)),
    ],
)
def test_image_buffer(bench, image, rows_out):
    bench(ImageBuffer(StoredMaps(**image), rows_out), "image_buffer", image=image, rows_out=rows_out)


@pytest.mark.parametrize(
    ("image", "rows_out", "at_once"),
    [
        full(maps_of(2, 8), 2, 4),
        ({"channels": 3, "rows": 5, "columns": 7, "top": 1}, 2, 4),  # transfers go from row to row
        full({"channels": 1, "rows": 5, "columns": 7}, 1, 2),
        full({"channels": 5, "rows": 7, "columns": 6}, 1, 4),
        full({"channels": 3, "rows": 4, "columns": 5}, 2, 4),
    ],
)
def test_image_buffer_of_several_pixels(bench, image, rows_out, at_once):
    given = {"rows_out": rows_out, "at_once": at_once}
    bench(ImageBuffer(StoredMaps(**image), **given), "image_buffer", image=image, **given)


@pytest.mark.parametrize(("pixels", "at_once"), [full(784, 1), (35, 4), full(16, 2), full(3072, 1), full(33, 2)])
def test_pixel_feeder(bench, pixels, at_once):
    bench(PixelFeeder(pixels, at_once), "pixel_feeder", pixels=pixels, at_once=at_once)


@pytest.mark.parametrize(
    ("plans", "outputs", "latency"),
    [
        full(((1, 4, 1), (7, 3, 4)), 1, 2),
        (((2, 6, 1), (9, 8, 3)), 3, 2),  # a short last group in both
        full(((0, 3, 2),), 5, 1),  # fewer channels than there is room for
    ],
)
def test_kernel_fetcher(bench, plans, outputs, latency):
    check_kernel_fetcher(bench, plans, outputs, {"depth": 40, "memory_latency": latency})


@pytest.mark.parametrize("seed", [1, full(2), full(3), full(4)])
def test_kernel_fetcher_of_any_layers(bench, seed):
    rng = random.Random(seed)
    plans, address = [], 0
    for _ in range(rng.randint(1, 5)):
        outputs, inputs = rng.randint(1, 9), rng.randint(1, 4)
        address += rng.randint(0, 3)  # of biases
        plans.append((address, outputs, inputs))
        address += outputs * inputs
    sizes = {"depth": address, "memory_latency": rng.randint(1, 5), "width": rng.randint(3, 7) ** 2}
    check_kernel_fetcher(bench, plans, 1 if seed == 2 else rng.randint(2, 5), sizes)


def check_kernel_fetcher(bench, plans, outputs, sizes):
    parts = [KernelPlan(*plan, outputs) for plan in plans]
    bench(KernelFetcher(parts, outputs, **sizes), "kernel_fetcher", plans=plans, outputs=outputs, **sizes)


@pytest.mark.parametrize(("classes", "rows"), [full(10, 1), full(1, 1), (10, 3), full(64, 25), full(3, 7)])
def test_argmax(bench, classes, rows):
    bench(Argmax(classes, rows), "argmax", classes=classes, rows=rows)


@pytest.mark.parametrize("kept", [full(0), 3, full(50)])
def test_fc_row(bench, kept):
    bench(FcRow(kept), "fc_row", kept=kept)


@pytest.mark.parametrize(
    ("lanes", "kept", "dsp_size"),
    [full(10, 0, "25x18"), (10, 5, "25x18"), full(20, 3, "25x18"), (10, 5, "18x18"), full(20, 0, "18x18")],
)
def test_packed_fc_row(bench, lanes, kept, dsp_size):
    bench(PackedFcRow(lanes, kept, dsp_size), "fc_row", lanes=lanes, kept=kept, dsp_size=dsp_size)


@on_verilator
@pytest.mark.parametrize(
    ("layers", "rows", "early", "first"),
    [
        (((50, 80), (10, 50)), 1, False, False),
        full(((500, 80), (10, 500)), 1, False, False),
        full(((45, 64), (20, 45), (3, 20)), 2, False, False),
        full(((7, 16),), 1, False, False),
        (((60, 80), (30, 60)), 25, False, False),
        full(((45, 160), (10, 45)), 1, True, False),
        (((41, 100), (30, 41), (5, 30)), 20, True, False),
        full(((45, 64), (20, 45), (3, 20)), 1, False, True),
        (((45, 160), (10, 45)), 1, True, True),
    ],
)
def test_fc_controller(bench, layers, rows, early, first):
    sizes = {"depth": 4096, "drain": 9, "writing": (rows - 1) // 20}
    parts = [FcLayer(outputs, inputs, rows) for outputs, inputs in layers]
    controller = FcController(parts, early=early, biases_first=first, **sizes)
    bench(controller, "fc_controller", layers=layers, rows=rows, early=early, biases_first=first, **sizes)


@pytest.mark.parametrize(
    ("bits", "overtakes", "varies"), [(6, False, True), (24, True, False), (24, True, True), full(24, False, False)]
)
def test_counters(bench, bits, overtakes, varies):
    bench(Counters(bits, overtakes, varies), "counters", bits=bits, overtakes=overtakes, varies=varies)


def words_of(image) -> list[int]:
    """Words of a weight memory as integers."""
    return [int.from_bytes(word.tobytes(), "little") for word in image]
