"""Files of ours that lie among others': a report beside its checkpoint, tables and a picture in a folder.

What was written is recorded in a file ``.NAME.sha256`` beside them, as `sha256sum` writes it. An entry is there before
its file is, so that one that was written when the writer was killed is known for ours.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .destinations import file_place
from .errors import UserError
from .files import cannot_write, made, replacing
from .ownership import file_digest
from .temporary import temporary_folder

__all__ = ["check_sidecars", "record_of", "replacing_sidecars", "write_sidecar"]

HEAD = b"# What fivebyfive wrote here; it replaces no other file."
LINE = re.compile(rb"\\?([0-9a-f]{64})  (.+)")
ESCAPES = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"))  # sha256sum's, of names; a line with one begins with \
MAX_BYTES = 1 << 20  # of a record


def record_of(path: Path) -> Path:
    """The record of ``path`` and of what else is written beside it with the same stem."""
    return path.with_name(f".{path.stem}.sha256")


def check_sidecars(paths: Sequence[Path], force: bool = False) -> None:
    """Raise UserError where one of ``paths``, all in one folder and of one stem, is there and was not written by us or,
    without ``force``, was edited since."""
    known = read_record(record_of(paths[0]))
    for path in paths:
        try:
            place = file_place(path)
            if not place.exists():
                continue
            digest = file_digest(place)
        except OSError as error:
            raise cannot_write(path, error) from error
        if path.name not in known:
            raise UserError(f"{path} is not a file that fivebyfive wrote, and would be lost; move it, or name another "
                            "place with --out")  # fmt: skip
        if digest not in known[path.name] and not force:
            raise UserError(f"{path} was edited since fivebyfive wrote it; name another place with --out, or replace "
                            "it with --force")  # fmt: skip


@contextmanager
def replacing_sidecars(paths: Sequence[Path], force: bool = False) -> Iterator[list[Path]]:
    """Paths to write, in a folder of their own, which take the places of ``paths`` when the block ends well; what the
    block does not write stays as it is. Raises UserError as `check_sidecars`, and where they cannot be written."""
    record = record_of(paths[0])
    check_sidecars(paths, force)
    try:
        with made(record.parent), temporary_folder(record.parent, f".{paths[0].stem}.") as stage:
            new = [stage / path.name for path in paths]
            yield new
            check_sidecars(paths, force)
            written = [path for path in paths if (stage / path.name).exists()]
            write_record(record, {path: file_digest(stage / path.name) for path in written})
            for path in written:
                move(stage / path.name, path)
    except OSError as error:
        raise cannot_write(paths[0], error) from error


def write_sidecar(path: Path, data: bytes, force: bool = False) -> None:
    """Write one file beside others. Raises UserError as `replacing_sidecars`."""
    with replacing_sidecars([path], force) as (new,):
        new.write_bytes(data)


def move(new: Path, path: Path) -> None:
    """Put a new file in the place that ``path`` leads to. Raises OSError."""
    place = file_place(path)
    with new.open("rb") as file:
        os.fsync(file.fileno())
        if on_one_device(place.parent, file.fileno()):
            os.replace(new, place)
        else:  # a link led to another file system
            with replacing(place) as copy:
                shutil.copyfileobj(file, copy)


def on_one_device(folder: Path, handle: int) -> bool:
    return os.stat(folder).st_dev == os.fstat(handle).st_dev


def read_record(path: Path) -> dict[str, set[str]]:
    """Name to SHA-256 of what was written. Raises UserError where another file has the record's name."""
    try:
        if not file_place(path).exists():
            return {}
        with path.open("rb") as file:
            head, *lines = file.read(MAX_BYTES).removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise cannot_write(path, error) from error
    found = [LINE.fullmatch(line) for line in lines]
    if head != HEAD or not all(found):
        raise UserError(f"{path} is not a record of what fivebyfive wrote, and would be lost; move it, or name another "
                        "place with --out")  # fmt: skip
    known: dict[str, set[str]] = {}
    for match in filter(None, found):
        known.setdefault(name_in(match[2]), set()).add(match[1].decode())
    return known


def write_record(path: Path, new: dict[Path, str]) -> None:
    """Enter files that are about to be written, beside what of ours is there."""
    known = read_record(path)
    entries = {(name, digest) for name, digests in known.items() for digest in digests}
    entries = {(name, digest) for name, digest in entries if is_there(path.with_name(name), digest)}
    entries |= {(file.name, digest) for file, digest in new.items()}
    lines = [HEAD, *(line(name, digest) for name, digest in sorted(entries))]
    with replacing(path) as file:
        file.write(b"\n".join([*lines, b""]))


def line(name: str, digest: str) -> bytes:
    plain = escaped = os.fsencode(name)
    for character, written in ESCAPES:
        escaped = escaped.replace(character, written)
    return (b"" if escaped == plain else b"\\") + digest.encode() + b"  " + escaped


def name_in(escaped: bytes) -> str:
    """The name in a line."""
    written = {text: character for character, text in ESCAPES}
    return os.fsdecode(re.sub(rb"\\[\\nr]", lambda match: written[match[0]], escaped))


def is_there(path: Path, digest: str) -> bool:
    return path.is_file() and file_digest(path) == digest
