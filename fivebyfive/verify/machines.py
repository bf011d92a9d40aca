"""The machines that pages of figures are about, by the names that the pages record (`provenance`)."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from fivebyfive.hw.axi.axi_core import AxiCore
from fivebyfive.hw.axi.vivado import TOP
from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.hw.generate import generate
from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import Size, sized
from fivebyfive.model.machine.weights import pack
from fivebyfive.output.provenance import lenet_name, verilog_input
from fivebyfive.sim.quality.small_machines import SMALL_MACHINES

from .axi import CASES, Case, case_checkpoint
from .bench import SIZES

__all__ = [
    "AXI", "CHECKPOINTS", "COMPONENTS", "COMPRESSED", "LENET", "MACHINES", "QUICK", "SIZED", "SIZED_EARLY",
    "verilog_inputs",
]  # fmt: skip

CHECKPOINTS = tuple(sorted(path.stem for path in SHIPPED.parent.glob("*.npz")))


def lenet(config: Config) -> Design:
    return generate(load_checkpoint(), config).design


def by_default(checkpoint: str) -> Design:
    """The machine that commands make for a checkpoint that ships."""
    loaded = load_checkpoint(SHIPPED.with_name(f"{checkpoint}.npz"))
    return generate(loaded, Size().config(loaded)).design


def axi_core(case: Case) -> Design:
    checkpoint = case_checkpoint(case)
    config = sized(checkpoint.network, conv_pes=case.conv_pes, fc_rows=case.fc_rows)
    return to_verilog(AxiCore(checkpoint.network, config, pack(checkpoint, config), case.pixel_bytes), TOP)


def component(make: Callable) -> Design:
    return to_verilog(make()[0], make.__name__)


SHAPE = load_checkpoint().shape
CONFIGS = [sized(SHAPE.network, *size) for size in SIZES]
SIZED, SIZED_EARLY = (
    {lenet_name(config): partial(lenet, config) for config in configs}
    for configs in (CONFIGS, [replace(config, early_fc=True) for config in CONFIGS])
)
LENET = next(iter(SIZED))
AXI = {case.name: partial(axi_core, case) for case in CASES}
COMPONENTS = {make.__name__: partial(component, make) for make in SMALL_MACHINES}
# The LeNet's own is among those above.
COMPRESSED = {f"{name} by default": partial(by_default, name) for name in CHECKPOINTS if name != SHIPPED.stem}

MACHINES: dict[str, Callable[[], Design]] = {**SIZED, **SIZED_EARLY, **AXI, **COMPRESSED, **COMPONENTS}
# Those that take some seconds at most to generate; the others take up to half a minute each.
QUICK = (LENET, *COMPONENTS, *(case.name for case in CASES if not case.shipped))


def verilog_inputs(names: Iterable[str]) -> dict[str, str]:
    """What pages record of machines: the digests of the Verilog that is generated now."""
    return {name: digest for machine in names for name, digest in verilog_input(machine, MACHINES[machine]()).items()}
