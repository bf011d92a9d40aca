"""A folder for Vivado: the AXI core as Verilog, and the scripts and headers around it.

The texts are templates in hw/axi/templates, filled from the design's ports and from
`fivebyfive.model.protocol.registers`. The same checkpoint, size and part give the same bytes.
"""

import re
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import jinja2

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.hw.generate import describe
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.protocol.registers import ACCESSES, ID, MAP, WINDOW_BYTES, encode
from fivebyfive.model.shape import summary
from fivebyfive.support.errors import UserError
from fivebyfive.support.files import replacing_folder
from fivebyfive.support.ownership import MANIFEST, manifest_text, sealed

from .axi_core import AxiCore, check_pixel_bytes

__all__ = ["PART", "TOP", "Package", "check_part", "package", "registers_page"]

TOP = "lenet_axi"
PART = "xc7z020clg400-1"
PERIOD_NS = 10.0  # of aclk, in all generated files; the timing report says what a part reaches
VLNV = {"vendor": "fivebyfive", "library": "user", "name": TOP, "version": "2.0"}
VIEWS = {
    "xilinx_anylanguagesynthesis": ":vivado.xilinx.com:synthesis",
    "xilinx_anylanguagebehavioralsimulation": ":vivado.xilinx.com:simulation",
}
FAMILIES = ("zynq", "artix7", "kintex7", "virtex7", "spartan7", "zynquplus", "kintexu", "kintexuplus", "virtexuplus")
IP_XACT_ACCESS = {"ro": "read-only", "rw": "read-write", "w1c": "read-write", "wo": "write-only"}
# Where nothing is connected: every byte is kept, and protection does not matter.
IDLE = {"s_axis_tkeep": 15, "s_axi_awprot": 0, "s_axi_arprot": 0}
LITE_PORTS = (
    "awaddr", "awprot", "awvalid", "awready", "wdata", "wstrb", "wvalid", "wready", "bresp", "bvalid", "bready",
    "araddr", "arprot", "arvalid", "arready", "rdata", "rresp", "rvalid", "rready",
)  # fmt: skip


@dataclass(frozen=True)
class Bus:
    """A bus interface of the core: ``ports`` are pairs of logical and physical names."""

    name: str
    type: str
    ports: list[tuple[str, str]]
    parameters: dict[str, str]
    library: str = "interface"
    master: bool = False
    memory_map: str | None = None


@dataclass(frozen=True)
class Package:
    """The files of the folder, by path in it, and the manifest, which is one of them."""

    design: Design
    files: dict[str, str]
    manifest: dict

    def write(self, folder: Path, force: bool = False) -> list[Path]:
        """Replace ``folder`` by one with all files; their paths. ``force`` and UserError: `Generated.write`."""
        folder = Path(folder)
        with replacing_folder(folder, force=force) as new:
            for name, text in self.files.items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                (new / name).write_text(text, encoding="ascii", newline="\n")
        return [folder / name for name in self.files]


def package(
    checkpoint: Checkpoint, config: Config | None = None, source: str | None = None, part: str = PART,
    pixel_bytes: int | None = None,
) -> Package:  # fmt: skip
    """The folder of a checkpoint. ``source``: its name for the manifest. ``pixel_bytes``: of a transfer, 1 or 4; None
    for 4, or as many as the machine takes at once.

    Raises UserError for a part that is none of Vivado's, ValueError for another width.
    """
    check_part(part)
    config = config or sized(checkpoint.network)
    pixel_bytes = pixel_bytes or (config.pixels if config.pixels > 1 else 4)
    check_pixel_bytes(pixel_bytes, config.pixels)
    core = AxiCore(checkpoint.network, config, pack(checkpoint, config), pixel_bytes, checkpoint.tables)
    design = to_verilog(core, TOP)
    hdl = {f"hdl/{TOP}.v": design.verilog} | {f"hdl/{name}": text for name, text in design.memories.items()}
    about = describe(checkpoint, config, source, TOP, {})
    values = template_values(core, design, part) | {"generator": about["generator"]}
    texts = {
        "README.md": "README.md.j2",
        "component.xml": "component.xml.j2",
        values["constraints"]: "ooc.xdc.j2",
        "scripts/project.tcl": "project.tcl.j2",
        "scripts/pack_ip.tcl": "pack_ip.tcl.j2",
        "scripts/block_design.tcl": "block_design.tcl.j2",
        f"sw/{TOP}_registers.h": "registers.h.j2",
    }
    if not values["zynq"]:
        del texts["scripts/block_design.tcl"]
    files = {name: render(template, values) for name, template in texts.items()}
    files |= {"sw/registers.md": registers_page()} | hdl
    manifest = sealed(describe(checkpoint, config, source, TOP, files) | {
        "target": "vivado", "part": part, "pixel_bytes": pixel_bytes,
        "ports": [asdict(port) for port in design.ports],
    })  # fmt: skip
    return Package(design, files | {MANIFEST: manifest_text(manifest)}, manifest)


