"""Whether a place can be written, asked before the work whose result is to go there; from then on it is claimed."""

import tempfile
from pathlib import Path

from fivebyfive.model.errors import UserError
from fivebyfive.model.files import cannot_write, check_replaceable

from .claims import claim

__all__ = ["check_file", "check_folder", "make_folder"]


def check_file(path: Path) -> None:
    """Raise UserError where a file ``path`` could not be written; its folder is made."""
    try:
        check_replaceable(path)
        try_folder(path.parent)
        claim(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def check_folder(folder: Path, mark: str = "manifest.json") -> None:
    """Raise UserError where ``folder`` could not be made, or holds anything but what the command wrote, which leaves a
    file of the name ``mark``."""
    try:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(20, "it is a file")
        try_folder(folder.absolute().parent)
        claim(folder)
        foreign = folder.is_dir() and any(folder.iterdir()) and not (folder / mark).is_file()
    except OSError as error:
        raise cannot_write(folder, error) from error
    if foreign:
        raise UserError(f"{folder} has other files in it, which would be lost; name a new folder with --out")


def make_folder(folder: Path) -> None:
    """Make a folder to write into. Raises UserError where that cannot be."""
    try:
        try_folder(folder)
        claim(folder, inside=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {folder}: {reason}; name another folder with --folder") from error


def try_folder(folder: Path) -> None:
    """Make a folder and a file in it that goes again. Raises OSError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(20, "there is a file where a folder should be") from error
    tempfile.TemporaryFile(dir=folder).close()
