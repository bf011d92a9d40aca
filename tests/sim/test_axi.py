"""The AXI core between independent bus models, on both simulators."""

from dataclasses import asdict, replace
from functools import cache

import pytest

from fivebyfive.hw.axi.axi_core import AxiCore
from fivebyfive.hw.axi.vivado import TOP
from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.model.description import written
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.benchlib.random_networks import random_network
from fivebyfive.sim.simulator.lint import lint
from fivebyfive.sim.simulator.process import SimulationFailed
from fivebyfive.sim.simulator.runner import build, run

FULL = pytest.mark.full  # seen in the other cases and in the benches of the parts, too
SEED = 11
TINY = LeNetShape(1, 1, (10,))
DEEP = LeNetShape(2, 2, (5, 3))
FITTED = LeNetShape(4, 5, (30, 10))
# Three channels, fill codes around them, an average, a table; no convolution, pixels that fill no whole transfers, as
# many classes as there may be; no fully-connected layer.
COLOURS = Network((3, 10, 12), (
    Layer("c1", "conv", 4, 3, padding=(1, 1, 1, 1), fill=(17, -3, 100), then=("table", Pool("average", 2, 2), "relu")),
    Layer("f1", "fc", 5),
))  # fmt: skip
CLASSES = Network((2, 5, 5), (Layer("f1", "fc", 7, then=("table",)), Layer("f2", "fc", 256)))
MAPS = Network((1, 9, 9), (Layer("c1", "conv", 3, 3, stride=2, then=("relu", Pool("average", 4, 4))),))
# Icarus simulates some 500 cycles a second: each thing once.
AMOUNTS = {
    "verilator": {"images": 4, "resets": 2, "frames": 2, "addresses": 200},
    "icarus": {"images": 2, "resets": 1, "frames": 1, "addresses": 20},
}


def axi_core(shape: LeNetShape | Network, config: Config, pixel_bytes: int, kind: str = ""):
    """The core of random weights of a ``kind``, and what its bench is to know of it."""
    checkpoint = random_network(shape, SEED, kind)
    network = checkpoint.network
    core = AxiCore(network, config, pack(checkpoint, config), pixel_bytes, checkpoint.tables)
    cycles = plan(network, config)
    given = {
        "network": written(network), "seed": SEED, "pixel_bytes": pixel_bytes, "config": asdict(config),
        "image_cycles": max(network.pixels, cycles.conv, cycles.fc), "stalls": 0.3, "kind": kind,
    }  # fmt: skip
    return core, given


@pytest.mark.slow
@pytest.mark.on("verilator", alone=True)  # those that are broken run on Icarus
def test_32_bits(bench, simulator):
    core, given = axi_core(TINY, Config(), 4)
    bench(to_verilog(core, TOP), "axi_core", **given, **AMOUNTS[simulator])


@pytest.mark.full
def test_32_bits_for_longer(bench, simulator):
    core, given = axi_core(TINY, Config(), 4)
    amounts = {"images": 12, "resets": 6, "frames": 5, "addresses": 998}
    bench(to_verilog(core, TOP), "axi_core", **given, **(amounts if simulator == "verilator" else AMOUNTS[simulator]))


@pytest.mark.full  # broken cores of both widths are seen below
@pytest.mark.on("verilator", alone=True)
def test_8_bits(bench, simulator):
    core, given = axi_core(DEEP, Config(fc_rows=3), 1)
    tests = ("images", "wrong_frames") if simulator == "icarus" else ()
    bench(to_verilog(core, TOP), "axi_core", tests=tests, **given, **AMOUNTS[simulator])


@pytest.mark.on("verilator", alone=True)
@pytest.mark.parametrize(
    ("network", "pixels"),
    [(DEEP.network, 4), pytest.param(CLASSES, 4, marks=FULL), pytest.param(COLOURS, 2, marks=FULL)],
    ids=["deep", "classes", "colours"],
)
def test_several_pixels_at_once(bench, simulator, network, pixels):
    """Images whose pixels fill whole words, and some whose pixels do not; cycles as planned."""
    core, given = axi_core(network, replace(sized(network), pixels=pixels), pixels)
    bench(to_verilog(core, TOP), "axi_core", **given, **AMOUNTS[simulator])


@pytest.mark.on("verilator", alone=True)
@pytest.mark.parametrize(
    ("network", "pixel_bytes"),
    [(COLOURS, 4), pytest.param(CLASSES, 4, marks=FULL), pytest.param(MAPS, 1, marks=FULL)],
    ids=["colours", "classes", "maps"],
)
def test_any_network(bench, simulator, network, pixel_bytes):
    """Whatever a list of layers has: pixels, stalls, resets, wrong frames, registers, other weights."""
    core, given = axi_core(network, sized(network), pixel_bytes)
    bench(to_verilog(core, TOP), "axi_core", **given, **AMOUNTS[simulator])


