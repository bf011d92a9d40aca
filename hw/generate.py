"""From a checkpoint to a folder: Verilog, the contents of its memories, and a manifest that says what is what."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from amaranth.hdl import Shape
from amaranth.lib import data, wiring

from fivebyfive.hw.codegen.verilog import Design, to_verilog
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.description import describe_layer, written
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.weights import memory_map, pack
from fivebyfive.model.network import Network
from fivebyfive.model.q26 import Q2_6
from fivebyfive.support.files import replacing_folder
from fivebyfive.support.ownership import GENERATOR, MANIFEST, manifest_text, sealed

from .accelerator import Accelerator
from .cascade import Cascade

__all__ = ["CASCADE", "MANIFEST", "TOP", "Generated", "describe", "generate", "generate_cascade"]

TOP, CASCADE = "lenet", "cascade"  # names of the top modules
ORDER = "channel after channel, in each row by row"  # of an image's pixels on the stream ``i``


@dataclass(frozen=True)
class Generated:
    """An accelerator as Verilog, and its manifest (see `generate`)."""

    design: Design
    manifest: dict

    def write(self, folder: Path, force: bool = False) -> list[Path]:
        """Replace ``folder`` by one with all files; their paths.

        Raises UserError where that cannot be written, or where files would be lost that are not as this wrote them;
        with ``force`` edited ones are replaced and others stay.
        """
        folder = Path(folder)
        with replacing_folder(folder, force=force) as new:
            paths = self.design.write(new)
            (new / MANIFEST).write_text(manifest_text(self.manifest))
        return [folder / path.name for path in (*paths, Path(MANIFEST))]


def generate(checkpoint: Checkpoint, config: Config | None = None, source: str | None = None) -> Generated:
    """The accelerator of a checkpoint. The same checkpoint and size give the same bytes.

    ``source``: name of the checkpoint for the manifest, which also tells: the sizes; the pixels of an image and their
    order; what each layer computes, of which shape and in which engine; SHA-256 of every file, of every table and of
    the checkpoint's arrays; ports of the top module with the fields of each (bit offset and width); the memory map.
    """
    config = config or sized(checkpoint.network)
    accelerator = Accelerator(checkpoint.network, config, pack(checkpoint, config), checkpoint.tables)
    ports = layouts(accelerator)
    design = to_verilog(accelerator, TOP)
    files = {f"{design.name}.v": design.verilog} | design.memories
    manifest = describe(checkpoint, config, source, design.name, files)
    manifest["ports"] = [asdict(port) | {"fields": ports.get(port.name, {})} for port in design.ports]
    return Generated(design, sealed(manifest))


def generate_cascade(
    checkpoints: tuple[Checkpoint, Checkpoint],
    margin: int,
    configs: tuple[Config, Config],
    sources: tuple[str | None, str | None] = (None, None),
) -> Generated:
    """Two accelerators, the second asked where the first one's two best logits are less than ``margin`` codes apart.

    The manifest has ``margin``, and what `generate` tells of each as ``first`` and ``second``. Raises ValueError as
    `Cascade`.
    """
    machines = [
        Accelerator(one.network, config, pack(one, config), one.tables)
        for one, config in zip(checkpoints, configs, strict=True)
    ]
    cascade = Cascade(*machines, margin)
    ports = layouts(cascade)
    design = to_verilog(cascade, CASCADE)
    files = {f"{design.name}.v": design.verilog} | design.memories
    about = [
        describe(one, config, source, CASCADE, {})
        for one, config, source in zip(checkpoints, configs, sources, strict=True)
    ]
    both = {key: about[0][key] for key in ("generator", "top", "input", "arithmetic")}
    parts = [{key: value for key, value in one.items() if key not in (*both, "files")} for one in about]
    manifest = both | {"margin": margin, "first": parts[0], "second": parts[1]}
    manifest["files"] = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    manifest["ports"] = [asdict(port) | {"fields": ports.get(port.name, {})} for port in design.ports]
    return Generated(design, sealed(manifest))


def describe(checkpoint: Checkpoint, config: Config, source: str | None, top: str, files: dict[str, str]) -> dict:
    """What every manifest tells; ``files``: name to text."""
    return {
        "generator": GENERATOR,
        "top": top,
        "checkpoint": {"name": source, "network": written(checkpoint.network), "sha256": checkpoint.digest},
        "input": input_of(checkpoint.network),
        "layers": layers_of(checkpoint.network),
        "tables": {name: hashlib.sha256(table.tobytes()).hexdigest() for name, table in checkpoint.tables.items()},
        "arithmetic": f"Q{Q2_6.int_bits}.{Q2_6.frac_bits}, {Q2_6.bits} bits, wrapping; {Q2_6.acc_bits}-bit sums",
        "config": config.plain,
        "multipliers": {"conv": config.conv_multipliers, "fc": config.fc_multipliers},
        "dsps": {"conv": config.conv_dsps, "fc": config.fc_dsps},
        "engines": list(config.engines.names),
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()},
        "memory_map": [region.plain for region in memory_map(checkpoint.network, config)],
    }


def input_of(network: Network) -> dict:
    """What an image is, and how its pixels come."""
    channels, rows, columns = network.input
    return {"channels": channels, "rows": rows, "columns": columns, "pixels": network.pixels, "order": ORDER}


def layers_of(network: Network) -> list[dict]:
    """Each layer as its description has it, with the shapes of an image in front of it and behind it, and its
    engine: "conv" or "fc"."""
    convs = {stage.name for stage in stages(network).convs}
    return [
        describe_layer(place.layer)
        | {"takes": list(place.inputs), "gives": list(place.outputs)}
        | {"engine": "conv" if place.layer.name in convs else "fc"}
        for place in network
    ]


def layouts(component: wiring.Component) -> dict[str, dict]:
    """Fields of each port that is a structure: name to {offset, width}, in bits."""
    found = {}
    for path, member, _ in component.signature.flatten(component):
        fields = flatten_layout(member.shape)
        if len(fields) > 1:
            found["__".join(map(str, path))] = {
                name: {"offset": offset, "width": width} for name, (offset, width) in fields.items()
            }
    return found


def flatten_layout(shape, name: str = "", offset: int = 0) -> dict[str, tuple[int, int]]:
    """Leaves of a layout: dotted name to (offset, width)."""
    if not isinstance(shape, data.Layout):
        return {name: (offset, Shape.cast(shape).width)}
    leaves: dict[str, tuple[int, int]] = {}
    for key, part in shape:
        label = f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}".lstrip(".")
        leaves |= flatten_layout(part.shape, label, offset + part.offset)
    return leaves
