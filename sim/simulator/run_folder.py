"""The folder of a run that somebody wants to keep: what lies in it is recorded, and nothing else is ever replaced."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from fivebyfive.support.destinations import folder_place
from fivebyfive.support.files import cannot_write, replacing
from fivebyfive.support.ownership import (
    GENERATOR,
    check_within,
    file_digest,
    manifest_text,
    plain_file,
    read_manifest,
    there,
)

from .commands import UNFINISHED

__all__ = ["RECORD", "RUN_FILES", "recorded"]

RECORD = "run.json"
RUN_FILES = (
    "parameters.json", "results.xml", "simulation.log", "coverage.dat", "waves.fst", "waves.vcd", f"{UNFINISHED}.fst",
    f"{UNFINISHED}.vcd",
)  # fmt: skip


@contextmanager
def recorded(folder: Path, names: Collection[str], force: bool = False) -> Iterator[None]:
    """A folder in which files of these ``names`` are written; they are recorded however the block ends.

    What a run before left in it goes first; others' files stay. Raises UserError where what is to be written would
    replace them, or files that were edited, unless ``force``.
    """
    try:
        place = folder_place(folder)
        place.mkdir(parents=True, exist_ok=True)
        check_within(place, RECORD, force, names, folder, "--folder")
        before = read_manifest(place, RECORD)
        for name in there(place, before) if before and not before.edited else ():
            (place / name).unlink()
        with replacing(place / RECORD, "w") as file:
            file.write(manifest_text({"generator": GENERATOR, "files": {}, "running": sorted(names)}))
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield
    finally:
        files = {name: file_digest(place / name) for name in sorted(names) if plain_file(place / name)}
        with replacing(place / RECORD, "w") as file:
            file.write(manifest_text({"generator": GENERATOR, "files": files}))
