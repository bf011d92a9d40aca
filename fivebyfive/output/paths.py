"""Whether a place can be written, asked before the work whose result is to go there; from then on it is claimed."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from fivebyfive.support.destinations import file_place, folder_place, in_use, refuse_inputs
from fivebyfive.support.errors import UserError
from fivebyfive.support.files import cannot_write, remove_empty
from fivebyfive.support.inputs import as_path
from fivebyfive.support.ownership import MANIFEST, check_within
from fivebyfive.support.ownership import check_folder as check_owned
from fivebyfive.support.sidecars import check_sidecars

from .path_lock import lock_path

__all__ = [
    "FileName", "FolderName", "InputName", "check_beside", "check_file", "check_folder", "force_option", "make_folder",
]  # fmt: skip

force_option = click.option(
    "--force", is_flag=True, help="Replace files that were edited since fivebyfive wrote them; others stay even so."
)


class InputName(click.Path):
    """A path that a file can have; whether there is one, the command looks itself."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return Path(os.fsdecode(super().convert(as_path(value, "file"), param, ctx)))


class FolderName(InputName):
    """The name of a folder to write."""

    what = "a folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not os.fspath(value):
            self.fail(f"an empty name; name {self.what}", param, ctx)
        path = super().convert(value, param, ctx)
        if os.path.realpath(path) == "/":
            self.fail(f"{os.fspath(value)!r} is the root of the file system; name {self.what}", param, ctx)
        return path


class FileName(FolderName):
    """The name of a file to write."""

    what = "a file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        if os.fspath(value).endswith(("/", "/.")) or path.name in ("", ".."):
            self.fail(f"{os.fspath(value)!r} cannot be written, it is a folder; name a file", param, ctx)
        return path


def check_file(path: Path, inputs: Iterable[Path | str | None] = (), option: str = "--out") -> None:
    """Raise UserError where a file ``path``, which ``option`` names, could not be written, or is one of the ``inputs``;
    its folder is made."""
    try:
        place = file_place(path)
        refuse_inputs(path, inputs, option)
        try_folder(place.parent)
        lock_path(place)
    except OSError as error:
        raise cannot_write(path, error, option) from error


def check_beside(paths: Sequence[Path], force: bool, inputs: Iterable[Path | str | None] = ()) -> None:
    """Raise UserError where files that the user did not name, all of one stem, could not be written or are somebody
    else's."""
    for path in paths:
        check_file(path, inputs)
    check_sidecars(paths, force)


def check_folder(folder: Path, force: bool = False, manifest: str = MANIFEST) -> None:
    """Raise UserError where ``folder`` could not be made, or holds anything but what its ``manifest`` says that we
    wrote."""
    try:
        place = folder_place(folder)
        inside = in_use(place)
        try_folder(place if inside else place.parent)
        lock_path(place, inside)
        check_owned(place, manifest, force, named=folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def make_folder(folder: Path, force: bool, manifest: str, inputs: Iterable[Path | str | None] = ()) -> None:
    """Make a folder to write into, whose ``manifest`` tells what of it is ours. Raises UserError where that cannot be,
    it is one of the ``inputs``, or what is ours was edited."""
    try:
        place = folder_place(folder)
        refuse_inputs(folder, inputs)
        try_folder(place)
        lock_path(place, inside=True)
        check_within(place, manifest, force, (), folder, "--folder")
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {folder}: {reason}; name another folder with --folder") from error


def try_folder(folder: Path) -> None:
    """Make a folder, which goes again with the command if nothing is put into it, and a file in it that goes at once.
    Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    context = click.get_current_context(silent=True)
    if missing and context is not None:
        context.find_root().call_on_close(lambda: remove_empty(missing))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(20, "there is a file where a folder should be") from error
    tempfile.TemporaryFile(dir=folder).close()
