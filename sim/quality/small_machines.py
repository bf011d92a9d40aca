"""One small machine of every component, which its bench goes through in seconds: for faults that benches must notice.

Each function gives a component and the parameters of its bench (`fivebyfive.sim.benches`, `bench_of`).
"""

import random
from collections.abc import Callable
from dataclasses import asdict, astuple
from typing import Any

from amaranth.hdl import signed
from amaranth.lib import wiring

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.axi.axi_core import AxiCore
from fivebyfive.hw.cascade import Cascade
from fivebyfive.hw.common.narrow_weight_memory import NarrowWeightMemory
from fivebyfive.hw.common.table_lookup import TableLookup
from fivebyfive.hw.common.types import NATURAL
from fivebyfive.hw.common.weight_memory import WeightMemory
from fivebyfive.hw.conv.channel_memory import ChannelMaps, ChannelMemory
from fivebyfive.hw.conv.conv_array import ConvArray
from fivebyfive.hw.conv.conv_controller import ConvController, ConvLayer
from fivebyfive.hw.conv.conv_engine import ConvEngine
from fivebyfive.hw.conv.conv_pe import ConvPE, WinogradPE
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
from fivebyfive.hw.serial.deframer import Deframer
from fivebyfive.hw.serial.framer import Framer
from fivebyfive.hw.serial.serial_accelerator import SerialAccelerator
from fivebyfive.hw.serial.uart import UartReceiver, UartTransmitter
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import written
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weight_form import WeightForm
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.machine.zero_windows import Skip
from fivebyfive.model.network import Network, Pool
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.benches import find_bench
from fivebyfive.sim.benchlib.random_networks import least, random_network
from fivebyfive.sim.benchlib.random_padding import pad_randomly

__all__ = ["SMALL_MACHINES", "bench_of", "joined"]

FULL = LeNetShape(1, 5, (20, 10))  # small, and yet every lane of the FC row has a weight, in every word


SmallMachine = tuple[wiring.Component, dict[str, object]]  # a component, and the parameters of its bench


def dot_product() -> SmallMachine:
    return DotProduct(5), {"terms": 5}


def packed_dot_product() -> SmallMachine:
    return PackedDotProduct(5), {"terms": 5, "natural": False}


def overlapped_packed_dot_product() -> SmallMachine:
    return PackedDotProduct(5, dsp_size="18x18"), {"terms": 5, "natural": False, "dsp_size": "18x18"}


def packed_conv_pe() -> SmallMachine:
    return PackedConvPE(NATURAL), {"natural": True}


def pooling() -> SmallMachine:
    maps = [PooledMap(8, 8), PooledMap(24, 24)]
    return Pooling(2, 1, maps), {"outputs": 2, "windows": 1, "maps": [astuple(one) for one in maps]}


def any_pooling() -> SmallMachine:
    maps = [PooledMap(7, 5, Pool("max", 3, 2)), PooledMap(6, 9, Pool("average", 3, 3), False), PooledMap(2, 3, None)]
    return Pooling(2, 1, maps), {"outputs": 2, "windows": 1, "maps": [astuple(one) for one in maps]}


def sparse_pooling() -> SmallMachine:
    maps = [PooledMap(8, 6), PooledMap(5, 7, None), PooledMap(7, 5, Pool("max", 3, 2), False)]
    given = {"outputs": 2, "windows": 1, "maps": [astuple(one) for one in maps], "sparse": True}
    return Pooling(2, 1, maps, sparse=True), given


def line_buffer() -> SmallMachine:
    maps = LineMap(12, 12, 8, 8), LineMap(9, 7, 4, 5, stride=2, top=2, left=1)  # padded on three sides
    return LineBuffer(1, 5, maps), {"windows": 1, "kernel": 5, "maps": [asdict(map_) for map_ in maps]}


def sparse_line_buffer() -> SmallMachine:
    # Cells of a pool; and positions, of a map with padding.
    maps = LineMap(10, 9, 8, 6), LineMap(9, 7, 4, 5, stride=2, top=2, left=1)
    skips = Skip(2, 2, codes=True), Skip()
    given = {"maps": [asdict(map_) for map_ in maps], "skips": [skip and asdict(skip) for skip in skips]}
    return SparseLineBuffer(1, 3, maps, skips), {"windows": 1, "kernel": 3, **given}


def weight_memory() -> SmallMachine:
    rng = random.Random(1)
    words = [rng.getrandbits(200) for _ in range(70)]
    return WeightMemory(words, 25), {"width": 25, "banks": (70,), "words": [f"{word:x}" for word in words]}


