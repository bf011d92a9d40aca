"""Which files are ours to replace: those that a record of ours names, with the content that it records.

A folder that is written as a whole has a manifest: JSON whose ``generator`` is fivebyfive, with the SHA-256 of every
file under ``files`` and its own, without that entry, as ``own_sha256``. Files that lie among others are recorded beside
them (`fivebyfive.support.sidecars`). What no record names, and what was changed since, is somebody's work.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from .errors import UserError, shown
from .temporary import PART, RANDOM

__all__ = [
    "GENERATOR", "MANIFEST", "Manifest", "check_folder", "check_within", "file_digest", "manifest_text", "plain_file",
    "read_manifest", "sealed", "there",
]  # fmt: skip

MANIFEST = "manifest.json"
OWN = "own_sha256"
GENERATOR = f"fivebyfive {version('fivebyfive')}"
FIRST = "fivebyfive 0.1.0"  # whose manifests do not record themselves
MAX_BYTES = 4 << 20  # of a manifest
LARGEST = 16 << 30  # bytes of a file that a command writes: a long waveform
LISTED = 3  # files that a message names
STAGE = ".fivebyfive."  # begins the name of a folder within one that is filled where it is
LEFT = re.compile(re.escape(STAGE) + RANDOM + re.escape(PART))  # of a command that was killed while it filled one
LOCK, HOLDER = ".lock", re.compile(rb"(\d+\n)?")  # a file in a folder that a command writes into, and its content


@dataclass(frozen=True)
class Manifest:
    """What a manifest records. ``name``: of its file. ``files``: name to SHA-256, of which a file has one; None for any
    content, where the writer was killed before it knew. ``edited``: it is not as it was written."""

    name: str
    files: dict[str, tuple[str, ...] | None]
    edited: bool


def sealed(content: dict) -> dict:
    """A manifest with the SHA-256 that tells whether it was edited."""
    content = {key: value for key, value in content.items() if key != OWN}
    return content | {OWN: hashlib.sha256(json.dumps(content, indent=2).encode()).hexdigest()}


def manifest_text(content: dict) -> str:
    """A manifest as its file has it."""
    return json.dumps(sealed(content), indent=2) + "\n"


def file_digest(path: Path) -> str:
    """SHA-256 of a file; empty for one that is larger than any of ours. Raises OSError."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > LARGEST:
            return ""
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path, name: str = MANIFEST) -> Manifest | None:
    """The manifest of a folder, None where there is none, or not ours. Raises OSError where it cannot be read."""
    path = folder / name
    if not plain_file(path) or path.stat().st_size > MAX_BYTES:
        return None
    data = path.read_bytes()
    try:
        content = json.loads(data)
        generator, files = content["generator"], content["files"]
        before, unknown = content.get("replacing", {}), content.get("running", [])
        if not generator.startswith("fivebyfive ") or not all(isinstance(one, str) for one in files.values()):
            return None
        known: dict[str, tuple[str, ...] | None]
        known = {one: (*filter(None, (files.get(one), before.get(one))),) for one in {**files, **before}}
        known |= dict.fromkeys(unknown)
        known = {one: digests for one, digests in known.items() if not {"", ".", ".."} & {*one.split("/")}}
        first = OWN not in content and generator == FIRST and data.decode() == json.dumps(content, indent=2) + "\n"
        return Manifest(name, known, not first and data.decode() != manifest_text(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def check_folder(
    place: Path, name: str = MANIFEST, force: bool = False, writes: Collection[str] = (), named: Path | None = None
) -> list[str]:
    """The files in ``place``, by their paths in it, that a folder which takes its place has to keep; a folder that
    nothing of ours is in is one of them, with a / behind it.

    ``name``: of the manifest. ``writes``: the files to come. ``named``: the folder as the user calls it. With ``force``
    files that were edited count as ours, and others stay. Raises UserError where anything would be lost, OSError.
    """
    named = named or place
    if not place.is_dir() or not (here := found(place)):
        return []
    manifest = read_manifest(place, name)
    if manifest is None:
        others = [one for one in here if one != name] or here
        raise UserError(f"{named} has other files in it, which would be lost: {few(others)}; name a new folder with "
                        "--out")  # fmt: skip
    edited, foreign = judged(place, manifest)
    if force:
        if manifest.edited:  # an editor may have named files that are not ours
            foreign += [one for one in there(place, manifest) if one not in (*writes, *foreign)]
        refuse_others(foreign, writes, named, "--out")
        return foreign
    refuse_edited(edited, foreign, named, "--out")
    if foreign:
        raise UserError(f"{named} has other files in it, which would be lost: {few(foreign)}; name another folder with "
                        "--out, or keep them there with --force")  # fmt: skip
    return []


def check_within(place: Path, name: str, force: bool, writes: Collection[str], named: Path, option: str) -> None:
    """Raise UserError where a command that writes files into a folder, among others', would write over others or,
    without ``force``, over those that were edited. ``option``: what names the folder. Raises OSError."""
    if not place.is_dir():
        return
    manifest = read_manifest(place, name)
    edited, foreign = judged(place, manifest or Manifest(name, {}, edited=False))
    if manifest is None and os.path.lexists(place / name):
        foreign.append(name)
    refuse_others(foreign, {name, *writes}, named, option)
    if not force:
        refuse_edited(edited, [], named, option)


def there(place: Path, manifest: Manifest | None) -> list[str]:
    """Files that a manifest names, those that are in the folder and that no link led out of it."""
    names = manifest.files if manifest else ()
    return [one for one in names if plain_file(place / one) and Path(os.path.realpath(place / one)) == place / one]


def refuse_others(foreign: Sequence[str], writes: Collection[str], named: Path, option: str) -> None:
    if in_the_way := [one for one in foreign if blocks(one, writes)]:
        raise UserError(f"{named} has other files where files are to be written: {few(in_the_way)}; move them, or name "
                        f"another folder with {option}")  # fmt: skip


def refuse_edited(edited: Sequence[str], foreign: Sequence[str], named: Path, option: str) -> None:
    if edited:
        more = f", and others' files are in it: {few(foreign)}" if foreign else ""
        raise UserError(f"{named} was edited since it was written: {few(edited)}{more}; name another folder with "
                        f"{option}, or replace what was edited with --force")  # fmt: skip


def found(folder: Path, below: str = "") -> list[str]:
    """Names of what is in a folder, but for what shows that a command writes it. Raises OSError."""
    paths = sorted((folder / below).iterdir())
    return [below + path.name for path in paths if below or not (LEFT.fullmatch(path.name) or is_lock(path))]


def is_lock(path: Path) -> bool:
    """Whether it is the lock of a folder that is being written, or of a file in it that this process writes."""
    if not (path.name.startswith(".") and path.name.endswith(LOCK) and plain_file(path)):
        return False
    holder = path.read_bytes()[:20]
    return HOLDER.fullmatch(holder) is not None if path.name == LOCK else holder == b"%d\n" % os.getpid()


def judged(place: Path, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Files that were edited, and what is not ours."""
    edited, foreign = [], []
    ours = {f"{parent.as_posix()}/" for file in manifest.files for parent in Path(file).parents if parent != Path()}
    waiting = found(place)
    while waiting:
        file = waiting.pop(0)
        path = place / file
        if path.is_dir() and not path.is_symlink():
            if f"{file}/" in ours:
                waiting += found(place, f"{file}/")
            else:
                foreign.append(f"{file}/")
        elif not plain_file(path):
            foreign.append(file)
        elif file == manifest.name:
            edited += [file] if manifest.edited else []
        elif file not in manifest.files:
            foreign.append(file)
        elif (digests := manifest.files[file]) is not None and file_digest(path) not in digests:
            edited.append(file)
    return edited, foreign


def blocks(file: str, writes: Collection[str]) -> bool:
    """Whether a file that stays is where one is to be written, or in a folder's place, or the other way round."""
    name = file.rstrip("/")
    return any(one == name or one.startswith(f"{name}/") or name.startswith(f"{one}/") for one in writes)


def plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def few(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    first = ", ".join(shown(name) for name in names[:LISTED])
    return first if len(names) <= LISTED else f"{first} and {len(names) - LISTED} more"
