"""A bench that cannot fail proves nothing: each must reject its component with one thing broken.

The break is made around or in the generated Verilog: an output that is wrong now and then, one that is late, a reset
that does nothing.
"""

import random
import re
from dataclasses import replace

import pytest

from fivebyfive.hw.activation_memory import ActivationMemory
from fivebyfive.hw.argmax import Argmax
from fivebyfive.hw.conv_array import ConvArray
from fivebyfive.hw.conv_controller import ConvController, ConvLayer
from fivebyfive.hw.conv_engine import ConvEngine
from fivebyfive.hw.conv_pe import ConvPE
from fivebyfive.hw.counters import Counters
from fivebyfive.hw.deframer import Deframer
from fivebyfive.hw.dot_product import DotProduct
from fivebyfive.hw.fc_controller import FcController, FcLayer
from fivebyfive.hw.fc_engine import FcEngine
from fivebyfive.hw.fc_row import FcRow
from fivebyfive.hw.framer import Framer
from fivebyfive.hw.image_buffer import ImageBuffer
from fivebyfive.hw.kernel_fetcher import KernelFetcher, KernelPlan
from fivebyfive.hw.line_buffer import LineBuffer
from fivebyfive.hw.map_memory import MapMemory
from fivebyfive.hw.packed_conv_pe import PackedConvPE
from fivebyfive.hw.packed_dot_product import PackedDotProduct
from fivebyfive.hw.pooling import Pooling
from fivebyfive.hw.serial_accelerator import SerialAccelerator
from fivebyfive.hw.types import NATURAL
from fivebyfive.hw.uart import UartReceiver, UartTransmitter
from fivebyfive.hw.verilog import to_verilog
from fivebyfive.hw.weight_memory import WeightMemory
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.config import Config
from fivebyfive.model.shape import LeNetShape
from fivebyfive.model.weights import memory_map, pack
from fivebyfive.sim.runner import SimulationFailed, build, run


def dot_product():
    return DotProduct(5), {"terms": 5}


def packed_dot_product():
    return PackedDotProduct(5), {"terms": 5, "natural": False}


def packed_conv_pe():
    return PackedConvPE(NATURAL), {"natural": True}


def pooling():
    return Pooling(2, 1, (8, 24)), {"outputs": 2, "windows": 1, "sizes": (8, 24)}


def line_buffer():
    return LineBuffer(1, (28, 12)), {"windows": 1, "sizes": (28, 12)}


def weight_memory():
    rng = random.Random(1)
    words = [rng.getrandbits(200) for _ in range(70)]
    return WeightMemory(words, 25), {"width": 25, "banks": (70,), "words": [f"{word:x}" for word in words]}


def activation_memory():
    return ActivationMemory(96, 6, (6, 4)), {"inputs": 96, "writers": 6, "counts": (6, 4)}


def conv_pe():
    return ConvPE(), {}


def conv_array():
    return ConvArray(1, 3, 5, 5, 64, 1), {"windows": 1, "outputs": 3, "bias_words": 1}


def conv_controller():
    layers, sizes = ((3, 1, 0), (4, 3, 4)), {"depth": 1100, "memory_latency": 2, "drain": 9}
    parts = [ConvLayer(outputs, inputs, 1, address) for outputs, inputs, address in layers]
    return ConvController(parts, **sizes), {"layers": layers, "parallel": 1, **sizes}


def conv_engine():
    shape, config = LeNetShape(2, 2, (1,)), Config()
    words = [int.from_bytes(w.tobytes(), "little") for w in pack(Checkpoint.random(shape, 5), config).conv]
    at = {region.name: region.address for region in memory_map(shape, config)}
    engine = ConvEngine(shape, config, words, (at["conv1.bias"], at["conv2.bias"]))
    return engine, {"conv1": 2, "conv2": 2, "config": {}, "seed": 5}


def fc_row():
    return FcRow(3), {"kept": 3}


def fc_controller():
    layers, sizes = ((45, 64), (10, 45)), {"depth": 4096, "drain": 9}
    parts = [FcLayer(outputs, inputs, 1) for outputs, inputs in layers]
    return FcController(parts, **sizes), {"layers": layers, "rows": 1, "early": False, **sizes}


def fc_engine():
    shape, config = LeNetShape(1, 3, (7, 10)), Config()
    words = [int.from_bytes(w.tobytes(), "little") for w in pack(Checkpoint.random(shape, 6), config).fc]
    return FcEngine(shape, config, words), {"conv2": 3, "fc": (7, 10), "config": {}, "seed": 6}


def map_memory():
    sizes = {"channels": 3, "size": 6, "repeats": 2}
    return MapMemory(**sizes), sizes


def image_buffer():
    return ImageBuffer(1, 2), {"rows_out": 1, "repeats": 2}