def activation_memory() -> SmallMachine:
    # Four words: a code behind the last one would be written to the first.
    return ActivationMemory(80, 20, (20, 4)), {"inputs": 80, "writers": 20, "counts": (20, 4)}


def conv_pe() -> SmallMachine:
    return ConvPE(), {}


def conv_array() -> SmallMachine:
    return ConvArray(1, 3, 5, 5, 64, 1), {"windows": 1, "outputs": 3, "bias_words": 1}


def sparse_conv_array() -> SmallMachine:
    given = {"windows": 1, "outputs": 3, "bias_words": 1, "kernel": 3, "size": (4, 8), "sparse": True}
    return ConvArray(1, 3, 3, 3, 32, 1, kernel=3, sparse=True), given


def winograd_pe() -> SmallMachine:
    return WinogradPE(), {}


def matrix_transform() -> SmallMachine:
    stages = ((1, 0, -1), (0, 3, -2)), ((1, 0), (2, -1), (1, 1))
    return MatrixTransform(stages, signed(8), 12), {"stages": stages, "element": 8, "bits": 12}


def conv_controller() -> SmallMachine:
    layers = [
        {"outputs": 3, "inputs": 1, "bias_address": 0, "positions": 9},
        {"outputs": 4, "inputs": 3, "bias_address": 4, "positions": 4, "pace": 3},
        {"outputs": 2, "inputs": 4, "bias_address": 5, "positions": 1},
    ]
    sizes = {"depth": 1100, "memory_latency": 2, "drain": 9}
    parts = [ConvLayer(3, 1, 1, 0), ConvLayer(4, 3, 1, 4, pace=3), ConvLayer(2, 4, 1, 5, single=True)]
    return ConvController(parts, **sizes), {"layers": layers, "parallel": 1, **sizes}


def conv_engine() -> SmallMachine:
    shape, config = LeNetShape(2, 2, (1,)), Config()
    image = pad_randomly(pack(Checkpoint.random(shape, 5), config), shape.network, config)
    words = [int.from_bytes(w.tobytes(), "little") for w in image.conv]
    return ConvEngine(shape.network, config, words), {"network": str(shape), "config": {}, "seed": 5}


def fc_row() -> SmallMachine:
    return FcRow(3), {"kept": 3}


def packed_fc_row() -> SmallMachine:
    return PackedFcRow(10, 3), {"lanes": 10, "kept": 3}


def fc_controller() -> SmallMachine:
    layers, depth, drain = ((45, 64), (10, 45)), 214, 9  # as many words as the layers have
    parts = [FcLayer(outputs, inputs, 1) for outputs, inputs in layers]
    given = {"layers": layers, "rows": 1, "early": False, "depth": depth, "drain": drain, "writing": 2}
    return FcController(parts, depth, drain, writing=2), given


def fc_engine() -> SmallMachine:
    config = Config()
    words = [int.from_bytes(w.tobytes(), "little") for w in pack(Checkpoint.random(FULL, 6), config).fc]
    return FcEngine(FULL.network, config, words), {"network": str(FULL), "config": {}, "seed": 6}


def sparse_fc_row() -> SmallMachine:
    return SparseFcRow(5), {"groups": 5}


def sparse_fc_engine() -> SmallMachine:
    config = Config(skip_zeros=True)
    words = [int.from_bytes(w.tobytes(), "little") for w in pack(Checkpoint.random(FULL, 6), config).fc]
    return SparseFcEngine(FULL.network, config, words), {"network": str(FULL), "config": asdict(config), "seed": 6}


def map_memory() -> SmallMachine:
    maps: tuple[dict[str, Any], ...] = (
        {"channels": 4, "rows": 5, "columns": 6, "top": 1, "repeats": 4, "fill": (-3, 6, 0, 9)},
        {"channels": 4, "rows": 6, "columns": 4, "transfers": 2, "order": (2, 0, 3, 1, 1) * 4, "fill": (9,)},
    )
    return MapMemory([StoredMaps(**one) for one in maps], rows_out=2), {"maps": maps, "rows_out": 2}


def sparse_map_memory() -> SmallMachine:
    # Two rows a transfer, of three channels that are written together, and one that is left over.
    maps: tuple[dict[str, Any], ...] = (
        {"channels": 4, "rows": 5, "columns": 6, "top": 1, "repeats": 2},
        {"channels": 3, "rows": 4, "columns": 4, "repeats": 3},
    )
    sizes: dict[str, Any] = {"rows_out": 2, "parallel": 3, "sparse": True}
    return MapMemory([StoredMaps(**one) for one in maps], **sizes), {"maps": maps, **sizes}