@pytest.mark.full
@pytest.mark.parametrize("kind", ["kernels+banks+codebook", "ternary"])
def test_engines_of_certain_weights(bench, simulator, kind):
    """Words of other widths, a mark in a register, and weights that fit the engines loaded over AXI."""
    if simulator == "icarus":
        pytest.skip("Verilator has seen it, and both simulators the engines and the loader")
    config = fitted(random_network(FITTED, SEED, kind), Config(fc_rows=2))
    assert config.engines.mark
    core, given = axi_core(FITTED, config, 4, kind)
    tests = ("images", "registers", "other_weights")
    bench(to_verilog(core, TOP), "axi_core", tests=tests, **given, **AMOUNTS[simulator])


@pytest.mark.parametrize(
    ("config", "pixel_bytes"),
    [(Config(), 4), pytest.param(Config(fc_rows=2), 1, marks=FULL)],
    ids=["32 bits", "8 bits"],
)
def test_verilator_has_nothing_to_say(config, pixel_bytes):
    core, _ = axi_core(DEEP, config, pixel_bytes)
    assert lint(to_verilog(core, TOP)) == []


@pytest.mark.parametrize(
    "network",
    [COLOURS, pytest.param(CLASSES, marks=FULL), pytest.param(MAPS, marks=FULL)],
    ids=["colours", "classes", "maps"],
)
def test_verilator_has_nothing_to_say_of_any_network(network):
    core, _ = axi_core(network, sized(network), 4)
    assert lint(to_verilog(core, TOP)) == []


# What is broken, by the value of a port, and a test of the bench that must see it. `odd` is high in every second cycle,
# `rare` in one of seven (bus models like powers of two).
BROKEN = [
    ("m_axis_tvalid", "inner_m_axis_tvalid & odd", "images"),
    ("m_axis_tdata", "inner_m_axis_tdata ^ {odd, 3'b0}", "images"),
    ("m_axis_tlast", "1'b1", "images"),
    ("m_axis_tlast", "1'b0", "images"),
    ("s_axis_tready", "inner_s_axis_tready | rare", "images"),
    ("s_axi_bvalid", "inner_s_axi_bvalid & ~rare", "addresses"),
    ("s_axi_rdata", "inner_s_axi_rdata ^ rare", "registers"),
    ("s_axi_bresp", "2'b0", "addresses"),
    ("s_axi_rresp", "2'b0", "addresses"),
    ("interrupt", "1'b0", "registers"),
]


@pytest.mark.parametrize(("port", "value", "test"), BROKEN, ids=[f"{p} = {v}" for p, v, _ in BROKEN])
def test_broken_core_is_rejected(port, value, test, tmp_path, icarus_or_verilator):
    """A bench that cannot fail proves nothing."""
    whole, given = tiny_core()
    design = with_broken_port(whole, port, value)
    design.write(tmp_path)
    built = build(design, icarus_or_verilator)
    parameters = given | AMOUNTS["icarus"] | {"limit_cycles": 3000}
    with pytest.raises(SimulationFailed, match=f"failed with seed 1:\n{test}"):
        run(built, "fivebyfive.sim.benches.axi.axi_core", tmp_path, parameters=parameters, tests=[test], seed=1)


@cache
def tiny_core() -> tuple[Design, dict]:
    """The core whose ports are broken, and the parameters of its bench."""
    core, given = axi_core(TINY, Config(), 4)
    return to_verilog(core, TOP), given


def with_broken_port(design: Design, port: str, value: str) -> Design:
    """``design`` inside a module of the same name and ports, in which an output is what ``value`` says."""
    text = design.verilog.replace(f"module {TOP}(", f"module {TOP}_whole(", 1)
    sizes = {p.name: f"[{p.width - 1}:0] " if p.width > 1 else "" for p in design.ports}
    declared = [f"  {p.direction} {sizes[p.name]}{p.name};" for p in design.ports]
    pins = [f".{p.name}({f'inner_{port}' if p.name == port else p.name})" for p in design.ports]
    lines = [
        f"module {TOP}({', '.join(sizes)});", *declared, f"  wire {sizes[port]}inner_{port};",
        "  reg count = 0;", "  always @(posedge aclk) count <= ~count;",
        "  reg [2:0] seven = 0;", "  always @(posedge aclk) seven <= seven == 3'd6 ? 3'd0 : seven + 3'd1;",
        "  wire rare = seven == 3'd6;", "  wire odd = count;",
        f"  {TOP}_whole whole({', '.join(pins)});", f"  assign {port} = {value};", "endmodule", "",
    ]  # fmt: skip
    return replace(design, verilog=text + "\n".join(lines))
