"""Writing files so that nobody ever sees half of one."""

import ctypes
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .destinations import file_place, folder_place, in_use
from .errors import UserError, limit_reached
from .ownership import GENERATOR, MANIFEST, STAGE, check_folder, file_digest, manifest_text, read_manifest, there
from .temporary import temporary_file, temporary_folder

__all__ = ["made", "remove_empty", "replacing", "replacing_folder"]


@contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO]:
    """A file to write that becomes ``path`` when the block ends well, and vanishes when it does not.

    Where ``path`` is a link, what it leads to is written. Raises UserError where the folder cannot be written, the disk
    is full, or a device or pipe is there, which nothing may take the place of.
    """
    path = Path(path)
    temporary = None
    try:
        place = file_place(path)
        with made(place.parent):
            handle, temporary = temporary_file(place.parent, f".{place.name}.")
            try:
                with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    os.chmod(temporary, 0o666 & ~_umask())
                    os.replace(temporary, place)  # while it is locked: until it has its name it would look left over
            finally:
                if os.path.exists(temporary):
                    os.unlink(temporary)
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def replacing_folder(path: Path, manifest: str = MANIFEST, force: bool = False) -> Iterator[Path]:
    """A new folder to fill that takes the place of ``path`` when the block ends well, and vanishes when it does not.

    ``manifest`` is the name of the file that records what is in it (`fivebyfive.support.ownership`); it is made unless
    the block does. What was in ``path`` goes only if its manifest names it as it is; with ``force`` edited files go
    too, and what is not named stays. The folder that a link leads to is replaced. The working directory and mount
    points are filled where they are, file by file; the manifest comes first and last.

    Raises UserError where anything would be lost, where it cannot be written or the disk is full.
    """
    path = Path(path)
    try:
        place = folder_place(path)
        inside = in_use(place)
        with made(place if inside else place.parent):
            bring_back(place)
            check_folder(place, manifest, force, named=path)
            within, prefix = (place, STAGE) if inside else (place.parent, f".{place.name}.")
            with temporary_folder(within, prefix) as new:
                new.chmod(0o777 & ~_umask())
                yield new
                writes = record(new, manifest)
                kept = check_folder(place, manifest, force, writes, path)
                if inside:
                    _fill(new, place, manifest, kept)
                else:
                    _keep(place, new, kept)
                    _swap(new, place, lambda old: check_unchanged(old, kept, manifest, force, writes, path))
    except OSError as error:
        raise cannot_write(path, error) from error


def record(folder: Path, manifest: str) -> dict[str, str]:
    """Write the manifest of a new folder, unless it has one; its files with their SHA-256."""
    if not (folder / manifest).exists():
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}
        (folder / manifest).write_text(manifest_text({"generator": GENERATOR, "files": files}))
    return json.loads((folder / manifest).read_text())["files"]


def check_unchanged(
    old: Path, kept: Sequence[str], manifest: str, force: bool, writes: Collection[str], named: Path
) -> None:
    """Raise UserError where something came into a folder after it was looked through: it is no longer in its place."""
    if more := set(check_folder(old, manifest, force, writes, named)) - set(kept):
        raise UserError(f"{named} was written by another process meanwhile: {', '.join(sorted(more))}; try again")


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """The folder is made if need be, and goes again with the folders that were made for it where the block fails."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        remove_empty(missing)
        raise


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, the deepest first, as far as nothing is in them."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def cannot_write(path: Path, error: OSError, option: str = "--out") -> UserError:
    """The line that a user reads where ``path``, which ``option`` names, cannot be written."""
    if line := limit_reached(error):
        return UserError(line)
    reason = error.strerror or str(error)
    return UserError(f"cannot write {path}: {reason}; nothing was left behind. Name another place with {option}.")


def bring_back(path: Path) -> None:
    """Undo half of a `_swap` in two steps that was killed in between."""
    old = _old(path)
    if old.is_dir():
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, path)


def _keep(old: Path, new: Path, names: Sequence[str]) -> None:
    """Put the files and folders of these names, which are somebody else's, into ``new`` too: links, so that they are in
    both until the old folder goes. Raises OSError."""
    for name in names:
        target = new / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            shutil.copytree(old / name, target, symlinks=True, copy_function=_link)
        else:
            _link(old / name, target)


def _link(source: str | Path, target: str | Path) -> None:
    """The same file by another name; a copy where the file system has no hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _fill(new: Path, place: Path, manifest: str, kept: Sequence[str]) -> None:
    """Put the files of ``new`` into a folder that stays where it is. Until the end its manifest has the old files
    beside the new ones, so that both are known for ours if this is killed."""
    content = json.loads((new / manifest).read_text())
    old = {name: file_digest(place / name) for name in there(place, read_manifest(place, manifest))}
    with replacing(place / manifest, "w") as file:
        file.write(manifest_text(content | {"replacing": old}))
    for name in content["files"]:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(new / name, place / name)
    for name in old.keys() - content["files"].keys() - {manifest, *kept}:
        (place / name).unlink()
        remove_empty([place / one for one in Path(name).parents if one != Path()])
    os.replace(new / manifest, place / manifest)


def _swap(new: Path, path: Path, check: Callable[[Path], None]) -> None:
    """Put the folder ``new`` where ``path`` is, and what was there where ``new`` was, if that can be: at once. Where
    ``check`` refuses what was there, it is there again."""
    if not path.exists():
        os.rename(new, path)
    elif _exchange(new, path):
        try:
            check(new)
        except BaseException:
            _exchange(new, path)
            raise
    else:
        old = _old(path)
        os.rename(path, old)
        try:
            check(old)
            os.rename(new, path)
        except BaseException:
            os.rename(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.fivebyfive-old")


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders at once; False where the system or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except AttributeError:
        return False
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE
    return renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