def channel_memory() -> SmallMachine:
    # Three sets of channels, of two groups each; a stride, and a row that is left out; a listed order.
    maps: tuple[dict[str, Any], ...] = (
        {"channels": 9, "rows": 3, "columns": 4, "positions": (3, 4), "repeats": 2},
        {"channels": 6, "rows": 6, "columns": 5, "positions": (2, 3), "stride": 2, "order": (1, 0, 1)},
    )
    sizes: dict[str, Any] = {"parallel": 2, "channels": 4}
    return ChannelMemory([ChannelMaps(**one) for one in maps], **sizes), {"maps": maps, **sizes}


def image_buffer() -> SmallMachine:
    image: dict[str, Any] = {"channels": 1, "rows": 28, "columns": 28, "repeats": 2}
    return ImageBuffer(StoredMaps(**image)), {"image": image, "rows_out": 1}


def pixel_feeder() -> SmallMachine:
    return PixelFeeder(784), {"pixels": 784}


def kernel_fetcher() -> SmallMachine:
    plans, sizes = ((2, 5, 1), (9, 9, 3)), {"depth": 40, "memory_latency": 2}
    return KernelFetcher([KernelPlan(*p, 3) for p in plans], 3, **sizes), {"plans": plans, "outputs": 3, **sizes}


def argmax() -> SmallMachine:
    return Argmax(10, 3), {"classes": 10, "rows": 3}


def counters() -> SmallMachine:
    return Counters(6, varies=True), {"bits": 6, "varies": True}  # so few bits that the bench makes every one move


def uart_receiver() -> SmallMachine:
    return UartReceiver(4), {"divisor": 4}


def uart_transmitter() -> SmallMachine:
    return UartTransmitter(4), {"divisor": 4}


def deframer() -> SmallMachine:
    return Deframer(), {}


def framer() -> SmallMachine:
    return Framer(14), {"most": 14}


def serial_accelerator() -> SmallMachine:
    return SerialAccelerator(Checkpoint.random(FULL, 4), divisor=4), {"network": str(FULL), "seed": 4, "divisor": 4}


def accelerator() -> SmallMachine:
    shape, config = LeNetShape(2, 3, (22, 10)), Config(4, 2, 3)
    network = Checkpoint.random(shape, 5)
    image_cycles = plan(shape.network, config).conv + 400
    given = {"network": str(shape), "seed": 5, "resets": 3, "image_cycles": image_cycles}
    image = pad_randomly(pack(network, config), shape.network, config)
    return Accelerator(shape.network, config, image), given | {"config": asdict(config)}


def cascade() -> SmallMachine:
    return joined(FULL.network, FULL.network, margin=17, pixels=1)


def joined(first: Network, second: Network, margin: int, pixels: int) -> SmallMachine:
    """A cascade of two networks with random weights, of seeds 5 and 6, and the parameters of its bench."""
    machines: list[Accelerator] = []
    latency = 0
    for seed, network in enumerate((first, second), 5):
        checkpoint, config = Checkpoint.random(network, seed), sized(network, pixels=pixels)
        image = pad_randomly(pack(checkpoint, config), network, config)
        machines.append(Accelerator(network, config, image, checkpoint.tables))
        latency += plan(network, config).latency
    return Cascade(machines[0], machines[1], margin), {
        "first": written(first), "second": written(second), "seed": 5, "margin": margin, "pixels": pixels,
        "one_sided": margin in (0, 256), "image_cycles": latency + 300,
    }  # fmt: skip


def axi_core() -> SmallMachine:
    config = Config()
    network, cycles = Checkpoint.random(FULL, 11), plan(FULL.network, config)
    given = {"network": str(FULL), "seed": 11, "pixel_bytes": 4, "config": asdict(config)}
    given |= {"image_cycles": max(784, cycles.conv, cycles.fc), "stalls": 0.3}
    image = pad_randomly(pack(network, config), FULL.network, config)
    return AxiCore(FULL.network, config, image, 4), given | AXI_AMOUNTS


def sign_dot_product() -> SmallMachine:
    return SignDotProduct(5, (0, 5)), {"terms": 5, "form": {"kind": "signs", "values": ((-1, 1), (-32, 0, 32))}}


def xnor_dot_product() -> SmallMachine:
    return XnorDotProduct(5, (0, 5)), {"terms": 5, "form": {"kind": "xnor", "values": ((-1, 1), (-32, 32))}}


def shift_dot_product() -> SmallMachine:
    return ShiftDotProduct(5), {"terms": 5, "form": {"kind": "powers", "values": ((-1, 1),)}}


def sweep_list() -> SmallMachine:
    entries = [3, 0, 2, 2, 1]
    return SweepList(entries, 2), {"entries": entries}


