"""The commands about small checkpoints: pack and unpack."""

import json
from dataclasses import dataclass
from pathlib import Path

import click

from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.compress.packing.packed import Packed, read_packed, write_packed
from fivebyfive.model.compress.packing.packed import pack as packed_form
from fivebyfive.output.paths import check_file
from fivebyfive.output.report import console, table
from fivebyfive.output.terminal import Stage, command
from fivebyfive.support.errors import shown

__all__ = ["run_pack", "run_unpack"]

FLOAT_BYTES = 4  # of a parameter, before anything was compressed


@dataclass(frozen=True)
class Sizes:
    """What a packed checkpoint came to."""

    name: str
    network: str
    packed: Packed
    parameters: int
    nonzero: dict[str, int]
    out: Path

    @classmethod
    def of(cls, path: Path, checkpoint: Checkpoint, packed: Packed, out: Path) -> "Sizes":
        held = {name: int((array != 0).sum()) for name, array in checkpoint.arrays.items()}
        parameters = sum(array.size for array in checkpoint.arrays.values())
        return cls(path.name, checkpoint.summary, packed, parameters, held, out)

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        arrays = {
            name: {"form": form.name.lower(), "bytes": self.packed.sizes[name], "nonzero": self.nonzero[name]}
            for name, form in self.packed.forms.items()
        }
        report: dict[str, object] = {"checkpoint": self.name, "network": self.network, "out": str(self.out)}
        report |= {"parameters": self.parameters, "float_bytes": FLOAT_BYTES * self.parameters}
        return report | {"bytes": self.packed.bytes, "huffman_bytes": self.packed.huffman_bytes, "arrays": arrays}


def run_pack(path: Path, out: Path, as_json: bool) -> None:
    """Pack a checkpoint, and tell of it."""
    checkpoint = load_checkpoint(path)
    check_file(out, [path])
    with Stage("packing") as stage:
        packed = packed_form(checkpoint, stage)
    write_packed(out, packed)
    report = Sizes.of(path, checkpoint, packed, out).as_dict()
    if as_json:
        click.echo(json.dumps(report))
    else:
        show_packed(report)


def run_unpack(path: Path, out: Path, as_json: bool) -> None:
    """Unpack a checkpoint, and tell of it."""
    check_file(out, [path])
    with Stage("unpacking"):
        checkpoint = read_packed(path)
    save_checkpoint(out, checkpoint)
    report = {"packed": path.name, "network": checkpoint.summary, "sha256": checkpoint.digest, "out": str(out)}
    if as_json:
        click.echo(json.dumps(report))
    else:
        console().print(f"{report['network']} of {shown(path.name)} in {shown(out)}.\nNext: {command('evaluate', out)}")


def show_packed(report: dict) -> None:
    """Bytes by array, and how much smaller all is than in floats."""
    out = console()
    rows = table("<array", "not zero", "bytes", "<form")
    for name, about in report["arrays"].items():
        rows.add_row(name, f"{about['nonzero']:,}", f"{about['bytes']:,}", about["form"])
    out.print(rows)
    ratio = report["float_bytes"] / report["bytes"]
    out.print(
        f"\n{report['network']} in {shown(report['out'])}: {report['bytes']:,} bytes, {ratio:.1f} times smaller than "
        f"{report['float_bytes']:,} in floats; with Huffman codes alone {report['huffman_bytes']:,}."
    )
