"""Reading back what `generate` wrote, so that Verilog or memories edited by hand can be simulated."""

import json
import re
from dataclasses import fields
from pathlib import Path

from fivebyfive.hw.codegen.verilog import Design, Port
from fivebyfive.hw.generate import MANIFEST, Generated
from fivebyfive.model.description import read_network
from fivebyfive.model.machine.config import LATER, Config
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import as_path, read_limited

__all__ = ["read_folder"]

NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,99}")
FILE = re.compile("[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
WIDEST = 1 << 16  # bits of a port
MAX_MANIFEST = 4 << 20  # bytes
MAX_FILES = 512 << 20  # bytes of all files together; the weights of the largest network have 210 MB as .mem files
# Sizes that version 0.1.0 did not have, or that need not be told (`Config.plain`), and what machines have then.
ADDED = {"kernel": Config.kernel, "pixels": Config.pixels} | LATER
AGAIN = "make it with: fivebyfive generate --out DIR"


def read_folder(folder: Path) -> Generated:
    """What lies in a folder that `generate` wrote, its files as they are now.

    Raises UserError, one line, where the folder or one of its files is missing or no such thing.
    """
    folder = as_path(folder, "generated folder")
    manifest = read_manifest(folder / MANIFEST)
    if manifest.get("target") == "vivado":
        raise UserError(f"{folder} is for Vivado; simulate takes what generate writes without --target")
    try:
        top, names, ports = judged(manifest)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / MANIFEST} is not what generate writes ({error}); {AGAIN}") from error
    files, left = {}, MAX_FILES
    for name in names:
        files[name] = text_of(folder / name, left)
        left -= len(files[name])
    verilog = files.pop(f"{top}.v", None)
    if verilog is None:
        raise UserError(f"{folder / MANIFEST} names no {top}.v; {AGAIN}")
    return Generated(Design(top, verilog, files, ports), manifest)


def judged(manifest: dict) -> tuple[str, list[str], tuple[Port, ...]]:
    """Top module, names of files, and ports; the manifest then has every size. Raises KeyError, TypeError or ValueError
    where anything is amiss."""
    top, names = manifest["top"], list(manifest["files"])
    for name in names:
        if not FILE.fullmatch(name):
            raise ValueError(f"{name!r} is outside its folder")
    ports = tuple(Port(port["name"], port["direction"], port["width"], port["signed"]) for port in manifest["ports"])
    for name in (top, *(port.name for port in ports)):
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of Verilog")
    for port in ports:
        if port.direction not in ("input", "output") or type(port.width) is not int or not 0 < port.width <= WIDEST:
            raise ValueError(f"port {port.name} is {port.direction!r} of {port.width!r} bits")
    of, config = manifest["checkpoint"], ADDED | manifest["config"]
    for text in (of["network"], of["sha256"]):
        if not isinstance(text, str):
            raise TypeError(f"{text!r} is no text")
    read_network(of["network"])
    for field in fields(Config):
        kind = dict if field.name == "engines" else type(field.default)
        if type(config[field.name]) is not kind:
            raise TypeError(f"{field.name} cannot be {config[field.name]!r}")
    Config(**config)
    manifest["config"] = config
    return top, names, ports


def read_manifest(path: Path) -> dict:
    try:
        manifest = json.loads(text_of(path, MAX_MANIFEST))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}); {AGAIN}") from error
    if not isinstance(manifest, dict):
        raise UserError(f"{path} is not what generate writes; {AGAIN}")
    return manifest


def text_of(path: Path, limit: int) -> str:
    """A file of the folder, of at most ``limit`` bytes: never one that a link leads to outside."""
    try:
        text = read_limited(path, limit, "generated file", within=path.parent).decode("ascii")
        return text.replace("\r\n", "\n").replace("\r", "\n")  # an editor may have changed the ends of lines
    except UnicodeDecodeError as error:
        raise UserError(f"{path} holds bytes that are not ASCII; {AGAIN}") from error
    except UserError as error:
        raise UserError(f"{error}; {AGAIN}") from error
