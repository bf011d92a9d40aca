"""Reading back what `generate` wrote, so that Verilog or memories edited by hand can be simulated."""

import json
from pathlib import Path

from fivebyfive.hw.generate import MANIFEST, Generated
from fivebyfive.hw.verilog import Design, Port
from fivebyfive.model.errors import UserError

__all__ = ["read_folder"]

AGAIN = "make it with: fivebyfive generate --out DIR"


def read_folder(folder: Path) -> Generated:
    """What lies in a folder that `generate` wrote, its files as they are now.

    Raises UserError, one line, where the folder or one of its files is missing or no such thing.
    """
    folder = Path(folder)
    manifest = read_manifest(folder / MANIFEST)
    if manifest.get("target") == "vivado":
        raise UserError(f"{folder} is for Vivado; simulate takes what generate writes without --target")
    try:
        ports = tuple(
            Port(port["name"], port["direction"], port["width"], port["signed"]) for port in manifest["ports"]
        )
        top, names = manifest["top"], list(manifest["files"])
        manifest["checkpoint"]["network"], manifest["checkpoint"]["sha256"], dict(manifest["config"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder / MANIFEST} is not what generate writes ({error}); {AGAIN}") from error
    if any(Path(name).name != name for name in names):
        raise UserError(f"{folder / MANIFEST} names files outside its folder; {AGAIN}")
    files = {name: read_text(folder / name) for name in names}
    verilog = files.pop(f"{top}.v", None)
    if verilog is None:
        raise UserError(f"{folder / MANIFEST} names no {top}.v; {AGAIN}")
    return Generated(Design(top, verilog, files, ports), manifest)


def read_manifest(path: Path) -> dict:
    try:
        manifest = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); {AGAIN}") from error
    if not isinstance(manifest, dict):
        raise UserError(f"{path} is not what generate writes; {AGAIN}")
    return manifest


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} holds bytes that are not ASCII; {AGAIN}") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; {AGAIN}") from error