def check_part(part: str) -> None:
    """Raise UserError for what Vivado would not take for a part's name; whether there is one, only Vivado knows."""
    if not re.fullmatch(r"xc[0-9a-z]{3,}-[0-9a-z][0-9a-z-]*", part):
        raise UserError(f"{part!r} is no part as Vivado writes it, such as {PART} (device, package, speed grade)")


def template_values(core: AxiCore, design: Design, part: str) -> dict:
    """What the templates are filled with."""
    network, config, fixed = summary(core.network), core.config, core.identity
    return {
        "top": TOP, "vlnv": VLNV, "part": part, "zynq": part.startswith("xc7z"), "period_ns": PERIOD_NS,
        "verilog": f"hdl/{TOP}.v", "memories": [f"hdl/{name}" for name in design.memories],
        "constraints": f"constraints/{TOP}_ooc.xdc",
        "description": f"Network {network}: images in, logits and class out, over AXI.",
        "network": network, "input": core.network.input, "pixels": core.network.pixels,
        "classes": core.network.classes, "result_words": fixed["frame"]["result_words"],
        "pixel_bytes": core.pixel_bytes, "ports": design.ports, "buses": buses(core), "views": VIEWS,
        "synthesis": [next(iter(VIEWS))], "idle": IDLE, "families": FAMILIES,
        "registers": MAP, "window": WINDOW_BYTES, "access": IP_XACT_ACCESS, "accesses": ACCESSES, "id": ID,
        "resets": {r.name: encode(r.name, **fixed[r.name]) if r.reset is None else r.reset for r in MAP},
        "prefix": TOP.upper(), "guard": f"{TOP.upper()}_REGISTERS_H",
        "parameters": {
            "NETWORK": network, "PIXEL_BYTES": core.pixel_bytes, "CONV_MULTIPLIERS": config.conv_multipliers,
            "FC_MULTIPLIERS": config.fc_multipliers,
        },
    }  # fmt: skip


def buses(core: AxiCore) -> list[Bus]:
    """The interfaces that Vivado is to see."""
    keep = ["tkeep"] if core.pixel_bytes > 1 else []
    frequency = f"{1e9 / PERIOD_NS:.0f}"
    return [
        Bus("s_axis", "axis", stream("s_axis", keep), {"TDATA_NUM_BYTES": str(core.pixel_bytes)}),
        Bus("m_axis", "axis", stream("m_axis", ["tkeep"]), {"TDATA_NUM_BYTES": "4"}, master=True),
        Bus("s_axi", "aximm", [(name.upper(), f"s_axi_{name}") for name in LITE_PORTS], {"PROTOCOL": "AXI4LITE"},
            memory_map="s_axi"),
        Bus("aclk", "clock", [("CLK", "aclk")],
            {"ASSOCIATED_BUSIF": "s_axis:m_axis:s_axi", "ASSOCIATED_RESET": "aresetn", "FREQ_HZ": frequency}, "signal"),
        Bus("aresetn", "reset", [("RST", "aresetn")], {"POLARITY": "ACTIVE_LOW"}, "signal"),
        Bus("interrupt", "interrupt", [("INTERRUPT", "interrupt")], {"SENSITIVITY": "LEVEL_HIGH"}, "signal",
            master=True),
    ]  # fmt: skip


def stream(name: str, more: list[str]) -> list[tuple[str, str]]:
    return [(port.upper(), f"{name}_{port}") for port in ("tdata", *more, "tlast", "tvalid", "tready")]


def registers_page() -> str:
    """docs/registers.md."""
    return render("registers.md.j2", {"registers": MAP, "accesses": ACCESSES})


def render(name: str, values: dict) -> str:
    """A template, filled; a name that it lacks is an error."""
    text = (resources.files(__package__) / "templates" / name).read_text(encoding="ascii")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(text).render(values)