def kernel_fetcher():
    plans, sizes = ((2, 6, 1), (9, 8, 3)), {"depth": 40, "memory_latency": 2}
    return KernelFetcher([KernelPlan(*p, 3) for p in plans], 3, **sizes), {"plans": plans, "outputs": 3, **sizes}


def argmax():
    return Argmax(10, 3), {"classes": 10, "rows": 3}


def counters():
    return Counters(), {}


def uart_receiver():
    return UartReceiver(4), {"divisor": 4}


def uart_transmitter():
    return UartTransmitter(4), {"divisor": 4}


def deframer():
    return Deframer(), {}


def framer():
    return Framer(14), {"most": 14}


def serial_accelerator():
    shape = LeNetShape(1, 1, (10,))
    given = {"conv1": 1, "conv2": 1, "fc": shape.fc, "seed": 4, "divisor": 4}
    return SerialAccelerator(Checkpoint.random(shape, 4), divisor=4), given


COMPONENTS = (
    dot_product, pooling, line_buffer, weight_memory, activation_memory, conv_pe, conv_array, conv_controller,
    conv_engine, fc_row, fc_controller, fc_engine, map_memory, image_buffer, kernel_fetcher, argmax, counters,
    packed_dot_product, packed_conv_pe, uart_receiver, uart_transmitter, deframer, framer, serial_accelerator,
)  # fmt: skip

# The output of each that is broken.
OUTPUTS = {
    "dot_product": "o__payload", "pooling": "o__payload", "line_buffer": "patch", "weight_memory": "data",
    "activation_memory": "data", "conv_pe": "o__payload", "conv_array": "o__payload", "conv_controller": "go",
    "conv_engine": "o__payload", "fc_row": "o__payload", "fc_controller": "command", "fc_engine": "o__payload",
    "map_memory": "o__payload", "image_buffer": "o__payload", "kernel_fetcher": "o__payload",
    "argmax": "o__payload", "counters": "cycles", "packed_dot_product": "o__payload", "packed_conv_pe": "o__payload",
    "uart_receiver": "o_valid", "uart_transmitter": "tx", "deframer": "valid", "framer": "o__payload",
    "serial_accelerator": "tx",
}  # fmt: skip


def wrap(design, signal: str, statement: str):
    """``design`` inside a top module of the same name and ports, in which ``signal`` is what ``statement`` says."""
    inner = f"{design.name}_inner"
    verilog = re.sub(rf"^module {design.name}\(", f"module {inner}(", design.verilog, flags=re.M)
    lines = [f"module {design.name}({', '.join(port.name for port in design.ports)});"]
    for port in design.ports:
        size = f"[{port.width - 1}:0] " if port.width > 1 else ""
        lines += [f"  {port.direction} {size}{port.name};"]
        lines += [f"  wire {size}inner_{port.name};"] if port.name == signal else []
    inside = [(p.name, f"inner_{p.name}" if p.name == signal else p.name) for p in design.ports]
    lines += [f"  {inner} inner({', '.join(f'.{name}({wire})' for name, wire in inside)});"]
    width = next(port.width for port in design.ports if port.name == signal)
    lines += [f"  reg [{width - 1}:0] late = 0;", f"  always @(posedge clk) late <= inner_{signal};"]
    lines += ["  reg [5:0] rare = 0;", "  always @(posedge clk) rare <= rare + 1'b1;"]
    lines += [f"  assign {signal} = {statement};", "endmodule", ""]
    return replace(design, verilog=verilog + "\n".join(lines))


BREAKS = ("a bit is wrong", "a cycle late", "reset does nothing")
CASES = [
    pytest.param(make, broken, id=f"{make.__name__}-{broken}")
    for make in COMPONENTS
    for broken in BREAKS
    if (make, broken) != (weight_memory, "reset does nothing")  # it has no state that a reset could mend
    if (make, broken) != (serial_accelerator, "a cycle late")  # the line has no clock
]


@pytest.mark.parametrize(("make", "broken"), CASES)
def test_broken_component_is_rejected(make, broken, tmp_path, icarus_or_verilator):
    component, given = make()
    name = make.__name__
    design = to_verilog(component, name)
    signal = OUTPUTS[name]
    if broken == "a bit is wrong":
        # Once in a while only: the lowest bit, in one of 64 cycles.
        design = wrap(design, signal, f"inner_{signal} ^ &rare")
    elif broken == "a cycle late":
        design = wrap(design, signal, "late")
    else:
        assert "if (rst) begin" in design.verilog
        design = replace(design, verilog=design.verilog.replace("if (rst) begin", "if (1'b0) begin"))
    design.write(tmp_path)
    built = build(design, icarus_or_verilator)
    bench = f"fivebyfive.sim.benches.{name.removeprefix('packed_')}"
    with pytest.raises(SimulationFailed, match="failed with seed"):
        run(built, bench, tmp_path, parameters=given, timeout_s=300, seed=1)