def narrow_weight_memory() -> SmallMachine:
    rng, form = random.Random(1), WeightForm("codebook", ((-100, 0, 3), (-7, -1, 99)))
    words = [rng.getrandbits(40) for _ in range(3)]
    words += [int.from_bytes(bytes(rng.randrange(3) for _ in range(5))) for _ in range(40)]
    given = {"width": 5, "biases": 3, "form": {"kind": form.kind, "values": form.values}, "banks": None}
    memory = NarrowWeightMemory(words, 5, 3, form)
    return memory, given | {"words": [f"{word:x}" for word in words]}


def bank_weight_memory() -> SmallMachine:
    rng = random.Random(1)
    words = [rng.getrandbits(8 * 41) for _ in range(44)]
    given = {"rows": 1, "places": 6, "biases": 9, "banks": None}
    return BankWeightMemory(words, 1, 6, 9), given | {"words": [f"{word:x}" for word in words]}


def bank_activation_memory() -> SmallMachine:
    given = {"inputs": 96, "writers": 6, "counts": (6, 4), "rows": 2}
    return BankActivationMemory(96, 6, (6, 4), rows=2), given


def bank_fc_controller() -> SmallMachine:
    return BankFcController([6, 3, 1], 5), {"words": [6, 3, 1], "drain": 5}


def bank_fc_engine() -> SmallMachine:
    # Two classes, so that the last logit is often the largest; no activation that nothing is computed from.
    shape, kind = LeNetShape(1, 5, (30, 2)), "banks+seen"
    network = random_network(shape, 6, kind)
    config = fitted(network, Config())
    given = {"network": str(shape), "kind": kind, "config": asdict(config), "seed": 6}
    small, whole = least(network, config)
    words = [int.from_bytes(w.tobytes(), "little") for w in pack(small, whole).fc]
    return BankFcEngine(small.network, whole, words), given


def skipping_conv_engine() -> SmallMachine:
    shape, kind = LeNetShape(2, 25, (1,)), "ternary+kernels"  # a word of 25 biases is full
    network = random_network(shape, 5, kind)
    config = fitted(network, Config())
    given = {"network": str(shape), "kind": kind, "config": asdict(config), "seed": 5}
    small, whole = least(network, config)
    words = [int.from_bytes(w.tobytes(), "little") for w in pack(small, whole).conv]
    return ConvEngine(small.network, whole, words), given


def table_lookup() -> SmallMachine:
    rng = random.Random(1)
    functions = ["relu", *(tuple(rng.randrange(-128, 128) for _ in range(256)) for _ in range(2)), None]
    return TableLookup(2, functions), {"lanes": 2, "functions": functions}


AXI_AMOUNTS = {"images": 4, "resets": 2, "frames": 2, "addresses": 200}

SMALL_MACHINES: tuple[Callable[[], SmallMachine], ...] = (
    dot_product, pooling, line_buffer, weight_memory, activation_memory, conv_pe, conv_array, conv_controller,
    conv_engine, fc_row, fc_controller, fc_engine, map_memory, image_buffer, kernel_fetcher, argmax, counters,
    packed_dot_product, packed_conv_pe, uart_receiver, uart_transmitter, deframer, framer, serial_accelerator,
    packed_fc_row, pixel_feeder, accelerator, axi_core, sign_dot_product, sweep_list, narrow_weight_memory,
    bank_weight_memory, bank_activation_memory, bank_fc_controller, bank_fc_engine, skipping_conv_engine,
    any_pooling, table_lookup, cascade, sparse_line_buffer, sparse_map_memory, sparse_pooling,
    sparse_conv_array, overlapped_packed_dot_product, sparse_fc_row, channel_memory, shift_dot_product,
    sparse_fc_engine, winograd_pe, matrix_transform, xnor_dot_product,
)  # fmt: skip


OF_ANOTHER = {  # components that a bench of another one checks
    "sign_dot_product": "dot_product", "shift_dot_product": "dot_product", "xnor_dot_product": "dot_product",
    "sparse_fc_engine": "fc_engine",
    "bank_activation_memory": "activation_memory", "bank_fc_engine": "fc_engine",
    "skipping_conv_engine": "conv_engine", "any_pooling": "pooling", "sparse_line_buffer": "line_buffer",
    "sparse_map_memory": "map_memory", "sparse_pooling": "pooling",
    "sparse_conv_array": "conv_array", "overlapped_packed_dot_product": "dot_product",
}  # fmt: skip


def bench_of(make: Callable[[], SmallMachine]) -> str:
    """The module with the bench of a small machine."""
    return find_bench(OF_ANOTHER.get(make.__name__, make.__name__).removeprefix("packed_"))
